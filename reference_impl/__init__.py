"""The reference implementation: a backend that keeps the contract, clause by clause."""
