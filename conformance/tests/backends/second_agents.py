# ruff: noqa: INP001 -- a directory of scripts, not a package
"""The second backend's agents: plain dicts in memory, ids of its own making, and the shapes they have on the wire."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]


def now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


def as_text(time: datetime | None) -> str | None:
    """RFC 3339 with microseconds and +00:00, where others write milliseconds and Z."""
    return None if time is None else time.isoformat(timespec="microseconds")


def as_float(value: float) -> float:
    """25 becomes 25.0: the same JSON number; what would lose digits stays as it is (UNIT-2)."""
    return exact if (exact := float(value)) == value else value


@dataclass(eq=False)
class Agent:
    """One agent of one user."""

    user: str
    announced: str
    id: str = field(default_factory=lambda: f"agt_{secrets.token_hex(5)}")
    name: str = ""
    type: str = ""
    version: str = ""
    host: str = ""
    capabilities: tuple[str, ...] = ("basic",)
    connected: bool = False
    broken: bool = False
    heartbeat: datetime | None = None
    metrics: dict[str, float] | None = None
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)

    @property
    def status(self) -> str:
        """DSH-3: OFFLINE if and only if there is no live connection; ERROR after AER-1."""
        if not self.connected:
            return "OFFLINE"
        return "ERROR" if self.broken else "ONLINE"

    def touch(self) -> None:
        """AGT-7: `updated_at` never goes back, whatever the clock does."""
        self.updated = max(self.updated, now())

    def follow(self, payload: Json) -> None:
        """CON-3: name, version, capabilities follow the latest AGENT_CONNECT."""
        self.name = str(payload.get("name", self.name or payload["agentId"]))
        self.type = payload["agentType"]
        self.version = payload["version"]
        self.host = payload["hostMachine"]
        self.capabilities = _capabilities(payload["capabilities"])
        self.touch()

    def beat(self, reported: Json) -> None:
        """HB-2, STA-3: the last heartbeat's numbers, `commandsProcessed` renamed."""
        self.metrics = {
            "uptime": as_float(reported["uptime"]),
            "cpuUsage": as_float(reported["cpuUsage"]),
            "memoryUsage": as_float(reported["memoryUsage"]),
            "commandsExecuted": as_float(reported["commandsProcessed"]),
        }
        self.heartbeat = now()
        self.touch()

    def for_rest(self) -> Json:
        """AGT-1: the plan's ten fields, in another order, with fields of our own beside them."""
        return {
            "updated_at": as_text(self.updated),
            "created_at": as_text(self.created),
            "last_metrics": self.metrics and {**self.metrics, "sampledBy": "second"},
            "last_heartbeat": as_text(self.heartbeat),
            "capabilities": list(self.capabilities),
            "version": self.version,
            "status": self.status,
            "agent_type": self.type,
            "name": self.name,
            "agent_id": self.id,
            "region": "loopback",
            "links": {"self": f"agents/{self.id}"},
        }

    def for_snapshot(self) -> Json:
        """DSH-2, without the SHOULD field `metrics`."""
        return {
            "lastHeartbeat": as_text(self.heartbeat),
            "capabilities": list(self.capabilities),
            "version": self.version,
            "status": self.status,
            "type": self.type,
            "name": self.name,
            "agentId": self.id,
            "region": "loopback",
        }

    def for_status(self) -> Json:
        """STA-1, without its SHOULD fields; the caller adds `timestamp`."""
        return {
            "metrics": self.metrics and {**self.metrics, "sampledBy": "second"},
            "capabilities": list(self.capabilities),
            "version": self.version,
            "status": self.status,
            "type": self.type,
            "name": self.name,
            "agentId": self.id,
            "region": "loopback",
        }


def _capabilities(announced: Json) -> tuple[str, ...]:
    """AGT-4: `basic` always, the others as announced (last, where others put them first)."""
    extra = [name for name, key in (("trace", "supportsTrace"), ("interrupt", "supportsInterrupt")) if announced[key]]
    return (*extra, "basic")


class Agents:
    """All agents of all users."""

    def __init__(self) -> None:
        self._by_id: dict[str, Agent] = {}

    def get(self, user: str, agent_id: str) -> Agent | None:
        """By the made id; another user's is as absent as one that does not exist (ISO-1)."""
        agent = self._by_id.get(agent_id)
        return agent if agent and agent.user == user else None

    def known(self, user: str, given: str) -> Agent | None:
        """By the made id or by the one its agent announces."""
        if agent := self.get(user, given):
            return agent
        return next((agent for agent in self.of(user) if agent.announced == given), None)

    def of(self, user: str) -> list[Agent]:
        """One user's agents, newest first, ties by id."""
        mine = [agent for agent in self._by_id.values() if agent.user == user]
        return sorted(mine, key=lambda agent: (-agent.created.timestamp(), agent.id))

    def make(self, user: str, announced: str) -> Agent:
        """CON-5: an id announced by two users is two agents, each under an id of its own."""
        agent = Agent(user, announced)
        self._by_id[agent.id] = agent
        return agent

    def remove(self, agent: Agent) -> None:
        """Forget it."""
        del self._by_id[agent.id]
