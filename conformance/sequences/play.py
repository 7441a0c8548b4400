"""Plays a script on a live backend. What happens is on the timeline; rules judge it, the player never does."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import orjson

from conformance import reading
from conformance.sequences.faults import BACKEND
from conformance.world.actors import DELIVERED_WITHIN

if TYPE_CHECKING:
    from conformance.sequences.draw import Script, Step
    from conformance.timeline import Frame
    from conformance.world.actors import Agent
    from conformance.world.link import Link
    from conformance.world.user import User
    from conformance.world.world import World

DELIVERY_SECONDS = 0.5
EVENT_SECONDS = 1.0
"""x-conformance: within it comes every event of what happened, but for what has to be noticed first."""
FROM_AGENT = ("COMMAND_ACK", "COMMAND_COMPLETE")
CREATED = 201
OPEN = {"QUEUED", "EXECUTING"}
STALL_SECONDS = 0.8
"""How long an actor reads nothing; less than the contract gives for most events."""
REPLACED_SECONDS = 1.5
"""More than CON-4 gives a backend for closing a connection that was replaced: who does not is seen not to."""
INTERVALS = 2
"""Heartbeat intervals after which nothing more is begun: agents that say nothing are lost after three (DIS-3)."""


async def play(world: World, script: Script, *, patient: bool = True) -> None:
    """Plays the steps in order, those written together at the same time, and looks at everything at the end.

    Who is patient goes on until every event is late that has not come: what is missing is not known to be until then.
    """
    stage = _Stage(world, script)
    for step in script["steps"]:
        if world.recorder.now > world.site.terms.heartbeat_interval * INTERVALS:
            world.recorder.note("left-out", step="the rest", why="agents that send no heartbeat would soon be lost")
            break
        if "together" in step:
            await asyncio.gather(*(stage.act(part) for part in step["together"]))
        else:
            await stage.act(step)
    acted = await stage.look()
    if patient:
        await world.outlast(acted + EVENT_SECONDS)


class UnknownError(Exception):
    """A step speaks of something that has not come about."""


class _Stage:
    """The actors of one script, and what its names stand for."""

    def __init__(self, world: World, script: Script) -> None:
        self._world = world
        self._users: dict[str, int] = {**script["agents"], **script["dashboards"]}
        self._agents: dict[str, Agent] = {name: world.user(user).new_agent() for name, user in script["agents"].items()}
        self._links: dict[str, Link] = {}
        self._earlier: dict[str, Link] = {}
        """Agent → its half-open connection, once it has another one."""
        self._said: dict[tuple[str, str], tuple[Link, str]] = {}
        """Actor and type → where it said the last such message, and how that was sent."""
        self._commands: dict[str, str] = {}
        self._targets: dict[str, str] = {}
        """Command id → the name of its agent."""
        self._put_out: set[str] = set()
        """The ids of commands for which an agent printed something."""
        self._shown: dict[str, str] = {}
        """Command id → the status that it was last read with."""
        self._space = uuid.uuid5(uuid.NAMESPACE_OID, world.new_id())
        """The ids of one play: those of an earlier play of the same script are taken."""

    def _user(self, actor: str) -> User:
        number = int(actor.removeprefix("user-")) if actor.startswith("user-") else self._users[actor]
        return self._world.user(number)

    async def act(self, step: Step) -> None:
        """One step; what cannot be done any more, because a step before it failed, is noted and left out."""
        try:
            if "say" in step:
                await (self._say_late(step) if "on" in step else self._say(step))
            elif "repeat" in step:
                await self._repeat(step)
            elif "call" in step:
                await self._call(step)
            else:
                await self._end(step)
        except UnknownError as unknown:
            self._world.recorder.note("left-out", step=step["cause"], why=str(unknown))

    async def _say(self, step: Step) -> None:
        actor, kind = step["actor"], step["say"]
        if kind in {"AGENT_CONNECT", "DASHBOARD_INIT"}:
            await self._open(step)
        link = self._links.get(actor)
        if link is None or not link.is_open:
            raise UnknownError(f"{actor} has no connection")
        payload = self._resolved(step["payload"])
        if kind in FROM_AGENT and self._targets.get(payload["commandId"]) == actor:
            await self._delivered(link, payload["commandId"])
        sent = await link.send(kind, payload)
        if kind == "TERMINAL_OUTPUT":
            self._put_out.add(str(payload["commandId"]))
        self._said[actor, kind] = (link, orjson.dumps(sent.value).decode())
        answer = await self._answered(actor, link, sent)
        if "makes" in step and answer is not None and answer.kind == "ACK":
            self._make(step, answer.payload.get("commandId"))

    async def _repeat(self, step: Step) -> None:
        """The last message of a type once more: byte for byte, but for the id where it would be there twice."""
        actor, kind = step["actor"], step["repeat"]
        link, said = self._links.get(actor), self._said.get((actor, kind))
        if said is None or link is None or not link.is_open:
            raise UnknownError(f"{actor} has nothing to repeat")
        where, text = said
        value = orjson.loads(text)
        again = await (link.send(kind, value["payload"]) if where is link else link.send_text(text, value=value))
        await self._answered(actor, link, again)

    async def _say_late(self, step: Step) -> None:
        """What comes through on a connection that was replaced, once the backend has closed it."""
        link = self._earlier.get(step["actor"])
        if link is None or await link.ended(REPLACED_SECONDS) is None:
            raise UnknownError(f"no connection of {step['actor']} was replaced")
        if not await link.send_late(step["say"], self._resolved(step["payload"])):
            raise UnknownError("the connection that was replaced is gone")

    def _make(self, step: Step, command: Any) -> None:
        """A step has made a command."""
        if isinstance(command, str):
            self._commands[step["makes"]["command"]] = command
            self._targets[command] = step["makes"]["agent"]

    async def _open(self, step: Step) -> None:
        """A fresh socket, where the message opens one: always for an agent, for a dashboard that has none."""
        actor, user = step["actor"], self._user(step["actor"])
        role = "agent" if step["say"] == "AGENT_CONNECT" else "dashboard"
        link = self._links.get(actor)
        again = step["cause"] in {"agent.connected-again", "dashboard.init-again"}
        if again and link is not None and link.is_open:
            return
        if role == "agent" and link is not None and link.is_silent:
            self._earlier[actor] = link
        self._links[actor] = await user.socket(role)

    async def _answered(self, actor: str, link: Link, sent: Frame) -> Frame | None:
        kinds = {
            "DASHBOARD_INIT": ("dashboard:connected",),
            "AGENT_HEARTBEAT": ("SERVER_HEARTBEAT",),
            "PING": ("PONG",),
        }.get(sent.type, ())
        if sent.type == "PONG":
            return None
        answer = await link.answer(sent, *kinds, expected=False)
        if sent.type == "AGENT_CONNECT" and answer is not None:
            given = answer.payload.get("agentId")
            agent = self._agents[actor]
            agent.id = given if isinstance(given, str) and given else agent.id
            agent.link = link
            self._user(actor).made(agent.id)
        return answer

    async def _delivered(self, link: Link, command: str) -> None:
        """An agent speaks of its command once it has it."""
        found = await link.until(
            "COMMAND_REQUEST",
            within=DELIVERY_SECONDS,
            where=lambda frame: frame.payload.get("commandId") == command,
            expected=False,
        )
        if found is None:
            raise UnknownError("its command was not delivered on this connection")

    async def _call(self, step: Step) -> None:
        rest = self._user(step["actor"]).rest
        operation = self._world.site.contract.operations[step["call"]]
        path = operation.path
        for name, value in self._resolved(step["path"]).items():
            path = path.replace(f"{{{name}}}", value)
        if "{" in path:
            raise UnknownError("the path names something unknown")
        options = {"body": self._resolved(step["body"])} if "body" in step else {}
        answer = await rest.call(operation.method, path, **options)
        if step["call"] == "createCommand" and answer.status == CREATED:
            self._make(step, (reading.one(answer.value) or {}).get("id"))

    async def _end(self, step: Step) -> None:
        """What happens to an actor's socket, or to the backend."""
        what = step["do"]
        if step["actor"] == BACKEND:
            await self._read()
            if await self._world.restart(kill=what == "kill"):
                await self._read()
            return
        link = (self._earlier if "on" in step else self._links).get(step["actor"])
        if link is None or not (link.is_there or "on" in step):
            raise UnknownError(f"{step['actor']} has no connection")
        match what:
            case "leave" if link.is_open:
                await link.close()
            case "cut" if link.is_open:
                await link.cut()
            case "reset":
                await link.reset()
            case "half-open":
                link.fall_silent()
            case "stall":
                link.stall(STALL_SECONDS)
            case _:
                await link.drop()

    def _resolved(self, value: Any) -> Any:
        """The value with every reference in it replaced."""
        if isinstance(value, list):
            return [self._resolved(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (name := next(iter(value))).startswith("$"):
            return self._named(name, value[name])
        return {key: self._resolved(inner) for key, inner in value.items()}

    def _named(self, what: str, name: Any) -> Any:
        match what:
            case "$agent":
                return self._agents[name].id
            case "$uuid" | "$new":
                return str(uuid.uuid5(self._space, name))
            case "$subject":
                return self._world.site.keyring.subject(self._world.user(name).name)
            case "$token":
                return self._world.site.keyring.token(self._world.user(name).name)
            case "$command" if name in self._commands:
                return self._commands[name]
        raise UnknownError(f"there is no {name}")

    async def look(self) -> float:
        """Waits until nothing more can come, then looks at everything through every channel; says when it last acted.

        An agent's heartbeat is one of them, the last: what it brings to light may hide what the others show.
        """
        acted = self._world.recorder.now
        await self._world.quiet()
        users = {self._world.user(number) for number in self._users.values()}
        await asyncio.gather(self._read(), *(user.rest.all_agents() for user in users), *(u.dashboard() for u in users))
        await self._wait_for_deliveries()
        await self._world.quiet()
        there = [agent for name, agent in self._agents.items() if (link := self._links.get(name)) and link.is_open]
        if there:
            await asyncio.gather(*(agent.say_heartbeat() for agent in there))
            acted = self._world.recorder.now
            await self._world.quiet()
            await asyncio.gather(*(user.rest.all_agents() for user in users))
        return acted

    async def _wait_for_deliveries(self) -> None:
        """Waits for what an agent that is there should get now: at once on a right backend, in vain on a wrong one."""
        within = DELIVERED_WITHIN + self._world.site.terms.slack + 0.3
        due = [(self._agents[name], command) for name in self._agents if (command := self._due(name))]
        await asyncio.gather(*(agent.takes(command, within=within, expected=False) for agent, command in due))

    def _due(self, name: str) -> str:
        """A command that is to be delivered to an agent now; empty where there is none, or it has something else."""
        link = self._links.get(name)
        mine = [c for c, agent in self._targets.items() if agent == name and self._shown.get(c) in OPEN]
        if link is None or not link.is_there or any(self._shown[c] != "QUEUED" for c in mine):
            return ""
        kept = any(f.kind == "COMMAND_REQUEST" and f.payload.get("commandId") in mine for f in link.frames)
        return mine[0] if mine and not kept else ""

    async def _read(self) -> None:
        """Reads each agent, each command, and what was put out, each as its user; the last one as every other too."""
        withheld = self._world.site.target.withheld
        commands = [] if "commands" in withheld else list(self._commands.values())
        numbers = set(self._users.values())
        asked = [(self._users[name], f"/agents/{agent.id}") for name, agent in self._agents.items()]
        for command in commands:
            places = [f"/commands/{command}"]
            if "terminal" not in withheld and (command in self._put_out or command == commands[-1]):
                places.append(f"/commands/{command}/output")
            readers = sorted(numbers) if command == commands[-1] else [self._users[self._targets[command]]]
            asked += [(number, path) for number in readers for path in places]
        answers = await asyncio.gather(*(self._world.user(number).rest.get(path) for number, path in asked))
        for shown in filter(None, (reading.one(e.value) for e in answers if e.operation == "getCommand")):
            self._shown[str(shown.get("id"))] = str(shown.get("status"))
