"""Every second chunk of a terminal is held up, and the next one overtakes it."""

from __future__ import annotations

from reference_impl.defects._steps import overtaking
from reference_impl.defects._through import Replacing

DEFECT = Replacing("terminal-reordered", ("TRM-1",), "The sequence goes back", overtaking("TERMINAL_STREAM"))
