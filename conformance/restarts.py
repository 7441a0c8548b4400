"""Restarts of the backend on a timeline, and what was looked at on both sides of one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from conformance.dialogue import ANSWER_SECONDS, said_on
from conformance.remembered import remembered
from conformance.rest_views import judged
from conformance.views import OK, RESTART

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.dialogue import Said
    from conformance.timeline import Exchange, Note, Timeline

IDLE = ("DASHBOARD_INIT", "PING", "PONG")
"""Messages that change nothing that is kept."""


class Restart(NamedTuple):
    """One restart: nothing that was connected before it is connected after it."""

    begun: Note
    done: Note


@remembered
def restarts(t: Timeline) -> Iterator[Restart]:
    """Every restart that was seen to its end."""
    begun: Note | None = None
    for note in t.notes:
        if note.kind == RESTART[0]:
            begun = note
        elif note.kind == RESTART[1] and begun is not None:
            yield Restart(begun, note)
            begun = None


class Survivor(NamedTuple):
    """An agent that was known before a restart, until it may be connected again."""

    restart: Restart
    user: str
    agent_id: str
    last: Connection
    """Its last connection before."""
    back: float
    """The `seq` of the next socket on which it announced itself; infinite when there is none."""


@remembered
def survivors(t: Timeline) -> Iterator[Survivor]:
    """Each agent of ours, for each restart."""
    for restart in restarts(t):
        before = [a for a in t.agents if a.agent_id and a.opened.seq < restart.begun.seq]
        for agent_id, user in {(str(a.agent_id), a.user): None for a in before}:
            mine = [a for a in before if a.agent_id == agent_id and a.user == user]
            names = {agent_id, *(str(a.init.payload.get("agentId")) for a in mine if a.init)}
            back = (
                c.opened.seq
                for c in t.connections
                if c.init and c.role == "agent" and str(c.init.payload.get("agentId")) in names
                if c.init.seq > restart.done.seq
            )
            yield Survivor(restart, user, agent_id, mine[-1], min(back, default=math.inf))


def _time_of(s: Said, t: Timeline) -> tuple[float, float]:
    """When a message may have been served: until its answer, or for as long as that may take."""
    return s.sent.at, s.answers[0].at if s.answers else t.bound(s.sent.at, ANSWER_SECONDS)


@remembered
def looks(t: Timeline) -> Iterator[tuple[Exchange, Exchange]]:
    """The last good answer to each GET before a restart and the first after it, if only the restart lay between."""
    for restart in restarts(t):
        changed = [
            *((e.at, e.ended) for e in t.exchanges if e.method != "GET"),
            *(_time_of(s, t) for c in t.connections for s in said_on(c) if s.sent.type not in IDLE),
        ]
        before: dict[tuple[str, str, str], Exchange] = {}
        after: dict[tuple[str, str, str], Exchange] = {}
        for e in judged(t):
            if e.method != "GET" or e.status // 100 == 5:  # noqa: PLR2004 - a server that cannot answer says nothing
                continue
            key = (e.user, e.path, repr(sorted(e.query.items())))
            if e.ended <= restart.begun.at and e.status == OK:
                before[key] = e
            elif e.at >= restart.done.at:
                after.setdefault(key, e)
        for key in before.keys() & after.keys():
            first, second = before[key], after[key]
            if not any(at <= second.ended and first.at <= done for at, done in changed):
                yield first, second
