"""After a restart of the server agents stay ONLINE without sockets."""

from __future__ import annotations

from dataclasses import replace

from reference_impl.defects._through import Replacing, Through


class _Hopeful(Through):
    async def all_offline(self, _now: int) -> int:
        return 0


DEFECT = Replacing(
    "restart-keeps-online",
    ("CON-7",),
    "After a server restart agents stay ONLINE without sockets",
    lambda parts: replace(parts, agents=_Hopeful(parts.agents)),
)
