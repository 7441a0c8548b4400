"""`conformance list` and `conformance explain`: the contract and its rules, for a reader."""

from __future__ import annotations

import difflib
import inspect
import sys
from textwrap import fill
from typing import TYPE_CHECKING

from conformance.contract import Clause, load_contract
from conformance.profile import LEVELS
from conformance.rules import all_rules
from conformance.target import TargetError

if TYPE_CHECKING:
    from conformance.rule import Rule

WIDTH = 100


def _rules_of(clause_id: str) -> list[Rule]:
    return [r for r in all_rules().values() if clause_id in r.clauses]


def list_clauses(level: str, *, untested: bool) -> int:
    """One line for each clause, with its rules or the reason why it has none. Raises `TargetError`."""
    if level not in LEVELS:
        raise TargetError(f"level {level!r} is none of {', '.join(LEVELS)}")
    for clause in load_contract().clauses.values():
        rules = _rules_of(clause.id)
        if (untested and rules) or (level == "core" and not clause.core):
            continue
        judged = ", ".join(r.id for r in rules) or (
            f"untestable: {clause.untestable}" if clause.untestable else "no rule yet"
        )
        core = " core" if clause.core else ""
        sys.stdout.write(f"{clause.id:8}{clause.level}{core}\t{judged}\n")
    return 0


def explain_one(what: str) -> int:
    """A clause or a rule, whole. Raises `TargetError` for a name that is neither."""
    clauses, rules = load_contract().clauses, all_rules()
    if (clause := clauses.get(what.upper())) is not None:
        _say(_clause_text(clause))
    elif (rule := rules.get(what)) is not None:
        _say(_rule_text(rule))
    else:
        near = difflib.get_close_matches(what, [*clauses, *rules], 3, 0.5) or difflib.get_close_matches(
            what.upper(), clauses, 3, 0.5
        )
        hint = f"; near are {', '.join(near)}" if near else "; see `conformance list`"
        raise TargetError(f"there is neither a clause nor a rule {what!r}{hint}")
    return 0


def _clause_text(clause: Clause) -> list[str]:
    capability = f"capability {clause.capability}" if clause.capability else ""
    kind = ", ".join(filter(None, (clause.level, "core" if clause.core else "", capability)))
    lines = [f"{clause.id} ({kind})", "", fill(clause.sentence, WIDTH), ""]
    if clause.breaks:
        lines.append(fill(f"When it is broken: {clause.breaks}", WIDTH))
    lines += [f"Source: {clause.source}", f"Anchors: {', '.join(clause.anchors)}"]
    lines += [fill(f"Decided: {d}", WIDTH, subsequent_indent="  ") for d in clause.decisions]
    if clause.untestable:
        lines.append(f"Untestable: {clause.untestable}")
    for rule in _rules_of(clause.id):
        lines += ["", *_rule_text(rule)]
    return lines


def _rule_text(rule: Rule) -> list[str]:
    lines = [
        f"{rule.id} judges {', '.join(rule.clauses)}",
        fill(rule.judges, WIDTH, initial_indent="  ", subsequent_indent="  "),
    ]
    for provocation in rule.provocations:
        told = (inspect.getdoc(provocation.script) or "").splitlines()[0:1]
        needs = f" (needs {', '.join(sorted(provocation.needs))})" if provocation.needs else ""
        lines.append(f"  case {provocation.id}{needs}: {''.join(told)}")
    right = ", ".join(e.__name__.replace("_", " ") for e in rule.good)
    wrong = ", ".join(e.__name__.replace("_", " ") for e in rule.bad)
    lines += [fill(f"accepts: {right}", WIDTH, initial_indent="  ", subsequent_indent="    ")]
    lines += [fill(f"finds: {wrong}", WIDTH, initial_indent="  ", subsequent_indent="    ")]
    return lines


def _say(lines: list[str]) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
