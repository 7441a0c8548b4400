"""A command whose agent is lost while it executes stays EXECUTING for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_impl.defects._steps import commanding
from reference_impl.defects._through import Knowing, Replacing

if TYPE_CHECKING:
    from reference_impl.domain.agents import Agent


class _Careless(Knowing):
    async def lost(self, agent: Agent) -> None:
        """Nothing follows for its commands."""


DEFECT = Replacing(
    "command-orphaned", ("CMD-8",), "The agent is lost, its command EXECUTING for ever", commanding(_Careless)
)
