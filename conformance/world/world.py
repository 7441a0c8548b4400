"""The world of one case: its users and their actors, its timeline, and the end of waiting."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from conformance.launch import HeldError
from conformance.rim import as_json
from conformance.timeline import MISSING, Note
from conformance.world.aside import Aside, Pourer, SlowDashboard
from conformance.world.command import CommandError, printed
from conformance.world.estate import Estate, make_estate
from conformance.world.link import Link
from conformance.world.recorder import Recorder
from conformance.world.sign_in import Device, Session, mailed_token, new_device, new_session, session_of
from conformance.world.site import CROWD
from conformance.world.user import User

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Coroutine, Iterable

    from conformance.timeline import Exchange, Timeline
    from conformance.world.site import Site

TICK, PAUSE = 0.005, 0.01
"""How often pauses of the tester are looked for, and from how many seconds on they are noted."""
GONE_SECONDS = 5.0
"""Within which every socket to a restarted backend has ended."""
SEEN = 0.05
"""Seconds by which a case goes on after what it waits for is late."""


NODES = ("node-1", "node-2")
LIMITED = "limited"
OWN = "own"


class World:
    """Everything a script may touch."""

    def __init__(  # noqa: PLR0913 - the facts of a case, by name
        self,
        site: Site,
        case: str,
        *,
        number: int = 0,
        seed: int = 0,
        heavy: bool = False,
        users: tuple[str, ...] = (),
    ) -> None:
        self.site = site
        self.users = users or site.keyring.groups[0]
        """Who the first, second … user of the case is."""
        self.recorder = Recorder(site.contract, case=case, heavy=heavy)
        self.random = random.Random(f"{seed}/{case}")  # noqa: S311 - draws, not secrets
        self._prefix = f"cf.{site.run_id}.{number}"
        self._links: list[Link] = []
        self._asides: list[Aside] = []
        self._users: dict[tuple[str, str], User] = {}
        self._ids = 0
        self._held = site.target.held
        self._beside: list[asyncio.Task[None]] = []

    def user(self, index: int = 0, node: str = "") -> User:
        """The first, second … user of the case, on the target or on one of its nodes (see `nodes`)."""
        name = self.users[index]
        if (name, node) not in self._users:
            self._users[name, node] = User(self, name, node)
        return self._users[name, node]

    async def nodes(self) -> tuple[str, str] | None:
        """The names of two nodes that serve the same users, for `user`; None, and a wait in vain, without them.

        Bundled nodes have a store of their own: a case that speaks to nodes speaks to nothing else.
        """
        site = self.site
        if NODES[0] not in site.nodes:
            try:
                urls = await site.target.held.nodes() if site.target.held else site.target.nodes
            except HeldError as error:
                self.recorder.note("unmet", waited_for="two nodes", connection=f"the target: {error}")
                return None
            site.nodes.update({f"node-{n}": url.rstrip("/") for n, url in enumerate(urls, 1)})
        return NODES

    async def limited(self) -> str | None:
        """The node whose limit of requests a second is named: the target itself, or a bundled server of its own.

        None, and a wait in vain, when that does not start.
        """
        held = self.site.target.held
        try:
            url = await held.limited() if held else ""
        except HeldError as error:
            self.recorder.note("unmet", waited_for="a limited server", connection=f"the target: {error}")
            return None
        self.site.nodes |= {LIMITED: url.rstrip("/")} if url else {}
        return LIMITED if url else ""

    @asynccontextmanager
    async def own(self) -> AsyncIterator[str | None]:
        """The node that this case may restart: a bundled server of its own, or the target itself, named by nothing.

        None, and a wait in vain, when that does not start.
        """
        async with self.site.own:
            try:
                url, self._held = await self._held.own() if self._held else ("", None)
            except HeldError as error:
                self.recorder.note("unmet", waited_for="a server to restart", connection=f"the target: {error}")
                yield None
                return
            self.site.nodes |= {OWN: url.rstrip("/")} if url else {}
            yield OWN if url else ""

    async def restart(self, *, kill: bool = False) -> bool:
        """Restarts the target, or the server that is this case's own.

        False, and a wait in vain, when it is not there again, or was never gone. With `kill` it is ended at once, as by
        a crash, else as its profile says. Two notes tell when: `restarting` and `restarted`.
        """
        held = self._held
        self.recorder.note("restarting", how="killed" if kill else "asked to")
        try:
            if held is None:
                raise HeldError("nobody knows how")  # noqa: TRY301 - told like all else that hinders it
            await held.restart(kill=kill)
            ends = await asyncio.gather(*(link.ended(GONE_SECONDS) for link in self._links if link.is_there))
            await held.ready()
        except HeldError as error:
            self.recorder.note("unmet", waited_for="a restart", connection=f"the target: {error}")
            return False
        if None in ends:
            self.recorder.note("unmet", waited_for="the end of every socket", connection="the target, restarted")
            return False
        self.recorder.note("restarted")
        return True

    def beside(self, doing: Coroutine[Any, Any, None]) -> None:
        """Does something beside the script, until the case is closed."""
        self._beside.append(asyncio.create_task(doing))

    async def crowd(self, requests: Iterable[Awaitable[Any]]) -> None:
        """Sends many requests, each once it is its turn: a few at the same time, whatever other cases do."""
        left = iter(requests)

        async def some() -> None:
            while True:
                async with self.site.crowd:
                    if (request := next(left, None)) is None:
                        return
                    await request

        await asyncio.gather(*(some() for _ in range(CROWD)))

    async def estate(self, index: int = 0) -> Estate:
        """One of everything that has an id, of the first, second … user."""
        return await make_estate(self, self.user(index))

    async def device(self, index: int = 0) -> Device | None:
        """A device that asks to be let in."""
        return await new_device(self, index)

    async def session(self, index: int = 0) -> Session | None:
        """A session of the first, second … user, with tokens of its own."""
        return await new_session(self, index)

    def session_of(self, answer: Exchange) -> Session | None:
        """The session that an answer with tokens opens."""
        return session_of(self.user().rest, answer)

    async def mailed_token(self) -> str | None:
        """The token of a fresh sign-in mail for the target's account; the caller holds `site.mail`."""
        return await mailed_token(self)

    def new_id(self) -> str:
        """A fresh id, unlike any other of any run."""
        self._ids += 1
        return f"{self._prefix}.{self._ids}"

    def unknown_agent(self, agent_id: str = "") -> str:
        """The id of an agent that does not exist; rules know it from a note."""
        agent_id = agent_id or self.new_id()
        self.recorder.note("unknown-agent", agent=agent_id)
        return agent_id

    def unknown_command(self) -> str:
        """The id of a command that does not exist; rules know it from a note."""
        command_id = str(uuid4())
        self.recorder.note("unknown-command", command=command_id)
        return command_id

    def new_command(self) -> str:
        """A fresh command id."""
        return str(uuid4())

    def new_link(self, role: str, node: str = "") -> Link:
        """A socket of this case, to one of the nodes if that is named."""
        link = Link(self.site, self.recorder, f"{role}-{len(self._links) + 1}", node)
        self._links.append(link)
        return link

    async def pourer(self, user: User) -> Pourer:
        """An agent beside the timeline that prints without bound."""
        pourer = Pourer(self, user, "agent")
        self._asides.append(pourer)
        await pourer.connect()
        return pourer

    async def slow_dashboard(self, user: User) -> SlowDashboard:
        """A dashboard beside the timeline that has stopped reading."""
        slow = SlowDashboard(self, user, "dashboard")
        self._asides.append(slow)
        await slow.connect()
        return slow

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Meanwhile each short pause of the tester is noted, with `since` when it had not read."""
        task = asyncio.create_task(self._note_pauses())
        try:
            yield
        finally:
            task.cancel()

    async def _note_pauses(self) -> None:
        while True:
            due = self.recorder.now + TICK
            await asyncio.sleep(TICK)
            if self.recorder.now - due > PAUSE:
                self.recorder.note("pause", since=due)

    async def quiet(self) -> None:
        """Waits until nothing more can come: a fence on every open socket, then the settle time as measured.

        Noted is also since when: what other actors of the case do meanwhile is not over by then.
        """
        since = self.recorder.now
        await asyncio.gather(*(link.fence() for link in self._links))
        await asyncio.sleep(self.site.settle)
        self.recorder.note("quiet", since=since)

    async def outlast(self, moment: float) -> None:
        """Waits until what had to come by a moment of the case's clock is late, and seen to be."""
        await asyncio.sleep(moment + self.site.terms.slack + SEEN - self.recorder.now)

    async def evidence(self) -> Note | None:
        """Notes what the target's evidence command prints; None, and a wait in vain, when it gives nothing to go by.

        The note's time is when the command was started. Of the agents it keeps this case's own.
        """
        command, started = self.site.target.evidence, self.recorder.now
        try:
            output = await printed(command)
            document = _document(output)
        except CommandError as error:
            self.recorder.note("unmet", waited_for="evidence", connection=f"the target's evidence command: it {error}")
            return None
        mine = self.timeline().owners
        agents = [row for row in document["agents"] if row.get("id") in mine]
        return self.recorder.add(
            Note, size=len(output), at=started, kind="evidence", data={**document, "agents": agents}
        )

    async def close(self, *, wait: bool = True) -> None:
        """Ends what is done beside, and every socket that is still open, without a handshake if nobody is to wait."""
        for task in self._beside:
            task.cancel()
        for aside in self._asides:
            aside.close()
        await asyncio.gather(*(link.close() if link.is_open and wait else link.drop() for link in self._links))

    def timeline(self) -> Timeline:
        """What this case has recorded so far."""
        return self.recorder.timeline(self.site.terms)


MIGRATION = ("before", "after", "again", "back")


def _document(output: bytes) -> dict[str, Any]:
    """The document of `onsembl-reference evidence`; of a backend without migration only the agents."""
    document = as_json(output)
    if document is MISSING:
        raise CommandError("printed something else than one JSON document")
    migration = document.get("migration") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not _are_rows(document.get("agents")):
        raise CommandError("printed no list of objects at /agents")
    if migration is None:
        return {"agents": document["agents"]}
    for name in MIGRATION:
        if not isinstance(migration, dict) or not _are_rows(migration.get(name)):
            raise CommandError(f"printed no list of objects at /migration/{name}")
    return {"agents": document["agents"], "migration": {name: migration[name] for name in MIGRATION}}


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) and isinstance(row.get("id"), str) for row in value)
