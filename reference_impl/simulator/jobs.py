"""How an agent works on a command: pure, and the same for the same content of the command.

The ids that the server or chance give are left out: a step names traces by numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from reference_impl.domain.vocabulary import CommandStatus, StreamType, TraceType

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINES = (
    "\x1b[32m✓\x1b[0m tests passed",
    "\x1b[31merror:\x1b[0m cannot find module",
    "reading src/index.ts",
    "  42 %\r  87 %\r100 %",
    "",
    "done 🚀",
    "diff --git a/README.md b/README.md",
    "warning: 3 files were left out",
)
_TOOLS = ("grep", "read_file", "run_tests", "edit_file")
_ACKNOWLEDGES, _FAILS, _REPORTS, _WRONG = 0.9, 0.12, 0.5, 0.2


@dataclass(frozen=True, slots=True)
class Start:
    """Wait, then say that it is EXECUTING."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Print:
    """Wait, then put a piece of terminal output out."""

    wait_s: float
    stream: StreamType
    content: str


@dataclass(frozen=True, slots=True)
class Think:
    """Wait, then tell a trace: its number within the job, and its parent's."""

    wait_s: float
    number: int
    parent: int | None
    type: TraceType
    name: str


@dataclass(frozen=True, slots=True)
class Conclude:
    """Hand a report in."""

    title: str
    findings: int


@dataclass(frozen=True, slots=True)
class Finish:
    """Say how the command ended."""

    status: CommandStatus
    tokens: int


Step = Start | Print | Think | Conclude | Finish


def job(content: str, pace_s: float) -> Iterator[Step]:
    """The steps of one command.

    Args:
        content: the command's text; all chance comes from it.
        pace_s: how long a step takes, more or less.
    """
    chance = Random(content)  # noqa: S311 - repeatable on purpose
    if chance.random() < _ACKNOWLEDGES:
        yield Start(pace_s * chance.uniform(0.5, 1))
    traces = 0
    for _ in range(chance.randint(3, 12)):
        wait = pace_s * chance.uniform(0.5, 1.5)
        if chance.random() < 0.3:  # noqa: PLR2004
            parent = chance.randrange(traces) if traces else None
            kind = chance.choice(list(TraceType))
            yield Think(wait, traces, parent, kind, chance.choice(_TOOLS))
            traces += 1
        else:
            stream = StreamType.STDERR if chance.random() < _WRONG else StreamType.STDOUT
            yield Print(wait, stream, chance.choice(_LINES) + "\n")
    if "investigate" in content.lower() and chance.random() < _REPORTS:
        yield Conclude(f"On: {content[:100]}", chance.randint(0, 3))
    failed = chance.random() < _FAILS
    yield Finish(CommandStatus.FAILED if failed else CommandStatus.COMPLETED, chance.randint(50, 4_000))
