"""Subscriptions decide which commands, and whose queues, a dashboard hears of (SUB-1, SUB-2, SUB-3, SUB-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from conformance import reading
from conformance.command_life import Step, Task, tasks
from conformance.command_scene import ONE, TWO, accepts, acks, asks, queue, takes, told
from conformance.command_views import quiet
from conformance.command_views import told as told_of
from conformance.interest import SUBSCRIBE, UNSUBSCRIBE, Interest, interests
from conformance.rule import Finding, Rule, provocation
from conformance.rules.subscriptions import asked_for_all, asked_for_some, changed_later, took_one_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.scene import Scene, Socket
    from conformance.timeline import Frame, Timeline
    from conformance.world.actors import Dashboard
    from conformance.world.world import World

WITHIN = 1.0
MESSAGES = {"command": "COMMAND_STATUS", "agent": "QUEUE_UPDATE"}
"""What a subscription of a kind decides about commands."""


class Heard(NamedTuple):
    """A step of a command during a stretch of a dashboard's interest, and what came of it."""

    interest: Interest
    task: Task
    step: Step
    kind: str
    covered: bool
    frames: list[Frame]


def during(kind: str, fits: Callable[[Interest], bool]) -> Callable[[Timeline], Iterator[Heard]]:
    """Steps of the user's commands during the stretches that fit, each watched for long enough to be judged."""

    def when(t: Timeline) -> Iterator[Heard]:
        """Each of them."""
        for dashboard in t.dashboards:
            if not any(f.type in {SUBSCRIBE, UNSUBSCRIBE} or "subscriptions" in f.payload for f in dashboard.sent):
                continue  # it hears of everything, and other rules judge that
            for interest in interests(t, dashboard, kind):
                if fits(interest):
                    yield from _steps(interest, t, kind)

    return when


def _steps(interest: Interest, t: Timeline, kind: str) -> Iterator[Heard]:
    dashboard = interest.dashboard
    for task in tasks(t):
        covered = interest.covers(task.id if kind == "command" else task.agent_id)
        if covered is None or task.order.user != dashboard.user or not task.single:
            continue
        for step in task.known:
            if not interest.since.at < step.at < step.settled <= interest.until or step.by not in {
                "order",
                "agent",
                "cancel",
            }:
                continue
            frames = _frames(interest, t, kind, task, step)
            waited = min(interest.until, dashboard.until) >= t.bound(step.settled, WITHIN)
            calm = any(step.settled < m.since and m.at < interest.until for m in quiet(t))
            if waited or (frames if covered else calm or frames):
                yield Heard(interest, task, step, kind, covered, frames)


def _frames(interest: Interest, t: Timeline, kind: str, task: Task, step: Step) -> list[Frame]:
    """What came of it while the interest held: of this very step if it is a COMMAND_STATUS, of the queue else."""
    if kind == "agent":
        found = interest.dashboard.about(task.agent_id, "QUEUE_UPDATE")
    else:
        found = told_of(t, interest.dashboard, task.id, task.agent_id)
        found = [f for f in found if reading.status(f.payload) == step.status]
    return [f for f in found if f.at >= step.at and f.seq < interest.before]


def as_subscribed(heard: Heard, t: Timeline) -> Iterator[Finding]:
    """What is subscribed to comes in time, what is not does not."""
    interest, task, step, kind, covered, frames = heard
    message = MESSAGES[kind]
    how = "DASHBOARD_INIT" if interest.cause.type == "DASHBOARD_INIT" else f"its {interest.cause.type}"
    evidence = (interest.cause, interest.since, task.order.cause)
    if covered and not frames:
        says = f"a dashboard that {how} subscribed to the {kind} gets no {message} when a command became {step.status}"
        yield Finding(says, step.cause, "", f"{message} within {WITHIN:g} s", "nothing", evidence)
    elif covered and frames[0].at > t.bound(step.settled, WITHIN):
        late = f"{frames[0].at - step.settled:.2f} s later"
        yield Finding(f"{message} came late", frames[0], "", f"within {WITHIN:g} s", late, evidence)
    elif not covered and frames:
        says = f"a dashboard gets {message} of what it is not subscribed to since {how}"
        yield Finding(says, frames[0], "/payload", f"no {message}", message, evidence)


def _dashboard(s: Scene, **subscriptions: Any) -> Socket:
    socket = s.socket("dashboard")
    socket.sends("DASHBOARD_INIT", {"subscriptions": subscriptions})
    socket.gets("DASHBOARD_READY", {"dashboardId": "d", "timestamp": s.now})
    socket.snapshot(s.item("a1"))
    return socket


def _subscribes(s: Scene, dashboard: Socket, kind: str, **what: object) -> None:
    accepts(dashboard, dashboard.sends(kind, {"type": "command", **what}))
    s.wait(0.1)


def _starts(
    s: Scene, *, one: bool, two: bool, prepare: Callable[[Scene, Socket], None] | None = None, **asked: Any
) -> None:
    """Two commands are there; a dashboard comes; both start, and it is told of these."""
    agent, dashboard = s.agent("a1"), s.dashboard()
    for command in (ONE, TWO):
        asks(dashboard, command)
        takes(agent, command)
    narrow = _dashboard(s, **asked)
    if prepare is not None:
        prepare(s, narrow)
    for command, hears in ((ONE, one), (TWO, two)):
        acks(agent, command)
        if hears:
            told(narrow, "EXECUTING", command)
            queue(s, narrow)
    s.wait(2)


def only_the_one(s: Scene) -> None:
    _starts(s, one=True, two=False, commands=[ONE])


def all_in_words(s: Scene) -> None:
    _starts(s, one=True, two=True, commands={"all": True})


def all_by_silence(s: Scene) -> None:
    _starts(s, one=True, two=True, terminals=False)


def both_though_one_was_asked(s: Scene) -> None:
    _starts(s, one=True, two=True, commands=[ONE])


def not_even_the_one(s: Scene) -> None:
    _starts(s, one=False, two=False, commands=[ONE])


def none_of_all(s: Scene) -> None:
    _starts(s, one=False, two=False, commands={"all": True})


def _the_other_instead(s: Scene, dashboard: Socket) -> None:
    _subscribes(s, dashboard, SUBSCRIBE, id=TWO)
    _subscribes(s, dashboard, UNSUBSCRIBE, id=ONE)


def changed_to_the_other(s: Scene) -> None:
    _starts(s, one=False, two=True, commands=[ONE], prepare=_the_other_instead)


def changed_in_words_only(s: Scene) -> None:
    _starts(s, one=True, two=False, commands=[ONE], prepare=_the_other_instead)


def _without_one(s: Scene, dashboard: Socket) -> None:
    _subscribes(s, dashboard, SUBSCRIBE, all=True)
    _subscribes(s, dashboard, UNSUBSCRIBE, id=ONE)


def all_but_one(s: Scene) -> None:
    _starts(s, one=False, two=True, prepare=_without_one)


def taken_out_in_vain(s: Scene) -> None:
    _starts(s, one=True, two=True, prepare=_without_one)


def all_taken_out(s: Scene) -> None:
    _starts(s, one=False, two=False, prepare=_without_one)


def queues_of_one_agent(s: Scene) -> None:
    _starts(s, one=True, two=True, agents=["a1"])


def queues_of_another(s: Scene) -> None:
    _starts(s, one=True, two=False, agents=["a2"])


def no_queues(s: Scene) -> None:
    _starts(s, one=False, two=False, agents=["a1"])


@provocation(needs="commands")
async def narrow_from_the_start(world: World) -> None:
    """Dashboards ask for one command, for one agent, and for all in words; the first also sends a command itself."""
    user = world.user()
    agent, other = await user.agent(), await user.agent()
    one, two = [await user.rest.command(a.id) for a in (agent, other)]
    by_command = await user.dashboard(subscriptions={"commands": [one]})
    by_agent = await user.dashboard(subscriptions={"agents": [agent.id]})
    of_all = await user.dashboard(subscriptions={"commands": {"all": True}, "terminals": False})
    three = await by_command.request(agent)
    for receiver, command in ((agent, one), (other, two), (agent, three)):
        await receiver.runs(command)
        await of_all.sees_command(command, "COMPLETED")
    await by_command.sees_command(one, "COMPLETED")
    await by_agent.sees_queue(agent, set())
    await _look_on(world, of_all)


@provocation(needs="commands", budget=16.0)
async def changing_its_mind(world: World) -> None:
    """A dashboard takes one command out of all, then all, then takes one in; each time commands go their way."""
    user = world.user()
    dashboard, watching = await user.dashboard(), await user.dashboard()
    agent, other = await user.agent(), await user.agent()
    ways: tuple[tuple[str, dict[str, Any]], ...] = (
        (UNSUBSCRIBE, {}),
        (UNSUBSCRIBE, {"all": True}),
        (SUBSCRIBE, {}),
        (SUBSCRIBE, {"all": True}),
    )
    for kind, what in ways:
        one, two = await watching.request(agent), await watching.request(other)
        asked = {"type": "command", **(what or {"id": one})}
        await dashboard.link.ask(kind, asked)
        for receiver, command in ((agent, one), (other, two)):
            await receiver.runs(command)
            await watching.sees_command(command, "COMPLETED")
        await _look_on(world, watching)


async def _look_on(world: World, dashboard: Dashboard) -> None:
    """Until nothing more can come, and a little longer than a second."""
    await world.quiet()
    last = world.recorder.last
    await dashboard.link.until(since=last, within=WITHIN + 0.3, expected=False, where=lambda _: False)


RULES = (
    Rule(
        id="subscriptions.commands-all",
        clauses=("SUB-1",),
        judges="Commands not named, or `{all: true}`, in DASHBOARD_INIT mean every command of the user.",
        when=during("command", asked_for_all),
        check=as_subscribed,
        good=(all_in_words, all_by_silence),
        bad=(none_of_all,),
        cases=(narrow_from_the_start,),
    ),
    Rule(
        id="subscriptions.commands-some",
        clauses=("SUB-2",),
        judges="A dashboard that asks for some commands gets the COMMAND_STATUS of these only, even if it sent others.",
        when=during("command", asked_for_some),
        check=as_subscribed,
        good=(only_the_one,),
        bad=(both_though_one_was_asked, not_even_the_one),
        cases=(narrow_from_the_start,),
    ),
    Rule(
        id="subscriptions.queues-of-some",
        clauses=("SUB-2",),
        judges="A dashboard that asks for some agents gets the QUEUE_UPDATE of these only.",
        when=during("agent", asked_for_some),
        check=as_subscribed,
        good=(queues_of_one_agent,),
        bad=(queues_of_another, no_queues),
        cases=(narrow_from_the_start,),
    ),
    Rule(
        id="subscriptions.commands-changed",
        clauses=("SUB-3",),
        judges="What a dashboard subscribes to, or gives up, of commands holds for all that follows the ACK.",
        when=during("command", changed_later),
        check=as_subscribed,
        good=(changed_to_the_other,),
        bad=(changed_in_words_only,),
        cases=(changing_its_mind,),
    ),
    Rule(
        id="subscriptions.commands-but-one",
        clauses=("SUB-5",),
        judges="Giving up one command after all leaves the others, and only that one is silent.",
        when=during("command", took_one_out),
        check=as_subscribed,
        good=(all_but_one,),
        bad=(taken_out_in_vain, all_taken_out),
        cases=(changing_its_mind,),
    ),
)
