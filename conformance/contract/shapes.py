"""Judges shapes: jsonschema-rs on every value, and jsonschema once more on each violation before anyone is told.

Two independent validators must agree that a value is wrong; where they do not, the fault is ours (`Disagreement`).
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jsonschema_rs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jsonschema.protocols import Validator

BASE = "https://onsembl.ai/contracts/1.0/schemas/"

IRI_GRAMMAR = "rfc3987_syntax"
"""jsonschema imports it where it finds it, for two formats that no schema of ours has: two seconds, at each start."""


@contextmanager
def _without(module: str) -> Iterator[None]:
    """As if a module that nobody has imported were not installed."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def load_second() -> tuple[Any, Any]:
    """The second validator and its formats, which takes long the first time: once something is wrong."""
    with _without(IRI_GRAMMAR):
        from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415
    return Draft202012Validator, FormatChecker


class Disagreement(Exception):  # noqa: N818 - it is what it says: two validators disagree
    """The two validators do not agree about a value: no verdict can rest on that."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a value breaks its schema."""

    pointer: str
    keyword: str
    expected: str
    got: Any


def _pointer(path: Any) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


WANTED: Mapping[str, Callable[[dict[str, Any]], str]] = {
    "type": lambda k: " or ".join(map(str, k["types"])),
    "enum": lambda k: " or ".join(map(str, k["options"])),
    "const": lambda k: str(k["expected_value"]),
    "pattern": lambda k: f"text like {k['pattern']}",
    "format": lambda k: f"a {k['format']}",
    "minimum": lambda k: f"at least {k['limit']}",
    "maximum": lambda k: f"at most {k['limit']}",
    "exclusiveMinimum": lambda k: f"more than {k['limit']}",
    "exclusiveMaximum": lambda k: f"less than {k['limit']}",
    "minLength": lambda k: f"at least {k['limit']} characters",
    "maxLength": lambda k: f"at most {k['limit']} characters",
    "minItems": lambda k: f"at least {k['limit']} items",
    "maxItems": lambda k: f"at most {k['limit']} items",
    "falseSchema": lambda _: "absent",
    "not": lambda _: "something else",
    "uniqueItems": lambda _: "no item twice",
}
"""Keyword → what it wants, in words, from the facts of the error."""


def _wanted(keyword: str, error: jsonschema_rs.ValidationError) -> str:
    words = WANTED.get(str(error.kind.name), WANTED.get(keyword))
    try:
        return words(error.kind.as_dict()) if words else str(error.message)
    except KeyError:  # an error that tells other facts than we know of is told in the validator's own words
        return str(error.message)


def _place(error: jsonschema_rs.ValidationError) -> tuple[str, str]:
    """Where a value breaks its schema, and by which keyword; of what is missing the place where it belongs."""
    keyword = str(error.schema_path[-1]) if error.schema_path else "schema"
    pointer = _pointer(error.instance_path)
    return f"{pointer}/{error.kind.as_dict()['property']}" if keyword == "required" else pointer, keyword


def _value_at(value: Any, path: Any) -> Any:
    for part in path:
        value = value[part]
    return value


class Shapes:
    """All schemas of the contract, compiled when first asked for."""

    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self.documents = schemas
        self._fast: dict[str, jsonschema_rs.Draft202012Validator] = {}
        self._checks: dict[str, Callable[[Any], bool]] = {}
        self._slow: dict[str, Validator] = {}

    @cached_property
    def _fast_registry(self) -> jsonschema_rs.Registry:
        return jsonschema_rs.Registry([(BASE + name, schema) for name, schema in self.documents.items()])

    def schema(self, name: str) -> Any:
        """The schema at `schemas/<name>`, as it is written."""
        return self.documents[name]

    def violations(self, name: str, value: Any) -> list[Violation]:
        """How `value` breaks the schema at `schemas/<name>`; empty when it does not. Raises `Disagreement`."""
        if self.accepts(name, value):
            return []
        found = self.suspected(name, value)
        slow = {(_pointer(e.absolute_path), str(e.validator)) for e in self._slow_validator(name).iter_errors(value)}
        if not slow:
            raise Disagreement(f"schemas/{name}: one validator refuses {value!r:.200}, the other accepts it")
        return found

    def suspected(self, name: str, value: Any) -> list[Violation]:
        """The same by the quick validator alone: whoever blames a backend for it asks for the `violations` first."""
        if self.accepts(name, value):
            return []
        return [self._violation(value, e) for e in self._fast_validator(name).iter_errors(value)]

    def broken(self, name: str, value: Any) -> set[tuple[str, str]]:
        """The places and keywords that a value breaks, by the quick validator alone: for counting, not for judging."""
        return {_place(error) for error in self._fast_validator(name).iter_errors(value)}

    def faults(self, name: str, value: Any) -> int:
        """In how many ways a value breaks its schema, by the quick validator alone."""
        return sum(1 for _ in self._fast_validator(name).iter_errors(value))

    def accepts(self, name: str, value: Any) -> bool:
        """Whether `value` fits the schema."""
        return (self._checks.get(name) or self._check(name))(value)

    def _check(self, name: str) -> Callable[[Any], bool]:
        check = self._checks[name] = self._fast_validator(name).is_valid
        return check

    @staticmethod
    def _violation(value: Any, error: jsonschema_rs.ValidationError) -> Violation:
        pointer, keyword = _place(error)
        if keyword == "required":
            return Violation(pointer, keyword, f"a field {error.kind.as_dict()['property']}", "nothing")
        return Violation(pointer, keyword, _wanted(keyword, error), _value_at(value, error.instance_path))

    def _fast_validator(self, name: str) -> jsonschema_rs.Draft202012Validator:
        if name not in self._fast:
            self._fast[name] = jsonschema_rs.Draft202012Validator(
                {"$ref": BASE + name}, validate_formats=True, registry=self._fast_registry
            )
        return self._fast[name]

    def _slow_validator(self, name: str) -> Validator:
        if name not in self._slow:
            make, formats = load_second()
            self._slow[name] = make({"$ref": BASE + name}, registry=self._slow_registry, format_checker=formats())
        return self._slow[name]

    @cached_property
    def _slow_registry(self) -> Any:
        from referencing import Registry, Resource  # noqa: PLC0415 - only once something is wrong

        registry: Registry[Any] = Registry()
        return registry.with_resources([(BASE + n, Resource.from_contents(s)) for n, s in self.documents.items()])
