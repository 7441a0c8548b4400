"""The ids in paths.

A text that cannot be an id is read as the empty one, which names nothing: it is answered as any
unknown id (ISO-1), and no database is asked for what it cannot hold.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Path
from pydantic import BeforeValidator, WithJsonSchema

from reference_impl.domain.vocabulary import AGENT_ID, is_agent_id

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Whether the text has the form of a UUID."""
    return _UUID.fullmatch(text) is not None


_AS_UUID: Final = WithJsonSchema({"type": "string", "format": "uuid"})
_AS_AGENT_ID: Final = WithJsonSchema({"type": "string", "pattern": AGENT_ID})
_UUID_OR_NONE: Final = BeforeValidator(lambda text: text if is_uuid(text) else "")
_AGENT_ID_OR_NONE: Final = BeforeValidator(lambda text: text if is_agent_id(text) else "")

AgentId = Annotated[str, Path(alias="agentId"), _AGENT_ID_OR_NONE, _AS_AGENT_ID]
CommandId = Annotated[str, Path(alias="commandId"), _UUID_OR_NONE, _AS_UUID]
PresetId = Annotated[str, Path(alias="presetId"), _UUID_OR_NONE, _AS_UUID]
ReportId = Annotated[str, Path(alias="reportId"), _UUID_OR_NONE, _AS_UUID]
ConstraintId = Annotated[str, Path(alias="constraintId"), _UUID_OR_NONE, _AS_UUID]
