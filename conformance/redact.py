"""Keeps secrets out of everything that is written: reports, saved cases, the terminal."""

from __future__ import annotations

import base64
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MARK: Final = "***"
SHORTEST = 4
"""Shorter secrets are left alone: replacing every `a` would destroy the report and hide nothing."""

WINDOW: Final = 12
"""Of a secret as long as this or longer, no part of this length is left either: texts are cut before they come here."""
STRIDE: Final = 6
DEEPEST: Final = 128
"""Levels of a value that are walked; what is below them is left out."""
SHORTEST_ENCODED: Final = 6
REMEMBERED: Final = 128
"""Characters up to which a text is looked at once: names and values of fields come again and again."""

_JWT = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|eyJ[A-Za-z0-9_.-]{13,}")
_USERINFO = re.compile(r"://[^/\s@\"'<>]+@")
_BEARER = re.compile(
    r"\b(bearer)(\s+|%20|\+)(?!(?:tokens?|auth\w*|schemes?|headers?|credentials?|errors?|realm|is|was|or|and)\b)"
    r"[^\s\"'\\,;<>]+",
    re.IGNORECASE,
)


class Redactor:
    """Replaces known secrets and long parts of them, web tokens, bearer credentials and logins in URLs by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
        short = sorted((form for form in forms if len(form) < WINDOW), key=lambda form: (-len(form), form))
        self._short = re.compile("|".join(map(re.escape, short))) if short else None
        self._windows = {form[i : i + WINDOW] for form in forms for i in range(len(form) - WINDOW + 1)}
        grams = (window[i : i + WINDOW - STRIDE + 1] for window in self._windows for i in range(STRIDE))
        self._grams = set(grams)
        self._known = lru_cache(maxsize=4096)(self._without_secrets)

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self._known(text) if len(text) <= REMEMBERED else self._without_secrets(text)

    def _without_secrets(self, text: str) -> str:
        """Each expression is tried only where the letters are that it cannot do without: most texts have none."""
        text = self._without_parts(text)
        if self._short is not None:
            text = self._short.sub(MARK, text)
        if "eyJ" in text:
            text = _JWT.sub(MARK, text)
        if "://" in text:
            text = _USERINFO.sub(f"://{MARK}@", text)
        return _BEARER.sub(rf"\1 {MARK}", text) if "bearer" in text.lower() else text

    def binary(self, data: bytes) -> bytes:
        """The same for bytes, whatever they are."""
        return self.text(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def value(self, value: Any, depth: int = 0) -> Any:
        """A JSON value whose every string, also as a key, is without secrets."""
        match value:
            case str():
                return self.text(value)
            case dict() | list() | tuple() if depth >= DEEPEST:
                return "…"
            case dict():
                return {self.text(str(k)): self.value(v, depth + 1) for k, v in value.items()}
            case list() | tuple():
                return [self.value(v, depth + 1) for v in value]
        return value

    def _without_parts(self, text: str) -> str:
        """Every window of a secret holds one of its shorter grams at a multiple of STRIDE: only those are looked up."""
        if not self._grams or len(text) < WINDOW:
            return text
        width = WINDOW - STRIDE + 1
        hits = [i for i in range(0, len(text) - width + 1, STRIDE) if text[i : i + width] in self._grams]
        starts = (j for i in hits for j in range(max(0, i - STRIDE + 1), i + 1))
        parts: list[str] = []
        kept = masked = 0
        for start in starts:
            if text[start : start + WINDOW] not in self._windows:
                continue
            if start > masked or not masked:
                parts += (text[kept:start], MARK)
            kept = masked = start + WINDOW
        return "".join((*parts, text[kept:])) if parts else text


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may be written: as it is, inside JSON, inside a URL, as Python shows it, in base64."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret)[1:-1].replace("/", "\\/")
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    for quoted in (quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # bytes of something else in front of it, in the same group of three
            raw = b"\0" * before + secret.encode(errors="replace")
            form = encode(raw).decode().rstrip("=")[(0, 2, 3)[before] :]
            form = form[:-1] if len(raw) % 3 else form  # the last one depends on what follows
            if len(form) >= SHORTEST_ENCODED:
                yield form
