"""The JSON report, for machines; its shape is `reports/report.schema.json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from conformance import __version__
from conformance.report.facts import Facts
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from conformance.engine.result import Breach, ClauseResult, Result
    from conformance.redact import Redactor
    from conformance.report.facts import Step

SCHEMA = "https://onsembl.ai/contracts/1.0/report.schema.json"


def write(result: Result, redactor: Redactor) -> str:
    """The report as JSON text."""
    return json.dumps(document(result, redactor), indent=2, allow_nan=False) + "\n"


def document(result: Result, redactor: Redactor) -> dict[str, Any]:
    """The report as a JSON value."""
    facts = Facts(result, redactor)
    chosen = {"chosen": facts.chosen} if facts.chosen else {}
    started = {"started_at": facts.started_at} if facts.started_at else {}
    return {
        "$schema": SCHEMA,
        "verdict": result.verdict,
        "level": result.level,
        "target": {"url": facts.url, "name": facts.target},
        "contract": {"version": result.contract.version, "hash": result.contract.digest},
        "seed": result.seed,
        "plan": {"planned": result.planned, "emitted": result.emitted, **chosen},
        **started,
        "duration_s": round(result.seconds, 3),
        "stopped": facts.line(result.stopped, 2000),
        "problems": facts.problems,
        "late": facts.late,
        "tool": {"name": "onsembl-conformance", "version": __version__},
        "coverage": {
            kind: {
                "reached": s.reached,
                "total": s.total,
                "missing": list(s.missing),
                "why": dict(s.why),
                "uncounted": dict(s.uncounted),
            }
            for kind, s in result.coverage.items()
        },
        "clauses": {clause_id: _clause(c, facts) for clause_id, c in result.clauses.items()},
    }


def _clause(c: ClauseResult, facts: Facts) -> dict[str, Any]:
    return {
        "level": c.clause.level,
        "core": c.clause.core,
        "capability": c.clause.capability,
        "sentence": c.clause.sentence,
        "outcome": c.outcome,
        "counts": c.counts,
        "why": facts.line(c.why, 2000),
        "occasions": c.occasions,
        "rules": list(c.rules),
        "findings": [_finding(b, facts) for b in c.breaches],
    }


def _finding(breach: Breach, facts: Facts) -> dict[str, Any]:
    shown = facts.breach(breach)
    return {
        "rule": shown.rule,
        "says": shown.says,
        "where": shown.where,
        "pointer": shown.pointer,
        "expected": shown.expected,
        "got": shown.got,
        "times": shown.times,
        "cases": list(shown.cases),
        "fault": shown.fault,
        "setting": shown.setting,
        "evidence": [_event(step, facts) for step in shown.steps],
        "replay": shown.replay,
    }


def _event(step: Step, facts: Facts) -> dict[str, Any]:
    says = step.text if step.body is MISSING else facts.got(step.body)
    what = f"{step.arrow} {step.what}" + (f" {says}" if says else "")
    return {"time": round(step.at, 4), "who": step.who, "what": what, "breach": step.is_breach}
