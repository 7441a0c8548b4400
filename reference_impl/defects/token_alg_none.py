"""An unsigned token is accepted."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import jwt

from reference_impl.auth.claims import principal_of
from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.auth import Principal


class _Trusting(Through):
    async def verify(self, token: str) -> Principal:
        try:
            whole = jwt.decode_complete(token, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError, RecursionError):
            whole = {"header": {}}
        if whole["header"].get("alg") == "none":
            return principal_of(whole["payload"], time.time())
        principal: Principal = await self.inner.verify(token)
        return principal


DEFECT = Replacing(
    "token-alg-none",
    ("AUTH-1",),
    "An unsigned token is accepted",
    lambda parts: replace(parts, verifier=_Trusting(parts.verifier)),
)
