"""Provocations that belong to no single rule."""
