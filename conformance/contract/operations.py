"""REST operations, as far as rules need them (`contracts/openapi.yaml`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

METHODS = ("get", "put", "post", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """One REST operation of the contract."""

    id: str
    method: str
    path: str
    secured: bool
    under_base: bool
    """Whether it lives below the base path (`/health` and the documents do not)."""
    json: bool
    """Whether its success answers are enveloped JSON (exports and 204 are not)."""
    capability: str | None
    pattern: re.Pattern[str] = field(compare=False)

    def fill(self, value: str) -> str:
        """Its path with every parameter set to one value."""
        return re.sub(r"\{[^}]+\}", value, self.path)


def _is_json(document: dict[str, Any], entry: dict[str, Any]) -> bool:
    for status, answer in entry["responses"].items():
        if str(status).startswith("2"):
            content = _resolved(document, answer).get("content") or {}
            if list(content) == ["application/json"]:
                return True
    return False


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for part in node["$ref"].removeprefix("#/").split("/") if "$ref" in node else ():
        document = document[part]
    return document if "$ref" in node else node


def read_operations(document: dict[str, Any]) -> dict[str, Operation]:
    """Operations by `operationId`."""
    found = {}
    for path, item in document["paths"].items():
        rooted = any(server.get("url") in {"/", ""} for server in item.get("servers", ()))
        for method in METHODS:
            if (entry := item.get(method)) is None:
                continue
            pattern = re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path)) + r"\Z")
            found[entry["operationId"]] = Operation(
                id=entry["operationId"],
                method=method.upper(),
                path=path,
                secured=entry.get("security", document.get("security")) != [],
                under_base=not rooted,
                json=_is_json(document, entry),
                capability=(entry.get("x-conformance") or {}).get("capability"),
                pattern=pattern,
            )
    return found


def match(operations: dict[str, Operation], method: str, path: str, *, under_base: bool) -> str | None:
    """The operation that a method and a path name, literal paths before parameters; None when there is none."""
    fits = [
        o for o in operations.values() if o.method == method and o.under_base == under_base and o.pattern.match(path)
    ]
    return min(fits, key=lambda o: o.path.count("{")).id if fits else None
