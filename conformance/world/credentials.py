"""Tokens: good ones for each user, and the bad ones that a backend must refuse (AUTH-1, WSA-1)."""

from __future__ import annotations

import base64
import hmac
import time
from typing import TYPE_CHECKING, Any

import jwt
import orjson

from conformance.target import DEVELOPMENT_SECRET, DEVELOPMENT_USERS, Target
from conformance.timeline import VALID

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR = 3600
FRESH = 60
"""Seconds for which a token that was signed is given out again."""
GROUP = 3
"""Users that a case may need at most."""
FROM_JWT = ("bad-signature", "alg-none", "alg-none-cased", "empty-key")
WITHOUT_KEY = ("none", "malformed", "not-a-token", *FROM_JWT)
"""Bad credentials that can be made from a good token alone."""
WITH_KEY = ("expired", "not-yet-valid", "unknown-subject", "refresh")
"""Bad credentials that only the holder of the signing key can make."""


class Keyring:
    """The users of a run and whatever opens the target for them, or should not."""

    def __init__(self, target: Target) -> None:
        self._claims = target.claims
        self._secret = target.jwt_secret
        self._signed: dict[str, tuple[int, str]] = {}
        """User → when the last token was signed, and the token: a run asks for thousands."""
        if target.tokens:
            self._tokens = dict(zip(_names(target.tokens), target.tokens, strict=True))
            self.users: tuple[str, ...] = tuple(self._tokens)
        else:
            self._tokens = {}
            self.users = target.users or DEVELOPMENT_USERS
            if not self._secret and target.is_loopback:
                self._secret = DEVELOPMENT_SECRET

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The users in threes, each enough for any case; all in one group where they are fewer than six."""
        threes = tuple(self.users[i : i + GROUP] for i in range(0, len(self.users) - GROUP + 1, GROUP))
        return threes if len(threes) > 1 else (self.users,)

    @property
    def can_sign(self) -> bool:
        """Whether expired, foreign and other signed tokens can be made."""
        return bool(self._secret)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to open the target with."""
        return not self._tokens and not self._secret

    @property
    def kinds(self) -> tuple[str, ...]:
        """The bad credentials this keyring can make."""
        makeable = [k for k in WITHOUT_KEY if k not in FROM_JWT or self._is_jwt()]
        return (*makeable, *(WITH_KEY if self.can_sign else ()))

    def _is_jwt(self) -> bool:
        return self.token(self.users[0]).count(".") == 2  # noqa: PLR2004 - header, claims, signature

    def subject(self, user: str) -> str | None:
        """The user's id as the backend knows it; None when an opaque token hides it."""
        return subject(self._tokens[user]) if user in self._tokens else user

    def token(self, user: str, lifetime: float = HOUR) -> str:
        """A good token of a user."""
        if user in self._tokens:
            return self._tokens[user]
        now = int(time.time())
        if lifetime != HOUR:
            return self._sign(user, exp=int(now + lifetime))
        signed, token = self._signed.get(user, (0, ""))
        if now >= signed + FRESH:
            self._signed[user] = now, (token := self._sign(user, exp=now + HOUR))
        return token

    def credential(self, kind: str, user: str) -> str | None:
        """The token for a kind of credential; None for none at all."""
        if kind == VALID:
            return self.token(user)
        return getattr(self, "_" + kind.replace("-", "_"))(user)  # type: ignore[no-any-return]

    def _none(self, _user: str) -> None:
        return None

    def _malformed(self, _user: str) -> str:
        return ""

    def _not_a_token(self, _user: str) -> str:
        return "not-a-token"

    def _bad_signature(self, user: str) -> str:
        head, claims, signature = self.token(user).split(".")
        middle = len(signature) // 2
        other = "A" if signature[middle] != "A" else "B"
        return f"{head}.{claims}.{signature[:middle]}{other}{signature[middle + 1 :]}"

    def _alg_none(self, user: str) -> str:
        return self._headed("none", user) + "."

    def _alg_none_cased(self, user: str) -> str:
        return self._headed("nOnE", user) + "."

    def _empty_key(self, user: str) -> str:
        """By hand: libraries refuse to sign with nothing, and some backends check with nothing."""
        signed = self._headed("HS256", user)
        return f"{signed}.{_base64(hmac.digest(b'', signed.encode(), 'sha256'))}"

    def _headed(self, algorithm: str, user: str) -> str:
        """The claims of a user's good token under a header of our own, not yet signed."""
        return f"{_base64(orjson.dumps({'alg': algorithm, 'typ': 'JWT'}))}.{self.token(user).split('.')[1]}"

    def _expired(self, user: str) -> str:
        return self._sign(user, iat=int(time.time()) - 2 * HOUR, exp=int(time.time()) - HOUR)

    def _not_yet_valid(self, user: str) -> str:
        return self._sign(user, nbf=int(time.time()) + HOUR, exp=int(time.time()) + 2 * HOUR)

    def _unknown_subject(self, _user: str) -> str:
        return self._sign("conformance-nobody-d41d8cd9")

    def _refresh(self, user: str) -> str:
        return self._sign(user, typ="refresh")

    def _sign(self, subject: str, **claims: Any) -> str:
        now = int(time.time())
        right: Mapping[str, Any] = {"sub": subject, "iat": now, "exp": now + HOUR, "typ": "access", **self._claims}
        return jwt.encode({**right, **claims}, self._secret, algorithm="HS256")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def subject(token: str) -> str | None:
    """The `sub` of a JWT, read without checking it; None for other tokens."""
    try:
        value = jwt.decode(token, options={"verify_signature": False}).get("sub")
    except jwt.InvalidTokenError:
        return None
    return value if isinstance(value, str) else None


def _names(tokens: tuple[str, ...]) -> list[str]:
    """One distinct name for each token: its subject where that tells them apart."""
    names = [subject(t) or f"user-{i}" for i, t in enumerate(tokens, 1)]
    return names if len(set(names)) == len(names) else [f"user-{i}" for i, _ in enumerate(tokens, 1)]
