"""The plan: which cases a run intends, decided from the contract, the rules and the target before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from conformance.target import TargetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.contract import Contract
    from conformance.rule import Provocation, Rule
    from conformance.target import Target

PREFLIGHT = "preflight"
NEEDS: Mapping[str, str] = {
    "second-user": "a second user (--second-token, or --users)",
    "third-user": "a third user (--users with three names)",
    "signing-key": "the signing key (--jwt-secret)",
    "short-init-timeout": "timings.init_timeout of at most 5 s",
    "short-heartbeat": "timings.heartbeat_interval of at most 5 s",
    "short-cancel-grace": "timings.cancel_grace of at most 5 s",
    "short-queue": "limits.queue_room of at most 100",
    "destructive": "permission for what harms a shared backend (allow.destructive in target.toml, or --destructive)",
    "faults": "a target on this machine, or permission for what harms a shared backend (--destructive)",
    "load": "a target on this machine (load goes nowhere else)",
    "patience": "more time (--max-time 120)",
    "restart": "a way to restart the backend (command or restart in target.toml)",
    "kill": "a backend that the suite starts itself, so that it can end it at once (command in target.toml)",
    "second-node": "a second node of the backend (nodes in target.toml, or --node twice)",
    "account": "the address of an account ([login] email in target.toml)",
    "mail": "a command that prints the newest sign-in token ([login] mail_command in target.toml)",
    "rest-limit": "the limit of requests a second, on this machine ([limits] rest_per_second in target.toml)",
    "evidence": "a command that shows what is stored (evidence in target.toml)",
}
"""What a case may need → how a person offers it. A capability is a word too: the target must not withhold it."""


@dataclass(frozen=True, slots=True)
class Case:
    """One provocation of the plan."""

    id: str
    provocation: Provocation
    rules: tuple[str, ...]
    """The rules it is meant to exercise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The intended cases, and what was left out for which reason."""

    cases: tuple[Case, ...]
    rules: frozenset[str]
    """Rules that this run must exercise."""
    left_out: Mapping[str, str]
    """Case id → what the target does not offer."""
    partial: bool = False
    """Whether `only` or `select` narrowed it."""
    wanting: frozenset[str] = frozenset()
    """Rules that were asked for and of which a case was left out."""
    preflight: bool = True
    """Whether there is a backend to look at first."""

    @property
    def size(self) -> int:
        """How many cases are planned, preflight among them, those not that are played only while there is time."""
        return sum(not case.provocation.spare for case in self.cases) + self.preflight


def make_plan(  # noqa: PLR0913 - the facts that decide, by name
    rules: Iterable[Rule],
    contract: Contract,
    target: Target,
    *,
    level: str,
    offers: frozenset[str],
    only: str = "",
    select: frozenset[str] | None = None,
    generated: Iterable[Provocation] = (),
    beside: frozenset[str] = frozenset(),
) -> Plan:
    """The plan for a level. A rule is planned when the clause it is written for (its first) counts at that level.

    `select` names the cases that are wanted, where not all are: what was chosen by hand, one by one. `generated` are
    provocations that belong to no rule: all rules judge them. `beside` names clauses whose rules are planned as well,
    whatever the level.
    Raises `TargetError` when the target withholds what no clause knows.
    """
    capabilities = {c.capability for c in contract.clauses.values() if c.capability}
    if unknown := sorted(set(target.withheld) - capabilities):
        known = ", ".join(sorted(capabilities))
        raise TargetError(f"withheld: there is no capability {', '.join(unknown)}; there are {known}")
    wanted: dict[str, tuple[Provocation, list[str]]] = {}
    left_out: dict[str, str] = {}
    wanting: set[str] = set()
    for rule in rules:
        clause = contract.clauses[rule.clauses[0]]
        in_level = clause.core or level == "full" or not beside.isdisjoint(rule.clauses)
        if not in_level or (clause.capability in target.withheld) or not _asked(rule, only):
            continue
        for provocation in rule.provocations:
            if lacking := provocation.needs - offers:
                left_out[provocation.id] = ", ".join(
                    NEEDS.get(need, f"the promise of {need}") for need in sorted(lacking)
                )
                wanting.add(rule.id)
            else:
                wanted.setdefault(provocation.id, (provocation, []))[1].append(rule.id)
    for provocation in generated:
        if not (provocation.needs - offers) and _matches((provocation.id,), only):
            wanted[provocation.id] = (provocation, [])
    cases = tuple(Case(i, p, tuple(r)) for i, (p, r) in wanted.items() if select is None or i in select)
    planned = frozenset(r for case in cases for r in case.rules)
    by_hand = len(cases) < len(wanted)  # then what was left out was not asked for either
    return Plan(cases, planned, left_out, bool(only) or by_hand, frozenset() if by_hand else frozenset(wanting))


def _asked(rule: Rule, only: str) -> bool:
    return _matches((rule.id, *rule.clauses, *(p.id for p in rule.provocations)), only)


def _matches(names: Iterable[str], only: str) -> bool:
    return not only or any(fnmatchcase(name.lower(), pattern.lower()) for name in names for pattern in only.split(","))
