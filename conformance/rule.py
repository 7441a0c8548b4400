"""A rule: how a clause is judged on a timeline. It does no I/O and knows no backend.

`when` names the occasions on which the timeline exercised the clause; `check` judges one occasion and yields findings.
A rule without an occasion has not been exercised, which is never the same as passed. Each rule carries named good and
bad example timelines, from which its own tests and its documentation are derived, and the scripts that provoke it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from conformance.timeline import MISSING, Event

if TYPE_CHECKING:
    from conformance.scene import Scene
    from conformance.timeline import Timeline
    from conformance.world.world import World

Script = Callable[["World"], Awaitable[None]]
Example = Callable[["Scene"], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of a clause, with the smallest evidence for it."""

    says: str
    """One sentence: what is wrong, in the words of the wire."""
    where: Event | None = None
    """The event that is wrong, or after which something is missing."""
    pointer: str = ""
    """JSON pointer into that event's message or body."""
    expected: str = ""
    got: Any = MISSING
    evidence: tuple[Event, ...] = ()
    """The other events without which the breach cannot be seen (its causes)."""
    fault: str = "backend"
    """Whose it is: backend, contract, environment or harness. One of the harness leaves the clause open."""
    setting: str = ""
    """The setting that names a departure, where naming it makes it right."""
    rule: str = ""
    clauses: tuple[str, ...] = ()
    case: str = ""


@dataclass(frozen=True, slots=True)
class Provocation:
    """A script with what it asks of the run."""

    script: Script
    alone: bool = False
    """It needs the user to itself: it runs after all others, unless there are users that it has to itself."""
    needs: frozenset[str] = frozenset()
    """What the target must offer: words of `engine.plan.NEEDS`."""
    budget: float = 15.0
    """Seconds after which it is ended."""
    heavy: bool = False
    """It fills the backend, and a timeline, beyond what other rules are made for: only its own judge it."""
    name: str = ""
    """Its id, where it is none of a rule's own but was generated."""
    timed: bool = False
    """It measures delays of a few hundred milliseconds: it runs when nothing else needs the machine, but on
    the bundled reference, which is soon enough in company."""
    waits: bool = False
    """It does next to nothing for longer than most cases take: with users of its own it keeps nobody waiting."""
    spare: bool = False
    """One of as many as there is time for: the last to be begun, and none is missed."""
    document: Mapping[str, Any] | None = field(default=None, compare=False)
    """The script that it plays, as plain data, where it was generated: saved with a failure, shrunk, played again."""

    @property
    def disturbs(self) -> int:
        """How much it leaves behind for those after it: a restart more than nothing, a full backend the most."""
        return 2 if self.heavy else int("restart" in self.needs)

    @property
    def id(self) -> str:
        """Stable: its name, else the file and the function it is written in."""
        if self.name:
            return self.name
        module = self.script.__module__.rsplit(".", 1)[-1]
        return f"{module}/{self.script.__name__}".replace("_", "-")


def provocation(  # noqa: PLR0913 - what it asks of the run, by name
    *,
    alone: bool = False,
    needs: str = "",
    budget: float = 15.0,
    heavy: bool = False,
    timed: bool = False,
    waits: bool = False,
) -> Callable[[Script], Provocation]:
    """Turns an `async def` over a `World` into a case; plain functions in `Rule.cases` are turned by themselves."""
    asked = frozenset(needs.split())
    apart = alone or heavy or timed
    return lambda script: Provocation(script, apart, asked, budget, heavy=heavy, timed=timed, waits=waits)


@dataclass(frozen=True)
class Rule:
    """How clauses are judged. One file holds all of it."""

    id: str
    clauses: tuple[str, ...]
    judges: str
    """One sentence: what this rule looks at."""
    when: Callable[[Timeline], Iterable[Any]]
    check: Callable[[Any, Timeline], Iterable[Finding]]
    good: tuple[Example, ...]
    bad: tuple[Example, ...]
    cases: tuple[Script | Provocation, ...] = ()

    @property
    def provocations(self) -> tuple[Provocation, ...]:
        """Its scripts as provocations."""
        return tuple(c if isinstance(c, Provocation) else Provocation(c) for c in self.cases)

    def stamped(self, finding: Finding, case: str) -> Finding:
        """A finding of this rule in a case."""
        return replace(finding, rule=self.id, clauses=finding.clauses or self.clauses, case=finding.case or case)
