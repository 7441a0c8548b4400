"""What can go wrong beside what is said: faults of sockets, messages that come twice or late, restarts of the backend.

Words of a script's `cause` that are none of the contract's. What follows from each, the contract says elsewhere: a lost
agent is a lost agent (DIS-1), however it was lost; what is said twice is answered and judged like anything said twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HALF_OPEN: Final = "fault.half-open"
"""The peer answers nothing any more while its TCP connection stands; it may come back on another one, or vanish."""
STALLED: Final = "fault.stalled"
"""A dashboard reads nothing for a while, then reads on. Of an agent that did, nobody could say when it was replaced."""
REPEATED: Final = "fault.repeated"
"""A peer says again the last message of a type that it said, on whichever connection it has now: byte for byte, unless
that is still the same one, for there each message needs an id of its own (envelope)."""
LATE: Final = "fault.late"
"""On a half-open connection that was replaced since, a message comes through after all (CON-4)."""
VANISHED: Final = "fault.vanished"
"""Such a connection ends at last: that changes nothing (CON-4)."""
OF_SOCKETS = frozenset({HALF_OPEN, STALLED, REPEATED, LATE, VANISHED})
RESTARTED: Final = "backend.restarted"
KILLED: Final = "backend.killed"
RESTARTS = {RESTARTED: "restart", KILLED: "kill"}
FAULTS = OF_SOCKETS | RESTARTS.keys()
BACKEND: Final = "backend"
"""The actor of a restart."""

ENDS = ("leave", "drop")
FAULTY_ENDS = ("reset", "cut")
"""How a socket can end beside: by RST, in the middle of a frame."""
DONE = {HALF_OPEN: "half-open", STALLED: "stall", VANISHED: "drop", **RESTARTS}
NEVER_AGAIN = frozenset({"PONG", "TOKEN_REFRESH"})
"""What says nothing when it is said again."""
TOO_LATE = (
    "agent.heartbeat",
    "agent.error-fatal",
    "agent.command-started",
    "agent.command-completed",
    "agent.terminal-output",
)
"""What an agent may still have to say on a connection that was replaced."""


@dataclass
class Broken:
    """Which connections are not what they were, and what has been said."""

    silent: set[str] = field(default_factory=set)
    earlier: set[str] = field(default_factory=set)
    """Agents with a half-open connection that another one has replaced."""
    said: dict[str, dict[str, None]] = field(default_factory=dict)
    """Actor → the types of its messages, in the order of their first time."""

    def speaks(self, actor: str, kind: str) -> None:
        """An actor has said something; AGENT_CONNECT opens a new connection where the one it had is half open."""
        self.said.setdefault(actor, {})[kind] = None
        if kind == "AGENT_CONNECT" and actor in self.silent:
            self.silent.discard(actor)
            self.earlier.add(actor)

    def ends(self, actor: str) -> None:
        """An actor's connection has ended."""
        self.silent.discard(actor)

    def restart(self) -> None:
        """Nobody has a connection any more."""
        self.silent.clear()
        self.earlier.clear()

    def possible(
        self, agents: set[str], dashboards: set[str], busy: Mapping[str, list[str]]
    ) -> Iterator[tuple[str, str, str, str]]:
        """Cause, actor, command and what is said, of each fault that can happen among those who are connected.

        `busy` names the commands of each agent.
        """
        yield from ((STALLED, actor, "", "") for actor in sorted(dashboards - self.silent))
        for actor in sorted((agents | dashboards) - self.silent):
            yield HALF_OPEN, actor, "", ""
            yield from ((REPEATED, actor, "", kind) for kind in self.said.get(actor, {}) if kind not in NEVER_AGAIN)
        for actor in sorted(self.earlier):
            yield VANISHED, actor, "", ""
            for cause in TOO_LATE:
                of_command = "command" in cause
                commands = busy.get(actor, []) if of_command else [""]
                yield from ((LATE, actor, command, cause) for command in commands)


def fault_step(cause: str, actor: str, says: str) -> dict[str, Any]:
    """The step that is a fault without a payload of its own."""
    head: dict[str, Any] = {"actor": actor, "cause": cause}
    if cause == REPEATED:
        return {**head, "repeat": says}
    return {**head, "do": DONE[cause], **({"on": "earlier"} if cause == VANISHED else {})}


def is_faulty(step: Mapping[str, Any]) -> bool:
    """Whether a step does what is done to no target elsewhere without permission; what it is called decides nothing."""
    return "repeat" in step or "on" in step or step.get("do") in {*FAULTY_ENDS, DONE[HALF_OPEN], DONE[STALLED]}
