"""The HTML report: one file that explains itself, for reading, for sending on, and for signing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from conformance import __version__
from conformance.report.facts import WORDS, Facts, alike, printable, seconds, section
from conformance.report.pretty import lines
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.engine.result import ClauseResult, Result
    from conformance.redact import Redactor
    from conformance.report.facts import Shown, Step
    from conformance.report.pretty import Line

TEMPLATE = "report.html.j2"
ORDER = ("failed", "not_exercised", "harness_error", "passed")


def write(result: Result, redactor: Redactor) -> str:
    """The report as one HTML document, without anything from elsewhere."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["prose"] = prose
    facts = Facts(result, redactor)
    homes: dict[int, str] = {}
    return environment.get_template(TEMPLATE).render(
        facts=facts,
        result=result,
        tally=[(outcome, result.tally()[outcome]) for outcome in ORDER if result.tally()[outcome]],
        total=sum(result.tally().values()),
        duration=seconds(result.seconds),
        stopped=facts.line(result.stopped, 2000),
        sections=_sections(result),
        failures=_failures(facts.failed, facts, homes),
        beyond=_failures(facts.beyond, facts, homes),
        elsewhere=sorted((WORDS[o], n) for o, n in facts.elsewhere.items() if o != "failed"),
        words=WORDS,
        version=__version__,
        message=message,
        delta=delta,
    )


def _sections(result: Result) -> dict[str, list[ClauseResult]]:
    """Clauses that count, by section."""
    found: dict[str, list[ClauseResult]] = {}
    for c in result.clauses.values():
        if c.counts:
            found.setdefault(section(c.clause), []).append(c)
    return found


def _failures(clauses: Iterable[ClauseResult], facts: Facts, homes: dict[int, str]) -> list[dict[str, Any]]:
    """Failed clauses with their breaches; `homes` remembers under which clause a breach is shown."""
    return [{"clause": c.clause, "groups": _groups(c, facts, homes)} for c in clauses]


def _groups(c: ClauseResult, facts: Facts, homes: dict[int, str]) -> list[dict[str, Any]]:
    by_home: dict[str, list[Shown]] = {}
    for b in c.breaches:
        by_home.setdefault(homes.setdefault(id(b), c.clause.id), []).append(facts.breach(b))
    return [
        {"home": home, "first": same[0], "others": same[1:]} for home, found in by_home.items() for same in alike(found)
    ]


def message(step: Step) -> list[Line]:
    """What an event carried, line by line, for the eye."""
    if step.body is MISSING:
        return []
    return [type(line)(line.indent, printable(line.text), line.mark) for line in lines(step.body, step.pointer)]


def prose(text: str) -> Markup:
    """A sentence of the contract, with what stands between backticks as code."""
    parts = [escape(part) for part in text.split("`")]
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        part if i % 2 == 0 else Markup("<code>{}</code>").format(part) for i, part in enumerate(parts)
    )


def delta(step: Step, shown: Shown) -> str:
    """An event's time after the first event of its evidence."""
    return f"+{step.at - shown.steps[0].at:.3f} s"
