"""Commands, and how far each of their agents is with them, as tables (see `tables`)."""

from __future__ import annotations
