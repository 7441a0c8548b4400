"""Signing and verifying JWTs with the shared secret (HS256)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jwt

from reference_impl.auth.claims import PROVISION, principal_of
from reference_impl.domain.errors import unauthorized

if TYPE_CHECKING:
    from reference_impl.auth import Principal
    from reference_impl.clock import Clock
    from reference_impl.settings import Auth
    from reference_impl.store import UserStore

_ALGORITHM: Final = "HS256"
_ONLY_SIGNATURE: Final[Any] = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
    "enforce_minimum_key_length": False,
}


class JwtVerifier:
    """Takes HS256 and nothing else, so that `alg: none` opens nothing (AUTH-1)."""

    def __init__(self, secret: str, settings: Auth, users: UserStore, clock: Clock) -> None:
        self._secret = secret
        self._settings = settings
        self._users = users
        self._clock = clock

    async def verify(self, token: str) -> Principal:
        """Say whose token it is."""
        claims = self._claims(token)
        principal = principal_of(claims, self._clock.now_ms() / 1000)
        if claims.get(PROVISION) is True:
            await self._users.ensure(principal.user_id)
        elif not await self._users.exists(principal.user_id):
            raise unauthorized("The token's subject is not known")
        return principal

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(token, self._secret, algorithms=[_ALGORITHM], options=_ONLY_SIGNATURE)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise unauthorized("The token is malformed or its signature is wrong") from None
        wanted = self._settings
        if wanted.issuer is not None and claims.get("iss") != wanted.issuer:
            raise unauthorized("The token is from another issuer")
        if wanted.audience is not None:
            audience = claims.get("aud")
            if wanted.audience not in (audience if isinstance(audience, list) else [audience]):
                raise unauthorized("The token is for another audience")
        return claims


def sign(secret: str, user: str, *, now_s: int, expires_in_s: int) -> str:
    """Make an access token that also lets the server make the user (`onsembl-reference token`)."""
    claims = {"sub": user, "iat": now_s, "exp": now_s + expires_in_s, "typ": "access", PROVISION: True}
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def bearer(header: str | None) -> str | None:
    """Take the token out of an `Authorization` header; None when there is none or it is malformed."""
    scheme, _, token = (header or "").strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token and " " not in token else None
