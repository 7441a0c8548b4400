"""What agents are and how they change; no web, no SQL, no clock of its own."""
