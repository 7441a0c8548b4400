"""Terminal output on its way to dashboards: once, whole, in order, soon, and on its own stream (TRM-1, TRM-2)."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_scene import ONE
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import carries, cast, prints
from conformance.stream_views import WITHIN, Flow, Piece, Told, flows, outputs, pieces, shown, tellings, unlike

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Frame, Timeline
    from conformance.world.actors import Agent
    from conformance.world.world import World

SAMPLES, MEDIAN = 20, 0.2
CALM = "calm"
"""The kind of note that says: nothing else runs, so that what is measured is the backend's own pace."""
PIECES = (
    "plain",
    "",
    "\n\n\n",
    "\r50%\r100%",
    "\x1b[1;31mred\x1b[0m \x1b[2K\x1b]0;title\x07",
    "naïve 日本語 👩‍👩‍👧‍👦 🏳️‍🌈",
    "\ttabs  and trailing spaces   ",
    '{"type": "TERMINAL_STREAM"} <b>&amp;</b> \\n \\u0041 %s ${x}',
    "\u2028line\u2029separators\u0085 \ufeffbom \u200d",
    "e\u0301 is not \u00e9",
    "\x01\x02\x7f control",
    "x" * 20_000,
)
"""What terminals print, and what backends that trim, escape, normalise or strip get wrong."""


def told_of(t: Timeline) -> Iterator[Told]:
    """Each new piece that was not refused, with each subscribed dashboard that got it or watched for long enough."""
    for told in tellings(t):
        p = told.piece
        judged = p.kind == "TERMINAL_STREAM" and p.nature == "new" and not p.is_refused
        if judged and (told.frames or told.switch.watched(p.sent, t)):
            yield told


def once_and_whole(told: Told, t: Timeline) -> Iterator[Finding]:
    """One TERMINAL_STREAM within a second, with the same content to the byte."""
    p, frames = told.piece, told.frames
    evidence = (p.sent, *filter(None, (p.ack,)))
    if not frames:
        says = "terminal output does not reach a dashboard: what the agent printed is not to be seen"
        yield Finding(says, p.sent, "", f"TERMINAL_STREAM to {told.dashboard.id}", "nothing", evidence[1:])
        return
    for again in frames[1:]:
        says = "terminal output reaches a dashboard twice: the page shows the line doubled"
        yield Finding(says, again, "", "each piece once", f"{len(frames)} times", (*evidence, frames[0]))
        break
    first = frames[0]
    for name in ("content", "ansiCodes"):
        if name in unlike(p, first):
            says = f"the {name} of terminal output is changed on its way to dashboards"
            got = shown(first.payload.get(name))
            yield Finding(says, first, f"/payload/{name}", shown(p.payload[name]), got, (p.sent,))
    if first.at > t.bound(p.sent.at, WITHIN):
        late = f"{first.at - p.sent.at:.2f} s later"
        yield Finding("terminal output comes late", first, "", f"within {WITHIN:g} s", late, (p.sent,))


def rising_flows(t: Timeline) -> Iterator[Flow]:
    """Each flow of pieces whose sequences rose when they were sent."""
    return (flow for flow in flows(t, outputs(t)) if all(p.nature == "new" for _, p in flow.told))


def rising(flow: Flow, _t: Timeline) -> Iterator[Finding]:
    """The sequence rises."""
    for (earlier, one), (later, two) in pairwise(flow.told):
        if two.payload["sequence"] < one.payload["sequence"]:
            says = "terminal output overtakes what was printed before it: the page shows the lines in the wrong order"
            got = f"{two.payload['sequence']} after {one.payload['sequence']}"
            yield Finding(says, later, "/payload/sequence", "rising sequences", got, (two.sent, one.sent, earlier))
            return


class Pace(NamedTuple):
    """How long dashboards waited for terminal output while nothing else ran."""

    delays: list[tuple[float, Frame]]


def calm(t: Timeline) -> Iterator[Pace]:
    """A timeline that was noted to be calm, with twenty pieces that arrived."""
    start = next((n.seq for n in t.notes if n.kind == CALM), None)
    if start is None:
        return
    delays = [
        (o.frames[0].at - o.piece.sent.at, o.frames[0]) for o in told_of(t) if o.frames and o.piece.sent.seq > start
    ]
    if len(delays) >= SAMPLES:
        yield Pace(delays)


def soon(pace: Pace, t: Timeline) -> Iterator[Finding]:
    """The median is under 200 ms."""
    middle = median(delay for delay, _ in pace.delays)
    if middle > MEDIAN + t.lag(0, t.end):
        slow = next(frame for delay, frame in pace.delays if delay >= middle)
        says = "half of the terminal output comes too late for a page that is to feel live"
        yield Finding(says, slow, "", f"a median of at most {MEDIAN * 1000:.0f} ms", f"{middle * 1000:.0f} ms")


class Stream(NamedTuple):
    """A TERMINAL_STREAM that a dashboard got of an agent on the timeline, and what that agent had sent."""

    frame: Frame
    said: list[Piece]
    """The pieces with its command and sequence."""
    all: list[Piece]


def streams(t: Timeline) -> Iterator[Stream]:
    """Each of an agent that this user's sockets played, where anything was sent in its name."""
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind("TERMINAL_STREAM"):
            key = reading.piece(frame.payload)
            mine = [p for p in pieces(t) if p.agent_id == key[0] and p.sent.seq < frame.seq and p.kind == frame.kind]
            if t.owners.get(str(key[0])) == dashboard.user and mine:
                yield Stream(frame, [p for p in mine if p.key == key], mine)


def apart(stream: Stream, _t: Timeline) -> Iterator[Finding]:
    """It has the streamType and the whole content of one piece, and nothing of another."""
    frame, said, others = stream
    told = frame.payload
    if any(
        p.payload["streamType"] == told.get("streamType") and p.payload["content"] == told.get("content") for p in said
    ):
        return
    expected = "streamType and content of one TERMINAL_OUTPUT"
    if not said:
        says = "a TERMINAL_STREAM carries what no TERMINAL_OUTPUT said"
        yield Finding(says, frame, "/payload", expected, shown(told))
        return
    one = said[-1]
    if one.payload["streamType"] != told.get("streamType"):
        says = "terminal output changes its stream: errors are shown as output, or output as errors"
        got = told.get("streamType", "nothing")
        yield Finding(says, frame, "/payload/streamType", one.payload["streamType"], got, (one.sent,))
    content = told.get("content")
    text = content if isinstance(content, str) else ""
    inside = [p for p in others if p.payload["content"].strip() and p.payload["content"] in text and p not in said]
    if text != one.payload["content"] and inside and one.payload["content"] in text:
        says = "several pieces of terminal output come merged into one"
        got = shown(text)
        yield Finding(says, frame, "/payload/content", shown(one.payload["content"]), got, (one.sent, inside[0].sent))


def all_kinds(s: Scene) -> None:
    dashboard, agent = cast(s)
    for number, content in enumerate(PIECES):
        carries(dashboard, prints(agent, content, number, streamType=("STDOUT", "STDERR")[number % 2]), ansiCodes=None)
    s.wait(2)


def acked_later_and_more(s: Scene) -> None:
    dashboard, agent = cast(s)
    usual = {
        "commandId": ONE,
        "agentId": "a1",
        "streamType": "STDERR",
        "content": "x",
        "sequence": 7,
        "ansiCodes": "31",
    }
    sent = agent.sends("TERMINAL_OUTPUT", usual)
    carries(dashboard, sent, timestamp=s.now, sequence=7.0)
    agent.gets("ACK", {"messageId": sent.id, "success": True})
    carries(dashboard, prints(agent, "y", 9, streamType="STDERR"))


def in_a_batch(s: Scene) -> None:
    dashboard, agent = cast(s)
    both = [prints(agent, text, number) for number, text in enumerate("ab")]
    dashboard.gets_batch(*(dashboard.message("TERMINAL_STREAM", sent.payload) for sent in both))
    s.wait(2)


def after_two_connections(s: Scene) -> None:
    dashboard = s.dashboard()
    for _ in range(2):
        agent = s.agent("a1")
        for number in range(2):
            carries(dashboard, prints(agent, "boot", number, commandId="a1"))
        agent.closes()


def printed_where_another_took_over(s: Scene) -> None:
    dashboard, first = cast(s)
    second = s.agent("a1")
    usual = {"commandId": ONE, "agentId": "a1", "streamType": "STDOUT", "content": "late", "sequence": 0}
    first.sends("TERMINAL_OUTPUT", usual)
    first.closes(by="backend", code=4008)
    carries(dashboard, prints(second, sequence=1))
    s.wait(2)


def lost(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "one", 0))
    prints(agent, "two", 1)
    s.wait(3)


def lost_without_an_answer(s: Scene) -> None:
    _, agent = cast(s)
    agent.sends(
        "TERMINAL_OUTPUT", {"commandId": ONE, "agentId": "a1", "streamType": "STDOUT", "content": "x", "sequence": 0}
    )
    s.wait(3)


def doubled(s: Scene) -> None:
    dashboard, agent = cast(s)
    sent = prints(agent)
    carries(dashboard, sent)
    carries(dashboard, sent)


def stripped(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, PIECES[4]), content="red ")


def composed(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "e\u0301"), content="\u00e9")


def codes_dropped(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, ansiCodes="1;31"), ansiCodes=...)


def late(s: Scene) -> None:
    dashboard, agent = cast(s)
    sent = prints(agent)
    s.wait(2)
    carries(dashboard, sent)


def overtaken(s: Scene) -> None:
    dashboard, agent = cast(s)
    one, two = prints(agent, "one", 0), prints(agent, "two", 1)
    carries(dashboard, two)
    carries(dashboard, one)


def merged(s: Scene) -> None:
    dashboard, agent = cast(s)
    prints(agent, "out", 0)
    carries(dashboard, prints(agent, "err", 1, streamType="STDERR"), content="outerr", streamType="STDOUT")


def errors_as_output(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "err", streamType="STDERR"), streamType="STDOUT")


def made_up(s: Scene) -> None:
    dashboard, agent = cast(s)
    carries(dashboard, prints(agent, "out", 0), sequence=1)


def _paced(s: Scene, delay: float) -> None:
    dashboard, agent = cast(s)
    s.note(CALM)
    for number in range(SAMPLES):
        sent = prints(agent, "line", number)
        s.wait(delay)
        carries(dashboard, sent)


def soon_enough(s: Scene) -> None:
    _paced(s, 0.05)


def sluggish(s: Scene) -> None:
    _paced(s, 0.4)


async def all_that_terminals_print(world: World) -> None:
    """A session prints what terminals print, on both streams, one piece after the other; two dashboards watch."""
    user = world.user()
    first, second = await user.dashboard(), await user.dashboard(acceptBatches=True)
    agent = await user.agent()
    for number, content in enumerate(PIECES):
        fields: dict[str, Any] = {"ansiCodes": "1;31"} if number % 3 == 0 else {}
        sent = await agent.prints(content, stream=("STDOUT", "STDERR")[number % 2], **fields)
        for dashboard in (first, second):
            await dashboard.sees_piece(sent)
    await world.quiet()


async def bursts(world: World) -> None:
    """Two agents print in bursts, their streams mixed, without waiting for answers; sequences leave gaps."""
    user = world.user()
    dashboard = await user.dashboard()
    agents = [await user.agent() for _ in range(2)]
    for burst in range(3):
        last = [await _burst(agent, burst) for agent in agents]
        for sent in last:
            await dashboard.sees_piece(sent)
    await world.quiet()


async def _burst(agent: Agent, burst: int) -> Frame:
    for number in range(12):
        stream = "STDERR" if number % 4 == 1 else "STDOUT"
        content = f"burst {burst} line {number}\n"
        sent = await agent.prints(content, stream=stream, sequence=100 * burst + 3 * number, answered=False)
    await agent.link.answer(sent)
    return sent


@provocation(needs="commands")
async def output_of_commands(world: World) -> None:
    """An agent runs two commands at once and prints for both in turn."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    running = [await dashboard.request(agent) for _ in range(2)]
    for command in running:
        await agent.takes(command)
        await agent.ack(command)
    for number in range(5):
        for command in running:
            stream = ("STDOUT", "STDERR")[number % 2]
            sent = await agent.prints(f"{number} of {command}", command=command, stream=stream, answered=False)
    await agent.link.answer(sent)
    await dashboard.sees_piece(sent)
    for command in running:
        await agent.complete(command)
    await world.quiet()


@provocation(timed=True)
async def steady_lines(world: World) -> None:
    """An agent prints thirty lines, one every twenty milliseconds, while nothing else runs."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    await world.quiet()
    world.recorder.note(CALM)
    for number in range(30):
        sent = await agent.prints(f"line {number}\n")
        await dashboard.sees_piece(sent)


RULES = (
    Rule(
        id="terminal.once-and-whole",
        clauses=("TRM-1",),
        judges="Each TERMINAL_OUTPUT reaches each subscribed dashboard once, within a second, unchanged to the byte.",
        when=told_of,
        check=once_and_whole,
        good=(
            all_kinds,
            acked_later_and_more,
            in_a_batch,
            after_two_connections,
            printed_where_another_took_over,
        ),
        bad=(lost, lost_without_an_answer, doubled, stripped, composed, codes_dropped, late, merged),
        cases=(all_that_terminals_print, bursts, output_of_commands),
    ),
    Rule(
        id="terminal.in-order",
        clauses=("TRM-1",),
        judges="The terminal output of a command reaches a dashboard in rising sequence.",
        when=rising_flows,
        check=rising,
        good=(all_kinds, in_a_batch, after_two_connections),
        bad=(overtaken,),
        cases=(bursts, output_of_commands),
    ),
    Rule(
        id="terminal.soon",
        clauses=("TRM-1",),
        judges="Terminal output reaches dashboards within 200 ms in the median.",
        when=calm,
        check=soon,
        good=(soon_enough,),
        bad=(sluggish,),
        cases=(steady_lines,),
    ),
    Rule(
        id="terminal.streams-apart",
        clauses=("TRM-2",),
        judges="Each TERMINAL_STREAM has the streamType and the content of one TERMINAL_OUTPUT, and of no other.",
        when=streams,
        check=apart,
        good=(all_kinds, acked_later_and_more, in_a_batch, after_two_connections),
        bad=(merged, errors_as_output, made_up),
        cases=(all_that_terminals_print, bursts, output_of_commands),
    ),
)
