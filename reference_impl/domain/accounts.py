"""Signing in: addresses, sessions and the device grant of RFC 8628, as values and pure steps (TOK-1..5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from reference_impl.domain.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_QUOTED: Final = r'"(?:[ !#-\[\]-~]|\\[ -~])*"'
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LITERAL: Final = r"\[[0-9A-Za-z.:]+\]"
_EMAIL: Final = re.compile(rf"(?P<local>{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@(?:{_LABEL}(?:\.{_LABEL})*|{_LITERAL})")
_LONGEST: Final = 254
_LONGEST_LOCAL: Final = 64

_CODE_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Consonants that cannot be taken for each other, nor spell a word (RFC 8628, 6.1)."""
_CODE_LENGTH: Final = 8
_SLOWER_MS: Final = 5_000
"""What each `slow_down` adds to the interval (RFC 8628, 3.5)."""
_EARLY_MS: Final = 500
"""How much too early a poll may seem because the network was quicker this time than last."""


def is_email(text: str) -> bool:
    """Whether the text is an address as RFC 5321 writes them."""
    found = _EMAIL.fullmatch(text)
    return found is not None and len(text) <= _LONGEST and len(found["local"]) <= _LONGEST_LOCAL


def address_of(user_id: str, domain: str) -> str | None:
    """The address of a user of a development server, where the id can be the first half of one."""
    address = f"{user_id}@{domain}".lower()
    return address if is_email(address) else None


class Rotation(Enum):
    """How a refresh token that cannot be used any more is refused (TOK-1)."""

    UNKNOWN = auto()
    """Invented, expired, or of a session that was revoked."""
    REUSED = auto()
    """Used before: somebody has a copy, so its whole family was revoked."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in of a user, as long as its refresh tokens follow each other."""

    id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as it is kept: its SHA-256 and when it ends, in ms since 1970."""

    hash: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class DeviceGrant:
    """A device that wants to sign in (RFC 8628); times in ms."""

    device_hash: str
    user_hash: str
    expires_at: int
    interval_ms: int
    polled_at: int | None = None
    user_id: str | None = None
    """Who approved it; None as long as nobody has."""


def user_code(choose: Callable[[str], str]) -> str:
    """Make a code that a person can read and type, such as `WDJB-MJHT`; `choose` picks a letter."""
    letters = "".join(choose(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def typed_code(text: str) -> str:
    """The code that a person meant, whatever case and dashes they typed (RFC 8628, 6.1)."""
    return re.sub(r"[^A-Z]", "", text.upper())


def refused_poll(grant: DeviceGrant | None, now: int) -> Refusal | None:
    """Say why a poll gets no tokens; None when the device was approved (RFC 8628, 3.5).

    Args:
        grant: what the device code stands for.
        now: ms since 1970.
    """
    if grant is None:
        return grant_refusal("invalid_grant")
    if grant.expires_at <= now:
        return grant_refusal("expired_token")
    if grant.user_id is not None:
        return None
    return grant_refusal("slow_down" if too_soon(grant, now) else "authorization_pending")


def too_soon(grant: DeviceGrant, now: int) -> bool:
    """Whether the device asked again before its interval was over."""
    early = min(_EARLY_MS, grant.interval_ms // 10)
    return grant.polled_at is not None and now - grant.polled_at < grant.interval_ms - early


def next_interval(grant: DeviceGrant, now: int) -> int:
    """The interval from now on, in ms: longer for one who asked too soon."""
    return grant.interval_ms + (_SLOWER_MS if too_soon(grant, now) else 0)


def grant_refusal(error: str) -> Refusal:
    """The RFC's own error code, as the sentence, so that its clients find it (TOK-5)."""
    return Refusal(error.upper(), error, status=400)
