"""An agent at work: takes commands one by one and does what its jobs say."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from reference_impl.simulator.jobs import Conclude, Finish, Print, Start, Think, job

if TYPE_CHECKING:
    from reference_impl.simulator.jobs import Step
    from reference_impl.simulator.tally import Tally
    from reference_impl.simulator.wire import Wire


class Worker:
    """Works for as long as its connection lasts; the server gives no more than five commands at a time (CMD-4)."""

    def __init__(self, agent_id: str, pace_s: float, tally: Tally) -> None:
        self._agent_id = agent_id
        self._pace_s = pace_s
        self._tally = tally
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._cancelled: set[str] = set()

    def told(self, message: dict[str, Any]) -> None:
        """Take what the server says."""
        if message["type"] == "COMMAND_REQUEST":
            self._cancelled.discard(message["payload"]["commandId"])
            self._orders.put_nowait(message["payload"])
        elif message["type"] == "COMMAND_CANCEL":
            self._cancelled.add(message["payload"]["commandId"])

    async def work(self, wire: Wire) -> None:
        """Do one command after the other."""
        while True:
            order = await self._orders.get()
            await self._do(wire, order["commandId"], order["content"])
            self._cancelled.discard(order["commandId"])

    async def _do(self, wire: Wire, command_id: str, content: str) -> None:
        names: dict[int, str] = {}
        begun, printed = False, 0
        for step in job(content, self._pace_s):
            await asyncio.sleep(getattr(step, "wait_s", 0))
            if command_id in self._cancelled:
                if begun:
                    await self._say(wire, "COMMAND_COMPLETE", command_id, _completed("CANCELLED", 0))
                return
            kind, payload = self._message(step, names, printed)
            accepted = await self._say(wire, kind, command_id, payload)
            if isinstance(step, Start) and not accepted:  # it was ended before it began
                return
            begun = True
            printed += isinstance(step, Print)
            self._count(step, accepted=accepted)

    def _message(self, step: Step, names: dict[int, str], printed: int) -> tuple[str, dict[str, Any]]:
        if isinstance(step, Start):
            return "COMMAND_ACK", {"status": "EXECUTING"}
        if isinstance(step, Print):
            return "TERMINAL_OUTPUT", {"streamType": step.stream, "content": step.content, "sequence": printed}
        if isinstance(step, Think):
            names[step.number] = str(uuid.uuid4())
            parent = None if step.parent is None else names[step.parent]
            ids = {"traceId": names[step.number], "parentId": parent}
            return "TRACE_EVENT", {**ids, "type": step.type, "name": step.name, "content": {}, "startedAt": 0}
        if isinstance(step, Conclude):
            finding = {"type": "issue", "severity": "low", "description": step.title, "evidence": []}
            content = {"sections": [], "findings": [finding] * step.findings, "recommendations": []}
            body = {"status": "COMPLETE", "title": step.title, "summary": step.title, "content": content}
            return "INVESTIGATION_REPORT", {"reportId": str(uuid.uuid4()), **body}
        return "COMMAND_COMPLETE", _completed(step.status, step.tokens)

    def _count(self, step: Step, *, accepted: bool) -> None:
        tally = self._tally
        tally.printed += accepted and isinstance(step, Print)
        tally.traced += accepted and isinstance(step, Think)
        tally.reported += accepted and isinstance(step, Conclude)
        tally.finished += accepted and isinstance(step, Finish)

    async def _say(self, wire: Wire, kind: str, command_id: str, payload: dict[str, Any]) -> bool:
        answer = await wire.ask(kind, {"commandId": command_id, "agentId": self._agent_id, **payload})
        accepted = bool(answer["type"] == "ACK")
        lost = answer["payload"].get("code") == "INVALID_STATE"  # the server ended it a moment before
        self._tally.refused += not accepted and not lost
        return accepted


def _completed(status: str, tokens: int) -> dict[str, Any]:
    return {"status": status, "executionTime": 0, "tokensUsed": tokens}
