"""A user in a case: what one token can do over REST and sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.timeline import VALID
from conformance.world.actors import Agent, Dashboard
from conformance.world.rest import Rest

if TYPE_CHECKING:
    from conformance.world.link import Link
    from conformance.world.world import World


class User:
    """One user of the run, as one case uses it."""

    def __init__(self, world: World, name: str, node: str = "") -> None:
        self._world = world
        self.name = name
        self.node = node
        """The node it speaks to, `node-1` or `node-2`; empty: wherever the target's URL leads."""
        self.rest = Rest(world.site, world.recorder, name, node)

    @property
    def last(self) -> int:
        """The `seq` of the latest event."""
        return self._world.recorder.last

    @property
    def snapshots_come(self) -> bool:
        """Whether this backend sends `dashboard:connected` at all, as preflight found."""
        return self._world.site.sends_snapshot

    def new_link(self, role: str) -> Link:
        """A socket of this case, not yet opened."""
        return self._world.new_link(role, self.node)

    def made(self, agent_id: str) -> None:
        """Remembers an agent, to be removed at the end of the run; a note says that it had no history before."""
        mine = self._world.site.made.setdefault((self.name, self.node), set())
        if agent_id not in mine:
            mine.add(agent_id)
            self._world.recorder.note("new-agent", agent=agent_id)

    @property
    def all_made(self) -> frozenset[str | None]:
        """The ids of the agents that this run made for the user, in whatever case."""
        return frozenset(self._world.site.made.get((self.name, self.node), ()))

    def new_agent(self, **announce: Any) -> Agent:
        """An agent that has not connected; the fields given go into its AGENT_CONNECT."""
        return Agent(self, self._world.new_id(), **announce)

    async def agent(self, **announce: Any) -> Agent:
        """A connected agent."""
        agent = self.new_agent(**announce)
        await agent.connect()
        return agent

    async def socket(self, role: str, *, channel: str = "", credential: str = VALID, **options: Any) -> Link:
        """A socket that has said nothing."""
        link = self.new_link(role)
        await link.open(user=self.name, channel=channel or role, role=role, credential=credential, **options)
        return link

    async def dashboard(
        self, *, channel: str = "dashboard", query: dict[str, str] | None = None, **init: Any
    ) -> Dashboard:
        """A dashboard with its snapshot. It says all optional fields that older backends need."""
        dashboard = await self.bare_dashboard(channel=channel, query=query)
        await dashboard.init(**(self.wish() | init))
        return dashboard

    def wish(self) -> dict[str, Any]:
        """The usual payload of DASHBOARD_INIT."""
        subject = self._world.site.keyring.subject(self.name)
        return {"dashboardId": self._world.new_id()} | ({} if subject is None else {"userId": subject})

    async def bare_dashboard(self, *, channel: str = "dashboard", query: dict[str, str] | None = None) -> Dashboard:
        """A dashboard's socket before DASHBOARD_INIT."""
        return Dashboard(self, await self.socket("dashboard", channel=channel, query=query))
