"""`conformance replay`: a saved case judged again as recorded, or provoked again against a live backend."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from conformance.cli.execute import execute, tell, write_reports
from conformance.contract import load_contract
from conformance.engine.conclude import Ledger, conclude
from conformance.engine.events import CaseFinished, RunFinished
from conformance.engine.plan import PREFLIGHT, Case, Plan
from conformance.judge import judge_all
from conformance.redact import Redactor
from conformance.report import parse_report
from conformance.report.terminal import Terminal
from conformance.rule import Provocation
from conformance.rules import all_rules
from conformance.saved import SavedError, load
from conformance.sequences.cases import provocation_of
from conformance.target import Target, TargetError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def replay_recorded(file: Path, said: Mapping[str, Any]) -> int:
    """Judges what the file recorded, without any network; gives the exit code."""
    saved = load(file)
    if saved.cut:
        raise SavedError(f"{file} was too long to be kept whole: name a TARGET to provoke it again")
    contract, rules = load_contract(), all_rules()
    if saved.digest != contract.digest:
        sys.stderr.write(
            f"conformance: {file} was recorded under another edition of the contract; judged under this one\n"
        )
    judgements = tuple(judge_all(rules.values(), saved.timeline))
    ledger = Ledger(rules)
    ledger.take(CaseFinished(saved.case, saved.timeline.end, judgements, saved.timeline))
    exercised = frozenset(j.rule for j in judgements)
    case = Case(saved.case, Provocation(_recorded), tuple(exercised))
    plan = Plan((case,), exercised, {}, partial=True, preflight=False)
    result = conclude(
        ledger,
        plan,
        contract=contract,
        target=Target(url=str(file), name=f"{saved.case} as recorded from {saved.target}"),
        level=saved.level,
        seed=saved.seed,
        seconds=saved.timeline.end,
    )
    redactor, quiet = Redactor(), bool(said.get("quiet"))
    write_reports([parse_report(option) for option in said.get("report", ())], result, redactor, quiet=quiet)
    tell(Terminal(redactor, quiet=quiet), RunFinished(result))
    return result.exit_code


async def _recorded(_world: object) -> None:
    """A recorded case is not provoked."""


def replay_live(file: Path, target: str, said: Mapping[str, Any]) -> int:
    """Provokes the file's case again; gives the exit code."""
    saved = load(file)
    if saved.script is not None:
        settings = {"report": [], **said, "only": saved.case, "seed": saved.seed, "level": "full"}
        return execute(target, settings, (provocation_of(saved.script, saved.case),))
    known = {p.id for rule in all_rules().values() for p in rule.provocations} | {PREFLIGHT}
    if saved.case not in known:
        from conformance.generate.effort import named  # noqa: PLC0415 - slow, and most cases are none of these

        if (generated := named(load_contract(), saved.case, saved.seed)) is not None:
            settings = {"report": [], **said, "only": saved.case, "seed": saved.seed, "level": "full"}
            return execute(target, settings, (generated,))
        raise TargetError(
            f"{file}: this version has no case {saved.case!r} any more; without TARGET it is judged as recorded"
        )
    only = saved.case if saved.case != PREFLIGHT else "departure.*"
    own = {"report": [], **said}  # a profile's reports are those of whole runs
    return execute(target, {**own, "only": only, "seed": saved.seed, "level": "full"})
