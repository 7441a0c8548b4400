"""Another user's agentId: refused, or a new agent under another id; the owner never notices (CON-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance.dialogue import ANSWER_SECONDS, Said, said_as
from conformance.endings import has_other_cause
from conformance.rule import Finding, Rule, provocation
from conformance.views import deletions, is_restarted, rest_agents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.connection import Connection
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

FORBIDDEN = 4003


class Attempt(NamedTuple):
    """An AGENT_CONNECT with the id of another user's agent."""

    said: Said
    owner: Connection


def attempts(t: Timeline) -> Iterator[Attempt]:
    """Each of them that was answered, ended, or watched for long enough."""
    owners: dict[str, Connection] = {}
    for c in sorted(t.agents, key=lambda c: c.accepted.seq if c.accepted else -1):
        if c.agent_id:
            owners.setdefault(c.agent_id, c)
    for s in said_as(t, "AGENT_CONNECT"):
        owner = owners.get(str(s.sent.payload.get("agentId"))) if s.sent is s.connection.init else None
        if (
            owner is None
            or owner.user == s.connection.user
            or owner.accepted is None
            or owner.accepted.seq > s.sent.seq
        ):
            continue
        end = s.connection.closed
        refused = end is not None and end.by == "backend" and not is_restarted(t, s.sent.at, end.at)
        until = s.answers[0].at if s.answers else s.connection.until
        free = any(e.at < until for e in deletions(t, owner.agent_id))
        if (s.answers or refused or s.unanswered(t)) and not free:
            yield Attempt(s, owner)


def no_takeover(attempt: Attempt, t: Timeline) -> Iterator[Finding]:
    """FORBIDDEN and 4003, or another id; the owner's agent, dashboards and REST stay as they were."""
    s, owner = attempt
    expected = "ERROR FORBIDDEN and close 4003, or an ACK with another agentId"
    answer = s.answers[0] if s.answers else None
    end = s.connection.closed
    if answer is None:
        yield Finding(
            "connecting with another user's agentId got no answer", end or s.sent, "", expected, "nothing", (s.sent,)
        )
    elif answer.kind == "ERROR":
        code = answer.payload.get("code")
        if code != "FORBIDDEN":
            says = "another user's agentId was refused for another reason"
            yield Finding(says, answer, "/payload/code", "FORBIDDEN", code, (s.sent,))
        if (end is None and s.connection.until >= t.bound(answer.at, 1.0)) or (
            end and (end.by, end.code) == ("backend", 1000)
        ):
            yield Finding(
                "after FORBIDDEN the connection was not closed with 4003", end or answer, "", "close 4003", "no 4003"
            )
        elif end is not None and end.by == "backend" and end.code != FORBIDDEN:
            yield Finding(
                "after FORBIDDEN the connection ended with the wrong code", end, "", "close 4003", end.code, (s.sent,)
            )
    elif answer.payload.get("success") is not False and answer.payload.get("agentId", owner.agent_id) == owner.agent_id:
        says = "a user connects as another user's agent, and gets its commands"
        yield Finding(says, answer, "/payload/agentId", expected, owner.agent_id, (owner.opened, s.sent))
    yield from _owner_unharmed(attempt, t)


def _owner_unharmed(attempt: Attempt, t: Timeline) -> Iterator[Finding]:
    s, owner = attempt
    own = [c for c in t.agents if c.agent_id == owner.agent_id and c.user == owner.user]
    alive = [c for c in own if c.opened.at < s.sent.at < c.until]
    for c in alive:
        end = c.closed
        if end is None or end.by != "backend" or end.seq < s.sent.seq or c is not own[-1]:
            continue
        if not has_other_cause(t, c, s.sent.at):
            says = "another user's attempt ended the connection of the owner's agent"
            yield Finding(says, end, "", "an open connection", end.code, (s.sent,))
    name, version = s.sent.payload.get("name"), s.sent.payload.get("version")
    said_so = [c.init.payload.get("version") for c in own if c.init]
    seen = [
        (f, "/payload", f.payload)
        for d in t.dashboards_of(owner.user)
        for f in d.about(str(owner.agent_id), "AGENT_STATUS")
    ]
    seen += [(i.where, i.pointer, i.value) for i in rest_agents(t) if i.agent_id == owner.agent_id]  # type: ignore[misc]
    for where, pointer, value in seen if version not in said_so else ():
        to_owner = where.seq > s.sent.seq and getattr(where, "user", owner.user) == owner.user
        if to_owner and (value.get("version") == version or (name and value.get("name") == name)):
            says = "what another user announced is shown as the owner's agent"
            yield Finding(says, where, pointer, "the agent as its owner announced it", value, (s.sent,))
            return
    if alive and not alive[-1].closed:
        for d in t.dashboards_of(owner.user):
            for f in d.about(str(owner.agent_id), "AGENT_DISCONNECT", after=s.sent.seq):
                says = "another user's attempt told the owner's dashboards that the agent is gone"
                yield Finding(says, f, "/payload/agentId", "no AGENT_DISCONNECT", "AGENT_DISCONNECT", (s.sent,))


def refused(s: Scene) -> None:
    s.agent("a1")
    thief = s.socket("agent", "bob")
    sent = thief.sends("AGENT_CONNECT", {"agentId": "a1", "version": "6.6.6"})
    thief.gets("ERROR", {"code": "FORBIDDEN", "message": "No", "recoverable": False, "originalMessageId": sent.id})
    thief.closes(by="backend", code=FORBIDDEN)
    s.shows(s.row("a1"))


def an_agent_of_his_own(s: Scene) -> None:
    s.agent("a1")
    other = s.socket("agent", "bob")
    sent = other.sends("AGENT_CONNECT", {"agentId": "a1", "version": "6.6.6"})
    other.gets("ACK", {"messageId": sent.id, "success": True, "agentId": "b-7"})
    s.dashboard().told("a1")
    s.shows(s.row("b-7", version="6.6.6"), user="bob")


def the_backend_is_restarted_later(s: Scene) -> None:
    owner = s.agent("a1")
    thief = s.socket("agent", "bob")
    sent = thief.sends("AGENT_CONNECT", {"agentId": "a1", "version": "6.6.6"})
    thief.gets("ERROR", {"code": "FORBIDDEN", "message": "No", "recoverable": False, "originalMessageId": sent.id})
    thief.closes(by="backend", code=FORBIDDEN)
    s.note("restarting", how="stopped")
    owner.closes(by="backend", code=1001)
    s.note("restarted")


def cut_before_its_answer(s: Scene) -> None:
    refused(s)
    thief = s.socket("agent", "bob")
    thief.sends("AGENT_CONNECT", {"agentId": "a1", "version": "6.6.6"})
    thief.closes(by="fault", code=None)


def free_since_its_deletion(s: Scene) -> None:
    refused(s)
    s.agent("a2").closes()
    s.rest("DELETE", "/agents/a2", 204)
    s.agent("a2", "bob")


def owner_told_that_its_token_expired(s: Scene) -> None:
    owner = s.agent("a1")
    s.wait(5)
    thief = s.socket("agent", "bob")
    sent = thief.sends("AGENT_CONNECT", {"agentId": "a1", "version": "6.6.6"})
    thief.gets("ERROR", {"code": "FORBIDDEN", "message": "No", "recoverable": False, "originalMessageId": sent.id})
    owner.closes(by="backend", code=4002)


def taken_over(s: Scene) -> None:
    owner = s.agent("a1")
    s.agent("a1", "bob", version="6.6.6")
    owner.closes(by="backend", code=4008)


def shown_to_the_owner(s: Scene) -> None:
    s.agent("a1")
    dashboard = s.dashboard()
    thief = s.socket("agent", "bob")
    sent = thief.sends("AGENT_CONNECT", {"agentId": "a1", "version": "6.6.6"})
    dashboard.told("a1", version="6.6.6")
    thief.gets("ERROR", {"code": "FORBIDDEN", "message": "No", "recoverable": False, "originalMessageId": sent.id})
    thief.closes(by="backend", code=FORBIDDEN)


def left_connected(s: Scene) -> None:
    s.agent("a1")
    thief = s.socket("agent", "bob")
    sent = thief.sends("AGENT_CONNECT", {"agentId": "a1", "version": "6.6.6"})
    thief.gets("ERROR", {"code": "FORBIDDEN", "message": "No", "recoverable": False, "originalMessageId": sent.id})
    s.wait(3)


@provocation(needs="second-user")
async def foreign_agent_id(world: World) -> None:
    """A second user's agent announces the id of the first user's connected agent, which then goes on reporting."""
    user, other = world.user(), world.user(1)
    dashboard, agent = await user.dashboard(), await user.agent()
    await agent.heartbeat()
    thief = other.new_agent()
    link = await thief.open()
    sent = await link.send("AGENT_CONNECT", thief.greeting(agentId=agent.id, name="Not yours", version="6.6.6"))
    answer = await link.answer(sent, within=ANSWER_SECONDS)
    given = answer.payload.get("agentId") if answer else None
    if isinstance(given, str) and given != agent.id:
        other.made(given)
    else:
        await link.ended(within=1.3)
    beat = await agent.heartbeat(commandsProcessed=5)
    await dashboard.sees_beat(agent, beat)
    await world.quiet()
    await user.rest.get(f"/agents/{agent.id}")


RULE = Rule(
    id="agent-takeover.owner-unharmed",
    clauses=("CON-5",),
    judges="Connecting with another user's agentId is FORBIDDEN or makes another agent; the owner never notices.",
    when=attempts,
    check=no_takeover,
    good=(
        refused,
        an_agent_of_his_own,
        the_backend_is_restarted_later,
        cut_before_its_answer,
        free_since_its_deletion,
    ),
    bad=(owner_told_that_its_token_expired, taken_over, shown_to_the_owner, left_connected),
    cases=(foreign_agent_id,),
)
