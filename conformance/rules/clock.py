"""Timestamps on sockets are milliseconds of the present (UNIT-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.rule import Finding, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

PRESENT = frozenset(
    ["AGENT_STATUS", "AGENT_CONNECTED", "AGENT_DISCONNECT", "AGENT_ERROR", "DASHBOARD_READY", "dashboard:connected"]
)


class Stamp(NamedTuple):
    """A number that should be the present moment."""

    frame: Frame
    pointer: str
    value: float


def when(t: Timeline) -> Iterator[Stamp]:
    """The envelope's timestamp of every server message, and the payload's where it stands for the present."""
    for connection in t.connections:
        for frame in connection.received:
            for pointer, value in _stamps(frame):
                if isinstance(value, int | float) and not isinstance(value, bool):
                    yield Stamp(frame, pointer, value)


def _stamps(frame: Frame) -> Iterator[tuple[str, Any]]:
    if isinstance(frame.value, dict):
        yield "/timestamp", frame.value.get("timestamp")
    if frame.kind in PRESENT:
        yield "/payload/timestamp", frame.payload.get("timestamp")
    elif frame.kind == "SERVER_HEARTBEAT":
        yield "/payload/serverTime", frame.payload.get("serverTime")


def check(stamp: Stamp, t: Timeline) -> Iterator[Finding]:
    """It is within the tolerance of the tester's clock."""
    now = t.wall(stamp.frame.at)
    if abs(stamp.value - now) <= t.terms.clock_tolerance * 1000:
        return
    in_seconds = abs(stamp.value * 1000 - now) <= t.terms.clock_tolerance * 1000
    says = (
        "a timestamp is in seconds: the frontend shows the year 1970"
        if in_seconds
        else "a timestamp is not the present"
    )
    expected = f"milliseconds since 1970, within {t.terms.clock_tolerance:g} s of {int(now)}"
    yield Finding(
        says, stamp.frame, stamp.pointer, expected if not in_seconds else "milliseconds since 1970", stamp.value
    )


def present(s: Scene) -> None:
    s.dashboard().told("a1", timestamp=s.now - 30_000)


def seconds(s: Scene) -> None:
    s.dashboard().told("a1", timestamp=s.now // 1000)


def seconds_in_envelope(s: Scene) -> None:
    s.dashboard().gets("PONG", {}, timestamp=s.now // 1000)


def yesterday(s: Scene) -> None:
    s.dashboard().told_gone("a1", timestamp=s.now - 86_400_000)


async def a_little_of_everything(world: World) -> None:
    """An agent comes, beats and goes while a dashboard watches."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    beat = await agent.heartbeat()
    await dashboard.sees_beat(agent, beat)
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)


RULE = Rule(
    id="clock.milliseconds-of-the-present",
    clauses=("UNIT-1",),
    judges="Every timestamp the backend sends on a socket is the present moment in milliseconds.",
    when=when,
    check=check,
    good=(present,),
    bad=(seconds, seconds_in_envelope, yesterday),
    cases=(a_little_of_everything,),
)
