"""Terminal output, traces and reports, as tables (see `tables`)."""

from __future__ import annotations
