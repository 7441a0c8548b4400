"""Escape codes and blank lines vanish from terminal output."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from reference_impl.defects._steps import serving
from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from reference_impl.live.handlers import Handle
    from reference_impl.live.session import Session
_CODES: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def _tidy(handle: Handle) -> Handle:
    async def serve(session: Session, said: Any, message_id: str | None) -> None:
        bare = re.sub(r"\n{2,}", "\n", _CODES.sub("", said.content))
        await handle(session, said.model_copy(update={"content": bare}), message_id)

    return serve


DEFECT = Replacing(
    "terminal-ansi-stripped",
    ("TRM-1",),
    "Escape codes and blank lines vanish",
    serving("TERMINAL_OUTPUT", _tidy),
)
