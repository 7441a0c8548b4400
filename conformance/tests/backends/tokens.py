# ruff: noqa: INP001 -- a directory of scripts, not a package
"""Access tokens of the opponents: HS256, known subjects only (contract section 2)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import jwt

SECRET = os.environ.get("ONSEMBL_JWT_SECRET", "onsembl-development-secret-not-for-production")


class BadTokenError(Exception):
    """The token opens nothing."""


@dataclass(frozen=True)
class Claims:
    """What a good token says."""

    user: str
    expires: float


def mint(user: str, lifetime: float = 3600, **more: object) -> str:
    """A token as the contract describes it; `more` overrides claims."""
    now = int(time.time())
    return jwt.encode({"sub": user, "iat": now, "exp": now + lifetime, "typ": "access", **more}, SECRET, "HS256")


def check(token: str | None, users: frozenset[str]) -> Claims:
    """The claims of an access token of a known user; everything AUTH-1 names is refused."""
    if not token:
        raise BadTokenError("no token")
    try:
        claims = jwt.decode(
            token, SECRET, algorithms=["HS256"], options={"require": ["exp", "sub"], "verify_aud": False}
        )
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise BadTokenError(type(error).__name__) from error
    if claims.get("typ") != "access" or claims["sub"] not in users:
        raise BadTokenError("not an access token of a known user")
    return Claims(claims["sub"], float(claims["exp"]))


def from_header(value: str | None) -> str | None:
    """The token of an `Authorization` header, None if it is absent or malformed."""
    scheme, _, token = (value or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
