"""Defects of terminals and traces show on the wire what they say."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from reference_impl.defects import load
from reference_impl.tests.harness import serving
from reference_impl.tests.putting_out import an_id, command, output, trace
from reference_impl.tests.slow import Sleeper

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reference_impl.tests.harness import Json, Socket, World

SAID = [("STDOUT", "\x1b[31mred\x1b[0m"), ("STDERR", "a\n\nb"), ("STDOUT", "c"), ("STDERR", "d")]
RIGHT = [(number, stream, content) for number, (stream, content) in enumerate(SAID)]


@asynccontextmanager
async def wrong(path: Path, name: str) -> AsyncIterator[World]:
    """A server with that defect."""
    (defect,) = load([name])
    async with serving(str(path / "db"), wrap=defect.apply) as world:
        yield world


def told(message: Json) -> tuple[int, str, str]:
    said = message["payload"]
    return said["sequence"], said["streamType"], said["content"]


async def heard(agent: Socket, dashboard: Socket, count: int) -> list[tuple[int, str, str]]:
    """What a dashboard is told of the same four chunks."""
    for number, (stream, content) in enumerate(SAID):
        await agent.ask("TERMINAL_OUTPUT", output("a1", "a1", number, content, streamType=stream))
    return [told(await dashboard.until("TERMINAL_STREAM")) for _ in range(count)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("terminal-double", [one for one in RIGHT for _ in range(2)]),
        ("terminal-reordered", None),
        ("terminal-stderr-as-stdout", None),
        ("terminal-ansi-stripped", [(0, "STDOUT", "red"), (1, "STDERR", "a\nb"), *RIGHT[2:]]),
        ("terminal-history-differs", RIGHT),
    ],
)
async def test_streams(tmp_path: Path, name: str, expected: list[tuple[int, str, str]] | None) -> None:
    """Chunks come twice, overtake each other, lose their stream or their codes; or are right, and REST is not."""
    async with wrong(tmp_path, name) as world:
        agent, dashboard = await world.agent("a1"), await world.dashboard()
        if name == "terminal-stderr-as-stdout":
            assert {stream for _, stream, _ in await heard(agent, dashboard, 1)} == {"STDOUT"}
            return
        seen = await heard(agent, dashboard, 8 if name == "terminal-double" else 4)
        if expected is None:
            assert sorted(seen) == RIGHT != seen
            return
        assert seen == expected
        if name == "terminal-history-differs":
            _, kept = await world.rest("GET", "/agents/a1/terminal-output")
            assert [one["sequence"] for one in kept["data"]] == [0, 2]


async def test_flat_traces(tmp_path: Path) -> None:
    """With trace-flat a child stands at the root, and still names its parent."""
    async with wrong(tmp_path, "trace-flat") as world:
        agent = await world.agent("a1")
        run, root, child = await command(world, "a1"), an_id(), an_id()
        await agent.until("COMMAND_REQUEST")
        await agent.ask("TRACE_EVENT", trace("a1", run, root))
        await agent.ask("TRACE_EVENT", trace("a1", run, child, root))
        _, tree = await world.rest("GET", f"/commands/{run}/traces")
    assert [(one["id"], one["parentId"], one["children"]) for one in tree["data"]] == [
        (root, None, []),
        (child, root, []),
    ]


async def test_a_sleeper_blocks_all(tmp_path: Path) -> None:
    """With terminal-slow-blocks a dashboard that does not read keeps the others from hearing, until it leaves."""
    async with wrong(tmp_path, "terminal-slow-blocks") as world:
        agent, fast = await world.agent("a1"), await world.dashboard()
        sleeper = await Sleeper.of(world)
        for number in range(60):
            await agent.ask("TERMINAL_OUTPUT", output("a1", "a1", number, "x" * 200_000))
        before = [told(one)[0] for one in await fast.fence() if one["type"] == "TERMINAL_STREAM"]
        assert before == list(range(len(before)))
        assert len(before) < 60
        assert world.parts.hub.audience("alice") == 2
        sleeper.drop()
        rest = [told(await fast.until("TERMINAL_STREAM"))[0] for _ in range(60 - len(before))]
        assert before + rest == list(range(60))
