"""The plan's data migration as pure functions (DAT-2): one odd row in, one row of the new form out.

Decisions, where the plan is silent:
- a status that is no known word becomes OFFLINE (nothing is connected while a migration runs), a
  type that is none becomes CUSTOM; `busy` and the like therefore end as OFFLINE;
- capabilities that are null, 'null' or no list come from the flags in `metadata.capabilities`
  when there are any, else they are `["basic"]`, which every agent has (AGT-4);
- old metric keys move to `metadata.metrics`; text that reads as a number counts, anything else
  is 0, as in the plan's transformer; a row without any old key gets no metrics, and stays null;
- metadata that is no object is kept under `metadata.legacy`, so that nothing is lost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from reference_impl.domain.vocabulary import AgentStatus, AgentType

_OLD_KEYS: Final = ("performance_metrics", "memory_usage", "uptime", "cpu_usage")


def status_of(value: object) -> str:
    """Normalise a stored status."""
    word = value.strip().upper() if isinstance(value, str) else ""
    return word if word in AgentStatus.__members__ else AgentStatus.OFFLINE.value


def type_of(value: object) -> str:
    """Normalise a stored type."""
    word = value.strip().upper() if isinstance(value, str) else ""
    return word if word in AgentType.__members__ else AgentType.CUSTOM.value


def capabilities_of(value: object, metadata: Mapping[str, Any]) -> list[str]:
    """Make the capability list of a row: `basic` first, each once."""
    listed = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
    flags = metadata.get("capabilities")
    if not listed and isinstance(flags, Mapping):
        named = {"interrupt": flags.get("supportsInterrupt"), "trace": flags.get("supportsTrace")}
        listed = [name for name, has in named.items() if has is True]
    if not listed and isinstance(flags, list):
        listed = [item for item in flags if isinstance(item, str)]
    return list(dict.fromkeys(["basic", *listed]))


def metadata_of(value: object, last_updated: str) -> dict[str, Any]:
    """Move the old metric keys of a metadata blob to `metrics`; a blob already moved stays as it is.

    What the old keys said is kept under `legacy_metrics`, for the way back, until the next heartbeat.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"legacy": value}
    metadata = dict(value)
    old = {key: metadata.pop(key) for key in _OLD_KEYS if key in metadata}
    metrics = metadata.get("metrics")
    if not isinstance(metrics, Mapping):
        metadata.pop("metrics", None)
        if old:
            metadata["metrics"] = _metrics(old, last_updated)
    elif old == _old_keys(metrics):  # made by `old_metadata_of`, so they say nothing new
        return metadata
    return {**metadata, "legacy_metrics": old} if old else metadata


def old_metadata_of(value: object) -> object:
    """Undo `metadata_of`; metrics that came after it are also put into the old keys, and stay."""
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"legacy"}:
        return value["legacy"]
    metadata = dict(value)
    metrics = metadata.get("metrics")
    old = metadata.pop("legacy_metrics", None)
    if isinstance(old, Mapping):
        metadata.update(old)
        if isinstance(metrics, Mapping) and metrics == _metrics(old, metrics.get("lastUpdated", "")):
            del metadata["metrics"]
    elif isinstance(metrics, Mapping):
        metadata.update(_old_keys(metrics))
    return metadata


def _old_keys(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "performance_metrics": {"commands_executed": metrics.get("commandsExecuted", 0)},
        "memory_usage": metrics.get("memoryUsage", 0),
        "uptime": metrics.get("uptime", 0),
        "cpu_usage": metrics.get("cpuUsage", 0),
    }


def _metrics(old: Mapping[str, Any], last_updated: object) -> dict[str, Any]:
    performance = old.get("performance_metrics")
    measured: Mapping[str, Any] = performance if isinstance(performance, Mapping) else {}
    return {
        "commandsExecuted": int(_amount(measured.get("commands_executed"))),
        "uptime": _amount(old.get("uptime")) or _amount(measured.get("uptime")),
        "memoryUsage": _amount(old.get("memory_usage")),
        "cpuUsage": min(_amount(old.get("cpu_usage")) or _amount(measured.get("cpu_usage")), 100),
        "lastUpdated": last_updated,
    }


def _amount(value: object) -> int | float:
    """Read a number that is not negative, or text that says one; anything else is 0."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return 0
        value = int(value) if math.isfinite(value) and value.is_integer() else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return value if math.isfinite(value) and value >= 0 else 0
