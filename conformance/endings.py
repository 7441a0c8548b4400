"""Whether the tester, or the backend as a whole, gave cause to end a socket: then a rule about another cause is silent.

A close code alone says nothing: a backend that ends a socket wrongly may say why as it likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.views import is_restarted

if TYPE_CHECKING:
    from conformance.connection import Connection
    from conformance.timeline import Timeline

GOING_AWAY, EXPIRED = 1001, 4002
FOR_WHAT_CAME = frozenset({1003, 1007, 1008, 1009, 4001, 4003, 4004})
"""Codes of x-conformance that answer what came on a socket."""
EXPIRES = "token-expires"
"""The kind of note that says when (`at`, on the timeline) the token of `connection` runs out."""
SOON = 1.0
"""Seconds in which a cause takes effect."""


def has_other_cause(t: Timeline, c: Connection, since: float) -> bool:
    """Whether a backend that ended a socket after a moment had cause to, apart from what happened at that moment."""
    if c.closed is None or c.closed.by != "backend":
        return False
    end, code = c.closed.at, c.closed.code
    if is_restarted(t, since, end) or goes_away(t, c):
        return True
    if code == EXPIRED:
        runs_out = any(n.kind == EXPIRES and n.data.get("connection") == c.id for n in t.notes)
        return runs_out or any(f.type == "TOKEN_REFRESH" for f in c.sent)
    return code in FOR_WHAT_CAME and any(end - SOON <= f.at <= end for f in c.sent if f is not c.init)


def goes_away(t: Timeline, c: Connection) -> bool:
    """Whether the server of a socket goes away: it says so on others as well."""
    ends = (o.closed for o in t.connections if o is not c)
    end = c.closed
    return (
        end is not None
        and end.code == GOING_AWAY
        and any(o and o.by == "backend" and o.code == GOING_AWAY and abs(o.at - end.at) <= SOON for o in ends)
    )
