"""Timelines from elsewhere than a run of our own."""
