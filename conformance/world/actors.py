"""Who acts in a case: agents and dashboards on sockets of their own, each with the words it usually says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.timeline import VALID, Frame

if TYPE_CHECKING:
    from conformance.world.link import Link
    from conformance.world.user import User

CAPABILITIES = {"maxTokens": 8192, "supportsInterrupt": True, "supportsTrace": True}
HEALTH = {"cpuUsage": 12.5, "memoryUsage": 512, "uptime": 60, "commandsProcessed": 3, "averageResponseTime": 120}


class Agent:
    """An agent of a user; it can connect any number of times."""

    def __init__(self, user: User, announced: str, **announce: Any) -> None:
        self._user = user
        self.announced = announced
        self.id = announced
        """The id in force: the ACK's, once there is one (CON-1)."""
        self._announce = announce
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
