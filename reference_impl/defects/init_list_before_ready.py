"""dashboard:connected comes before DASHBOARD_READY."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference_impl.defects._steps import speaking
from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.events import Body


class _Hasty(Through):
    ready: Any = None

    def send(self, type: str, payload: Body) -> None:  # noqa: A002 - the word of the envelope
        if type == "DASHBOARD_READY":
            self.ready = payload
            return
        self.inner.send(type, payload)
        if type == "dashboard:connected":
            self.inner.send("DASHBOARD_READY", self.ready)


DEFECT = Replacing(
    "init-list-before-ready",
    ("DSH-1",),
    "dashboard:connected before DASHBOARD_READY",
    speaking("DASHBOARD_INIT", _Hasty),
)
