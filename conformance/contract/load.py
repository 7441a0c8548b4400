"""Finds and reads the contract files: beside the package in a checkout, inside it in a wheel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from conformance.contract.clauses import Clause, read_clauses
from conformance.contract.messages import Message, read_messages
from conformance.contract.operations import Operation, operation_schemas, read_operations
from conformance.contract.samples import Samples
from conformance.contract.shapes import Shapes, Violation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ContractError(Exception):
    """The contract files cannot be read; the message says which one and why."""


def contracts_dir() -> Path:
    """Where the contract files are."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / "_contracts", package.parent / "contracts"):
        if (place / "clauses.yaml").is_file():
            return place
    raise ContractError(f"no contract files beside {package}: the installation is incomplete, install it anew")


@dataclass(frozen=True)
class Contract:
    """One version of the contract, read only."""

    version: str
    digest: str
    """SHA-256 over all contract files, in hex."""
    clauses: dict[str, Clause]
    operations: dict[str, Operation]
    messages: dict[str, Message]
    shapes: Shapes
    causes: dict[str, Any]
    """AsyncAPI's `x-conformance.causes`: what follows what, within which time."""
    machines: dict[str, Any]
    """AsyncAPI's `x-conformance.machines`: the states of connections, agents and commands, and their steps."""

    @property
    def samples(self) -> Samples:
        """Values made from its schemas."""
        return Samples(self.shapes)

    def violations(self, schema: str, value: Any) -> list[Violation]:
        """How a value breaks a schema, by its path below `schemas/`."""
        return self.shapes.violations(schema, value)

    def message(self, side: str, kind: str) -> Message | None:
        """The message of just that type on that side (`to-dashboard`), if the contract has one."""
        return self._by_type.get((side, kind))

    @cached_property
    def _by_type(self) -> dict[tuple[str, str], Message]:
        return {(m.side, m.type): m for m in self.messages.values()}

    @cached_property
    def types(self) -> frozenset[str]:
        """Every type of message that it knows, of any side."""
        return frozenset(m.type for m in self.messages.values())

    def operation(self, method: str, path: str, *, under_base: bool = True) -> str | None:
        """The `operationId` that a request names, literal paths before parameters."""
        found = (o for o in self.at(path) if o.method == method and o.under_base == under_base)
        fits = min(found, key=lambda o: o.path.count("{"), default=None)
        return fits.id if fits else None

    @cached_property
    def at(self) -> Callable[[str], tuple[Operation, ...]]:
        """The operations at a path, whatever their methods. A run asks for the same paths again and again."""
        known = tuple(self.operations.values())
        return lru_cache(maxsize=4096)(lambda path: tuple(o for o in known if o.pattern.match(path)))

    def within(self, cause: str, message: str) -> float:
        """The seconds within which a cause must have a message follow it."""
        for effect in self.causes[cause]["effects"]:
            if effect.get("message") == message:
                return float(effect["within_ms"]) / 1000
        raise KeyError(f"{cause} does not cause {message}")


NAMES = ("clauses.yaml", "openapi.yaml", "asyncapi.yaml")


def contract_files(place: Path) -> dict[str, bytes]:
    """What the contract files in a directory hold, by their path below it. Raises `OSError`."""
    paths = [*(place / name for name in NAMES), *sorted((place / "schemas").rglob("*.json"))]
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in paths}


def documents(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What contract files say, by path. Raises `ValueError` and `yaml.YAMLError`."""
    return {
        name: orjson.loads(content) if name.endswith(".json") else _read_yaml(content)
        for name, content in files.items()
    }


def _read_yaml(content: bytes) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(content, Loader=loader)  # noqa: S506 - the safe loader, in C where there is one


@lru_cache(maxsize=1)
def load_contract() -> Contract:
    """The contract that this installation carries. Raises `ContractError`."""
    place = contracts_dir()
    try:
        files = contract_files(place)
        digest = hashlib.sha256()
        for name, content in files.items():
            digest.update(name.encode() + b"\0" + content)
        said = documents(files)
        clauses, openapi, asyncapi = (said[name] for name in NAMES)
        schemas = {name.removeprefix("schemas/"): s for name, s in said.items() if name.startswith("schemas/")}
        return Contract(
            version=str(clauses["contract"]["version"]),
            digest=digest.hexdigest(),
            clauses=read_clauses(clauses),
            operations=read_operations(openapi),
            messages=read_messages(asyncapi),
            shapes=Shapes(schemas | operation_schemas(openapi)),
            causes=asyncapi["x-conformance"]["causes"],
            machines=asyncapi["x-conformance"]["machines"],
        )
    except (OSError, KeyError, ValueError, yaml.YAMLError) as error:
        raise ContractError(f"the contract in {place} cannot be read: {type(error).__name__}: {error}") from error
