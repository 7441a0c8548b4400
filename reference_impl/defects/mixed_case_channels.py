"""REST says statuses and types in upper case, the sockets in lower case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.defects._shapes import presenting
from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.events import Body


class _LowerSockets(Through):
    def status(self, *facts: Any) -> Body:
        return _lower(self.inner.status(*facts))

    def snapshot(self, *facts: Any) -> Body:
        body = self.inner.snapshot(*facts)
        return {**body, "agents": [_lower(item) for item in body["agents"]]}

    def connected(self, *facts: Any) -> Body:
        return _lower(self.inner.connected(*facts))


def _lower(body: Body) -> Body:
    words = {"status", "type", "agentType"}
    return {key: value.lower() if key in words else value for key, value in body.items()}


DEFECT = Replacing(
    "mixed-case-channels", ("CASE-1", "CNS-1"), "REST upper case, sockets lower case", presenting(_LowerSockets)
)
