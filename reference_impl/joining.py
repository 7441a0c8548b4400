"""The parts that differ between the only node and one of several: who keeps order, who remembers what."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_impl.hub.memory import MemoryHub, MemoryPresence
from reference_impl.hub.nodes import ManyNodes, Nodes, OneNode
from reference_impl.live.turns import LocalTurns, Turns
from reference_impl.store.buffered import BufferedAgents
from reference_impl.store.cached import CachedAgents
from reference_impl.store.cached_queues import CachedQueues
from reference_impl.store.group_commit import GroupCommit
from reference_impl.store.held import HeldCommits, HeldEngine
from reference_impl.store.plain import PlainEngine
from reference_impl.store.plain_commits import PlainCommits
from reference_impl.store.sql import SqlAgents
from reference_impl.store.sql_commands import SqlCommands

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reference_impl.clock import Clock
    from reference_impl.hub import Hub, Presence
    from reference_impl.live.codec import Codec
    from reference_impl.logs import Log
    from reference_impl.settings import Settings
    from reference_impl.store import AgentStore
    from reference_impl.store.commands import CommandStore
    from reference_impl.store.database import Engine


@dataclass(frozen=True)
class Joining:
    """What keeps a user's things in order."""

    turns: Turns
    nodes: Nodes
    hub: Hub
    presence: Presence
    commits: GroupCommit
    agents: AgentStore
    commands: CommandStore


def the_only_node(settings: Settings, engine: Engine, clock: Clock, log: Log) -> Joining:
    """All in this process's memory; heartbeats and single agents are kept there too."""
    commits: GroupCommit
    if isinstance(engine, PlainEngine):
        commits = PlainCommits(engine)
    elif isinstance(engine, HeldEngine):
        commits = HeldCommits(engine)
    else:
        commits = GroupCommit(engine)
    agents: AgentStore = BufferedAgents(SqlAgents(engine, commits), clock, log, settings.timings.flush_interval_s)
    if settings.agents.enable_caching:
        agents = CachedAgents(agents, clock, settings.agents.cache_ttl_seconds)
    commands: CommandStore = SqlCommands(engine, commits)
    if settings.agents.enable_caching:
        commands = CachedQueues(commands)
    return Joining(LocalTurns(), OneNode(), MemoryHub(), MemoryPresence(), commits, agents, commands)


def one_of_several(settings: Settings, engine: Engine, log: Log, codec: Codec, versions: Iterable[int]) -> Joining:
    """Over Redis; nothing that another node may change is remembered."""
    from reference_impl.hub.redis_bus import RedisBus  # noqa: PLC0415 - importing Redis' client takes a while
    from reference_impl.hub.shared import SharedHub, SharedPresence, SharedTurns, fence, within_turn  # noqa: PLC0415
    from reference_impl.store.fenced import FencedCommits  # noqa: PLC0415
    from reference_impl.store.written import WrittenAgents  # noqa: PLC0415

    lease = settings.timings.bus_lease_s
    bus = RedisBus(settings.bus_url, settings.bus_node or uuid.uuid4().hex, lease)
    turns = SharedTurns(bus, codec.encode, log, lease)
    commits = FencedCommits(engine, fence)
    return Joining(
        turns,
        ManyNodes(bus, turns, log, lease),
        SharedHub(turns, versions),
        SharedPresence(bus),
        commits,
        WrittenAgents(SqlAgents(engine, commits), within_turn),
        SqlCommands(engine, commits),
    )
