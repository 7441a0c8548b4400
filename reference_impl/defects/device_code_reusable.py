"""A device code can be redeemed twice."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.defects._through import Replacing, Through


class _Forgetful(Through):
    async def redeem(self, device: str, now: int) -> str | None:
        grant = await self.inner.grant(device)
        return grant.user_id if grant is not None and grant.expires_at > now else None


DEFECT = Replacing(
    "device-code-reusable",
    ("TOK-1", "TOK-5"),
    "A device code can be redeemed twice",
    lambda parts: replace(parts, accounts=_Forgetful(parts.accounts)),
)
