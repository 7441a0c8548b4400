"""What may happen next: a small model of connections, agents and commands, from the contract's machines and causes.

It is pure and knows no backend: it follows what the contract's `x-conformance` says of each cause. What is drawn from
it need not be legal: a move that a machine forbids is offered too, marked as such, for its refusal is part of the
contract. Nothing is judged by the model; rules judge what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from conformance.sequences.faults import FAULTS, HALF_OPEN, RESTARTS, VANISHED, Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from conformance.contract import Contract
    from conformance.contract.messages import Message

ABSENT, OFFLINE = "ABSENT", "OFFLINE"
MAKING = frozenset({"dashboard.command", "rest.command"})
CANCELS = {"dashboard.cancel", "rest.cancel"}
STOPS = {"dashboard.emergency-stop", "rest.emergency-stop"}
LEFT = "dashboard.left"
ROLES = {"AGENT_CONNECT", "DASHBOARD_INIT"}
TELLING = ("to-dashboard.AGENT_STATUS", "to-dashboard.COMMAND_STATUS", "to-agent.COMMAND_")
"""What is said when an agent or a command moves, or is to move, or shows how it is."""
BY_MESSAGE_OF_DASHBOARD = ("COMMAND_REQUEST", "AGENT_CONTROL")


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: each actor's name and the number of its user."""

    agents: Mapping[str, int]
    dashboards: Mapping[str, int]
    users: int = 1


class Move(NamedTuple):
    """One thing that an actor can do next."""

    cause: str
    actor: str
    """agent-1, dashboard-1, or user-0 for a REST client."""
    agent: str = ""
    """The agent that it is about."""
    command: str = ""
    """The command that it is about, or makes."""
    legal: bool = True
    """Whether the contract lets it succeed."""
    says: str = ""
    """For a fault: the type of the message that is repeated, or the cause that comes too late."""


@dataclass(slots=True)
class Command:
    """A command as the script has brought it along."""

    agent: str
    user: int
    state: str = "QUEUED"
    sequence: int = 0
    """The last sequence of its terminal output."""


@dataclass
class Model:
    """The world as it is after some moves."""

    contract: Contract
    cast: Cast
    withheld: frozenset[str] = frozenset()
    destructive: bool = False
    faults: bool = False
    """Whether connections may break in more ways than by their end."""
    agents: dict[str, str] = field(init=False)
    """Agent → its state in the machine `agent`."""
    connected: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)
    commands: dict[str, Command] = field(default_factory=dict)
    moving: frozenset[str] = field(init=False)
    """The causes that take an agent or a command to another state, ask for that, or show the state."""
    ending: frozenset[str] = field(init=False)
    """The causes that take a command where nothing leads any further."""
    session: dict[str, int] = field(default_factory=dict)
    """Agent → the last sequence of its session output on this connection."""
    broken: Broken = field(default_factory=Broken)

    _steps: dict[tuple[str, str, str], str] = field(init=False)
    """Machine, cause and state → the state that follows."""
    _named: set[tuple[str, str]] = field(init=False)
    """Machine and cause, where the machine concerns itself with it."""
    _kinds: dict[str, str] = field(default_factory=dict)
    """Cause → its kind, once asked for."""

    def __post_init__(self) -> None:
        found = [(name, s) for name, facts in self.contract.machines.items() for s in facts["transitions"]]
        self._steps = {(name, s["on"], s["from"]): s["to"] for name, s in found}
        self._named = {(name, cause) for name, cause, _ in self._steps}
        self.agents = dict.fromkeys(self.cast.agents, ABSENT)
        self.moving = frozenset(_moving(self.contract))
        commands = [step for name, step in found if name == "command"]
        ends = {step["to"] for step in commands} - {step["from"] for step in commands}
        self.ending = frozenset(step["on"] for step in commands if step["to"] in ends)

    @property
    def waiting(self) -> int:
        """How many commands have not started."""
        return sum(command.state == "QUEUED" for command in self.commands.values())

    def user(self, actor: str) -> int:
        """The number of an actor's user."""
        if actor.startswith("user-"):
            return int(actor.removeprefix("user-"))
        return self.cast.agents.get(actor, self.cast.dashboards.get(actor, 0))

    def moves(self) -> list[Move]:
        """Everything that can be tried now; a forbidden move only where no other reading of it is allowed."""
        found = list(self._tried())
        legal = {self._said(move) for move in found if move.legal}
        return [m for m in found if m.legal or (m.agent and self.kind(m) not in ROLES and self._said(m) not in legal)]

    def kind(self, move: Move) -> str:
        """The message type, the operation, or the word for an end, that a move consists of."""
        if (known := self._kinds.get(move.cause)) is None:
            on = self._on(move)
            message = self.contract.messages[on["message"]].type if "message" in on else on.get("operation", "close")
            known = self._kinds[move.cause] = "fault" if move.cause in FAULTS else message
        return known

    def _on(self, move: Move) -> Mapping[str, Any]:
        cause = self.contract.causes.get(move.cause)
        return cause["on"] if cause else {}

    def _said(self, move: Move) -> tuple[str, ...]:
        on = self._on(move)
        return (self.kind(move), str(on.get("where")), move.actor, move.agent, move.command)

    def _tried(self) -> Iterator[Move]:
        for name, cause in self.contract.causes.items():
            on = cause["on"]
            if "message" in on:
                yield from self._saying(name, on)
            elif "operation" in on:
                yield from self._calling(name, on)
            elif "close" in on:
                yield from (Move(name, actor, actor) for actor in sorted(self.connected))
        yield from (Move(LEFT, actor) for actor in sorted(self.ready))
        if self.faults:
            yield from self._failing()

    def _failing(self) -> Iterator[Move]:
        """What can break, all of it legal: the contract says what follows."""
        busy: dict[str, list[str]] = {}
        for name, command in self.commands.items():
            busy.setdefault(command.agent, []).append(name)
        for cause, actor, command_name, says in self.broken.possible(self.connected, self.ready, busy):
            yield Move(cause, actor, actor if actor in self.agents else "", command_name, says=says)

    def _saying(self, name: str, on: Mapping[str, Any]) -> Iterator[Move]:
        message = self.contract.messages[on["message"]]
        if message.capability in self.withheld or (name in STOPS and not self.destructive):
            return
        actors = self.cast.agents if message.side == "from-agent" else self.cast.dashboards
        for actor in actors:
            if self._is_in(actor, message, on["state"]):
                yield from self._judged(name, self._bound(name, actor, message))

    def _is_in(self, actor: str, message: Message, state: str) -> bool:
        """Whether the actor's connection is in a state; AGENT_CONNECT opens a new one whenever it likes."""
        if actor in self.broken.silent:
            return message.type == "AGENT_CONNECT" and state == "opened"
        is_open = actor in self.connected or actor in self.ready
        return not is_open or message.type == "AGENT_CONNECT" if state == "opened" else is_open

    def _bound(self, name: str, actor: str, message: Message) -> Iterator[Move]:
        properties = self.contract.shapes.documents[message.schema].get("properties", {})
        if message.type in BY_MESSAGE_OF_DASHBOARD:
            made = f"command-{len(self.commands) + 1}" if message.type == "COMMAND_REQUEST" else ""
            yield from (Move(name, actor, agent, made) for agent in self.agents)
        elif "commandId" in properties:
            own = actor if message.side == "from-agent" else ""
            yield from (Move(name, actor, own or c.agent, command) for command, c in self.commands.items())
            if message.type == "TERMINAL_OUTPUT":
                yield Move(name, actor, actor)
        else:
            yield Move(name, actor, actor if message.side == "from-agent" else "")

    def _calling(self, name: str, on: Mapping[str, Any]) -> Iterator[Move]:
        operation = self.contract.operations[on["operation"]]
        if operation.capability in self.withheld or (name in STOPS and not self.destructive):
            return
        for user in range(self.cast.users):
            actor = f"user-{user}"
            if "{agentId}" in operation.path:
                bound = [Move(name, actor, agent) for agent in self.agents]
            elif "{commandId}" in operation.path:
                bound = [Move(name, actor, c.agent, command) for command, c in self.commands.items()]
            elif on["operation"] == "createCommand":
                made = f"command-{len(self.commands) + 1}"
                bound = [Move(name, actor, agent, made) for agent in self.agents]
            else:
                bound = [Move(name, actor)]
            yield from self._judged(name, iter(bound))

    def _judged(self, name: str, moves: Iterator[Move]) -> Iterator[Move]:
        given = GIVEN.get(self.contract.causes[name]["on"].get("given", ""))
        for move in moves:
            fits = (given is None or given(self, move)) and self._is_own(move)
            yield Move(name, move.actor, move.agent, move.command, fits and self._allowed(move))

    def _is_own(self, move: Move) -> bool:
        user = self.user(move.actor)
        command = self.commands.get(move.command)
        others = move.agent and self.cast.agents[move.agent] != user
        return not others and (command is None or (command.agent == move.agent and command.user == user))

    def _allowed(self, move: Move) -> bool:
        """Whether the machines have a step for it from where agent and command are."""
        command = self.commands.get(move.command)
        if move.agent and not self._has_step("agent", move.cause, self.agents[move.agent]):
            return False
        if move.agent and self.agents[move.agent] == ABSENT and not self._names("agent", move.cause):
            return False
        return command is None or self._has_step("command", move.cause, command.state)

    def _names(self, machine: str, cause: str) -> bool:
        return (machine, cause) in self._named

    def _has_step(self, machine: str, cause: str, state: str) -> bool:
        """Whether the machine has this step from a state, or does not concern itself with the cause."""
        return not self._names(machine, cause) or self._step(machine, cause, state) is not None

    def _step(self, machine: str, cause: str, state: str) -> str | None:
        return self._steps.get((machine, cause, state))

    def take(self, move: Move) -> None:
        """The world after a move."""
        if move.cause in FAULTS:
            self._break(move)
            return
        kind = self.kind(move)
        self._connect(move, kind)
        if not move.legal:
            return
        if move.agent:
            self.agents[move.agent] = (
                self._step("agent", move.cause, self.agents[move.agent]) or self.agents[move.agent]
            )
        if kind in {"COMMAND_REQUEST", "createCommand"}:
            self.commands[move.command] = Command(move.agent, self.user(move.actor))
        elif kind == "deleteAgent":
            self._end(move.agent, dict.fromkeys(("QUEUED", "EXECUTING"), "CANCELLED"))
        elif command := self.commands.get(move.command):
            step = "command.cancelled" if move.cause in CANCELS else move.cause
            command.state = self._step("command", step, command.state) or command.state
        if move.cause in STOPS:
            for agent, user in self.cast.agents.items():
                if user == self.user(move.actor):
                    self._end(agent, dict.fromkeys(("QUEUED", "EXECUTING"), "CANCELLED"))

    def _connect(self, move: Move, kind: str) -> None:
        """Who is connected after a move, legal or not."""
        if "message" in self._on(move):
            self.broken.speaks(move.actor, kind)
        if kind == "AGENT_CONNECT":
            self.connected.add(move.actor)
            self.session[move.actor] = 0
        elif kind == "DASHBOARD_INIT":
            self.ready.add(move.actor)
        elif kind == "close":
            self.connected.discard(move.actor)
            self.ready.discard(move.actor)
            self.broken.ends(move.actor)
            self._end(move.actor, {"EXECUTING": "FAILED"})

    def _break(self, move: Move) -> None:
        """The world after a fault: what is repeated, late or stalled changes nothing that decides what is possible."""
        if move.cause == HALF_OPEN:
            self.broken.silent.add(move.actor)
        elif move.cause == VANISHED:
            self.broken.earlier.discard(move.actor)
        elif move.cause in RESTARTS:
            for agent in self.connected:
                self.agents[agent] = OFFLINE
                self._end(agent, {"EXECUTING": "FAILED"})
            self.connected.clear()
            self.ready.clear()
            self.broken.restart()

    def _end(self, agent: str, to: Mapping[str, str]) -> None:
        """What becomes of an agent's commands."""
        for command in self.commands.values():
            if command.agent == agent:
                command.state = to.get(command.state, command.state)


def _moving(contract: Contract) -> Iterator[str]:
    for machine in ("agent", "command"):
        yield from (step["on"] for step in contract.machines[machine]["transitions"] if step["from"] != step["to"])
    for name, cause in contract.causes.items():
        if any(effect.get("message", "").startswith(TELLING) for effect in cause["effects"]):
            yield name


def _not_started(model: Model, move: Move) -> bool:
    return move.command in model.commands and model.commands[move.command].state == "QUEUED"


GIVEN: Mapping[str, Callable[[Model, Move], bool]] = {
    "same-agent": lambda _m, _move: True,
    "agent-has-connection": lambda m, move: move.agent in m.connected,
    "agent-has-no-connection": lambda m, move: move.agent not in m.connected and m.agents.get(move.agent) != ABSENT,
    "not-replaced": lambda _m, _move: True,
    "new-command-id": lambda m, move: move.command not in m.commands,
    "command-not-started": _not_started,
    "command-executing": lambda m, move: move.command in m.commands and m.commands[move.command].state == "EXECUTING",
    "user-id-not-of-token": lambda _m, _move: False,
}
"""The conditions of `x-conformance`, by name; what a script says itself (a token) is decided where it is drawn."""
