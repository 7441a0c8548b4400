"""What a dashboard is subscribed to, over time, as far as the contract says it: agents, or commands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from conformance.command_orders import orders
from conformance.dialogue import Said, said_on
from conformance.remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.timeline import Frame, Timeline

SUBSCRIBE, UNSUBSCRIBE = "DASHBOARD_SUBSCRIBE", "DASHBOARD_UNSUBSCRIBE"


@dataclass(frozen=True, slots=True)
class Interest:
    """A stretch of time in which a dashboard's subscription stays the same."""

    dashboard: Connection
    cause: Frame
    """The message of the dashboard that brought it about."""
    since: Frame
    """The backend's answer, from which it holds."""
    everything: bool
    ids: frozenset[str] = frozenset()
    """The agents (or commands) it is limited to, if not everything."""
    without: frozenset[str] = frozenset()
    """Those taken out of everything."""
    known: frozenset[str] = frozenset()
    """Those there were when the first was taken out; of later ones nothing is said."""
    before: int = 1 << 60
    """The `seq` of the next message that changes it."""
    until: float = float("inf")
    """When that was sent."""

    def covers(self, one: str) -> bool | None:
        """Whether events about an agent (or command) must come (True), must not (False), or are unspecified (None)."""
        if not self.everything:
            return one in self.ids
        if one in self.without:
            return False
        return True if not self.without or one in self.known else None


@remembered
def interests(t: Timeline, dashboard: Connection, kind: str = "agent") -> Iterator[Interest]:
    """The stretches of one dashboard, up to the first message after which the contract leaves them open.

    `kind` is agent or command.
    """
    now: Interest | None = None
    for s in said_on(dashboard):
        if not _concerns(s, kind):
            continue
        if now is not None:
            accepted = bool(s.answers) and not s.errors and s.answers[0].payload.get("success") is not False
            if not accepted and s.answers:
                continue  # refused: nothing changes
            yield replace(now, before=s.sent.seq, until=s.sent.at)
        now = _from_init(s, kind) if now is None else _changed(now, s, t, kind)
        if now is None:
            return
    if now is not None:
        yield replace(now, until=dashboard.until)


def _concerns(s: Said, kind: str) -> bool:
    is_request = s.sent.type in {SUBSCRIBE, UNSUBSCRIBE} and s.sent.payload.get("type") == kind
    return s.sent.type == "DASHBOARD_INIT" or is_request


def _from_init(s: Said, kind: str) -> Interest | None:
    c = s.connection
    since = next((f for f in c.snapshots if f.seq > s.sent.seq), c.accepted)
    asked = s.sent.payload.get("subscriptions")
    if s.sent.type != "DASHBOARD_INIT" or since is None or not (asked is None or isinstance(asked, dict)):
        return None
    listed = None if asked is None else asked.get(f"{kind}s")
    if listed is None or listed == {"all": True}:
        return Interest(c, s.sent, since, everything=True)
    return (
        Interest(c, s.sent, since, everything=False, ids=frozenset(map(str, listed)))
        if listed and isinstance(listed, list)
        else None
    )


def _changed(now: Interest, s: Said, t: Timeline, kind: str) -> Interest | None:
    one, every = s.sent.payload.get("id"), s.sent.payload.get("all") is True
    if not s.answers or (one is None) != every or s.sent.type == "DASHBOARD_INIT":
        return None
    new = replace(now, cause=s.sent, since=s.answers[0])
    if every:
        return replace(new, everything=s.sent.type == SUBSCRIBE, ids=frozenset(), without=frozenset())
    this = frozenset({str(one)})
    if s.sent.type == SUBSCRIBE:
        return replace(new, without=now.without - this, ids=now.ids | this)
    known = frozenset(a.agent_id for a in t.agents if a.agent_id and a.accepted and a.accepted.seq < s.sent.seq)
    if kind == "command":
        known = frozenset(o.id for o in orders(t).values() if o.settled < s.sent.at)
    return replace(new, ids=now.ids - this, without=now.without | this if now.everything else frozenset(), known=known)
