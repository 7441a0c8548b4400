"""Keeps secrets out of everything that is written: reports, saved cases, the terminal."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARK: Final = "***"
SHORTEST = 4
"""Shorter secrets are left alone: replacing every `a` would destroy the report and hide nothing."""

_JWT = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_USERINFO = re.compile(r"://[^/\s@\"'<>]+@")
_BEARER = re.compile(
    r"\b(bearer)(\s+|%20|\+)(?!(?:tokens?|auth\w*|schemes?|headers?|credentials?|errors?|realm|is|was|or|and)\b)"
    r"[^\s\"'\\,;<>]+",
    re.IGNORECASE,
)


class Redactor:
    """Replaces known secrets, JSON web tokens, bearer credentials and logins in URLs by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(MARK, text)
        text = _USERINFO.sub(f"://{MARK}@", _JWT.sub(MARK, text))
        return _BEARER.sub(rf"\1 {MARK}", text)

    def value(self, value: Any) -> Any:
        """A JSON value whose every string, also as a key, is without secrets."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(k)): self.value(v) for k, v in value.items()}
            case list() | tuple():
                return [self.value(v) for v in value]
        return value


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may be written: as it is, inside JSON, inside a URL."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="", errors="replace")
    yield quote_plus(secret, errors="replace")
