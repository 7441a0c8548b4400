"""With what values a drawn step says what it says: from the schema, but for what the conversation decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from conformance.generate.payloads import valid_payloads
from conformance.sequences.model import MAKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from conformance.contract import Contract
    from conformance.sequences.model import Model, Move

T = TypeVar("T")

NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Alan", "Katherine", "Ёлка 🌲")
CONTENTS = ("ls -la", "", "\r\n", "\x1b[31mred\x1b[0m", "émoji 🚀", "two\nlines\n", " ")


class Values:
    """The payloads and bodies of one script."""

    def __init__(self, contract: Contract, random: Random, model: Model) -> None:
        self._contract = contract
        self._random = random
        self._model = model
        self._made = 0

    def _one_of(self, options: Sequence[T]) -> T:
        return self._random.choice(options)

    def payload(self, schema: str, move: Move) -> dict[str, Any]:
        """One that the schema allows, about what the move is about."""
        pool = valid_payloads(self._contract.shapes, schema)
        chosen = dict(self._one_of(pool).value) if pool else {}
        return {name: self._value(name, value, move) for name, value in chosen.items()}

    def body(self, schema: str, move: Move) -> dict[str, Any]:
        """The same for a request; of a command, for the move's agent alone."""
        body = self.payload(schema, move)
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
        now = last + (1 if last == 0 or self._one_of((True, True, True, False)) else 0)
        if command:
            command.sequence = now
        else:
            self._model.session[move.agent] = now
        return now

    def fresh(self, _move: Move, _value: Any) -> Any:
        """An id of the script's own; now and then one that was used before."""
        if self._made and self._one_of((False, False, True)):
            return {"$uuid": f"id-{self._random.randint(1, self._made)}"}
        self._made += 1
        return {"$uuid": f"id-{self._made}"}

    def parent(self, _move: Move, _value: Any) -> Any:
        """Nobody, or an id used before."""
        known = [{"$uuid": f"id-{n}"} for n in range(1, self._made + 1)]
        return self._one_of([None, *known])

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
        return {"agents": self._one_of(agents)}

    def subject_of_subscription(self, move: Move, _value: Any) -> Any:
        """An agent of the user."""
        mine = [a for a, u in self._model.cast.agents.items() if u == self._model.user(move.actor)]
        return {"$agent": self._one_of(mine)} if mine else {"$uuid": "id-0"}

    def name(self, _move: Move, _value: Any) -> Any:
        """A name that can be told from others."""
        self._made += 1
        return f"{self._one_of(NAMES)} {self._made}"

    def content(self, _move: Move, value: Any) -> Any:
        """Text that is easily spoiled; what is no text stays."""
        return self._one_of(CONTENTS[:1] + CONTENTS[2:]) if isinstance(value, str) else value

    def number(self, _move: Move, _value: Any) -> Any:
        """A number that can be told from others."""
        return self._random.randint(0, 100)

    def time_limit(self, _move: Move, value: Any) -> Any:
        """Mostly longer than a script: a command that is over at once has no life to be drawn."""
        return self._one_of((60_000, 60_000, 60_000, 60_000, value))

    def expiry(self, _move: Move, _value: Any) -> Any:
        """Long enough for a script."""
        return 3600


BINDINGS: Mapping[str, Callable[[Values, Move, Any], Any]] = {
    "agentId": Values.agent,
    "commandId": Values.command,
    "sequence": Values.sequence,
    "traceId": Values.fresh,
    "reportId": Values.fresh,
    "parentId": Values.parent,
    "userId": Values.subject,
    "accessToken": Values.token,
    "expiresIn": Values.expiry,
    "timeLimitMs": Values.time_limit,
    "subscriptions": Values.subscriptions,
    "id": Values.subject_of_subscription,
    "name": Values.name,
    "content": Values.content,
    **dict.fromkeys(("cpuUsage", "memoryUsage", "uptime", "commandsProcessed", "priority"), Values.number),
}
"""Names of properties whose values the conversation decides, not the schema alone."""
