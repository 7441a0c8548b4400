"""The engine: plans a run, runs it, and says what happens."""
