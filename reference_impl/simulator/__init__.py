"""A mock fleet of agents that really connects."""
