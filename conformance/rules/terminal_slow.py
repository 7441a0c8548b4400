"""A dashboard that reads slowly delays no other, and is cut rather than kept in memory without bound (TRM-5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import carries, prints
from conformance.stream_views import WITHIN, Told, tellings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene, Socket
    from conformance.timeline import Note, Timeline
    from conformance.world.actors import Agent, Dashboard
    from conformance.world.world import World

MIB = 1024 * 1024
BOUND = 256 * MIB
"""TRM-5's decision: by then a dashboard that does not read must have been cut."""
STOPPED, READS_ON, OUTCOME = "slow-stopped", "slow-reads-on", "slow-outcome"
CODES = frozenset({1008, 4004})
STEPS = (16 * MIB, 48 * MIB, BOUND + 16 * MIB)
"""What is poured before looking whether it was cut: most backends cut early, none has to before the last."""
EVERY, BEAT = 0.1, 10
"""Seconds between lines, and lines between heartbeats."""


def meanwhile(t: Timeline) -> Iterator[Told]:
    """Each new piece that was sent while a dashboard did not read, with each other dashboard that had to be told."""
    turns = [(n.kind == STOPPED, n.seq) for n in t.notes if n.kind in {STOPPED, READS_ON}]
    for told in tellings(t):
        p = told.piece
        before = [stopped for stopped, seq in turns if seq < p.sent.seq]
        concerned = p.nature == "new" and not p.is_refused and before and before[-1]
        if concerned and (told.frames or told.switch.watched(p.sent, t)):
            yield told


def not_delayed(told: Told, t: Timeline) -> Iterator[Finding]:
    """Told within a second, as if there were no slow one."""
    p = told.piece
    expected = f"within {WITHIN:g} s of its cause"
    if not told.frames:
        says = "while one dashboard does not read, another is told nothing: one slow page stops all"
        yield Finding(says, p.sent, "", expected, "nothing")
    elif told.frames[0].at > t.bound(p.sent.at, WITHIN):
        says = "while one dashboard does not read, another is told late: one slow page holds up all"
        yield Finding(says, told.frames[0], "", expected, f"{told.frames[0].at - p.sent.at:.2f} s later", (p.sent,))


class Outcome(NamedTuple):
    """What came of a dashboard that did not read."""

    note: Note
    outstanding: int
    """Bytes that had been printed for it."""
    received: int
    """Bytes that it was told when it read on."""
    ended: bool
    code: int | None
    answered: bool
    """Whether it was still served: then all that it had not been told by then is lost."""


def outcomes(t: Timeline) -> Iterator[Outcome]:
    """Each of which something can be said: it was cut, something was lost, or more was outstanding than is allowed."""
    for note in t.notes:
        if note.kind == OUTCOME:
            o = Outcome(note, *(note.data[k] for k in ("outstanding", "received", "ended", "code", "answered")))
            if o.ended or _lost(o) or o.outstanding >= BOUND:
                yield o


def _lost(o: Outcome) -> bool:
    return o.answered and o.received < o.outstanding


def cut(o: Outcome, _t: Timeline) -> Iterator[Finding]:
    """Cut, and with 1008 or 4004 if it could still be told a code."""
    expected = "close 1008 or 4004"
    if o.ended and o.code is not None and o.code not in CODES:
        says = "a dashboard that did not read was cut with a code that does not say why"
        yield Finding(says, o.note, "", expected, f"close {o.code}")
    elif not o.ended and _lost(o):
        says = "a dashboard that did not read lost output and was not cut: its page does not know what it lacks"
        got = f"{o.received // MIB} of {o.outstanding // MIB} MiB, and an open connection"
        yield Finding(says, o.note, "", expected, got)
    elif not o.ended:
        says = "a dashboard that does not read is never cut: what it has not read fills the server's memory"
        yield Finding(says, o.note, "", expected, f"an open connection with {o.outstanding // MIB} MiB outstanding")


def _cast(s: Scene) -> tuple[Socket, Socket]:
    return s.dashboard(), s.agent("a1")


def _ends(s: Scene, outstanding: int, received: int, code: int | None = None, **facts: Any) -> None:
    s.note(READS_ON)
    right = {"outstanding": outstanding, "received": received, "ended": True, "code": code, "answered": False}
    s.note(OUTCOME, **(right | facts))


def cut_soon(s: Scene) -> None:
    dashboard, agent = _cast(s)
    s.note(STOPPED)
    for number in range(3):
        carries(dashboard, prints(agent, "line", number, commandId="a1"))
    _ends(s, 16 * MIB, 5 * MIB, 1008)


def cut_late_and_abruptly(s: Scene) -> None:
    dashboard, agent = _cast(s)
    s.note(STOPPED)
    carries(dashboard, prints(agent, "line", 0, commandId="a1"))
    _ends(s, 16 * MIB, 16 * MIB, ended=False, answered=True)
    s.note(STOPPED)
    _ends(s, 48 * MIB, 6 * MIB, None)


def all_held_up(s: Scene) -> None:
    dashboard, agent = _cast(s)
    s.note(STOPPED)
    sent = prints(agent, "line", 0, commandId="a1")
    s.wait(3)
    carries(dashboard, sent)


def all_stopped(s: Scene) -> None:
    _, agent = _cast(s)
    s.note(STOPPED)
    prints(agent, "line", 0, commandId="a1")
    s.wait(3)


def never_cut(s: Scene) -> None:
    _ends(s, 272 * MIB, 272 * MIB, ended=False, answered=True)


def dropped_in_silence(s: Scene) -> None:
    _ends(s, 16 * MIB, 4 * MIB, ended=False, answered=True)


def wrong_code(s: Scene) -> None:
    _ends(s, 16 * MIB, 4 * MIB, 1011)


@provocation(needs="load", alone=True, budget=45.0)
async def slow_beside_fast(world: World) -> None:
    """One dashboard stops reading, another reads; an agent pours output, up to more than any backend may hold."""
    user = world.user()
    fast, printer = await user.dashboard(), await user.agent()
    fast.link.sums_above = MIB // 2
    pourer = await world.pourer(user)
    for size in STEPS:
        slow = await world.slow_dashboard(user)
        pouring = asyncio.create_task(pourer.pour(size))
        await _print_beside(printer, fast, pouring)
        poured = await pouring
        if await slow.reads_on(poured):
            break
        slow.close()
        if poured < size:
            world.recorder.note("unmet", waited_for=f"{size // MIB} MiB to be taken", connection="an agent that pours")
            break
    await world.quiet()


async def _print_beside(printer: Agent, fast: Dashboard, pouring: asyncio.Task[int]) -> None:
    """Lines, one after the other, as long as the other agent pours; it is enough to see that one does not arrive."""
    while not pouring.done():
        sent = await printer.prints("line\n", answered=False)
        if await fast.sees_piece(sent) is None:
            break
        if sent.payload["sequence"] % BEAT == 0:
            await printer.say_heartbeat()
        await asyncio.sleep(EVERY)


RULES = (
    Rule(
        id="terminal-slow.others-go-on",
        clauses=("TRM-5",),
        judges="While one dashboard does not read, the others are told within a second.",
        when=meanwhile,
        check=not_delayed,
        good=(cut_soon, cut_late_and_abruptly),
        bad=(all_held_up, all_stopped),
        cases=(slow_beside_fast,),
    ),
    Rule(
        id="terminal-slow.cut",
        clauses=("TRM-5",),
        judges="A dashboard that does not read is cut with 1008 or 4004 before 256 MiB are outstanding.",
        when=outcomes,
        check=cut,
        good=(cut_soon, cut_late_and_abruptly),
        bad=(never_cut, dropped_in_silence, wrong_code),
        cases=(slow_beside_fast,),
    ),
)
