"""DASHBOARD_SUBSCRIBE is served before DASHBOARD_INIT."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "ws-open-before-auth",
    ("WSA-2",),
    "DASHBOARD_SUBSCRIBE before DASHBOARD_INIT is served",
    lambda parts: replace(parts, before_init=parts.before_init | {"DASHBOARD_SUBSCRIBE", "DASHBOARD_UNSUBSCRIBE"}),
)
