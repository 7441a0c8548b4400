# ruff: noqa: INP001 -- a directory of scripts, not a package
"""How the front changes what passes: other agent ids, more fields, fewer SHOULD fields."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

Json = dict[str, Any]

PREFIX = "x."
NOBODY = "unmapped."
OPAQUE = frozenset({"content", "metadata", "details", "capabilities", "executionConstraints"})  # users' own data
FROM_AGENTS = frozenset(
    {"AGENT_CONNECT", "AGENT_HEARTBEAT", "AGENT_ERROR", "COMMAND_ACK", "COMMAND_COMPLETE", "TERMINAL_OUTPUT"}
    | {"TRACE_EVENT", "INVESTIGATION_REPORT"}
)
CODES_OF_A_MUST = frozenset({"NO_AGENTS", "QUEUE_FULL", "UNSUPPORTED_VERSION"})
STANDARD_INTERVAL = 30_000
SHOULD = {
    "ACK": {"connectionId"},
    "AGENT_DISCONNECT": {"reason"},
    "AGENT_STATUS": {"queuedCommands", "currentCommand", "lastHeartbeat"},
}
MORE = {"_via": "front", "x-extra": {"nested": [1, None, 2.5]}}


@dataclass
class Rewrite:
    """One front's mapping, both ways; long ids get a digest, since an id has at most 128 characters."""

    keep_ids: bool = False
    keep_should: bool = False
    strip_activity: bool = False
    _long: dict[str, str] = field(default_factory=dict)

    # --- ids

    def outward(self, agent_id: str) -> str:
        """The id that clients see."""
        if self.keep_ids:
            return agent_id
        if len(PREFIX + agent_id) <= 128:
            return PREFIX + agent_id
        short = hashlib.sha256(agent_id.encode()).hexdigest()
        self._long[short] = agent_id
        return PREFIX + short

    def inward(self, agent_id: str, *, announced: bool = False) -> str:
        """The backend's id; what no client was ever told exists only as an agent's announcement (CON-1)."""
        if self.keep_ids:
            return agent_id
        if agent_id.startswith(PREFIX):
            plain = agent_id.removeprefix(PREFIX)
            return self._long.get(plain, plain)
        return agent_id if announced else (NOBODY + agent_id)[:128]

    def path(self, raw: str) -> str:
        """`/agents/{agentId}` in a URL's path."""
        return re.sub(r"(?<=/agents/)[^/]+", lambda found: quote(self.inward(unquote(found[0])), safe=""), raw)

    def _walk(self, value: Any, *, out: bool, announced: bool) -> Any:
        """Rewrite every id that the contract's names tell to be an agent's."""

        def swap(agent_id: Any) -> Any:
            if not isinstance(agent_id, str):
                return agent_id
            return self.outward(agent_id) if out else self.inward(agent_id, announced=announced)

        def entry(owner: Json, key: str, item: Any) -> Any:
            if key in OPAQUE:
                return item
            if key in ("agentId", "agent_id"):
                return swap(item)
            if key == "commandId" and item == owner.get("agentId"):  # TRM-6: session output
                return swap(item)
            if key in ("agents", "targetAgents") and isinstance(item, list):
                return [swap(each) if isinstance(each, str) else go(each) for each in item]
            return go(item)

        def go(node: Any) -> Any:
            if isinstance(node, list):
                return [go(each) for each in node]
            return {key: entry(node, key, item) for key, item in node.items()} if isinstance(node, dict) else node

        return go(value)

    # --- towards the backend

    def request_body(self, body: Any) -> Any:
        """A REST body."""
        return self._walk(body, out=False, announced=False)

    def client_message(self, message: Any) -> Any:
        """A client's message."""
        if not (isinstance(message, dict) and isinstance(message.get("payload"), dict)):
            return message
        kind, payload = message.get("type"), message["payload"]
        mapped = self._walk(payload, out=False, announced=kind in FROM_AGENTS)
        subscribes = kind in ("DASHBOARD_SUBSCRIBE", "DASHBOARD_UNSUBSCRIBE")
        if subscribes and payload.get("type") == "agent" and isinstance(payload.get("id"), str):
            mapped["id"] = self.inward(payload["id"])
        return {**message, "payload": mapped}

    # --- towards the client

    def response_body(self, body: Any) -> Any:
        """A REST body under the base path; what is no envelope (health, documents) stays as it is."""
        if not (isinstance(body, dict) and "success" in body):
            return body
        body = self._walk(body, out=True, announced=False)
        data = body.get("data")
        items = data if isinstance(data, list) else [data]
        for item in (body, body.get("pagination"), *items):
            if isinstance(item, dict):
                item.update(MORE)
        if not self.keep_should and body.get("code") not in CODES_OF_A_MUST:
            body.pop("code", None)
        return body

    def server_message(self, message: Json) -> Json | None:
        """A server's message; None if it is one that a server need not send."""
        if message["type"] == "BATCH":
            inner = [self.server_message(each) for each in message["payload"]["messages"]]
            return {**MORE, **message, "payload": {**MORE, "messages": [each for each in inner if each is not None]}}
        kind, payload = message["type"], self._walk(message["payload"], out=True, announced=False)
        if not self.keep_should:
            if kind == "AGENT_CONNECTED":
                return None
            self._strip(kind, payload)
        listed = payload.get("agents") if kind == "dashboard:connected" else []
        for item in (payload, *listed):
            item.update(MORE)
        return {**MORE, **message, "payload": payload}

    def _strip(self, kind: str, payload: Json) -> None:
        for name in SHOULD.get(kind, ()):
            payload.pop(name, None)
        if kind == "AGENT_STATUS" and self.strip_activity:
            payload.pop("activityState", None)
        if payload.get("heartbeatIntervalMs") == STANDARD_INTERVAL:  # DIS-3: another value must be told
            del payload["heartbeatIntervalMs"]
        if kind == "dashboard:connected":
            for item in payload["agents"]:
                item.pop("metrics", None)
