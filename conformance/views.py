"""What rules look at, found on a timeline: agent rows in REST answers, snapshot items, causes with their events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance import reading
from conformance.remembered import remembered
from conformance.timeline import VALID, Exchange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.timeline import Closed, Event, Frame, Timeline

OK = 200
REFUSED = 4
"""The hundreds of a status that refuses."""
COMMANDING = frozenset({"COMMAND_REQUEST", "COMMAND_CANCEL", "EMERGENCY_STOP"})
SWITCHES = ("terminal", "trace")
"""Types of subscriptions that are on or off (SUB-3)."""
WHOLE = {"agents": {"all": True}, "commands": {"all": True}, "terminals": True, "traces": True}
"""What a subscription says for everything (SUB-1)."""
RESTART = ("restarting", "restarted")
"""Notes between which the tester restarted the backend: what has a connection before has none after."""
KEPT_WITHIN = 1.0
"""Seconds in which REST must show what a heartbeat reported (x-conformance, agent.heartbeat)."""
GONE_WITHIN = 1.0
"""Seconds in which dashboards must be told that an agent is gone (x-conformance, agent.lost and rest.delete)."""
FLOOD = 0.1
"""Seconds between heartbeats below which a backend may tell several as one (STA-6)."""


@dataclass(frozen=True, slots=True)
class Item:
    """An agent as some answer or message showed it."""

    where: Exchange | Frame
    pointer: str
    value: dict[str, Any]

    @property
    def agent_id(self) -> str | None:
        """Its id, under whatever name."""
        return reading.agent_id(self.value)

    @property
    def ended(self) -> float:
        """When all of it had come: what changed while it was asked for may be in it."""
        return getattr(self.where, "ended", self.where.at)


@remembered
def rest_agents(t: Timeline, *operations: str) -> Iterator[Item]:
    """Every agent object in a 200 of these operations (by default all that answer with agents)."""
    for e in t.calls(*(operations or ("listAgents", "getAgent", "renameAgent")), status=OK):
        if e.operation == "listAgents":
            for index, row in enumerate(reading.rows(e.value) or ()):
                if isinstance(row, dict):
                    yield Item(e, f"/data/{index}", row)
        elif (found := reading.one(e.value)) is not None:
            yield Item(e, "/data", found)


@remembered
def snapshot_items(t: Timeline) -> Iterator[Item]:
    """Every agent object in a snapshot."""
    for dashboard in t.dashboards:
        for frame in dashboard.snapshots:
            yield from items_of(frame)


def items_of(snapshot: Frame) -> Iterator[Item]:
    """The agent objects of one snapshot."""
    agents = snapshot.payload.get("agents")
    for index, item in enumerate(agents if isinstance(agents, list) else ()):
        if isinstance(item, dict):
            yield Item(snapshot, f"/payload/agents/{index}", item)


@remembered
def statuses(t: Timeline) -> Iterator[Item]:
    """Every AGENT_STATUS a dashboard received."""
    for dashboard in t.dashboards:
        for frame in dashboard.of_kind("AGENT_STATUS"):
            yield Item(frame, "/payload", frame.payload)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A heartbeat that the backend accepted, and the agent's socket it came on."""

    agent: Connection
    sent: Frame
    answer: Frame

    @property
    def agent_id(self) -> str:
        """Whose it is."""
        return self.agent.agent_id or ""

    @property
    def metrics(self) -> dict[str, Any]:
        """What it reported, as the four numbers."""
        return reading.reported(self.sent.payload.get("healthMetrics"))


@remembered
def heartbeats(t: Timeline) -> Iterator[Heartbeat]:
    """Every accepted heartbeat: valid, from the agent's own socket, and not answered by an ERROR."""
    for agent in t.agents:
        accepted, taken = agent.accepted, set[int]()
        for sent in beats_of(agent):
            if accepted is None or sent.seq < accepted.seq or not is_in_shape(t, sent):
                continue
            if sent.payload.get("agentId") not in {agent.agent_id, agent.init and agent.init.payload.get("agentId")}:
                continue
            later = (f for f in agent.received if f.seq > sent.seq and f.seq not in taken)
            answer = next((f for f in later if f.kind == "SERVER_HEARTBEAT" or _refers(f, sent)), None)
            if answer is not None:
                taken.add(answer.seq)  # one answer is that of one of them, though several were on their way
                if answer.kind != "ERROR":
                    yield Heartbeat(agent, sent, answer)


def is_in_shape(t: Timeline, said: Frame) -> bool:
    """Whether a message is one that agents may send, with a payload in shape; found out once, as `keeps_shape` is."""
    known: dict[int, bool] = t.remembered.setdefault(is_in_shape, {})
    if (found := known.get(said.seq)) is None:
        message = t.contract.message("from-agent", said.type)
        found = known[said.seq] = message is not None and t.contract.shapes.accepts(message.schema, said.payload)
    return found


def _refers(answer: Frame, sent: Frame) -> bool:
    named = answer.payload.get("messageId", answer.payload.get("originalMessageId"))
    return sent.id is not None and named == sent.id


@dataclass(frozen=True, slots=True)
class Loss:
    """The end of an agent's last socket: afterwards it has no connection."""

    agent: Connection
    closed: Closed
    back_at: float
    """When it connected again on this timeline; infinite when it did not."""

    @property
    def agent_id(self) -> str:
        """Whose it is."""
        return self.agent.agent_id or ""


@remembered
def losses(t: Timeline) -> Iterator[Loss]:
    """Every end of an agent's socket that left it without a connection."""
    for agent in t.agents:
        if agent.closed is None or agent.agent_id is None:
            continue
        mine = (*connections_of(t, agent.agent_id), *unknown_connections(t, agent.agent_id))
        others = [a for a in mine if a is not agent and a.user == agent.user]
        end = agent.closed.at
        if any(a.opened.at <= end < a.until for a in others):
            continue
        yield Loss(agent, agent.closed, min((a.opened.at for a in others if a.opened.at > end), default=float("inf")))


def watchers(t: Timeline, user: str, cause: Event) -> Iterator[Connection]:
    """Dashboards of a user that had their snapshot before a cause, and subscribed to everything."""
    for dashboard in t.dashboards_of(user):
        ready = next(iter(dashboard.snapshots), dashboard.accepted)
        asked = ready is not None and ready.seq < cause.seq and ready.at <= cause.at  # a request is later in the order
        if asked and dashboard.until > cause.at and not narrowed(dashboard):
            yield dashboard


def deletions(t: Timeline, agent_id: str | None) -> list[Exchange]:
    """Every deletion of an agent that was asked for and not refused: it took effect some time before its answer."""
    return [
        e
        for e in t.exchanges
        if e.operation == "deleteAgent" and e.path.endswith(f"/{agent_id}") and e.status // 100 != REFUSED
    ]


def life_ends(t: Timeline, agent_id: str | None, after: Event) -> float:
    """When the agent may first have been deleted after an event: what was true of it need not be so from then on."""
    return min((e.at for e in deletions(t, agent_id) if e.ended > after.at), default=float("inf"))


def still_to_be_told(t: Timeline, dashboard: Connection, agent_id: str | None, at: float) -> int:
    """How many ends of an agent before a moment a dashboard may be told of only after it.

    Each loss and each deletion has a second for that (DIS-1, DIS-4), and nothing orders it by what comes elsewhere.
    """
    ends = [(x.closed.at, x.closed.at) for x in losses(t) if x.agent_id == agent_id]
    ends += [(e.at, e.ended) for e in deletions(t, agent_id)]
    recent = [begun for begun, ended in ends if begun < at < t.bound(ended, GONE_WITHIN)]
    told = [f for f in dashboard.about(agent_id or "", "AGENT_DISCONNECT") if recent and min(recent) <= f.at <= at]
    return max(0, len(recent) - len(told))


def live_words(agent: Connection) -> set[str]:
    """What the status of a connected agent may be: ONLINE, and ERROR once it has reported an error (AER-1)."""
    return {"ONLINE"} | ({"ERROR"} if any(f.type == "AGENT_ERROR" for f in agent.sent) else set())


def narrowed(dashboard: Connection) -> bool:
    """Whether it asked for less than everything, in any of its messages, or for something of which nobody can say."""
    return bool(_narrowing(dashboard))


@remembered
def _narrowing(dashboard: Connection) -> Iterator[Frame]:
    return (f for f in dashboard.sent if _narrows(f))


def _narrows(said: Frame) -> bool:
    """Whether a message of a dashboard that is told everything may leave it less: one more subscription does not."""
    match said.type:
        case "DASHBOARD_INIT":
            return not _is_everything(said.payload.get("subscriptions"))
        case "DASHBOARD_SUBSCRIBE":
            is_all, named = said.payload.get("all") is True, said.payload.get("id") is not None
            return said.payload.get("type") not in SWITCHES and is_all == named
    return said.type == "DASHBOARD_UNSUBSCRIBE"


def _is_everything(wish: Any) -> bool:
    """Whether subscriptions leave nothing out: what they do not name, and what they name as all (SUB-1)."""
    return not wish or (isinstance(wish, dict) and all(name in WHOLE and v == WHOLE[name] for name, v in wish.items()))


def reads(t: Timeline, agent: Connection) -> tuple[Item, ...]:
    """What REST said about one agent to its owner."""
    return t.remember(_reads).get((agent.user, agent.agent_id), ())


def _reads(t: Timeline) -> dict[tuple[str, str | None], tuple[Item, ...]]:
    found: dict[tuple[str, str | None], list[Item]] = {}
    for item in rest_agents(t):
        if isinstance(item.where, Exchange):
            found.setdefault((item.where.user, item.agent_id), []).append(item)
    return {key: tuple(items) for key, items in found.items()}


def connections_of(t: Timeline, agent_id: str | None) -> tuple[Connection, ...]:
    """Every socket on which an agent of that id was accepted, whoever its user is."""
    return t.remember(_connections).get(agent_id, ())


def _connections(t: Timeline) -> dict[str | None, tuple[Connection, ...]]:
    found: dict[str | None, list[Connection]] = {}
    for agent in t.agents:
        found.setdefault(agent.agent_id, []).append(agent)
    return {agent_id: tuple(those) for agent_id, those in found.items()}


def unknown_connections(t: Timeline, agent_id: str | None) -> list[Connection]:
    """Sockets on which an owner's agent announced itself and heard nothing: nobody knows whether it was accepted."""
    return t.remember(_unknown).get((t.owners.get(agent_id or ""), agent_id), [])


def _unknown(t: Timeline) -> dict[tuple[str | None, str | None], list[Connection]]:
    found: dict[tuple[str | None, str | None], list[Connection]] = {}
    for c in t.connections:
        if c.agent_id and c.credential == VALID and c.accepted is None and not c.of_kind("ERROR"):
            found.setdefault((c.user, c.agent_id), []).append(c)
    return found


@remembered
def causes(t: Timeline, agent_id: str) -> Iterator[Event]:
    """Everything the tester did that may change an agent: what it said, its sockets' ends, changes over REST, commands.

    Commands of its user count, whoever they are for: they may show in its activity. So does a restart of the backend.
    """
    for agent in (*connections_of(t, agent_id), *unknown_connections(t, agent_id)):
        yield agent.opened
        yield from (f for f in agent.sent if f.type not in {"PING", "PONG", "TOKEN_REFRESH"})
        if agent.closed is not None:
            yield agent.closed
    owner = t.owners.get(agent_id)
    yield from _commanding(t, owner)
    for e in t.remember(_writes):
        commanding = e.user == owner and e.path.split("/")[1] in {"commands", "system"}
        if commanding or agent_id in e.path.split("/"):
            yield e
    yield from (n for n in t.notes if n.kind in RESTART)


@remembered
def _commanding(t: Timeline, user: str | None) -> Iterator[Frame]:
    for dashboard in t.dashboards:
        if dashboard.user == user:
            yield from (f for f in dashboard.sent if f.type in COMMANDING)


def _writes(t: Timeline) -> tuple[Exchange, ...]:
    return tuple(e for e in t.exchanges if e.method != "GET")


def is_restarted(t: Timeline, start: float, end: float) -> bool:
    """Whether the tester was restarting the backend between two moments: that ends every socket."""
    return any(n.kind in RESTART and start <= n.at <= end for n in t.notes)


def is_cut_short(t: Timeline, beat: Heartbeat) -> bool:
    """Whether the backend was restarted before it had to show what a heartbeat reported (HB-2): it need not be kept."""
    due = t.bound(beat.sent.at, KEPT_WITHIN)
    return any(n.kind == RESTART[0] and beat.sent.at <= n.at < due for n in t.notes)


def is_flood(beat: Heartbeat) -> bool:
    """Whether other heartbeats of the agent are so near that the backend may tell them as one (STA-6)."""
    return any(f is not beat.sent and abs(f.at - beat.sent.at) < FLOOD for f in beats_of(beat.agent))


@remembered
def beats_of(agent: Connection) -> Iterator[Frame]:
    """Every AGENT_HEARTBEAT that was sent on a socket, whatever became of it."""
    return (f for f in agent.sent if f.type == "AGENT_HEARTBEAT")
