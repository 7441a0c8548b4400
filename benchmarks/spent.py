"""What something took: seconds, and seconds of a processor here and in the server, which neighbours bend less."""

from __future__ import annotations

import os
import resource
import statistics
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def _of_process(pid: int | str) -> tuple[int, float]:
    """The parent of a process, and what it took of a processor; nothing of one that has just ended."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1]), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0, 0.0


def _of_ours(server: int) -> float:
    """This process, its forks, which judge beside it, and the commands that it ran to their end."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    others = (_of_process(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and p.name != str(server))
    forks = sum(spent for parent, spent in others if parent == os.getpid())
    return time.process_time() + ended.ru_utime + ended.ru_stime + forks


@dataclass(frozen=True)
class Spent:
    """What some cases took."""

    cases: int
    seconds: float
    ours: float
    server: float

    @property
    def rate(self) -> float:
        """Cases a second."""
        return self.cases / self.seconds


@dataclass(frozen=True)
class Clock:
    """The three clocks at one moment."""

    pid: int
    now: float = field(default_factory=time.perf_counter)
    own: float = field(init=False)
    server: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "own", _of_ours(self.pid))
        object.__setattr__(self, "server", _of_process(self.pid)[1])

    def until(self, after: Clock, cases: int, seconds: float = 0.0) -> Spent:
        """What passed up to another moment; the seconds are counted here unless somebody else did."""
        return Spent(cases, seconds or after.now - self.now, after.own - self.own, after.server - self.server)


def line(name: str, rounds: Sequence[Spent]) -> str:
    """Median, worst and best rate of some rounds, and microseconds of a processor for each case."""
    rates = [s.rate for s in rounds]
    ours = statistics.median(1e6 * s.ours / s.cases for s in rounds)
    server = statistics.median(1e6 * s.server / s.cases for s in rounds)
    return (
        f"{statistics.median(rates):8.0f}/s  ({min(rates):.0f} to {max(rates):.0f})  µs of a processor a case: "
        f"{ours:6.0f} here, {server:6.0f} in the server  {name}, {rounds[0].cases} cases\n"
    )
