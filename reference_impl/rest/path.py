"""The ids in paths. A text that cannot be an id names nothing, and is answered as any unknown id (ISO-1)."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Path
from pydantic import WithJsonSchema

from reference_impl.domain.vocabulary import AGENT_ID

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_AS_UUID: Final = WithJsonSchema({"type": "string", "format": "uuid"})

AgentId = Annotated[str, Path(alias="agentId"), WithJsonSchema({"type": "string", "pattern": AGENT_ID})]
CommandId = Annotated[str, Path(alias="commandId"), _AS_UUID]
PresetId = Annotated[str, Path(alias="presetId"), _AS_UUID]
ReportId = Annotated[str, Path(alias="reportId"), _AS_UUID]
ConstraintId = Annotated[str, Path(alias="constraintId"), _AS_UUID]


def is_uuid(text: str) -> bool:
    """Whether the text has the form of a UUID."""
    return _UUID.fullmatch(text) is not None
