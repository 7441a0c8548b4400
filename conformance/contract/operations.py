"""REST operations, as far as rules and cases need them (`contracts/openapi.yaml`)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.contract.shapes import BASE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

METHODS = ("get", "put", "post", "patch", "delete")
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """One REST operation of the contract. Schemas are named as in `Contract.shapes`."""

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
    clauses: tuple[str, ...] = ()
    destructive: bool = False
    """Whether it touches more than what the caller made."""
    body: str = ""
    """The schema of its JSON body; empty when it takes none."""
    needs_body: bool = False
    query: Mapping[str, str] = field(default_factory=dict)
    """Query parameter → its schema."""
    answers: Mapping[int, str] = field(default_factory=dict)
    """2xx status → the schema of its JSON body; empty for a status without one."""
    statuses: frozenset[int] = frozenset()
    """Every status that it may be answered with."""
    media: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """2xx status → the media types that it may have."""

    @property
    def clause(self) -> str:
        """The clause that is about it before all others."""
        return self.clauses[0] if self.clauses else ""

    @property
    def names(self) -> tuple[str, ...]:
        """Its path parameters."""
        return tuple(re.findall(r"\{([^}]+)\}", self.path))

    def fill(self, value: str | Mapping[str, str]) -> str:
        """Its path with every parameter set to one value, or each to its own."""
        return re.sub(r"\{([^}]+)\}", lambda m: value if isinstance(value, str) else value[m[1]], self.path)


def read_operations(document: dict[str, Any]) -> dict[str, Operation]:
    """Operations by `operationId`."""
    found = {}
    for path, item, method, entry in _entries(document):
        rooted = any(server.get("url") in {"/", ""} for server in item.get("servers", ()))
        pattern = re.compile(re.sub(r"\\\{[^}]+\\\}", "[^/]+", re.escape(path)) + r"\Z")
        marks = entry.get("x-conformance") or {}
        answers = dict(_successes(document, entry))
        body = (entry.get("requestBody") or {}).get("content", {}).get(JSON)
        name = entry["operationId"]
        found[name] = Operation(
            id=name,
            method=method.upper(),
            path=path,
            secured=entry.get("security", document.get("security")) != [],
            under_base=not rooted,
            json=any(list(content) == [JSON] for content in answers.values()),
            capability=marks.get("capability"),
            pattern=pattern,
            clauses=tuple(marks.get("clauses", ())),
            destructive=bool(marks.get("destructive")),
            body=f"operations/{name}/body.json" if body else "",
            needs_body=bool(body and entry["requestBody"].get("required")),
            query={p["name"]: f"operations/{name}/query/{p['name']}.json" for p in _query(document, entry)},
            answers={s: f"operations/{name}/{s}.json" if JSON in content else "" for s, content in answers.items()},
            statuses=frozenset(int(status) for status in entry["responses"]),
            media={s: tuple(content) for s, content in answers.items()},
        )
    return found


def operation_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """The schemas that stand in the document itself, by the names that operations call them by."""
    found: dict[str, Any] = {}
    dialect = {"$schema": document["jsonSchemaDialect"]}
    for _, _, _, entry in _entries(document):
        place = f"operations/{entry['operationId']}"
        if body := (entry.get("requestBody") or {}).get("content", {}).get(JSON):
            found[f"{place}/body.json"] = dialect | _absolute(body["schema"])
        for parameter in _query(document, entry):
            found[f"{place}/query/{parameter['name']}.json"] = dialect | _absolute(parameter["schema"])
        for status, content in _successes(document, entry):
            if JSON in content:
                found[f"{place}/{status}.json"] = dialect | _absolute(content[JSON]["schema"])
    return found


def _entries(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        yield from ((path, item, method, item[method]) for method in METHODS if method in item)


def _successes(document: dict[str, Any], entry: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    for status, answer in entry["responses"].items():
        if str(status).startswith("2"):
            yield int(status), _resolved(document, answer).get("content") or {}


def _query(document: dict[str, Any], entry: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for p in (_resolved(document, p) for p in entry.get("parameters", ())) if p["in"] == "query"]


def _resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for part in node["$ref"].removeprefix("#/").split("/") if "$ref" in node else ():
        document = document[part]
    return document if "$ref" in node else node


def _absolute(node: Any) -> Any:
    """A schema of the document with its references to files as the names that these go by."""
    if isinstance(node, list):
        return [_absolute(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    fixed = {key: _absolute(value) for key, value in node.items()}
    if isinstance(reference := node.get("$ref"), str):
        fixed["$ref"] = BASE + reference.removeprefix("schemas/")
    return fixed
