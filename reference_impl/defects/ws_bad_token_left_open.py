"""A bad token gets its ERROR, but the socket stays open."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "ws-bad-token-left-open",
    ("WSA-1",),
    "A bad token gets ERROR, but the socket stays open",
    lambda parts: replace(parts, turn_away=lambda connection, refusal: connection.error(refusal)),
)
