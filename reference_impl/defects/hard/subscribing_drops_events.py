"""A dashboard that changes its subscriptions is taken off the list, and put back on it a query later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import publishing, serving
from reference_impl.defects._through import Knowing, Replacing
from reference_impl.defects.hard._before import QUERY_S

if TYPE_CHECKING:
    from reference_impl.hub import Member
    from reference_impl.live.handlers import Handle
    from reference_impl.live.session import Session
    from reference_impl.parts import Parts


class _Replacing(Knowing):
    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.away: set[Member] = set()

    def replace(self, user_id: str, member: Member) -> None:
        self.inner.leave(user_id, member)
        self.away.add(member)
        self.parts.clock.call_later(QUERY_S, lambda: self.back(user_id, member))

    def back(self, user_id: str, member: Member) -> None:
        if member in self.away:
            self.join(user_id, member)

    def join(self, user_id: str, member: Member) -> None:
        self.away.discard(member)
        self.inner.join(user_id, member)

    def leave(self, user_id: str, member: Member) -> None:
        self.away.discard(member)
        self.inner.leave(user_id, member)


def _moving(handle: Handle) -> Handle:
    async def subscribe(session: Session, said: Any, message_id: str | None) -> None:
        await handle(session, said, message_id)
        session.core.parts.hub.replace(session.user_id, session)  # type: ignore[attr-defined]

    return subscribe


def _apply(parts: Parts) -> Parts:
    return serving("DASHBOARD_SUBSCRIBE", _moving)(publishing(_Replacing)(parts))


DEFECT = Replacing(
    "subscribing-drops-events",
    ("SUB-3", "CNS-2"),
    "What happens while a dashboard changes its subscriptions never reaches it",
    _apply,
    "two actors at once: a dashboard subscribes while something happens to an agent",
)
