"""Unsubscribing one id after "all" has no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import serving
from reference_impl.defects._through import Replacing
from reference_impl.domain.subscriptions import ALL

if TYPE_CHECKING:
    from reference_impl.domain.messages import Subscribe
    from reference_impl.live.handlers import Handle
    from reference_impl.live.session import Session


def _vain(handle: Handle) -> Handle:
    async def unsubscribe(session: Session, said: Subscribe, message_id: str | None) -> None:
        before = session.subscriptions
        await handle(session, said, message_id)
        if said.type == "agent" and said.subject is not None and before.agents is ALL:
            session.subscriptions = before

    return unsubscribe


DEFECT = Replacing(
    "sub-unsubscribe-noop",
    ("SUB-5",),
    "Unsubscribing one id after all has no effect",
    serving("DASHBOARD_UNSUBSCRIBE", _vain),
)
