"""All of the plan's switches off, as with `--legacy`: the backend the plan complains about.

It takes the place of all parts, so name it before other defects.
"""

from __future__ import annotations

from reference_impl.app import make_parts
from reference_impl.defects._through import Replacing

DEFECT = Replacing(
    "legacy",
    ("AGT-1", "AGT-2", "STA-1", "DIS-1", "DSH-1", "AGT-3", "CASE-1", "AGT-4"),
    "Everything the plan's table of what does not work says, at once",
    lambda parts: make_parts(parts.settings.legacy()),
)
