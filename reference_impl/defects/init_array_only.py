"""`subscriptions.agents` must be an array: `{all: true}`, or none at all, breaks the handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import serving
from reference_impl.defects._through import Replacing

if TYPE_CHECKING:
    from reference_impl.domain.messages import DashboardInit
    from reference_impl.live.handlers import Handle
    from reference_impl.live.session import Session


def _iterating(handle: Handle) -> Handle:
    async def init(session: Session, said: DashboardInit, message_id: str | None) -> None:
        if not isinstance(said.subscriptions.agents, list):
            raise TypeError("subscriptions.agents is not iterable")
        await handle(session, said, message_id)

    return init


DEFECT = Replacing(
    "init-array-only",
    ("DSH-1", "SUB-1"),
    "subscriptions.agents that is {all: true} or absent breaks the handshake",
    serving("DASHBOARD_INIT", _iterating),
)
