"""Requests beside the schemas of their operations: what breaks them, what keeps them, where the contract is open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.remembered import remembered
from conformance.resources import is_known, resource_of
from conformance.rest_views import is_plain_json, judged
from conformance.timeline import MISSING, VALID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.contract import Contract, Operation
    from conformance.contract.shapes import Violation
    from conformance.timeline import Exchange, Timeline

ELSEWHERE = frozenset({"listAgents", "renameAgent"})
"""Judged with more words in `rest_validation`."""
FREE = frozenset({"pollDeviceToken", "confirmDevice", "verifyMagicLink", "refreshTokens", "authorizeDevice"})
"""Operations that may refuse a well-formed request with 400: its token, code or client is not good."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\Z")


class Fault(NamedTuple):
    """One way in which a request breaks its operation's schema."""

    part: str
    """body or query"""
    pointer: str
    expected: str


class Asked(NamedTuple):
    """A request that can be judged: it breaks the schema, or it keeps it in all its parts."""

    e: Exchange
    operation: Operation
    faults: tuple[Fault, ...]
    """By the quick validator alone; whoever makes a finding of them asks `confirm` first."""

    def confirm(self, contract: Contract) -> None:
        """Raises `Disagreement` where the second validator has nothing against what the first refuses."""
        _faults(contract, self.operation, self.e, contract.violations)


@remembered
def asked(t: Timeline) -> Iterator[Asked]:
    """Requests with a body or a query, of a user for what is there, whose rightness is beyond doubt."""
    for e in judged(t, credential=None):
        operation = t.contract.operations.get(e.operation or "")
        if operation is None or operation.id in ELSEWHERE or not operation.under_base:
            continue
        if operation.secured and e.credential != VALID:
            continue
        faults = _faults(t.contract, operation, e, t.contract.shapes.suspected)
        if faults is not None and _is_there(t, e):
            yield Asked(e, operation, faults)


def right_or_wrong(contract: Contract, e: Exchange) -> bool | None:
    """Whether a request keeps its operation's schema in body and query; None where the contract leaves it open."""
    operation = contract.operations.get(e.operation or "")
    faults = _faults(contract, operation, e, contract.violations) if operation else None
    return None if faults is None else not faults


def may_be_refused(e: Exchange) -> bool:
    """Whether a request that keeps the schema may be answered 400 all the same."""
    both = isinstance(e.request, dict) and e.request.get("broadcast") is True and e.request.get("targetAgents")
    return e.operation in FREE or bool(both) or {"from", "to"} <= e.query.keys()


def _is_there(t: Timeline, e: Exchange) -> bool:
    return resource_of(e) is None or is_known(t, e)


def _faults(
    contract: Contract, operation: Operation, e: Exchange, violations: Callable[[str, Any], list[Violation]]
) -> tuple[Fault, ...] | None:
    """What is wrong with a request; None where it says nothing that could be, or the contract leaves it open."""
    body = operation.body and e.request is not MISSING
    if body and not is_plain_json(e):
        return None
    if not body and not operation.query.keys() & e.query.keys():
        return None
    found: list[Fault] = []
    if body:
        found += [Fault("body", v.pointer, v.expected) for v in violations(operation.body, e.request)]
        if not found and not all(map(_is_ordinary, _texts(e.request))):
            return None
    for name in operation.query.keys() & e.query.keys():
        verdict = _judged(contract, operation.query[name], e.query[name], violations)
        if verdict is None:
            return None
        found += [Fault("query", f"/{name}", verdict)] if verdict else []
    return tuple(found)


def _judged(
    contract: Contract, schema: str, text: str, violations: Callable[[str, Any], list[Violation]]
) -> str | None:
    """What a query value should be instead; empty when it is right, None where the contract leaves it open."""
    value: Any = int(text) if re.fullmatch(r"-?\d{1,15}", text) and str(int(text)) == text else text
    right = contract.samples.right(schema)
    if isinstance(right, int):
        if isinstance(value, str) and not text.isalpha():
            return None
    else:
        value = text
        if not text or not _is_ordinary(text) or _differs_in_case(contract, schema, text):
            return None
        if _is_moment(right) and re.search(r"\d", text) and not MOMENT.match(text):
            return None
    return next((v.expected for v in violations(schema, value)), "")


def _differs_in_case(contract: Contract, schema: str, text: str) -> bool:
    """Whether only its case keeps a word from being right: a kind backend may take it."""
    accepts = contract.shapes.accepts
    return not accepts(schema, text) and any(accepts(schema, other) for other in (text.upper(), text.lower()))


def _is_moment(right: object) -> bool:
    return isinstance(right, str) and bool(MOMENT.match(right))


def _is_ordinary(text: str) -> bool:
    return all(c.isprintable() or c in "\n\t\r" for c in text)


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield str(key)
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, without the names of its members."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
