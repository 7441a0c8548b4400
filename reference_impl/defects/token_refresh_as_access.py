"""A refresh token opens the API."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import jwt

from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.auth import Principal


class _Typeless(Knowing):
    async def verify(self, token: str) -> Principal:
        secret = self.parts.settings.jwt_secret
        with suppress(jwt.PyJWTError, ValueError, RecursionError):
            claims = jwt.decode(token, secret, ["HS256"], {"verify_aud": False})
            if claims.get("typ") == "refresh":
                token = jwt.encode({**claims, "typ": "access"}, secret, "HS256")
        principal: Principal = await self.inner.verify(token)
        return principal


DEFECT = Replacing(
    "token-refresh-as-access",
    ("AUTH-1",),
    "A refresh token opens the API",
    lambda parts: replace(parts, verifier=_Typeless(parts.verifier, parts)),
)
