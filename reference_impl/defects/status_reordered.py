"""Every second AGENT_STATUS of an agent is held up, and the next one overtakes it."""

from __future__ import annotations

from reference_impl.defects._steps import overtaking
from reference_impl.defects._through import Replacing

DEFECT = Replacing("status-reordered", ("STA-5",), "Status messages overtake each other", overtaking("AGENT_STATUS"))
