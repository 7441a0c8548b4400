"""Sessions and devices, presets, constraints and the audit log, as tables (see `tables`)."""

from __future__ import annotations
