"""Two sockets of one agent both get each command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reference_impl.defects._through import Replacing
from reference_impl.live.session import AgentLink

if TYPE_CHECKING:
    from reference_impl.domain.events import Body
    from reference_impl.parts import Parts


def _apply(parts: Parts) -> Parts:
    sockets: dict[str, dict[AgentLink, None]] = {}

    class Shared(AgentLink):
        def __init__(self, agent_id: str, *rest: Any) -> None:
            super().__init__(agent_id, *rest)
            sockets.setdefault(agent_id, {})[self] = None

        def replaced(self) -> None:
            """Stay."""

        def rest(self) -> None:
            super().rest()
            sockets.get(self.agent_id, {}).pop(self, None)

        def send(self, type: str, payload: Body) -> None:  # noqa: A002 - the word of the envelope
            for link in sockets.get(self.agent_id, ()):
                AgentLink.send(link, type, payload)

    return replace(parts, make_link=Shared)


DEFECT = Replacing("two-sockets-both-served", ("CON-4",), "Two sockets of one agent both get each command", _apply)
