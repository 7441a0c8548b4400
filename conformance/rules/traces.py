"""Traces: streamed as they were sent, and over REST a tree that follows parentId (TRC-1)."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from conformance import reading
from conformance.command_scene import ONE
from conformance.history_views import moment, settled, subject
from conformance.rest_views import judged
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import ABSENT, FIRST, SECOND, THIRD, carries, cast, node, shows, traces
from conformance.stream_views import (
    WITHIN,
    Flow,
    Piece,
    Told,
    commands,
    flows,
    same_value,
    shown,
    tellings,
    trace_events,
    unlike,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Frame, Timeline
    from conformance.world.world import World

OK = 200
SAME = ("agentId", "commandId", "type", "name", "content")
TIMES = ("startedAt", "completedAt")
COUNTS = ("durationMs", "tokensUsed")


def told_of(t: Timeline) -> Iterator[Told]:
    """Each that was not refused, with each subscribed dashboard that got it or watched for long enough."""
    for told in tellings(t):
        p = told.piece
        judged_ = p.kind == "TRACE_STREAM" and p.nature == "new" and not p.is_refused
        if judged_ and (told.frames or told.switch.watched(p.sent, t)):
            yield told


def once_and_whole(told: Told, t: Timeline) -> Iterator[Finding]:
    """One TRACE_STREAM within a second: commandId, agentId, and as trace what was sent."""
    p, frames = told.piece, told.frames
    if not frames:
        says = "a trace does not reach a dashboard: what the agent did is not to be seen"
        yield Finding(says, p.sent, "", f"TRACE_STREAM to {told.dashboard.id}", "nothing", tuple(p.said.answers))
        return
    if len(frames) > 1:
        says = "a trace reaches a dashboard twice"
        yield Finding(says, frames[1], "", "each TRACE_EVENT once", f"{len(frames)} times", (p.sent, frames[0]))
    first = frames[0]
    trace = first.payload.get("trace")
    for name in unlike(p, first):
        says = f"the {name} of a trace is changed on its way to dashboards"
        got = shown(trace.get(name, "nothing")) if isinstance(trace, dict) else shown(first.payload)
        yield Finding(says, first, f"/payload/trace/{name}", shown(p.payload[name]), got, (p.sent,))
    if first.at > t.bound(p.sent.at, WITHIN):
        yield Finding(
            "a trace comes late", first, "", f"within {WITHIN:g} s", f"{first.at - p.sent.at:.2f} s", (p.sent,)
        )


def trace_flows(t: Timeline) -> Iterator[Flow]:
    """Each flow of traces."""
    return flows(t, trace_events(t))


def in_order(flow: Flow, _t: Timeline) -> Iterator[Finding]:
    """In the order of sending."""
    for (earlier, one), (later, two) in pairwise(flow.told):
        if two.sent.seq < one.sent.seq:
            says = "traces of one command overtake each other: the page shows an answer before its question"
            expected, got = "the order in which they were sent", "this one after one that was sent later"
            yield Finding(says, later, "", expected, got, (two.sent, one.sent, earlier))
            return


class Tree(NamedTuple):
    """What REST says of a command's traces, and what had been sent of each until then."""

    where: Exchange
    roots: list[Any]
    last: dict[Any, Piece]
    """The last event of each trace that was accepted and settled."""


def trees(t: Timeline) -> Iterator[Tree]:
    """Each answer to the owner of a command, about which nothing was under way."""
    for e in judged(t):
        if e.operation != "getCommandTraces" or e.status != OK or not isinstance(e.value, dict):
            continue
        command, roots = reading.same_id(subject(e)), e.value.get("data")
        mine = [p for p in trace_events(t) if p.command == command and p.sent.at < e.ended and not p.is_refused]
        known = commands(t).get(command, (e.user, None))[0] == e.user and (mine or command in commands(t))
        if known and isinstance(roots, list) and all(settled(p, e, t) for p in mine):
            yield Tree(e, roots, {reading.same_id(p.payload["traceId"]): p for p in mine})


def as_sent(tree: Tree, t: Timeline) -> Iterator[Finding]:
    """Each trace once, under its parent or at the root, with what its last event said."""
    places: dict[Any, list[tuple[str, Any, dict[str, Any]]]] = {}
    for pointer, parent, found in _nodes(tree.roots):
        places.setdefault(reading.same_id(found.get("id")), []).append((pointer, parent, found))
    for name, p in tree.last.items():
        there = places.get(name, [])
        if not there:
            says = "a trace that was accepted is missing from the command's tree"
            yield Finding(says, tree.where, "/data", f"a node {p.payload['traceId']}", "none", (p.sent,))
            continue
        for pointer, _, _ in there[1:]:
            says = "a trace stands in the tree twice"
            yield Finding(says, tree.where, pointer, "each trace once", f"{len(there)} times", (p.sent,))
        yield from _as_last_said(tree, p, *there[0])
    for name, there in places.items():
        if name not in tree.last and _is_all(tree, t):
            says = "the command's tree holds a trace that no agent sent"
            yield Finding(says, tree.where, there[0][0], "only what was sent", shown(there[0][2]))


def _as_last_said(tree: Tree, p: Piece, pointer: str, parent: Any, found: dict[str, Any]) -> Iterator[Finding]:
    asked = reading.same_id(p.payload["parentId"])
    wanted = asked if asked in tree.last and not _is_its_own_ancestor(p, tree) else None
    if parent != wanted and not _is_its_own_ancestor(p, tree):
        says = "a trace does not stand where its parentId says: the tree comes back flat, or wrong"
        expected = f"below {wanted}" if wanted else "at the root"
        got = f"below {parent}" if parent else "at the root"
        evidence = tuple(x.sent for x in (p, tree.last.get(asked)) if x)
        yield Finding(says, tree.where, pointer, expected, got, evidence)
    for name in (*SAME, "parentId", *TIMES, *COUNTS):
        said, is_said = found.get(name, ABSENT), name in p.payload
        if not _agrees(name, said, p):
            says = f"the {name} of a trace over REST is not what the agent sent last"
            expected = shown(p.payload[name]) if is_said else "null"
            got = "nothing" if said is ABSENT else shown(said)
            yield Finding(says, tree.where, f"{pointer}/{name}", expected, got, (p.sent,))


def _agrees(name: str, said: Any, p: Piece) -> bool:
    sent = p.payload.get(name)
    if name == "agentId":
        return bool(said in {p.agent_id, sent})
    if name in {"commandId", "parentId"}:
        return bool(reading.same_id(said) == reading.same_id(sent))
    if name in TIMES:
        when = moment(said)
        if sent is None:
            return said is None
        return when is not None and abs(when.timestamp() * 1000 - sent) < 1
    if name in COUNTS and sent is None:
        return said is None or name == "durationMs"  # a backend may work it out from the times
    return same_value(said, sent)


def _is_its_own_ancestor(p: Piece, tree: Tree) -> bool:
    """Whether the parents lead in a circle, of which the contract says nothing."""
    seen = {reading.same_id(p.payload["traceId"])}
    above = tree.last.get(reading.same_id(p.payload["parentId"]))
    while above is not None:
        name = reading.same_id(above.payload["traceId"])
        if name in seen:
            return True
        seen.add(name)
        above = tree.last.get(reading.same_id(above.payload["parentId"]))
    return False


def _is_all(tree: Tree, t: Timeline) -> bool:
    """Whether the command was made on this timeline, so that nothing was sent for it before."""
    return reading.same_id(subject(tree.where)) in commands(t)


def _nodes(level: Any, pointer: str = "/data", parent: Any = None) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for index, found in enumerate(level if isinstance(level, list) else ()):
        if isinstance(found, dict):
            here = f"{pointer}/{index}"
            yield here, parent, found
            yield from _nodes(found.get("children"), f"{here}/children", reading.same_id(found.get("id")))


PATH = f"/commands/{ONE}/traces"
ENDED: dict[str, Any] = {"completedAt": 1_760_000_002_000, "durationMs": 2000, "tokensUsed": 17}
SHOWN = {"completedAt": "2025-10-09T08:53:22.000+00:00", "durationMs": 2000.0, "tokensUsed": 17}


def followed(s: Scene) -> None:
    dashboard, agent = cast(s)
    child = traces(agent, SECOND, FIRST)
    root = traces(agent, FIRST, metadata={"model": "m"})
    orphan = traces(agent, THIRD, THIRD.replace("9", "4"))
    ended = traces(agent, SECOND, FIRST, **ENDED)
    for sent in (child, root, orphan, ended):
        carries(dashboard, sent, **({"further": 1} if sent is root else {}))
    s.wait(2)
    shows(s, PATH, [node(orphan), node(root, node(ended, **SHOWN))])


def updated_at_once(s: Scene) -> None:
    dashboard, agent = cast(s)
    both = [traces(agent, FIRST), traces(agent, FIRST, **ENDED)]
    for sent in both:
        carries(dashboard, sent)
    carries(dashboard, traces(agent, FIRST, **ENDED))
    s.wait(2)


def lost(s: Scene) -> None:
    _, agent = cast(s)
    traces(agent)
    s.wait(3)


def update_not_streamed(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, traces(agent, FIRST))
    traces(agent, FIRST, **ENDED)
    s.wait(3)


def twice(s: Scene) -> None:
    dashboard, agent = cast(s)
    sent = traces(agent)
    carries(dashboard, sent)
    carries(dashboard, sent)


def content_as_text(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, traces(agent), content='{"arguments":["-r",1,true]}')


def metadata_dropped(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, traces(agent, metadata={"model": "m"}), metadata=...)


def late(s: Scene) -> None:
    dashboard, agent = cast(s)
    sent = traces(agent)
    s.wait(2)
    carries(dashboard, sent)


def overtaken(s: Scene) -> None:
    dashboard, agent = cast(s)
    one, two = traces(agent, FIRST), traces(agent, SECOND)
    carries(dashboard, two)
    carries(dashboard, one)


def _family(s: Scene) -> tuple[Frame, Frame]:
    dashboard, agent = cast(s)
    both = traces(agent, FIRST), traces(agent, SECOND, FIRST)
    for sent in both:
        carries(dashboard, sent)
    s.wait(2)
    return both


def flat(s: Scene) -> None:
    shows(s, PATH, [node(sent) for sent in _family(s)])


def child_missing(s: Scene) -> None:
    shows(s, PATH, [node(_family(s)[0])])


def child_twice(s: Scene) -> None:
    root, child = _family(s)
    shows(s, PATH, [node(root, node(child)), node(child)])


def orphan_lost(s: Scene) -> None:
    _, agent = cast(s)
    traces(agent, FIRST, SECOND)
    s.wait(2)
    shows(s, PATH, [])


def update_lost(s: Scene) -> None:
    _, agent = cast(s)
    first = traces(agent, FIRST)
    traces(agent, FIRST, **ENDED)
    s.wait(2)
    shows(s, PATH, [node(first)])


def in_seconds(s: Scene) -> None:
    root, child = _family(s)
    shows(s, PATH, [node(root, node(child), startedAt="1970-01-21T08:53:20Z")])


def somebody_elses(s: Scene) -> None:
    root, child = _family(s)
    shows(s, PATH, [node(root, node(child)), node(child, id=THIRD, parentId=None)])


@provocation(needs="commands")
async def think_aloud(world: World) -> None:
    """An agent traces a tree, children before and after their parents, ends its steps, and leaves an orphan."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    await agent.ack(command)
    root, step, call, orphan = (str(uuid4()) for _ in range(4))
    nested = {"prompt": "Why?\n\x1b[1m日本語", "temperature": 0.5, "stop": None, "deep": {"a": [1, {"b": True}, []]}}
    at = int(time.time() * 1000)
    for kind, name, parent, fields in (
        ("LLM_PROMPT", root, None, {"content": nested}),
        ("TOOL_CALL", call, step, {"content": {}}),
        ("RESPONSE", step, root, {"content": {"text": ""}, "metadata": {"model": "m", "tries": 2}}),
        ("TOOL_CALL", orphan, str(uuid4()), {"tokensUsed": 0}),
        ("TOOL_CALL", call, step, {"content": {}, "completedAt": at + 250, "durationMs": 250.5, "tokensUsed": 31}),
    ):
        sent = await agent.traces(command, "Think", parent=parent, traceId=name, type=kind, startedAt=at, **fields)
        await dashboard.sees_piece(sent)
    await agent.complete(command)
    await world.quiet()
    await user.rest.get(f"/commands/{command}/traces")


@provocation(needs="commands")
async def think_fast(world: World) -> None:
    """An agent traces fifteen steps without waiting, each the child of the one before."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent)
    await agent.takes(command)
    parent = None
    for number in range(15):
        sent = await agent.traces(command, f"step {number}", parent=parent, answered=False)
        parent = sent.payload["traceId"]
    await agent.link.answer(sent)
    await dashboard.sees_piece(sent)
    await world.quiet()
    await user.rest.get(f"/commands/{command}/traces")


RULES = (
    Rule(
        id="traces.once-and-whole",
        clauses=("TRC-1",),
        judges="Each TRACE_EVENT reaches each subscribed dashboard once, within a second, unchanged in a TRACE_STREAM.",
        when=told_of,
        check=once_and_whole,
        good=(followed, updated_at_once),
        bad=(lost, update_not_streamed, twice, content_as_text, metadata_dropped, late),
        cases=(think_aloud, think_fast),
    ),
    Rule(
        id="traces.in-order",
        clauses=("TRC-1",),
        judges="The traces of a command reach a dashboard in the order in which they were sent.",
        when=trace_flows,
        check=in_order,
        good=(followed, updated_at_once),
        bad=(overtaken,),
        cases=(think_fast,),
    ),
    Rule(
        id="traces.tree",
        clauses=("TRC-1",),
        judges="Over REST each trace stands once, below its parent or at the root, as its last event said.",
        when=trees,
        check=as_sent,
        good=(followed,),
        bad=(flat, child_missing, child_twice, orphan_lost, update_lost, in_seconds, somebody_elses),
        cases=(think_aloud, think_fast),
    ),
)
