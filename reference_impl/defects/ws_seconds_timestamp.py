"""The timestamps of socket messages are in seconds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from reference_impl.defects._through import Replacing, Through

if TYPE_CHECKING:
    from reference_impl.domain.events import Body


class _Seconds(Through):
    def encode(self, type: str, payload: Body) -> str:  # noqa: A002 - the word of the envelope
        own = {} if type == "PONG" else {name: payload[name] // 1000 for name in _TIMES if name in payload}
        message = orjson.loads(self.inner.encode(type, {**payload, **own}))
        message["timestamp"] //= 1000
        return orjson.dumps(message).decode()


_TIMES = ("timestamp", "serverTime")

DEFECT = Replacing(
    "ws-seconds-timestamp",
    ("UNIT-1",),
    "Timestamps in seconds",
    lambda parts: replace(parts, codec=_Seconds(parts.codec)),
)
