"""What the agents of a mock fleet do: pure, endless, and the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from reference_impl.domain.vocabulary import AgentType
from reference_impl.simulator.people import agent_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LEAVES = 0.03
"""How likely an agent leaves instead of sending its next heartbeat."""
_CLEANLY = 0.7


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a socket and say this."""

    announcement: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Beat:
    """Wait, then send these numbers."""

    wait_s: float
    numbers: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Leave:
    """End the socket, cleanly or not, and stay away for a while."""

    cleanly: bool
    away_s: float


Step = Connect | Beat | Leave


def life(seed: int, number: int, interval_s: float) -> Iterator[Step]:
    """The steps of one agent."""
    chance = Random(f"{seed}/{number}")  # noqa: S311 - repeatable on purpose
    kind = chance.choice(list(AgentType))
    name = agent_id(number)
    flags = {
        "maxTokens": chance.choice([4096, 32_768, 200_000]),
        "supportsInterrupt": chance.random() < 0.8,  # noqa: PLR2004
        "supportsTrace": chance.random() < 0.5,  # noqa: PLR2004
    }
    version, processed = 1, 0
    while True:
        yield Connect(
            {
                "agentId": name,
                "name": f"{kind.title()} {number}",
                "agentType": kind.value,
                "version": f"1.{version}.0",
                "hostMachine": f"host-{number % 7}",
                "capabilities": flags,
            }
        )
        uptime, cpu, memory = 0.0, chance.uniform(1, 60), chance.uniform(100, 2000)
        while chance.random() >= _LEAVES:
            wait = interval_s * chance.uniform(0.8, 1.0)
            uptime += wait
            cpu = min(100.0, max(0.0, cpu + chance.gauss(0, 8)))
            memory = max(50.0, memory + chance.gauss(0, 30))
            processed += chance.random() < 0.3  # noqa: PLR2004
            numbers = {
                "cpuUsage": round(cpu, 1),
                "memoryUsage": round(memory, 1),
                "uptime": round(uptime, 1),
                "commandsProcessed": processed,
                "averageResponseTime": round(chance.uniform(20, 900), 1),
            }
            yield Beat(wait, numbers)
        version += chance.random() < 0.2  # noqa: PLR2004
        yield Leave(chance.random() < _CLEANLY, interval_s * chance.uniform(0.2, 2))
