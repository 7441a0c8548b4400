"""Draws scripts: the same seed, the same scripts, byte for byte.

A script is plain JSON; `reports/script.schema.json` says its shape:

    format   1
    agents, dashboards   each actor's name and the number of its user
    steps    in order; {"together": [step, …]} happens at the same time

A step names its actor, the cause in the contract's words, and what is done: `say` a message, `call` an operation,
`leave` cleanly, `drop` the socket without a handshake, or a fault (`faults.py`). A value {"$agent": "agent-1"} stands
for that agent's id;
`$command`, `$new` (the id of a command to be), `$uuid`, `$subject` and `$token` likewise.

What is likely is said here once, for all scripts: what moves an agent or a command along its machine more than what
leaves everything as it is; what is about the same agent or command as the step before, or as what happens at the same
time, more than what is about another. Beyond that each script has a taste of its own: of every cause it does nothing,
something or much (swarm testing; Groce et al. 2012), so that what one cause drowns in most scripts has room in some.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from conformance.generate.payloads import valid_payloads
from conformance.sequences.faults import BACKEND, ENDS, FAULTS, FAULTY_ENDS, HALF_OPEN, LATE, VANISHED, fault_step
from conformance.sequences.model import CANCELS, LEFT, MAKING, STOPS, Cast, Model, Move
from conformance.sequences.values import Values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.contract import Contract

Script = dict[str, Any]
Step = dict[str, Any]
T = TypeVar("T")

FORMAT = 1
AGAIN = "agent.connected-again"
STARTED = "agent.command-started"
CONNECTED, LOST = "agent.connected", "agent.lost"
TOGETHER = (1, 2, 2, 2, 3, 3)
"""How many things happen at the same time, by weight."""
SAME = (True, True, True, False)
"""How often what happens at the same time is about the same agent or command, by weight: that is where races are."""
LEGAL = (True,) * 7 + (False,)
"""How often a forbidden move is tried, by weight."""
FAULTY, BEGUN = 0.25, 0.5
"""How often a connection breaks in a script in which they may, and how often what is half open is gone on with."""
COMES_BACK = (True, True, False)
"""How often an agent comes back as soon as its connection is half open, by weight."""
AGENTS, DASHBOARDS = (1, 1, 1, 2, 2, 3), (1, 1, 2, 3)
"""How many of them the first user has, by weight."""
FEWEST = 4
"""How many groups of steps a script has at least, after those with which it begins."""
TASTES = (0, 1, 1, 4)
"""How much of a cause there is in a script."""
THEMES: Mapping[str, Sequence[int]] = {"command": (2, 4, 8), "agent": (1, 2, 4), "session": (1, 1, 2)}
"""How much of a script is about commands, about agents, and about neither, by weight."""
PILING_UP = (True, False)
"""How often commands pile up in a script, mostly for agents that are away, rather than being worked off, by weight."""
GOING_ON = 4
"""How much likelier a cause is by which the last command is gone on with."""
STARTING = 4
"""How much likelier a command's start is, from which most of what can become of it comes."""
ENDING = 4
"""How much less likely a move is after which nothing more can come of a command."""
MOVING, NEAR = 6, 4
"""How much likelier a move is that changes a state, and one that is about what the last ones were about."""
OPEN = ("QUEUED", "EXECUTING")


def script(  # noqa: PLR0913 - the facts of a draw, by name
    contract: Contract,
    seed: str,
    *,
    size: int,
    users: int = 2,
    withheld: frozenset[str] = frozenset(),
    destructive: bool = False,
    faults: bool = False,
    restarts: Sequence[str] = (),
) -> Script:
    """A script of at most so many groups of steps.

    With `destructive` it may stop everything, and is fond of it; with `faults` connections break in every way; it holds
    one of these `restarts`, if there are any.
    """
    allowed = {"withheld": withheld, "destructive": destructive, "faults": faults}
    return _Drawing(contract, Random(seed), users, **allowed).script(size, restarts)  # noqa: S311 - no secret


def scripts(contract: Contract, *, count: int, seed_: int, **facts: Any) -> list[Script]:
    """So many scripts; the facts are those of `script`."""
    return [script(contract, f"{seed_}-{n}", **facts) for n in range(1, count + 1)]


def warm(contract: Contract) -> None:
    """Works out what all drawing needs of the schemas: a second or two that nobody is to wait for later."""
    for message in contract.messages.values():
        if message.side.startswith("from-"):
            valid_payloads(contract.shapes, message.schema)
    for operation in contract.operations.values():
        if operation.body and any(c["on"].get("operation") == operation.id for c in contract.causes.values()):
            valid_payloads(contract.shapes, operation.body)


class _Drawing:
    """One script in the making."""

    def __init__(self, contract: Contract, random: Random, users: int, **allowed: Any) -> None:
        self._contract = contract
        self._random = random
        agents = {f"agent-{n}": 0 for n in range(1, 1 + self._one_of(AGENTS))}
        dashboards = {f"dashboard-{n}": 0 for n in range(1, 1 + self._one_of(DASHBOARDS))}
        if users > 1 and self._one_of((True, False)):
            agents[f"agent-{len(agents) + 1}"] = 1
            dashboards[f"dashboard-{len(dashboards) + 1}"] = 1
        used = 1 + max([*agents.values(), *dashboards.values()])
        self._model = Model(contract, Cast(agents, dashboards, used), **allowed)
        self._model.faults = self._model.faults and self._one_of((True, False))
        self._ends = (*ENDS, *FAULTY_ENDS) if self._model.faults else ENDS
        self._tastes = {cause: self._one_of(TASTES) for cause in (*contract.causes, LEFT)}
        self._tastes |= dict.fromkeys(FAULTS, 1) | {STARTED: self._one_of(TASTES[1:])}
        if self._model.destructive:
            self._tastes |= dict.fromkeys(STOPS, max(TASTES))
        self._piles_up = self._one_of(PILING_UP)
        self._themes = {theme: self._one_of(weights) for theme, weights in THEMES.items()}
        if self._piles_up:
            self._tastes |= dict.fromkeys((*MAKING, *CANCELS, LOST), max(TASTES))
            self._themes["command"] = max(THEMES["command"])
        self._last: set[str] = set()
        """The agents and commands that the last moves were about."""
        self._values = Values(contract, random, self._model)
        self._announced: dict[str, dict[str, Any]] = {}
        """Agent → its last AGENT_CONNECT: what another one on the same connection may say is unspecified (CON-1)."""

    def script(self, size: int, restarts: Sequence[str]) -> Script:
        """Draw it: somebody watches and an agent is there, then whatever is possible."""
        cast = self._model.cast
        steps = [self._first("dashboard.init", "dashboard-1"), self._first("agent.connected", "agent-1")]
        if self._piles_up and self._one_of((True, False)):
            steps.append(self._first(LOST, "agent-1"))
        count = self._random.randint(FEWEST, size)
        restart = self._random.randint(1, count) if restarts else 0
        for number in range(1, count + 1):
            steps += self._next()
            if number == restart:
                steps.append(self._restart(self._one_of(restarts)))
                steps += [self._first("dashboard.init", "dashboard-1"), self._first("agent.connected", "agent-1")]
        return {"format": FORMAT, "agents": dict(cast.agents), "dashboards": dict(cast.dashboards), "steps": steps}

    def _first(self, cause: str, actor: str) -> Step:
        move = Move(cause, actor, actor if actor in self._model.cast.agents else "")
        step = self._step(move)
        self._model.take(move)
        return step

    def _restart(self, cause: str) -> Step:
        self._model.take(Move(cause, BACKEND))
        return fault_step(cause, BACKEND, "")

    def _one_of(self, options: Sequence[T]) -> T:
        return self._random.choice(options)

    def _next(self) -> list[Step]:
        chosen: list[Move] = []
        possible = self._model.moves()
        for _ in range(self._one_of(TOGETHER)):
            legal, busy = self._one_of(LEGAL), {move.actor for move in chosen}
            open_ = [m for m in possible if m.legal == legal and m.actor not in busy]
            is_same = bool(chosen) and self._one_of(SAME)
            if is_same:
                open_ = [m for m in open_ if self._about(m) & self._last] or open_
            if (move := self._chosen(self._failing(open_) or open_)) is not None:
                if move.cause in MAKING:
                    made = len(self._model.commands) + 1 + sum(m.cause in MAKING for m in chosen)
                    move = move._replace(command=f"command-{made}")
                chosen.append(move)
                self._last = self._about(move) | (self._last if len(chosen) > 1 else set())
        steps = [self._step(move) for move in chosen]
        for move in chosen:
            self._model.take(move)
        half_open = [m.agent for m in chosen if m.cause == HALF_OPEN and m.agent]
        back = [step for agent in half_open if self._one_of(COMES_BACK) for step in self._back(agent)]
        return [*([{"together": steps}] if len(steps) > 1 else steps), *back]

    def _about(self, move: Move) -> set[str]:
        """What a move is about: a stop is about everything of its user."""
        if move.cause not in STOPS:
            return about(move)
        user, model = self._model.user(move.actor), self._model
        open_ = {name for name, c in model.commands.items() if c.user == user and c.state in OPEN}
        return open_ | {name for name, whose in model.cast.agents.items() if whose == user}

    def _back(self, agent: str) -> list[Step]:
        """An agent whose connection is half open comes back on another; what it had still to say may come late."""
        steps = [self._first("agent.replaced", agent)]
        for _ in range(self._one_of((1, 2, 0))):
            late = [m for m in self._model.moves() if m.cause == LATE and m.actor == agent]
            said = self._one_of(sorted({m.says for m in late}))
            steps.append(self._step(self._one_of([m for m in late if m.says == said])))
        return steps

    def _failing(self, moves: Sequence[Move]) -> list[Move]:
        """Mostly what comes of a half-open connection, where there is one; now and then another fault."""
        begun = [m for m in moves if m.cause in {LATE, VANISHED} or m.actor in self._model.broken.silent]
        if begun and self._random.random() < BEGUN:
            return begun
        faults = [m for m in moves if m.cause in FAULTS]
        return faults if self._random.random() < FAULTY else []

    def _chosen(self, moves: Sequence[Move]) -> Move | None:
        """One of them: first what kind of thing it is about, then what is said or called, and with what meaning."""
        themes: dict[str, dict[str, dict[str, list[Move]]]] = {}
        for move in moves:
            if self._tastes[move.cause]:
                kind = move.cause if move.cause in FAULTS else self._model.kind(move)
                theme = "command" if move.command else "agent" if move.agent else "session"
                themes.setdefault(theme, {}).setdefault(kind, {}).setdefault(move.cause, []).append(move)
        if not themes:
            return None
        kinds = self._likely(themes, [self._themes[theme] for theme in themes])
        causes = self._likely(kinds, [max(self._weight(*one) for one in causes.items()) for causes in kinds.values()])
        found = self._likely(causes, [self._weight(*one) for one in causes.items()])
        return self._random.choices(found, [NEAR if about(move) & self._last else 1 for move in found])[0]

    def _weight(self, cause: str, moves: Sequence[Move]) -> int:
        if cause in MAKING:  # the more wait, the less another one is likely, unless they are to pile up
            return max(1, self._tastes[cause] * MOVING // (1 if self._piles_up else 1 + self._model.waiting))
        goes_on = any((self._about(m) if m.cause in STOPS else {m.command}) & self._last for m in moves)
        moves_on = MOVING if cause in self._model.moving else 1
        weight = self._tastes[cause] * moves_on * (GOING_ON if goes_on else 1)
        if cause == STARTED and not self._piles_up:
            return weight * STARTING
        is_rare = cause in self._model.ending or cause == STARTED or (self._piles_up and cause == CONNECTED)
        return max(1, weight // ENDING) if is_rare else weight

    def _likely(self, options: Mapping[str, T], weights: Sequence[int]) -> T:
        return self._random.choices(list(options.values()), weights)[0]

    def _step(self, move: Move) -> Step:
        if move.cause == LATE:
            return {**self._step(move._replace(cause=move.says)), "cause": LATE, "on": "earlier"}
        if move.cause in FAULTS:
            return fault_step(move.cause, move.actor, move.says)
        head: Step = {"actor": move.actor, "cause": move.cause}
        on = {} if move.cause == LEFT else self._contract.causes[move.cause]["on"]
        if "message" in on:
            message = self._contract.messages[on["message"]]
            payload = self._values.payload(message.schema, move)
            if message.type == "AGENT_CONNECT":
                again = move.cause == AGAIN
                payload = self._announced[move.actor] = self._announced[move.actor] if again else payload
            for condition in on.get("where", ()):
                self._fit(payload, condition, "/payload/")
            return {**head, "say": message.type, "payload": payload, **_makes(move)}
        if "operation" in on:
            operation = self._contract.operations[on["operation"]]
            step: Step = {**head, "call": operation.id, "path": _path(move), **_makes(move)}
            if operation.body:
                step["body"] = self._values.body(operation.body, move)
            return step
        return {**head, "do": self._one_of(self._ends)}

    def _fit(self, payload: dict[str, Any], condition: Mapping[str, Any], base: str) -> None:
        name = condition["pointer"].removeprefix(base)
        options = condition.get("one_of") or [condition["equals"]]
        payload[name] = self._one_of(options)


def about(move: Move) -> set[str]:
    """The agent and the command that a move is about."""
    return {name for name in (move.agent, move.command) if name}


def _makes(move: Move) -> dict[str, Any]:
    """Which command a step makes, and whose it is."""
    return {"makes": {"command": move.command, "agent": move.agent}} if move.cause in MAKING else {}


def _path(move: Move) -> dict[str, Any]:
    """The path parameters of an operation."""
    found: dict[str, Any] = {}
    if move.agent:
        found["agentId"] = {"$agent": move.agent}
    if move.command and move.cause not in MAKING:
        found["commandId"] = {"$command": move.command}
    return found
