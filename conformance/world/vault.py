"""Secrets that a backend gives out while it is judged. The timeline holds a name for each, so no report can leak it.

A name stands for the same secret wherever it comes: rules can tell a token that is given again from a new one, and a
saved case can be judged again.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS: Final = frozenset({"accesstoken", "refreshtoken", "devicecode", "token", "idtoken"})
"""Members of an answer that are secret, in lower case and without underscores."""
SHORTEST: Final = 6
"""A shorter text is no secret: to replace it everywhere would spoil the timeline."""
MOST: Final = 5000
DEEPEST: Final = 8


class Vault:
    """The secrets of a run, each under a name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._secrets: dict[str, str] = {}
        self._written: list[tuple[str, str]] = []
        """Every form in which a secret may be written, longest first, with its name."""

    def keep(self, kind: str, secret: str) -> str:
        """The name for a secret, the same each time."""
        if len(secret) < SHORTEST or secret in self._secrets:
            return secret
        if secret not in self._names and len(self._names) < MOST:
            name = f"sealed.{kind}.{len(self._names) + 1}"
            self._names[secret] = name
            self._secrets[name] = secret
            self._written += ((form, name) for form in _forms(secret))
            self._written.sort(key=lambda pair: -len(pair[0]))
        return self._names.get(secret, "sealed")

    def learn(self, value: Any) -> None:
        """Keeps every secret that a JSON value carries by name."""
        for kind, secret in _carried(value):
            self.keep(kind, secret)

    def sealed(self, text: str) -> str:
        """A text with names in place of secrets, however they are written in it."""
        for form, name in self._written:
            if form in text:
                text = text.replace(form, name)
        return text

    def opened(self, value: Any) -> Any:
        """A JSON value with secrets in place of names: what is really sent."""
        match value:
            case str():
                return self._secrets.get(value, value)
            case dict() if self._secrets:
                return {k: self.opened(v) for k, v in value.items()}
            case list() if self._secrets:
                return [self.opened(v) for v in value]
        return value


def _carried(value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    if depth > DEEPEST:
        return
    if isinstance(value, list):
        for inner in value:
            yield from _carried(inner, depth + 1)
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, str) and re.sub("[_-]", "", str(name)).lower() in SECRETS:
            yield re.sub("[^A-Za-z]", "", str(name)), inner
        else:
            yield from _carried(inner, depth + 1)


def _forms(secret: str) -> set[str]:
    """As it may be written: as it is, inside JSON, inside a URL."""
    inside = json.dumps(secret)[1:-1]
    return {secret, inside, inside.replace("/", "\\/"), quote(secret, safe="")}
