"""Messages put together from enumerated ones: members of several right payloads, other values, then one that is wrong.

The enumeration walks each keyword once, beside the fewest other members. Here the same values meet each other, in
numbers: what a backend does with a fault may depend on what else is said. The same seed gives the same payloads.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from conformance.contract.shapes import Shapes

PATIENCE = 3
"""Draws for each payload that is wanted: a schema with few members has few of them."""
ADDED = ("", "a", " b", "é", "😀", "0", "-", "\n")
LARGEST = 1000


@dataclass(frozen=True, slots=True)
class Stock:
    """What payloads of one schema are put together from."""

    shapes: Shapes
    schema: str
    valid: Sequence[Mapping[str, Any]]
    broken: Sequence[Any]
    kept: Collection[str] = frozenset()
    """Members whose values stay as they are: the conversation puts its own there."""

    def right(self, count: int, seed: str) -> list[Mapping[str, Any]]:
        """Up to so many payloads that keep the schema, none twice and none of those given."""
        rng = random.Random(seed)  # noqa: S311 - draws, not secrets

        def fits(made: Mapping[str, Any]) -> bool:
            return self.shapes.accepts(self.schema, made)

        return list(_unlike(lambda: self._mixed(rng), fits, self.valid, count))

    def wrong(self, count: int, seed: str) -> list[Mapping[str, Any]]:
        """Up to so many payloads that break one keyword in one place, none twice and none of those given."""
        rng = random.Random(seed)  # noqa: S311 - draws, not secrets
        faults = [(payload, name) for payload in self.broken if (name := self._place(payload))]

        def draw() -> Mapping[str, Any]:
            made = self._mixed(rng)
            payload, name = rng.choice(faults)
            if name in payload:
                made[name] = payload[name]
            else:
                made.pop(name, None)
            return made

        def fits(made: Mapping[str, Any]) -> bool:
            return self.shapes.faults(self.schema, made) == 1

        return list(_unlike(draw, fits, self.broken, count)) if faults else []

    def _mixed(self, rng: random.Random) -> dict[str, Any]:
        """A right payload with some members of another, and one value that none has."""
        one, other = rng.choice(self.valid), rng.choice(self.valid)
        made = {**one, **{name: value for name, value in other.items() if rng.getrandbits(1)}}
        if names := [name for name in made if name not in self.kept]:
            name = rng.choice(names)
            varied = {**made, name: _varied(rng, made[name])}
            if self.shapes.accepts(self.schema, varied):
                return varied
        return made

    def _place(self, payload: Any) -> str:
        """The member in which a payload is wrong; empty where it is wrong as a whole."""
        if not isinstance(payload, dict):
            return ""
        first = next((pointer.split("/")[1:2] for pointer, _ in self.shapes.broken(self.schema, payload)), [])
        return first[0].replace("~1", "/").replace("~0", "~") if first else ""


def _varied(rng: random.Random, value: Any) -> Any:
    """Another value of the same kind."""
    other = value
    match value:
        case bool():
            other = not value
        case int():
            other = rng.randrange(LARGEST)
        case float():
            other = round(rng.random() * LARGEST, 2)
        case str():
            other = value + rng.choice(ADDED) + rng.choice(ADDED)
        case dict() if value:
            name = rng.choice(list(value))
            other = {**value, name: _varied(rng, value[name])}
        case list() if value:
            other = [*value, _varied(rng, rng.choice(value))]
    return other


def _unlike(
    draw: Callable[[], Mapping[str, Any]], fits: Callable[[Mapping[str, Any]], bool], given: Sequence[Any], count: int
) -> Iterator[Mapping[str, Any]]:
    """What is drawn and fits, without what was there before; each is looked at once."""
    seen = {_written(payload) for payload in given}
    found = 0
    for _ in range(PATIENCE * count):
        made = draw()
        if (text := _written(made)) in seen:
            continue
        seen.add(text)
        if not fits(made):
            continue
        yield made
        found += 1
        if found == count:
            return


def _written(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
