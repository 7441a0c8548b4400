"""What a token's claims must say; pure, the time comes from outside (AUTH-1)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from reference_impl.auth import Principal
from reference_impl.domain.errors import unauthorized

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVISION: Final = "onsembl_provision"
"""Our own claim: the bearer may be made a user at first sight. Only who can sign tokens can say it."""
_LONGEST: Final = 255
_HALF: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair."""


def principal_of(claims: Mapping[str, Any], now_s: float) -> Principal:
    """Judge the claims of a token whose signature was good.

    Raises:
        Refusal: the token opens nothing.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not _is_name(subject):
        raise unauthorized("The token names no subject")
    if claims.get("typ") != "access":  # a refresh token opens nothing
        raise unauthorized("The token is not an access token")
    expires = _time(claims, "exp")
    if expires is None:
        raise unauthorized("The token has no expiry")
    if expires <= now_s:
        raise unauthorized("The token has expired", expired=True)
    if _time(claims, "iat") is None:
        raise unauthorized("The token does not say when it was issued")
    if (begins := _time(claims, "nbf")) is not None and begins > now_s:
        raise unauthorized("The token is not valid yet")
    return Principal(subject, expires, _text(claims, "email"), _text(claims, "sid"))


def _is_name(subject: str) -> bool:
    """Whether any database can hold it; JSON can say texts that none can."""
    return 0 < len(subject) <= _LONGEST and "\0" not in subject and not _HALF.search(subject)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and _is_name(value) else None


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise unauthorized(f"The token's {name} is not a time")
    return value
