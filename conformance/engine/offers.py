"""What a target offers to cases: the words of `Provocation.needs`, and the capabilities that it promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.contract import Contract
    from conformance.target import Target
    from conformance.world.credentials import Keyring

SHORT = 5.0
"""Seconds up to which a time-out of the backend's is waited for in every full run."""
NARROW = 100
"""Commands up to which an agent's queue is filled in every full run."""
PATIENT = 120.0
"""Seconds a run must be given before it waits out what the contract allows a minute for."""


def offers_of(target: Target, keyring: Keyring, contract: Contract, max_time: float) -> frozenset[str]:
    """All of it, for a run of so many seconds at most."""
    offers = {
        "signing-key": keyring.can_sign,
        "second-user": len(keyring.users) > 1,
        "third-user": len(keyring.users) > 2,  # noqa: PLR2004 - three
        "short-init-timeout": target.init_timeout <= SHORT,
        "short-heartbeat": target.heartbeat_interval <= SHORT,
        "short-cancel-grace": target.cancel_grace <= SHORT,
        "short-queue": target.queue_room <= NARROW,
        "destructive": target.destructive,
        "restart": target.can_restart,
        "kill": target.can_kill,
        "second-node": target.has_nodes,
        "faults": target.is_loopback or target.destructive,
        "load": target.is_loopback,
        "patience": max_time >= PATIENT,
        "evidence": bool(target.evidence),
        "account": bool(target.email),
        "mail": bool(target.email and target.mail_command),
        "rest-limit": target.is_loopback and target.rest_per_second > 0,
    }
    promised = {c.capability for c in contract.clauses.values() if c.capability} - set(target.withheld)
    return frozenset(name for name, offered in offers.items() if offered) | promised
