"""Signing and verifying JWTs: HS256 with the shared secret, RS256 and ES256 with keys of a JWKS."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import jwt

from reference_impl.auth.claims import PROVISION, principal_of
from reference_impl.auth.jwks import ALGORITHMS, NoKeys
from reference_impl.domain.errors import unauthorized

if TYPE_CHECKING:
    from reference_impl.auth import Principal
    from reference_impl.auth.jwks import Keys
    from reference_impl.clock import Clock
    from reference_impl.settings import Auth
    from reference_impl.store import UserStore

_ALGORITHM: Final = "HS256"
_ROOM: Final = 1_000
_LONGEST: Final = 4_096
"""How many tokens are remembered, and how long ones, in characters."""
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
    """Takes a token only under the one algorithm its key is for, so that `alg` confuses nobody (AUTH-1)."""

    def __init__(self, secret: str, settings: Auth, users: UserStore, clock: Clock, keys: Keys | None = None) -> None:
        self._secret = secret
        self._settings = settings
        self._users = users
        self._clock = clock
        self._keys = keys or NoKeys()
        self._good: dict[bytes, dict[str, Any]] = {}
        """Claims of tokens that the secret signed, for what was signed stays so; what they say is judged each time."""

    async def verify(self, token: str) -> Principal:
        """Say whose token it is."""
        claims = await self._claims(token)
        principal = principal_of(claims, self._clock.now_ms() / 1000)
        if claims.get(PROVISION) is True:
            await self._users.ensure(principal.user_id, principal.email)
        elif not await self._users.exists(principal.user_id):
            raise unauthorized("The token's subject is not known")
        return principal

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            digest = sha256(token.encode(errors="surrogatepass")).digest()
            claims = self._good.get(digest) or await self._signed(token, digest)
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

    async def _signed(self, token: str, digest: bytes) -> dict[str, Any]:
        algorithm, key = await self._key(token)
        claims: dict[str, Any] = jwt.decode(token, key, algorithms=[algorithm], options=_ONLY_SIGNATURE)
        if algorithm == _ALGORITHM and len(token) <= _LONGEST:
            if len(self._good) >= _ROOM:
                self._good.pop(next(iter(self._good)))
            self._good[digest] = claims
        return claims

    async def _key(self, token: str) -> tuple[str, Any]:
        """The algorithm and the key: the secret for HS256 alone, a public key for its own algorithm alone."""
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm == _ALGORITHM:
            return _ALGORITHM, self._secret
        if algorithm in ALGORITHMS and (key := await self._keys.find(algorithm, header.get("kid"))) is not None:
            return algorithm, key
        raise unauthorized("The token is signed in a way that opens nothing")


class Signer:
    """Makes the tokens that signing in gives (TOK-1, TOK-4)."""

    def __init__(self, secret: str, settings: Auth) -> None:
        self._secret = secret
        self._common = {"iss": settings.issuer, "aud": settings.audience}

    def sign(self, kind: str, now_s: int, ttl_s: float, **claims: str | None) -> str:
        """Sign a token.

        Args:
            kind: `access` or `refresh`; the second opens nothing (AUTH-1).
            now_s: the moment, in seconds since 1970.
            ttl_s: how long it lives.
            claims: what else it says; None is left out.
        """
        said = {"typ": kind, "iat": now_s, "exp": now_s + round(ttl_s), **self._common, **claims}
        return jwt.encode(
            {key: value for key, value in said.items() if value is not None}, self._secret, algorithm=_ALGORITHM
        )


def sign(secret: str, user: str, *, now_s: int, expires_in_s: int) -> str:
    """Make an access token that also lets the server make the user (`onsembl-reference token`)."""
    claims = {"sub": user, "iat": now_s, "exp": now_s + expires_in_s, "typ": "access", PROVISION: True}
    return jwt.encode(claims, secret, algorithm=_ALGORITHM)


def bearer(header: str | None) -> str | None:
    """Take the token out of an `Authorization` header; None when there is none or it is malformed."""
    scheme, _, token = (header or "").strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token and " " not in token else None
