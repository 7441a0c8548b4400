"""Reports as documents for people (RPT-2). What an agent wrote is data: none of it is read as markup."""
