"""The world of one case: its users and their actors, its timeline, and the end of waiting."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from conformance.world.link import Link
from conformance.world.recorder import Recorder
from conformance.world.user import User

if TYPE_CHECKING:
    from conformance.timeline import Timeline
    from conformance.world.site import Site


class World:
    """Everything a script may touch."""

    def __init__(self, site: Site, case: str, *, number: int = 0, seed: int = 0) -> None:
        self.site = site
        self.recorder = Recorder(site.contract, case=case)
        self.random = random.Random(f"{seed}/{case}")  # noqa: S311 - draws, not secrets
        self._prefix = f"cf.{site.run_id}.{number}"
        self._links: list[Link] = []
        self._users: dict[str, User] = {}
        self._ids = 0

    def user(self, index: int = 0) -> User:
        """The first, second … user of the run."""
        name = self.site.keyring.users[index]
        if name not in self._users:
            self._users[name] = User(self, name)
        return self._users[name]

    def new_id(self) -> str:
        """A fresh id, unlike any other of any run."""
        self._ids += 1
        return f"{self._prefix}.{self._ids}"

    def unknown_agent(self, agent_id: str = "") -> str:
        """The id of an agent that does not exist; rules know it from a note."""
        agent_id = agent_id or self.new_id()
        self.recorder.note("unknown-agent", agent=agent_id)
        return agent_id

    def new_link(self, role: str) -> Link:
        """A socket of this case."""
        link = Link(self.site, self.recorder, f"{role}-{len(self._links) + 1}")
        self._links.append(link)
        return link

    async def quiet(self) -> None:
        """Waits until nothing more can come: a fence on every open socket, then the settle time as measured."""
        await asyncio.gather(*(link.fence() for link in self._links))
        await asyncio.sleep(self.site.settle)
        self.recorder.note("quiet")

    async def close(self) -> None:
        """Ends every socket that is still open."""
        await asyncio.gather(*(link.close() for link in self._links if link.is_open))

    def timeline(self) -> Timeline:
        """What this case has recorded so far."""
        return self.recorder.timeline(self.site.terms)
