"""The pytest plugin: one item for each case of a run against a backend (in the making)."""
