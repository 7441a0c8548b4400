"""Draws scripts with Hypothesis: the same seed, the same scripts, byte for byte.

A script is plain JSON; `reports/script.schema.json` says its shape:

    format   1
    agents, dashboards   each actor's name and the number of its user
    steps    in order; {"together": [step, …]} happens at the same time

A step names its actor, the cause in the contract's words, and what is done: `say` a message, `call` an operation,
`leave` cleanly, `drop` the socket without a handshake, or a fault (`faults.py`). A value {"$agent": "agent-1"} stands
for that agent's id;
`$command`, `$new` (the id of a command to be), `$uuid`, `$subject` and `$token` likewise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conformance.generate.payloads import valid_payloads
from conformance.sequences.faults import BACKEND, ENDS, FAULTS, FAULTY_ENDS, HALF_OPEN, LATE, VANISHED, fault_step
from conformance.sequences.model import LEFT, Cast, Model, Move

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conformance.contract import Contract

Script = dict[str, Any]
Step = dict[str, Any]

FORMAT = 1
AGAIN = "agent.connected-again"
MAKING = {"dashboard.command", "rest.command"}
TOGETHER = (1, 1, 1, 1, 2, 2, 3)
"""How many actors act at the same time, by weight."""
LEGAL = (True,) * 7 + (False,)
"""How often a forbidden move is tried, by weight."""
FAULTY = (False,) * 3 + (True,)
"""How often a connection breaks in a script in which they may, by weight."""
COMES_BACK = (True, True, False)
"""How often an agent comes back as soon as its connection is half open, by weight."""
NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Alan", "Katherine", "Ёлка 🌲")
CONTENTS = ("ls -la", "", "\r\n", "\x1b[31mred\x1b[0m", "émoji 🚀", "two\nlines\n", " ")


def scripts(  # noqa: PLR0913 - the facts of a draw, by name
    contract: Contract,
    *,
    count: int,
    size: int,
    seed_: int,
    users: int = 2,
    withheld: frozenset[str] = frozenset(),
    destructive: bool = False,
    faults: bool = False,
    restarts: Sequence[str] = (),
) -> list[Script]:
    """So many scripts of at most so many steps.

    With `faults` connections break in every way; each script holds one of these `restarts`, if there are any.
    """
    found: list[Script] = []

    @seed(seed_)
    @settings(
        database=None,
        max_examples=count,
        phases=[Phase.generate],
        deadline=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        drawing = _Drawing(contract, data.draw, users, withheld=withheld, destructive=destructive, faults=faults)
        found.append(drawing.script(size, restarts))

    collect()
    return found[:count]


class _Drawing:
    """One script in the making."""

    def __init__(self, contract: Contract, draw: Callable[[Any], Any], users: int, **allowed: Any) -> None:
        self._contract = contract
        self._draw = draw
        agents = {f"agent-{n}": 0 for n in range(1, 1 + draw(st.integers(1, 3)))}
        dashboards = {f"dashboard-{n}": 0 for n in range(1, 1 + draw(st.integers(1, 3)))}
        if users > 1 and draw(st.booleans()):
            agents[f"agent-{len(agents) + 1}"] = 1
            dashboards[f"dashboard-{len(dashboards) + 1}"] = 1
        used = 1 + max([*agents.values(), *dashboards.values()])
        self._model = Model(contract, Cast(agents, dashboards, used), **allowed)
        self._model.faults = self._model.faults and draw(st.booleans())
        self._ends = (*ENDS, *FAULTY_ENDS) if self._model.faults else ENDS
        self._made = 0
        self._announced: dict[str, dict[str, Any]] = {}
        """Agent → its last AGENT_CONNECT: what another one on the same connection may say is unspecified (CON-1)."""

    def script(self, size: int, restarts: Sequence[str]) -> Script:
        """Draw it: somebody watches and an agent is there, then whatever is possible."""
        cast = self._model.cast
        steps = [self._first("dashboard.init", "dashboard-1"), self._first("agent.connected", "agent-1")]
        count = self._draw(st.integers(2, size))
        restart = self._draw(st.integers(1, count)) if restarts else 0
        for number in range(1, count + 1):
            steps += self._next()
            if number == restart:
                steps.append(self._restart(self._draw(st.sampled_from(restarts))))
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

    def _next(self) -> list[Step]:
        chosen: list[Move] = []
        for _ in range(self._draw(st.sampled_from(TOGETHER))):
            busy = {move.actor for move in chosen}
            legal = self._draw(st.sampled_from(LEGAL))
            open_ = [m for m in self._model.moves() if m.actor not in busy and m.legal == legal]
            if not open_:
                continue
            open_ = self._failing(open_) or open_
            cause = self._draw(st.sampled_from(sorted({m.cause for m in open_})))
            chosen.append(self._draw(st.sampled_from([m for m in open_ if m.cause == cause])))
        steps = [self._step(move) for move in chosen]
        for move in chosen:
            self._model.take(move)
        half_open = [m.agent for m in chosen if m.cause == HALF_OPEN and m.agent]
        back = [step for agent in half_open if self._draw(st.sampled_from(COMES_BACK)) for step in self._back(agent)]
        return [*([{"together": steps}] if len(steps) > 1 else steps), *back]

    def _back(self, agent: str) -> list[Step]:
        """An agent whose connection is half open comes back on another; what it had still to say may come late."""
        steps = [self._first("agent.replaced", agent)]
        for _ in range(self._draw(st.sampled_from((1, 2, 0)))):
            late = [m for m in self._model.moves() if m.cause == LATE and m.actor == agent]
            said = self._draw(st.sampled_from(sorted({m.says for m in late})))
            steps.append(self._step(self._draw(st.sampled_from([m for m in late if m.says == said]))))
        return steps

    def _failing(self, moves: Sequence[Move]) -> list[Move]:
        """Mostly what comes of a half-open connection, where there is one; now and then another fault."""
        begun = [m for m in moves if m.cause in {LATE, VANISHED} or m.actor in self._model.broken.silent]
        if begun and self._draw(st.booleans()):
            return begun
        faults = [m for m in moves if m.cause in FAULTS]
        return faults if faults and self._draw(st.sampled_from(FAULTY)) else []

    def _step(self, move: Move) -> Step:
        if move.cause == LATE:
            return {**self._step(replace(move, cause=move.says)), "cause": LATE, "on": "earlier"}
        if move.cause in FAULTS:
            return fault_step(move.cause, move.actor, move.says)
        head: Step = {"actor": move.actor, "cause": move.cause}
        on = {} if move.cause == LEFT else self._contract.causes[move.cause]["on"]
        if "message" in on:
            message = self._contract.messages[on["message"]]
            payload = self._payload(message.schema, move)
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
                step["body"] = self._body(operation.body, move)
            return step
        return {**head, "do": self._draw(st.sampled_from(self._ends))}

    def _fit(self, payload: dict[str, Any], condition: Mapping[str, Any], base: str) -> None:
        name = condition["pointer"].removeprefix(base)
        options = condition.get("one_of") or [condition["equals"]]
        payload[name] = self._draw(st.sampled_from(options))

    def _payload(self, schema: str, move: Move) -> dict[str, Any]:
        pool = valid_payloads(self._contract.shapes, schema)
        chosen = dict(self._draw(st.sampled_from(pool)).value) if pool else {}
        return {name: self._value(name, value, move) for name, value in chosen.items()}

    def _body(self, schema: str, move: Move) -> dict[str, Any]:
        body = self._payload(schema, move)
        if "targetAgents" in body or "broadcast" in body:
            body.pop("broadcast", None)
            body["targetAgents"] = [{"$agent": move.agent}]
        return body

    def _value(self, name: str, value: Any, move: Move) -> Any:
        """A value of a payload, by its name: what the conversation decides is put in its place."""
        if (bind := BINDINGS.get(name)) is not None:
            return bind(self, move, value)
        if isinstance(value, dict):
            return {key: self._value(key, inner, move) for key, inner in value.items()}
        return value

    # ---- what is bound by name ----

    def agent(self, move: Move, _value: Any) -> Any:
        """The agent that the move is about."""
        return {"$agent": move.agent or move.actor}

    def command(self, move: Move, _value: Any) -> Any:
        """The command that the move is about or makes; none is the session of the agent itself."""
        if move.cause in MAKING:
            return {"$new": move.command}
        return {"$command": move.command} if move.command else {"$agent": move.agent}

    def sequence(self, move: Move, value: Any) -> Any:
        """The next sequence of the output, and now and then the last one again (TRM-4)."""
        if not move.agent or "terminal" not in move.cause:
            return value
        command = self._model.commands.get(move.command)
        last = command.sequence if command else self._model.session.get(move.agent, 0)
        now = last + (1 if last == 0 or self._draw(st.sampled_from((True, True, True, False))) else 0)
        if command:
            command.sequence = now
        else:
            self._model.session[move.agent] = now
        return now

    def fresh(self, _move: Move, _value: Any) -> Any:
        """An id of the script's own; now and then one that was used before."""
        if self._made and self._draw(st.sampled_from((False, False, True))):
            return {"$uuid": f"id-{self._draw(st.integers(1, self._made))}"}
        self._made += 1
        return {"$uuid": f"id-{self._made}"}

    def parent(self, _move: Move, _value: Any) -> Any:
        """Nobody, or an id used before."""
        known = [{"$uuid": f"id-{n}"} for n in range(1, self._made + 1)]
        return self._draw(st.sampled_from([None, *known]))

    def subject(self, move: Move, _value: Any) -> Any:
        """The user of the actor."""
        return {"$subject": self._model.user(move.actor)}

    def token(self, move: Move, _value: Any) -> Any:
        """A good token of the actor's user."""
        return {"$token": self._model.user(move.actor)}

    def subscriptions(self, move: Move, _value: Any) -> Any:
        """Mostly everything; else some agents."""
        mine = [a for a, u in self._model.cast.agents.items() if u == self._model.user(move.actor)]
        agents: Sequence[Any] = [{"all": True}, {"all": True}, *([{"$agent": a}] for a in mine)]
        return {"agents": self._draw(st.sampled_from(agents))}

    def subject_of_subscription(self, move: Move, _value: Any) -> Any:
        """An agent of the user."""
        mine = [a for a, u in self._model.cast.agents.items() if u == self._model.user(move.actor)]
        return {"$agent": self._draw(st.sampled_from(mine))} if mine else {"$uuid": "id-0"}

    def name(self, _move: Move, _value: Any) -> Any:
        """A name that can be told from others."""
        self._made += 1
        return f"{self._draw(st.sampled_from(NAMES))} {self._made}"

    def content(self, _move: Move, value: Any) -> Any:
        """Text that is easily spoiled; what is no text stays."""
        return self._draw(st.sampled_from(CONTENTS[:1] + CONTENTS[2:])) if isinstance(value, str) else value

    def number(self, _move: Move, _value: Any) -> Any:
        """A number that can be told from others."""
        return self._draw(st.integers(0, 100))

    def expiry(self, _move: Move, _value: Any) -> Any:
        """Long enough for a script."""
        return 3600


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


BINDINGS: Mapping[str, Callable[[_Drawing, Move, Any], Any]] = {
    "agentId": _Drawing.agent,
    "commandId": _Drawing.command,
    "sequence": _Drawing.sequence,
    "traceId": _Drawing.fresh,
    "reportId": _Drawing.fresh,
    "parentId": _Drawing.parent,
    "userId": _Drawing.subject,
    "accessToken": _Drawing.token,
    "expiresIn": _Drawing.expiry,
    "subscriptions": _Drawing.subscriptions,
    "id": _Drawing.subject_of_subscription,
    "name": _Drawing.name,
    "content": _Drawing.content,
    **dict.fromkeys(("cpuUsage", "memoryUsage", "uptime", "commandsProcessed", "priority"), _Drawing.number),
}
"""Names of properties whose values the conversation decides, not the schema alone."""
