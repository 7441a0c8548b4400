"""INVESTIGATION_REPORT makes a report, or brings the one of its id up to date; nobody else's (RPT-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from conformance import reading
from conformance.command_orders import orders
from conformance.command_scene import TWO
from conformance.dialogue import refusal
from conformance.history_views import moment, subject
from conformance.report_views import Reported, is_own, looks, makers, reported, said_last
from conformance.rest_views import judged
from conformance.rule import Finding, Rule, provocation
from conformance.stream_scene import FIRST, cast, report, reports, shows
from conformance.stream_views import same_value, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

OK, NOT_FOUND = 200, 404
SAID = ("title", "summary", "status", "content")
PATH = f"/reports/{FIRST}"


class Look(NamedTuple):
    """What GET gave to the owner of a report, and what had been said of it last."""

    where: Exchange
    last: Reported


def owners_looks(t: Timeline) -> Iterator[Look]:
    """Each look at a report that an agent of this user made, with nothing under way."""
    for e in judged(t):
        name = reading.same_id(subject(e))
        if e.operation != "getReport" or name not in makers(t) or makers(t)[name].agent.user != e.user:
            continue
        if e.status in {OK, NOT_FOUND} and (last := said_last(name, e, t)) is not None:
            yield Look(e, last)


def as_last_said(look: Look, t: Timeline) -> Iterator[Finding]:
    """It is there, and is what the last message said; completedAt only when complete."""
    e, last = look
    found = e.value.get("data") if isinstance(e.value, dict) else None
    if e.status == NOT_FOUND or not isinstance(found, dict):
        says = "a report that was acknowledged cannot be found"
        yield Finding(says, e, "", "200 with the report", e.status, (last.sent, *last.said.answers))
        return
    for name in SAID:
        if not same_value(found.get(name), last.payload[name]):
            says = f"the {name} of a report is not what the agent said last"
            got = shown(found.get(name, "nothing"))
            yield Finding(says, e, f"/data/{name}", shown(last.payload[name]), got, (last.sent,))
    for name, right in (
        ("id", last.id),
        ("commandId", reading.same_id(last.payload["commandId"])),
        ("agentId", last.agent.agent_id),
    ):
        if reading.same_id(found.get(name)) not in {right, reading.same_id(last.payload.get(name))}:
            says = f"the {name} of a report is not the one that it was made with"
            yield Finding(says, e, f"/data/{name}", str(right), found.get(name, "nothing"), (last.sent,))
    yield from _times(look, found, t)


def _times(look: Look, found: dict[str, Any], t: Timeline) -> Iterator[Finding]:
    e, last = look
    ended = moment(found.get("completedAt"))
    if (last.payload["status"] == "COMPLETE") != (ended is not None):
        says = "completedAt does not say whether the report is complete"
        expected = "a time" if ended is None else "null"
        got = found.get("completedAt", "nothing")
        yield Finding(says, e, "/data/completedAt", f"{expected}, as the status is", got, (last.sent,))
    before = [(x, d) for x, d in looks(t) if x.ended <= e.at and x.path == e.path and x.user == e.user]
    for x, earlier in before[-1:]:
        was, now = (moment(d.get("createdAt")) for d in (earlier, found))
        if was != now:
            says = "an update changed when the report was created"
            yield Finding(
                says, e, "/data/createdAt", str(earlier.get("createdAt")), found.get("createdAt"), (x, last.sent)
            )
        was, now = (moment(d.get("updatedAt")) for d in (earlier, found))
        if was and now and now < was:
            says = "updatedAt of a report goes back"
            yield Finding(
                says, e, "/data/updatedAt", f"not before {earlier['updatedAt']}", found["updatedAt"], (x, last.sent)
            )


class Stolen(NamedTuple):
    """A report that an agent sent under the id of another agent's report."""

    by: Reported
    maker: Reported


def thefts(t: Timeline) -> Iterator[Stolen]:
    """Each that was answered, or waited for long enough."""
    for r in reported(t):
        maker = makers(t).get(r.id)
        stolen = maker is not None and not is_own(r, t) and maker.ack and maker.ack.seq < r.sent.seq
        if maker and stolen and (r.said.answers or r.said.unanswered(t)):
            yield Stolen(r, maker)


def kept_from(stolen: Stolen, t: Timeline) -> Iterator[Finding]:
    """FORBIDDEN or NOT_FOUND, or why it may not speak of that command; and the report is as its agent said."""
    by, maker = stolen
    order = orders(t).get(reading.command_id(by.payload) or "")
    others = order is not None and by.said.connection.agent_id not in order.targets
    codes = ("FORBIDDEN", "NOT_FOUND", *(("INVALID_STATE",) if others else ()))
    yield from refusal(by.said, t, "a report under the id of another agent's report", *codes)
    mine, theirs = by.payload["title"], maker.payload["title"]
    for e, found in looks(t):
        is_it = reading.same_id(found.get("id")) == by.id and e.at > by.sent.at
        if is_it and mine != theirs and found.get("title") == mine:
            says = "one agent changed the report of another"
            yield Finding(says, e, "/data/title", shown(theirs), mine, (maker.sent, by.sent))
            return


def made_and_completed(s: Scene) -> None:
    agent = cast(s)[1]
    shows(s, PATH, report(reports(agent)))
    last = reports(agent, status="COMPLETE", title="Now we know")
    shows(s, PATH, report(last, further=1, updatedAt="2025-10-09T08:00:01.5+00:00"))


def asked_meanwhile(s: Scene) -> None:
    agent = cast(s)[1]
    first = reports(agent)
    shows(s, PATH, report(first))
    payload = first.payload | {"title": "Newer"}
    sent = agent.sends("INVESTIGATION_REPORT", payload)
    shows(s, PATH, report(first))
    shows(s, PATH, report(sent))
    agent.gets("ACK", {"messageId": sent.id, "success": True})
    shows(s, PATH, report(sent))


def never_made(s: Scene) -> None:
    reports(cast(s)[1])
    s.fails("GET", PATH, 404)


def not_updated(s: Scene) -> None:
    agent = cast(s)[1]
    first = reports(agent)
    reports(agent, title="Newer")
    shows(s, PATH, report(first))


def content_lost(s: Scene) -> None:
    content = {"sections": [{"title": "One", "content": "x", "order": 1}], "findings": [], "recommendations": []}
    shows(s, PATH, report(reports(cast(s)[1], content=content), content=content | {"sections": []}))


def complete_but_never_completed(s: Scene) -> None:
    shows(s, PATH, report(reports(cast(s)[1], status="COMPLETE"), completedAt=None))


def completed_at_once(s: Scene) -> None:
    shows(s, PATH, report(reports(cast(s)[1]), completedAt=s.born))


def made_anew(s: Scene) -> None:
    agent = cast(s)[1]
    shows(s, PATH, report(reports(agent)))
    shows(s, PATH, report(reports(agent, title="Newer"), createdAt="2025-10-09T08:00:05Z"))


def of_another_agent(s: Scene) -> None:
    shows(s, PATH, report(reports(cast(s)[1]), agentId="a2"))


def theft_refused(s: Scene) -> None:
    agent = cast(s)[1]
    first = reports(agent)
    reports(s.agent("a2"), title="Mine now", code="FORBIDDEN")
    reports(s.agent("b1", user="bob"), title="Mine now", code="NOT_FOUND")
    shows(s, PATH, report(first))


def theft_refused_for_the_command(s: Scene) -> None:
    reports(cast(s)[1])
    reports(s.agent("a2"), title="Mine now", code="INVALID_STATE")


def theft_refused_for_nothing(s: Scene) -> None:
    agent = cast(s)[1]
    reports(agent)
    reports(s.agent("a2"), title="Mine now", commandId=TWO, code="INVALID_STATE")


def theft_served(s: Scene) -> None:
    reports(cast(s)[1])
    reports(s.agent("a2"), title="Mine now")


def theft_refused_but_done(s: Scene) -> None:
    reports(cast(s)[1])
    stolen = reports(s.agent("a2"), title="Mine now", code="FORBIDDEN")
    shows(s, PATH, report(stolen))


@provocation(needs="commands")
async def write_a_report(world: World) -> None:
    """An agent drafts a report, goes on with it, completes it, and makes a second one."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    command = await dashboard.request(agent, type="INVESTIGATE")
    await agent.takes(command)
    await agent.ack(command)
    name = str(uuid4())
    empty: dict[str, list[Any]] = {"sections": [], "findings": [], "recommendations": []}
    for fields in (
        {"status": "DRAFT", "content": empty},
        {"status": "IN_PROGRESS", "summary": "Two compilers: naïve 日本語 \U0001f426\n* and `code`"},
        {"status": "COMPLETE", "title": "The build compiled twice"},
    ):
        await agent.reports(command, reportId=name, **fields)
        await user.rest.get(f"/reports/{name}")
    other = await agent.reports(command, status="COMPLETE")
    await agent.complete(command)
    for each in (name, other.payload["reportId"]):
        await user.rest.get(f"/reports/{each}")


@provocation(needs="commands second-user")
async def steal_a_report(world: World) -> None:
    """Another agent, and another user's agent, send a report under the id of one that is there; its agent goes on."""
    owner = world.user()
    dashboards, agents, commands = [], [], []
    for user in (owner, owner, world.user(1)):
        dashboards.append(await user.dashboard())
        agents.append(await user.agent())
        commands.append(await dashboards[-1].request(agents[-1]))
        await agents[-1].takes(commands[-1])
    sent = await agents[0].reports(commands[0], title="Mine")
    name = sent.payload["reportId"]
    for agent, command in zip(agents[1:], commands[1:], strict=True):
        await agent.reports(command, reportId=name, title=f"Stolen {uuid4()}")
        await owner.rest.get(f"/reports/{name}")
    await agents[0].reports(commands[0], reportId=name, title="Mine still")
    await owner.rest.get(f"/reports/{name}")


RULES = (
    Rule(
        id="reports.as-last-said",
        clauses=("RPT-1",),
        judges="An acknowledged INVESTIGATION_REPORT makes the report, or changes it to what it says.",
        when=owners_looks,
        check=as_last_said,
        good=(made_and_completed, asked_meanwhile),
        bad=(
            never_made,
            not_updated,
            content_lost,
            complete_but_never_completed,
            completed_at_once,
            made_anew,
            of_another_agent,
        ),
        cases=(write_a_report,),
    ),
    Rule(
        id="reports.nobody-elses",
        clauses=("RPT-1",),
        judges="A report under the id of another agent's or user's report is refused and changes nothing.",
        when=thefts,
        check=kept_from,
        good=(theft_refused, theft_refused_for_the_command),
        bad=(theft_served, theft_refused_but_done, theft_refused_for_nothing),
        cases=(steal_a_report,),
    ),
)
