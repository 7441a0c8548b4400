"""The world: users, agents, dashboards and REST clients that act on a backend, all of it recorded."""
