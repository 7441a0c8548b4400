"""Keys of another issuer, from a JWKS in a file or behind a URL (contract section 2).

Only public RSA and P-256 keys are taken, each for the one algorithm it is made for. A shared secret
in the set, or a token that names another algorithm than its key's, opens nothing.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import jwt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reference_impl.clock import Clock
    from reference_impl.logs import Log

_KINDS: Final[Mapping[str, Mapping[str, str]]] = {
    "RS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
}
ALGORITHMS: Final = frozenset(_KINDS)
_FRESH_S, _PATIENCE_S, _TIMEOUT_S = 600.0, 10.0, 5.0
"""How long a set counts as new, how soon it may be asked for again, how long that may take."""
_LARGEST: Final = 1024 * 1024


class Keys(Protocol):
    """Finds the key that a token names."""

    async def find(self, algorithm: str, name: str | None) -> Any:
        """The public key for `RS256` or `ES256`, or None; `name` is the token's `kid`."""


class NoKeys:
    """Where no JWKS is set: only the shared secret signs."""

    async def find(self, algorithm: str, name: str | None) -> Any:  # noqa: ARG002
        """None."""
        return None


class JwkSet:
    """A JWKS that is read when it is needed, and again when it is old or lacks a key."""

    def __init__(self, source: Callable[[], bytes], clock: Clock, log: Log) -> None:
        self._source = source
        self._clock = clock
        self._log = log
        self._keys: list[Mapping[str, Any]] = []
        self._asked = float("-inf")
        self._turn = asyncio.Lock()

    async def find(self, algorithm: str, name: str | None) -> Any:
        """The key of that name, or the only one of its kind where the token names none."""
        found = self._known(algorithm, name)
        if found is None or self._due(_FRESH_S):
            async with self._turn:  # also to wait for who is reading it already
                if self._due(_PATIENCE_S):
                    await self._read()
            found = self._known(algorithm, name)
        return found

    def _due(self, after_s: float) -> bool:
        return self._clock.monotonic() - self._asked >= after_s

    def _known(self, algorithm: str, name: str | None) -> Any:
        fitting = [key for key in self._keys if _fits(key, algorithm) and (name is None or key.get("kid") == name)]
        return jwt.PyJWK(dict(fitting[0]), algorithm).key if len(fitting) == 1 else None

    async def _read(self) -> None:
        """Read the set; one that cannot be read leaves the keys that are known."""
        self._asked = self._clock.monotonic()
        try:
            said = json.loads(await asyncio.to_thread(self._source))
            self._keys = [key for key in said["keys"] if any(_usable(key, algorithm) for algorithm in _KINDS)]
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._log.warning("jwks_not_read", error=repr(error))


def from_file(path: str) -> Callable[[], bytes]:
    """Read a set from a file."""
    return lambda: Path(path).read_bytes()


def from_url(url: str) -> Callable[[], bytes]:
    """Read a set from an HTTP or HTTPS URL.

    Raises:
        ValueError: it is another kind of URL.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError("A JWKS URL begins with http:// or https://")

    def ask() -> bytes:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - looked at above
            body: bytes = answer.read(_LARGEST)
            return body

    return ask


def _fits(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether the key is for this algorithm, and for signatures."""
    kind = all(key.get(name) == value for name, value in _KINDS[algorithm].items())
    return kind and key.get("alg", algorithm) == algorithm and key.get("use", "sig") == "sig"


def _usable(key: Mapping[str, Any], algorithm: str) -> bool:
    """Whether it is a whole key of the kind; what is broken or private to somebody is left out."""
    if not isinstance(key, dict) or not _fits(key, algorithm):
        return False
    try:
        return jwt.PyJWK(dict(key), algorithm).key is not None
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
