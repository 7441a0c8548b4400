"""What a deleted agent had not finished is cancelled, and all its commands stay readable (AGT-11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from conformance import reading
from conformance.command_life import TERMINAL, Task, tasks
from conformance.command_scene import ONE, TWO, asks, completes, shows, takes, told
from conformance.command_views import quiet
from conformance.rest_views import judged
from conformance.rule import Finding, Rule, provocation
from conformance.rules.commands_status import announced, told_in_time
from conformance.views import OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Timeline
    from conformance.world.world import World

NO_CONTENT = 204
WITHIN = 1.0


class Left(NamedTuple):
    """A command of an agent that was deleted, and what REST said of it afterwards."""

    task: Task
    deletion: Exchange
    was: str
    look: Exchange


def left_behind(t: Timeline) -> Iterator[Left]:
    """Each command for a deleted agent only, each time its owner looked at it more than a second afterwards."""
    for d in judged(t):
        if d.operation != "deleteAgent" or d.status != NO_CONTENT:
            continue
        for task in tasks(t):
            concerned = task.agent_id in d.path.split("/") and task.order.user == d.user
            was = task.status_until(d, d.ended) if concerned else None
            if not was or not task.single:
                continue
            for e in judged(t):
                mine = e.operation == "getCommand" and e.user == d.user and task.id in e.path.lower()
                calm = any(d.ended < m.since and m.at < e.at for m in quiet(t))
                if mine and (calm or e.at > t.bound(d.ended, WITHIN)):
                    yield Left(task, d, was, e)


def cancelled_and_readable(left: Left, _t: Timeline) -> Iterator[Finding]:
    """Found, and CANCELLED if it had not ended, else as it was."""
    task, deletion, was, look = left
    wanted = was if was in TERMINAL else "CANCELLED"
    shown = reading.status(reading.one(look.value))
    if look.status != OK:
        says = "a command of a deleted agent cannot be read any more: its history is lost"
        yield Finding(says, look, "", "200 with the Command", look.status, (task.order.cause, deletion))
    elif shown != wanted:
        says = f"a command that was {was} when its agent was deleted is not {wanted}"
        yield Finding(says, look, "/data/status", wanted, shown, (task.order.cause, deletion))


def _deleted(s: Scene, *, ended: str = "CANCELLED", readable: bool = True, say: bool = True) -> None:
    agent, dashboard = s.agent("a1"), s.dashboard()
    asks(dashboard)
    asks(dashboard, TWO)
    takes(agent)
    completes(agent)
    told(dashboard, "COMPLETED")
    agent.closes()
    dashboard.told_gone("a1")
    s.rest("DELETE", "/agents/a1", 204)
    if say:
        told(dashboard, "CANCELLED", TWO)
    s.wait(2)
    shows(s, ONE, "COMPLETED")
    if readable:
        shows(s, TWO, ended)
    else:
        s.fails("GET", f"/commands/{TWO}", 404)


def cancelled(s: Scene) -> None:
    _deleted(s)


def still_queued(s: Scene) -> None:
    _deleted(s, ended="QUEUED")


def history_lost(s: Scene) -> None:
    _deleted(s, readable=False)


def nobody_told(s: Scene) -> None:
    _deleted(s, say=False)


@provocation(needs="commands")
async def deleted_with_commands(world: World) -> None:
    """An agent with one finished command and two that wait leaves and is deleted; then the commands are read."""
    user = world.user()
    dashboard, agent = await user.dashboard(), await user.agent()
    done = await dashboard.request(agent)
    await agent.runs(done)
    await dashboard.sees_command(done, "COMPLETED")
    one, two = await dashboard.request(agent), await user.rest.command(agent.id)
    before = await agent.leave()
    await dashboard.sees("AGENT_DISCONNECT", agent, since=before)
    before = user.last
    await user.rest.delete(f"/agents/{agent.id}")
    for command in (one, two):
        await dashboard.sees_command(command, "CANCELLED", since=before)
    await world.quiet()
    for command in (done, one, two):
        await user.rest.get(f"/commands/{command}")


RULES = (
    Rule(
        id="agent.deleted-with-commands",
        clauses=("AGT-11",),
        judges="The unfinished commands of a deleted agent are CANCELLED, and all its commands stay readable.",
        when=left_behind,
        check=cancelled_and_readable,
        good=(cancelled,),
        bad=(still_queued, history_lost),
        cases=(deleted_with_commands,),
    ),
    Rule(
        id="agent.deleted-commands-told",
        clauses=("AGT-11",),
        judges="Dashboards are told within a second that the unfinished commands of a deleted agent are CANCELLED.",
        when=announced("deletion"),
        check=told_in_time,
        good=(cancelled,),
        bad=(nobody_told,),
        cases=(deleted_with_commands,),
    ),
)
