"""The site: what all cases of a run share about the target, as preflight found it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance.target import AGENT_WS, BASE_PATH, DASHBOARD_WS, SHARED_WS, Target
from conformance.terms import Terms
from conformance.world.vault import Vault

if TYPE_CHECKING:
    import aiohttp

    from conformance.contract import Contract, Operation
    from conformance.world.credentials import Keyring


CROWD = 3
"""Requests of crowds that are under way at the same time."""


@dataclass
class Site:
    """One target as this run found it. Preflight writes it; afterwards it is only read."""

    target: Target
    contract: Contract
    keyring: Keyring
    session: aiohttp.ClientSession
    run_id: str = "0"
    base_path: str = BASE_PATH
    sockets: dict[str, str] = field(default_factory=dict)
    """Path of each channel: agent, dashboard, shared."""
    answers_ping: bool = True
    sends_snapshot: bool = True
    latency: float = 0.02
    """Seconds from a cause to its event on a dashboard, as measured."""
    terms: Terms = field(default_factory=Terms)
    made: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """User and node → ids of the agents this run made, to be removed at its end."""
    nodes: dict[str, str] = field(default_factory=dict)
    """Name of each node that a case asked for (`node-1`, `node-2`) → its origin."""
    written: dict[str, set[str]] = field(default_factory=dict)
    """User → paths of whatever else it made that can be deleted."""
    vault: Vault = field(default_factory=Vault)
    """What the backend gave out that is secret."""
    crowd: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CROWD))
    """Shared by all cases that send many requests, so that the others are not kept waiting."""
    own: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by whoever restarts a backend."""
    mail: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from asking for a sign-in mail to using it: there is one address, and the newest mail counts."""

    def __post_init__(self) -> None:
        if self.target.base_path is not None:
            self.base_path = self.target.base_path.rstrip("/")
        self.sockets = {
            "agent": self.target.agent_ws or AGENT_WS,
            "dashboard": self.target.dashboard_ws or DASHBOARD_WS,
            "shared": SHARED_WS,
        }

    def origin(self, node: str = "") -> str:
        """Scheme, host and port of a node; of the target itself where none is named."""
        return self.nodes[node] if node else self.target.origin

    def ws_origin(self, node: str = "") -> str:
        """The same for sockets."""
        return self.origin(node).replace("http", "ws", 1)

    @property
    def operations(self) -> list[Operation]:
        """The operations under the base path that the target promises."""
        known = self.contract.operations.values()
        return [o for o in known if o.under_base and o.capability not in self.target.withheld]

    def promises(self, capability: str) -> bool:
        """Whether the target promises it."""
        return capability not in self.target.withheld

    @property
    def settle(self) -> float:
        """How long to look on after a fence before saying that nothing more comes; seconds."""
        return min(max(4 * self.latency, 0.12), 1.5)

    def authorization(self, credential: str, user: str) -> str | None:
        """The Authorization header for a kind of credential; None for none."""
        token = self.keyring.credential(credential, user)
        return None if token is None else f"Bearer {token}".rstrip()
