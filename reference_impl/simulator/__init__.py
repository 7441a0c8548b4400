"""Whole working days: agents that work, people who give commands and watch."""
