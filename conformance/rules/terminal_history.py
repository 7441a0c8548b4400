"""Terminal output over REST: it is what was streamed (TRM-3), oldest first (TRM-7)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.command_scene import ONE
from conformance.history_views import (
    History,
    expected,
    histories,
    is_new,
    possible,
    row_key,
    streamed,
)
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import carries, cast, lists, prints, row
from conformance.stream_views import Piece, commands, outputs, same_value, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.world import World

FIELDS = ("streamType", "content", "ansiCodes")


def whole(t: Timeline) -> Iterator[History]:
    """Each answer that holds all there is, where something must be in it or nothing may be."""
    return (h for h in histories(t) if h.is_whole and (expected(h, t) or h.rows))


def as_streamed(h: History, t: Timeline) -> Iterator[Finding]:
    """Each piece that was streamed is there once, unchanged, and nothing else of these commands."""
    must, may = expected(h, t), possible(h, t)
    for key in dict.fromkeys([p.key for p in must] + [row_key(r) for r in h.rows]):
        wanted = [p for p in must if p.key == key]
        allowed = max(len([p for p in may if p.key == key]), len(wanted))
        there = [(i, r) for i, r in enumerate(h.rows) if row_key(r) == key]
        if len(there) < len(wanted):
            yield _missing(h, [p for p in wanted if all(r.get("content") != p.payload["content"] for _, r in there)], t)
        elif len(there) > allowed and (key[1] in commands(t) or is_new(str(key[0]), t)):
            says = "terminal output over REST holds what was not streamed, or holds it twice"
            index, extra = there[-1]
            got = f"{len(there)} times sequence {shown(extra.get('sequence'))}"
            evidence = tuple(p.sent for p in wanted[:2])
            yield Finding(says, h.where, f"/data/{index}", f"{allowed} times", got, evidence)
        elif len(wanted) == allowed:
            for p, (index, found) in zip(wanted, there[-len(wanted) :] if wanted else (), strict=True):
                yield from _changed(h, p, index, found, t)
    yield from _in_sequence(h, must)


def _missing(h: History, lost: list[Piece], t: Timeline) -> Finding:
    one = lost[0] if lost else None
    seen = streamed(one, t) if one else None
    evidence = tuple(f for f in (one and one.sent, one and one.ack, seen) if f)
    says = "terminal output over REST misses what was streamed: after a reload the page shows less than before"
    return Finding(says, h.where, "/data", shown(one.payload["content"]) if one else "every piece", "no row", evidence)


def _changed(h: History, p: Piece, index: int, found: dict[str, Any], t: Timeline) -> Iterator[Finding]:
    seen = streamed(p, t)
    said = seen.payload if seen else p.payload
    for name in FIELDS:
        if not same_value(found.get(name), said.get(name)):
            says = f"the {name} of terminal output over REST is not what was streamed"
            got = shown(found.get(name, "nothing"))
            evidence = tuple(f for f in (p.sent, seen) if f)
            yield Finding(says, h.where, f"/data/{index}/{name}", shown(said.get(name)), got, evidence)


def _in_sequence(h: History, must: list[Piece]) -> Iterator[Finding]:
    rank = {p.key: p for p in must if not p.is_session}
    last: dict[Any, tuple[int, Any]] = {}
    for index, found in enumerate(h.rows):
        agent, command, number = key = row_key(found)
        if key not in rank or not isinstance(number, int | float):
            continue
        before = last.get((agent, command))
        if before is not None and number < before[1]:
            says = "the output of a command comes over REST in another order than it was streamed"
            yield Finding(says, h.where, f"/data/{index}/sequence", f"more than {before[1]}", number, (rank[key].sent,))
            return
        last[agent, command] = (index, number)


class Aged(NamedTuple):
    """Two pieces, one answered before the other was sent, and an answer that holds both."""

    history: History
    older: tuple[int, Piece]
    newer: tuple[int, Piece]


def aged(t: Timeline) -> Iterator[Aged]:
    """Neighbours in time, for each answer about an agent; only pieces that cannot be taken for one another."""
    for h in histories(t, "getTerminalOutput"):
        places: dict[Any, list[int]] = {}
        for index, found in enumerate(h.rows):
            places.setdefault((row_key(found), found.get("content")), []).append(index)
        mine = [p for p in outputs(t) if h.concerns(p) and p.nature == "new" and p.ack]
        there = [(places.get((p.key, p.payload["content"]), []), p) for p in mine]
        single = [(at[0], p) for at, p in there if len(at) == 1]
        for one, two in pairwise(single):
            if one[1].ack and one[1].ack.seq < two[1].sent.seq:
                yield Aged(h, one, two)


def oldest_first(pair: Aged, _t: Timeline) -> Iterator[Finding]:
    """The older stands before the newer."""
    if pair.older[0] > pair.newer[0]:
        says = "terminal output over REST is not told oldest first"
        got = f"at {pair.older[0]}, after what was printed later at {pair.newer[0]}"
        expects = f"{shown(pair.older[1].payload['content'])} before it"
        yield Finding(
            says,
            pair.history.where,
            f"/data/{pair.newer[0]}",
            expects,
            got,
            (pair.older[1].sent, pair.newer[1].sent),
        )


PATH, COMMANDS = "/agents/a1/terminal-output", f"/commands/{ONE}/output"


def printed(s: Scene) -> list[Frame]:
    dashboard, agent = cast(s)
    sent = [prints(agent, text, number, streamType=stream) for number, (text, stream) in enumerate(_LINES)]
    sent.append(prints(agent, "boot", 0, commandId="a1"))
    for each in sent:
        carries(dashboard, each)
    s.wait(2)
    return sent


_LINES = (("one\n", "STDOUT"), ("\x1b[1mtwo", "STDERR"), ("", "STDOUT"))


def all_there(s: Scene) -> None:
    rows = [row(f) for f in printed(s)]
    lists(s, PATH, *rows)
    lists(s, COMMANDS, *rows[:3])
    lists(s, PATH, rows[1], query={"streamType": "STDERR"})
    lists(s, PATH, *rows[:3], query={"commandId": ONE})
    lists(s, PATH, *rows[1:3], query={"limit": "2", "offset": "1"}, total=4)
    lists(s, PATH, *rows[1:], query={"since": rows[1]["timestamp"]}, total=3)


def repeats_refusals_and_sessions(s: Scene) -> None:
    dashboard, agent = cast(s)
    first = prints(agent, "one", 0)
    prints(agent, "again", 0)
    prints(agent, "no", 3, commandId=ONE.replace("1", "4"), code="NOT_FOUND")
    boot = prints(agent, "boot", 0, commandId="a1")
    agent.closes()
    back = s.agent("a1")
    again = prints(back, "boot", 0, commandId="a1")
    for each in (first, boot, again):
        carries(dashboard, each)
    s.wait(2)
    lists(s, PATH, *(row(f, further=1) for f in (first, boot, again)))


def asked_too_early(s: Scene) -> None:
    dashboard, agent = cast(s)
    one = prints(agent, "one", 0)
    carries(dashboard, one)
    s.note("quiet")
    prints(agent, "two", 1)
    three = prints(agent, "three", 2)
    lists(s, COMMANDS, row(one), row(three))


def misses_one(s: Scene) -> None:
    lists(s, PATH, *(row(f) for f in printed(s)[1:]))


def misses_all(s: Scene) -> None:
    printed(s)
    lists(s, COMMANDS)


def strips(s: Scene) -> None:
    lists(s, COMMANDS, *(row(f, content=f.payload["content"].strip("\x1b[1m")) for f in printed(s)[:3]))


def all_stdout(s: Scene) -> None:
    lists(s, PATH, *(row(f, streamType="STDOUT") for f in printed(s)))


def holds_twice(s: Scene) -> None:
    rows = [row(f) for f in printed(s)]
    lists(s, PATH, *rows, rows[-1] | {"id": "other"})


def newest_first(s: Scene) -> None:
    lists(s, PATH, *(row(f) for f in reversed(printed(s))))


async def print_and_read(world: World) -> None:
    """A session prints on both streams, connects again and prints more; REST is asked for all and for parts of it."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    path = f"/agents/{agent.id}/terminal-output"
    await user.rest.get(path)
    for number in range(4):
        stream = ("STDOUT", "STDERR")[number % 2]
        sent = await agent.prints(f"\x1b[3{number}mline {number}\x1b[0m\r\n", stream=stream, ansiCodes=f"3{number}")
        await dashboard.sees_piece(sent)
    await agent.leave()
    await agent.connect()
    for content in ("", "back again\n"):
        sent = await agent.prints(content)
        await dashboard.sees_piece(sent)
    await world.quiet()
    every = await user.rest.get(path)
    for query in ({"streamType": "STDERR"}, {"limit": "2"}, {"limit": "2", "offset": "2"}, {"offset": "50"}):
        await user.rest.get(path, query=query)
    found = every.value.get("data") if isinstance(every.value, dict) else None
    times = [r["timestamp"] for r in found or () if isinstance(r, dict) and isinstance(r.get("timestamp"), str)]
    for moment_ in times[2:4]:
        await user.rest.get(path, query={"since": moment_})


@provocation(needs="commands")
async def print_for_commands(world: World) -> None:
    """An agent prints for two commands in turn and outside both; REST is asked for the agent and for each command."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    running = [await dashboard.request(agent) for _ in range(2)]
    for command in running:
        await agent.takes(command)
        await agent.ack(command)
    for number in range(3):
        for command in (*running, ""):
            sent = await agent.prints(f"{number} {command}\n", command=command, stream=("STDOUT", "STDERR")[number % 2])
    await dashboard.sees_piece(sent)
    for command in running:
        await agent.complete(command)
    await world.quiet()
    path = f"/agents/{agent.id}/terminal-output"
    for query in ({}, {"commandId": running[1]}, {"commandId": running[0], "streamType": "STDERR"}):
        await user.rest.get(path, query=query)
    for command in running:
        for query in ({}, {"limit": "1", "offset": "1"}, {"streamType": "STDERR"}):
            await user.rest.get(f"/commands/{command}/output", query=query)


RULES = (
    Rule(
        id="terminal-history.as-streamed",
        clauses=("TRM-3",),
        judges="Terminal output over REST holds each piece that was streamed once, unchanged and in sequence.",
        when=whole,
        check=as_streamed,
        good=(all_there, repeats_refusals_and_sessions, asked_too_early),
        bad=(misses_one, misses_all, strips, all_stdout, holds_twice, newest_first),
        cases=(print_and_read, print_for_commands),
    ),
    Rule(
        id="terminal-history.oldest-first",
        clauses=("TRM-7",),
        judges="The terminal output of an agent comes over REST oldest first.",
        when=aged,
        check=oldest_first,
        good=(all_there,),
        bad=(newest_first,),
        cases=(print_and_read, print_for_commands),
    ),
)
