"""Who acts in a case: agents and dashboards on sockets of their own, each with the words it usually says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from conformance import reading
from conformance.timeline import VALID, Frame

if TYPE_CHECKING:
    from collections.abc import Container

    from conformance.world.link import Link
    from conformance.world.user import User

CAPABILITIES = {"maxTokens": 8192, "supportsInterrupt": True, "supportsTrace": True}
DELIVERED_WITHIN = 3.0
"""How long a command may take to an agent that waits for it, before a script goes on without; seconds."""
REPORT = {
    "sections": [{"title": "What was seen", "content": "Two compilers ran at once.", "order": 1}],
    "findings": [
        {"type": "issue", "severity": "high", "description": "Compiled twice", "evidence": ["build.log:14"]},
        {"type": "insight", "severity": "low", "description": "A cache is there", "evidence": []},
    ],
    "recommendations": [{"priority": 1, "action": "Use the cache", "rationale": "It halves the time"}],
}
HEALTH = {"cpuUsage": 12.5, "memoryUsage": 512, "uptime": 60, "commandsProcessed": 3, "averageResponseTime": 120}


class Agent:
    """An agent of a user; it can connect any number of times."""

    def __init__(self, user: User, announced: str, **announce: Any) -> None:
        self._user = user
        self.announced = announced
        self.id = announced
        """The id in force: the ACK's, once there is one (CON-1)."""
        self._announce = announce
        self._printed: dict[str, int] = {}
        """The last sequence of each command, and of the session."""
        self.link: Link = user.new_link("agent")

    def greeting(self, **changes: Any) -> dict[str, Any]:
        """Its AGENT_CONNECT payload."""
        right = {
            "agentId": self.announced,
            "name": f"Agent {self.announced[-6:]}",
            "agentType": "CLAUDE",
            "version": "1.2.0",
            "hostMachine": "conformance-host",
            "capabilities": CAPABILITIES,
        }
        return right | self._announce | changes

    async def open(self, *, channel: str = "agent", credential: str = VALID, **options: Any) -> Link:
        """A fresh socket that has said nothing yet."""
        self.link = self._user.new_link("agent")
        self._printed.pop(self.id, None)
        await self.link.open(user=self._user.name, channel=channel, role="agent", credential=credential, **options)
        return self.link

    async def connect(self, *, channel: str = "agent", envelope: dict[str, Any] | None = None, **changes: Any) -> Frame:
        """Opens a socket and announces the agent; waits for the answer."""
        link = await self.open(channel=channel)
        sent = await link.send("AGENT_CONNECT", self.greeting(**changes), **(envelope or {}))
        answer = await link.answer(sent, within=2.0)
        given = answer.payload.get("agentId") if answer else None
        if isinstance(given, str) and given:
            self.id = given
        self._user.made(self.id)
        return sent

    async def heartbeat(self, envelope: dict[str, Any] | None = None, /, **metrics: Any) -> Frame:
        """A heartbeat; waits for its answer."""
        beat = await self.say_heartbeat(envelope, **metrics)
        await self.link.answer(beat, "SERVER_HEARTBEAT")
        return beat

    async def say_heartbeat(self, envelope: dict[str, Any] | None = None, /, **metrics: Any) -> Frame:
        """A heartbeat, without waiting."""
        payload = {"agentId": self.id, "healthMetrics": HEALTH | metrics}
        return await self.link.send("AGENT_HEARTBEAT", payload, **(envelope or {}))

    async def takes(
        self, command_id: str, *, since: int = -1, within: float = DELIVERED_WITHIN, expected: bool = True
    ) -> Frame | None:
        """Waits until a command is delivered to it."""

        def fits(frame: Frame) -> bool:
            return reading.command_id(frame.payload) == command_id

        return await self.link.until("COMMAND_REQUEST", since=since, within=within, where=fits, expected=expected)

    async def next_command(self, known: Container[str]) -> str | None:
        """Waits for a command that it has not had yet on this connection; gives its id."""

        def fits(frame: Frame) -> bool:
            return reading.command_id(frame.payload) not in known

        frame = await self.link.until("COMMAND_REQUEST", within=DELIVERED_WITHIN, where=fits)
        return reading.command_id(frame.payload) if frame else None

    async def is_told(self, kind: str, *, since: int = -1, expected: bool = True, **fields: Any) -> Frame | None:
        """Waits for a message of this kind to it; fields given must be in its payload."""

        def fits(frame: Frame) -> bool:
            return all(frame.payload.get(k) == v for k, v in fields.items())

        return await self.link.until(kind, since=since, where=fits, expected=expected)

    async def ack(self, command_id: str, status: str = "EXECUTING", **fields: Any) -> Frame:
        """COMMAND_ACK; waits for its answer."""
        return await self.link.ask(
            "COMMAND_ACK", {"commandId": command_id, "agentId": self.id, "status": status} | fields
        )

    async def complete(self, command_id: str, status: str = "COMPLETED", **fields: Any) -> Frame:
        """COMMAND_COMPLETE; waits for its answer."""
        usual = {
            "commandId": command_id,
            "agentId": self.id,
            "status": status,
            "executionTime": 1500,
            "tokensUsed": 420,
        }
        return await self.link.ask("COMMAND_COMPLETE", usual | fields)

    async def runs(self, command_id: str, status: str = "COMPLETED", **fields: Any) -> Frame:
        """Takes a command, says that it executes it, and how it ended."""
        await self.takes(command_id)
        await self.ack(command_id)
        return await self.complete(command_id, status, **fields)

    async def prints(
        self, content: str, *, command: str = "", stream: str = "STDOUT", answered: bool = True, **fields: Any
    ) -> Frame:
        """TERMINAL_OUTPUT with the next sequence, outside any command if none is named; waits for its answer."""
        key = command or self.id
        number = fields.get("sequence", self._printed.get(key, -1) + 1)
        self._printed[key] = max(number, self._printed.get(key, -1))
        payload = {
            "commandId": key,
            "agentId": self.id,
            "streamType": stream,
            "content": content,
            "sequence": number,
        } | fields
        return await (self.link.ask if answered else self.link.send)("TERMINAL_OUTPUT", payload)

    async def traces(
        self, command: str, name: str = "Think", /, *, parent: str | None = None, answered: bool = True, **fields: Any
    ) -> Frame:
        """TRACE_EVENT of a fresh traceId, if none is given; waits for its answer."""
        usual = {
            "commandId": command,
            "agentId": self.id,
            "traceId": str(uuid4()),
            "parentId": parent,
            "type": "TOOL_CALL",
            "name": name,
            "content": {"tool": "grep", "arguments": ["-r", name]},
            "startedAt": int(time.time() * 1000),
        }
        return await (self.link.ask if answered else self.link.send)("TRACE_EVENT", usual | fields)

    async def reports(self, command: str, **fields: Any) -> Frame:
        """INVESTIGATION_REPORT of a fresh reportId, if none is given; waits for its answer."""
        usual = {
            "commandId": command,
            "agentId": self.id,
            "reportId": str(uuid4()),
            "status": "DRAFT",
            "title": "Why the build is slow",
            "summary": "It compiles the same file twice.",
            "content": REPORT,
        }
        return await self.link.ask("INVESTIGATION_REPORT", usual | fields)

    async def leave(self, code: int = 1000) -> int:
        """Closes its socket; gives the `seq` before which that was."""
        before = self._user.last
        await self.link.close(code)
        return before

    async def crash(self) -> int:
        """Cuts its socket without a handshake; gives the `seq` before which that was."""
        before = self._user.last
        await self.link.drop()
        return before


class Dashboard:
    """A dashboard of a user."""

    def __init__(self, user: User, link: Link) -> None:
        self._user = user
        self.link = link

    async def init(self, envelope: dict[str, Any] | None = None, /, **payload: Any) -> Frame:
        """Says DASHBOARD_INIT with these fields and waits for the snapshot."""
        sent = await self.link.send("DASHBOARD_INIT", payload, **(envelope or {}))
        if self._user.snapshots_come:
            await self.link.until("dashboard:connected", since=sent.seq, within=2.0)
        else:
            await self.link.until("DASHBOARD_READY", "ACK", since=sent.seq, within=2.0)
        return sent

    async def sees_beat(self, agent: Agent, beat: Frame) -> Frame | None:
        """Waits for the AGENT_STATUS that carries a heartbeat's metrics: earlier causes may still be on their way."""
        wanted = reading.reported(beat.payload.get("healthMetrics"))

        def fits(frame: Frame) -> bool:
            told = frame.payload
            return reading.agent_id(told) == agent.id and reading.same_metrics(reading.metrics(told), wanted)

        return await self.link.until("AGENT_STATUS", since=beat.seq, where=fits)

    async def sees(
        self,
        kind: str,
        agent: Agent | str,
        *,
        since: int = -1,
        within: float = 1.0,
        expected: bool = True,
        **fields: Any,
    ) -> Frame | None:
        """Waits for a message about an agent after an event; fields given must be in its payload as well."""
        wanted = agent if isinstance(agent, str) else agent.id

        def fits(frame: Frame) -> bool:
            payload = frame.payload
            return reading.agent_id(payload) == wanted and all(payload.get(k) == v for k, v in fields.items())

        return await self.link.until(kind, since=since, within=within, where=fits, expected=expected)

    async def sees_piece(self, sent: Frame, *, within: float = 1.0, expected: bool = True) -> Frame | None:
        """Waits for the TERMINAL_STREAM or TRACE_STREAM of what an agent sent."""
        kind = "TRACE_STREAM" if sent.type == "TRACE_EVENT" else "TERMINAL_STREAM"
        wanted = reading.piece(sent.payload)

        def fits(frame: Frame) -> bool:
            return reading.piece(frame.payload) == wanted

        return await self.link.until(kind, since=sent.seq, within=within, where=fits, expected=expected)

    async def request(self, agent: Agent | str, content: str = "Say hello", **fields: Any) -> str:
        """COMMAND_REQUEST for an agent; waits for the answer. Gives the command's id: the ACK's, else the one sent."""
        agent_id = agent if isinstance(agent, str) else agent.id
        usual = {"commandId": str(uuid4()), "agentId": agent_id, "content": content, "type": "NATURAL"}
        payload = {k: v for k, v in (usual | fields).items() if v is not ...}
        sent = await self.link.ask("COMMAND_REQUEST", payload)
        answer = next((f for f in self.link.frames if f.seq > sent.seq and f.payload.get("messageId") == sent.id), None)
        given = reading.command_id(answer.payload) if answer else None
        return given or str(payload.get("commandId", ""))

    async def cancel(self, command_id: str, **fields: Any) -> Frame:
        """COMMAND_CANCEL; waits for its answer."""
        return await self.link.ask("COMMAND_CANCEL", {"commandId": command_id} | fields)

    async def control(self, agent: Agent | str, action: str, **fields: Any) -> Frame:
        """AGENT_CONTROL; waits for its answer."""
        agent_id = agent if isinstance(agent, str) else agent.id
        return await self.link.ask("AGENT_CONTROL", {"agentId": agent_id, "action": action} | fields)

    async def emergency_stop(self, **fields: Any) -> Frame:
        """EMERGENCY_STOP; waits for its answer."""
        return await self.link.ask("EMERGENCY_STOP", fields)

    async def sees_command(
        self, command_id: str, status: str, *, since: int = -1, within: float = 1.0, expected: bool = True
    ) -> Frame | None:
        """Waits for the COMMAND_STATUS that tells this status of a command."""

        def fits(frame: Frame) -> bool:
            return reading.command_id(frame.payload) == command_id and reading.status(frame.payload) == status

        return await self.link.until("COMMAND_STATUS", since=since, within=within, where=fits, expected=expected)

    async def sees_queue(self, agent: Agent, queued: set[str], executing: set[str] | None = None) -> Frame | None:
        """Waits for a QUEUE_UPDATE after the latest that shows an agent's queue so, or takes that."""
        wanted = {"queued": queued, "executing": executing or set()}

        def fits(frame: Frame) -> bool:
            listed = {k: frame.payload.get(k) for k in wanted}
            if reading.agent_id(frame.payload) != agent.id:
                return False
            return all(
                isinstance(v, list) and {reading.command_id(r) for r in v} == wanted[k] for k, v in listed.items()
            )

        own = [f.seq for f in self.link.frames if f.kind == "QUEUE_UPDATE" and reading.agent_id(f.payload) == agent.id]
        return await self.link.until("QUEUE_UPDATE", since=own[-1] - 1 if own else -1, where=fits)
