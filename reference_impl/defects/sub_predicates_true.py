"""Every dashboard of the user receives every stream, whatever it subscribed to."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "sub-predicates-true",
    ("SUB-2",),
    "Every dashboard receives every stream",
    lambda parts: replace(parts, wants=lambda _subscriptions, _event: True),
)
