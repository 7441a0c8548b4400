"""Presets and constraints: what a user keeps for later commands (PRE-1, LIM-1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from reference_impl.domain.times import rfc3339, rfc3339_or_none

Written = Mapping[str, Any]
"""The body that creates or replaces one, by the names of the fields below."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A saved command; times in ms since 1970."""

    id: str
    user_id: str
    name: str
    content: str
    type: str
    created_at: int
    updated_at: int
    description: str | None = None
    target_agent_types: tuple[str, ...] = ()
    variables: tuple[Mapping[str, Any], ...] = ()
    usage_count: int = 0
    last_used_at: int | None = None

    def replaced(self, said: Written, now: int) -> Preset:
        """The same preset with another content; what was left out is as in a new one (PRE-1)."""
        fresh = Preset(self.id, self.user_id, created_at=self.created_at, updated_at=max(now, self.updated_at), **said)
        return replace(fresh, usage_count=self.usage_count, last_used_at=self.last_used_at)

    def shown(self) -> dict[str, Any]:
        """The resource."""
        return {
            "id": self.id,
            "userId": self.user_id,
            "name": self.name,
            "description": self.description,
            "content": self.content,
            "type": self.type,
            "targetAgentTypes": list(self.target_agent_types),
            "variables": [dict(variable) for variable in self.variables],
            "usageCount": self.usage_count,
            "lastUsedAt": rfc3339_or_none(self.last_used_at),
            "createdAt": rfc3339(self.created_at),
            "updatedAt": rfc3339(self.updated_at),
        }


@dataclass(frozen=True, slots=True)
class Constraint:
    """A named set of limits; a user has at most one that is the default (LIM-1). Times in ms since 1970."""

    id: str
    user_id: str
    name: str
    created_at: int
    updated_at: int
    description: str | None = None
    time_limit_ms: int | None = None
    token_budget: int | None = None
    memory_limit_mb: float | None = None
    cpu_limit_percent: float | None = None
    is_default: bool = False

    def replaced(self, said: Written, now: int) -> Constraint:
        """The same constraint with other limits; what was left out is as in a new one."""
        return Constraint(
            self.id, self.user_id, created_at=self.created_at, updated_at=max(now, self.updated_at), **said
        )

    def shown(self) -> dict[str, Any]:
        """The resource."""
        return {
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "timeLimitMs": self.time_limit_ms,
            "tokenBudget": self.token_budget,
            "memoryLimitMb": _number(self.memory_limit_mb),
            "cpuLimitPercent": _number(self.cpu_limit_percent),
            "isDefault": self.is_default,
            "createdAt": rfc3339(self.created_at),
            "updatedAt": rfc3339(self.updated_at),
        }


def _number(value: float | None) -> float | None:
    """A whole number without its `.0`, as it was sent."""
    return int(value) if value is not None and value == int(value) and abs(value) < 2**53 else value
