"""Traces: streamed as they came, and a tree in REST, whatever parents they name (TRC-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from reference_impl.domain.forest import Node, Weaver, preorder
from reference_impl.tests.putting_out import an_id, command, trace

if TYPE_CHECKING:
    from reference_impl.tests.harness import Json, Socket, World

Shape = dict[str, Any]


def walked(*pairs: tuple[str, str | None]) -> list[tuple[str, int]]:
    nodes = [Node(number, name, parent, 1) for number, (name, parent) in enumerate(pairs)]
    return [(node.trace_id, depth) for node, depth in preorder(nodes)]


def test_each_entry_before_its_children() -> None:
    """Children stand under their parent in the order they came, also when they came before it."""
    assert walked(("b", "a"), ("a", None), ("c", "a"), ("d", "b")) == [("a", 0), ("b", 1), ("d", 2), ("c", 1)]


def test_orphans_and_circles() -> None:
    """An unknown parent makes a root; a circle is entered where it began; nothing is lost or doubled."""
    assert walked(("a", "gone"), ("b", "b"), ("d", "c"), ("c", "d"), ("e", "c")) == [
        ("a", 0),
        ("b", 0),
        ("d", 0),
        ("c", 1),
        ("e", 2),
    ]
    assert walked() == []


@pytest.mark.parametrize("depths", [[], [0], [0, 0], [0, 1, 1, 2, 0, 1], [0, 2, 1], list(range(300))])
def test_woven_is_json(depths: list[int]) -> None:
    """What is woven is the array of trees, however deep."""
    weaver = Weaver()
    pieces = [weaver.add(depth, orjson.dumps({"at": number})) for number, depth in enumerate(depths)]
    trees = orjson.loads(b"".join(pieces) + weaver.end())
    seen = []
    waiting = list(reversed(trees))
    while waiting:
        tree = waiting.pop()
        seen.append(tree["at"])
        waiting.extend(reversed(tree["children"]))
    assert seen == list(range(len(depths)))


async def say(agent: Socket, payload: Json) -> Json:
    """Say a trace event; its answer."""
    await agent.say("TRACE_EVENT", payload)
    while (answer := await agent.hear())["type"] not in {"ACK", "ERROR"}:
        pass
    return dict(answer["payload"])


async def tree(world: World, run: str) -> list[Json]:
    status, answer = await world.rest("GET", f"/commands/{run}/traces")
    assert (status, set(answer)) == (200, {"success", "data"})
    return list(answer["data"])


def shape(entries: list[Json]) -> Shape:
    return {entry["id"]: shape(entry["children"]) for entry in entries}


async def test_streamed_unchanged_and_shown_as_a_tree(world: World) -> None:
    """Dashboards get the payload as it was, unknown properties and all; REST has the tree, orphans at the root."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    dashboard = await world.dashboard()
    root, child, grandchild, orphan = (an_id() for _ in range(4))
    content = {"deep": [1, 2.5, None, {"nul": "\x00", "rocket": "🚀"}], "children": ["not mine"]}
    said = [
        trace("a1", run, child, root, content=content, completedAt=3_000, durationMs=2.5, tokensUsed=7),
        trace("a1", run, root, metadata={"model": "x"}, somethingNew={"a": 1}),
        trace("a1", run, orphan, an_id(), type="RESPONSE", startedAt=2**53 - 1),
        trace("a1", run, grandchild, child, name=""),
    ]
    for payload in said:
        assert (await say(agent, payload))["success"] is True
        told = (await dashboard.until("TRACE_STREAM"))["payload"]
        assert told == {"commandId": run, "agentId": "a1", "trace": payload}
    shown = await tree(world, run)
    assert shape(shown) == {orphan: {}, root: {child: {grandchild: {}}}}
    middle = next(entry for entry in shown if entry["id"] == root)["children"][0]
    assert {key: value for key, value in middle.items() if key != "children"} == {
        "id": child,
        "commandId": run,
        "agentId": "a1",
        "parentId": root,
        "type": "TOOL_CALL",
        "name": "grep",
        "content": content,
        "startedAt": "1970-01-01T00:00:01.000Z",
        "completedAt": "1970-01-01T00:00:03.000Z",
        "durationMs": 2.5,
        "tokensUsed": 7,
    }
    bare = middle["children"][0]
    assert (bare["completedAt"], bare["durationMs"], bare["tokensUsed"]) == (None, None, None)


async def test_the_same_trace_again_updates_it(world: World) -> None:
    """A trace that comes again is streamed again, and stands once in the tree, as it was said last."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    dashboard = await world.dashboard()
    one = an_id()
    changes: list[Json] = [{}, {"completedAt": 2_000}]
    for more in changes:
        await say(agent, trace("a1", run, one, **more))
        assert (await dashboard.until("TRACE_STREAM"))["payload"]["trace"].get("completedAt") == more.get("completedAt")
    (shown,) = await tree(world, run)
    assert shown["completedAt"] == "1970-01-01T00:00:02.000Z"


async def test_whose_trace_it_is(world: World) -> None:
    """Another agent's command or trace is refused, an unknown command is not found; nothing changes."""
    agents = {name: await world.agent(name) for name in ("a1", "a2")}
    shared, other = await command(world, "a1", "a2"), await command(world, "a2")
    one = an_id()
    await say(agents["a1"], trace("a1", shared, one, name="mine"))
    answers = [
        await say(agents["a2"], trace("a2", shared, one, name="stolen")),
        await say(agents["a1"], trace("a1", other, an_id())),
        await say(agents["a1"], trace("a1", an_id(), an_id())),
        await say(agents["a1"], trace("a2", shared, an_id())),
        await say(agents["a1"], trace("a1", shared, an_id(), content="text")),
        await say(agents["a1"], {key: item for key, item in trace("a1", shared, one).items() if key != "parentId"}),
    ]
    codes = [answer["code"] for answer in answers]
    assert codes == ["FORBIDDEN", "INVALID_STATE", "NOT_FOUND", "FORBIDDEN", "INVALID_MESSAGE", "INVALID_MESSAGE"]
    assert [entry["name"] for entry in await tree(world, shared)] == ["mine"]
    assert await tree(world, other) == []


async def test_subscriptions_decide(world: World) -> None:
    """A dashboard that did not ask for traces hears none."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    silent = await world.dashboard(subscriptions={"traces": False})
    await say(agent, trace("a1", run, an_id()))
    assert "TRACE_STREAM" not in [one["type"] for one in await silent.fence()]


async def test_a_long_chain(world: World) -> None:
    """A deep tree of large entries is answered whole, though it is read in groups."""
    agent = await world.agent("a1")
    run = await command(world, "a1")
    ids = [an_id() for _ in range(90)]
    for number, one in enumerate(ids):
        await say(agent, trace("a1", run, one, ids[number - 1] if number else None, content={"pad": "x" * 60_000}))
    (entry,) = await tree(world, run)
    seen = [entry["id"]]
    while entry["children"]:
        (entry,) = entry["children"]
        seen.append(entry["id"])
    assert seen == ids
