"""What every report says about a result, as plain text: without secrets, without control characters, shortened."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from conformance.timeline import MISSING, Closed, Event, Exchange, Frame, Note, Opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conformance.contract import Clause
    from conformance.engine.result import Breach, ClauseResult, Result
    from conformance.redact import Redactor

SHORT: Final = 160
LONG: Final = 600
EVIDENCE: Final = 40
"""Events shown of one breach."""

WORDS: Final[Mapping[str, str]] = {
    "passed": "passed",
    "failed": "failed",
    "known": "known failure",
    "not_exercised": "not exercised",
    "not_promised": "not promised",
    "untestable": "cannot be tested from outside",
    "harness_error": "harness error",
}
SECTIONS: Final[Mapping[str, str]] = {
    "1": "Vocabulary",
    "2": "REST",
    "3": "WebSocket: envelope, authentication, errors",
    "4": "Dashboards",
    "5": "Agents, commands, terminals, traces",
    "6": "Across channels",
    "": "Other",
}


def section(clause: Clause) -> str:
    """The title of the part of the contract that a clause stands in."""
    found = re.search(r"contract: (\d)", clause.source)
    return SECTIONS.get(found.group(1) if found else "", SECTIONS[""])


def printable(text: str, *, keep: str = "") -> str:
    r"""Text that cannot move a cursor, turn its direction or break XML: what is not printable is written as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def shortened(text: str, limit: int = SHORT) -> str:
    """One line of at most `limit` characters."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def plural(count: int, noun: str) -> str:
    """`1 clause`, `2 clauses`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def seconds(value: float) -> str:
    """A duration as a person reads it."""
    return f"{value:.1f} s" if value < 60 else f"{int(value // 60)} min {value % 60:.0f} s"  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Step:
    """One event of the evidence, in words."""

    at: float
    who: str
    arrow: str
    """→ the tester sent it, ← the backend did, · neither."""
    what: str
    body: Any = MISSING
    """The JSON value it carried."""
    text: str = ""
    """What it carried, where that is no JSON."""
    pointer: str = ""
    """Where in the body the breach is, when this is the event that is wrong."""
    is_breach: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """One breach, in words."""

    rule: str
    clauses: tuple[str, ...]
    says: str
    where: str
    pointer: str
    expected: str
    got: str
    times: int
    cases: tuple[str, ...]
    fault: str
    setting: str
    replay: str
    steps: tuple[Step, ...]

    @property
    def place(self) -> str:
        """The event, and where in it."""
        return " at ".join(filter(None, (self.where, self.pointer)))

    @property
    def often(self) -> str:
        """How often, and where."""
        often = "once" if self.times == 1 else f"{self.times} times"
        if len(self.cases) == 1:
            return f"{often}, in {self.cases[0]}"
        more = f" and {len(self.cases) - 3} more" if len(self.cases) > 3 else ""  # noqa: PLR2004 - a line's worth
        return f"{often}, in {len(self.cases)} cases ({', '.join(self.cases[:3])}{more})"


class Facts:
    """A result, read for people. Everything it gives is safe to show."""

    def __init__(self, result: Result, redactor: Redactor) -> None:
        self.result = result
        self._redactor = redactor
        self._bodies: dict[int, tuple[Any, Any]] = {}
        """By identity, what was on the wire and what is shown of it: many breaches share their evidence."""

    def line(self, text: str, limit: int = SHORT) -> str:
        """Text from wherever, safe and on one line."""
        return shortened(self._redactor.text(text), limit)

    @property
    def url(self) -> str:
        """The target's URL, without what may stand in it before an @."""
        parts = urlsplit(self.result.target.url)
        host = parts.netloc.rsplit("@", 1)[-1]
        return self.line(urlunsplit((parts.scheme, host, parts.path, "", "")), LONG)

    @property
    def target(self) -> str:
        """How the target is called."""
        return self.line(self.result.target.name, LONG) or self.url

    @property
    def started_at(self) -> str:
        """When the run began (RFC 3339), as its first timeline says; empty when there is none."""
        epochs = [e.timeline.epoch for e in self.result.finished if e.timeline is not None and e.timeline.epoch > 0]
        return datetime.fromtimestamp(min(epochs), UTC).isoformat(timespec="milliseconds") if epochs else ""

    @property
    def word(self) -> str:
        """The verdict in capitals."""
        return self.result.verdict.upper()

    @property
    def answer(self) -> str:
        """The verdict's reason and its circumstances: all of a report's first line but its first word."""
        parts = [self.result.level, self._reason(), self.target, seconds(self.result.seconds)]
        return " · ".join(parts)

    @property
    def chosen(self) -> str:
        """By what the cases were chosen; empty where all of them were meant to run."""
        return self.line(self.result.chosen, 2000)

    def _reason(self) -> str:
        tally, stopped = self.result.tally(), self.line(self.result.stopped, LONG)
        passed, total = tally["passed"], plural(sum(tally.values()), "clause")
        match self.result.verdict:
            case "conforms":
                return f"{passed} of {total} passed"
            case "violates":
                left = tally["not_exercised"] + tally["harness_error"]
                said = f"{plural(tally['failed'], 'clause')} broken, {passed} passed"
                return said + (f", {left} not judged" if left else "") + (f" · stopped: {stopped}" if stopped else "")
            case "error":
                first = self.line(self.result.problems[0]) if self.result.problems else "a rule broke"
                return f"the tester itself failed, so this says nothing about the backend: {first}"
            case "incomplete":
                return self._incomplete(passed, total, tally["not_exercised"], stopped)

    def _incomplete(self, passed: int, total: str, left: int, stopped: str) -> str:
        if stopped:
            return f"{f'{passed} of {total} passed, then stopped' if passed else 'nothing could be tested'}: {stopped}"
        if self.result.planned <= 1:
            return "nothing was planned, so nothing was tested"
        why = f"{left} could not be tested" if left else "but not every case could be played to its end"
        return f"{passed} of {total} passed, {why}"

    @property
    def failed(self) -> list[ClauseResult]:
        """Failed clauses that count, those of the alignment plan first: the others often follow from them."""
        return sorted(self.result.of("failed", counting=True), key=lambda one: not one.clause.core)

    @property
    def beyond(self) -> list[ClauseResult]:
        """Failed clauses on which the verdict does not hang."""
        return self.result.of("failed", counting=False)

    @property
    def unjudged(self) -> list[tuple[str, list[str]]]:
        """Clauses that count and were not judged, by reason."""
        return self._by_reason(self.result.of("not_exercised", "harness_error", counting=True))

    @property
    def limits(self) -> list[tuple[str, list[str]]]:
        """What part of passed clauses could not be tried, by reason."""
        return self._by_reason([c for c in self.result.of("passed", counting=True) if c.why])

    def _by_reason(self, clauses: Iterable[ClauseResult]) -> list[tuple[str, list[str]]]:
        reasons: dict[str, list[str]] = {}
        for c in clauses:
            reasons.setdefault(self.line(c.why, LONG) or WORDS[c.outcome], []).append(c.clause.id)
        return list(reasons.items())

    @property
    def problems(self) -> list[str]:
        """What went wrong on our side, and waits that nothing explains."""
        return [self.line(p, LONG) for p in self.result.problems]

    @property
    def late(self) -> list[str]:
        """What came too late beside other cases and in time alone: no breach, but worth knowing."""
        cases: dict[str, list[str]] = {}
        for event in self.result.finished:
            for said in event.late:
                cases.setdefault(self.line(said, LONG), []).append(event.case)
        return [f"{said}: in {', '.join(where)}" for said, where in cases.items()]

    @property
    def reached(self) -> str:
        """How much of the contract the run reached, in a line; empty where nothing was tried."""
        shares = self.result.coverage
        if not any(share.reached for share in shares.values()):
            return ""
        return ", ".join(f"{share.reached} of {share.total} {kind}" for kind, share in shares.items())

    @property
    def not_reached(self) -> dict[str, list[tuple[str, list[str]]]]:
        """Kind → what of it was not reached, by reason; then what is not counted, by reason."""
        found = {}
        for kind, share in self.result.coverage.items():
            reasons: dict[str, list[str]] = {}
            for name in share.missing:
                reasons.setdefault(share.why.get(name, ""), []).append(name)
            for name, why in share.uncounted.items():
                reasons.setdefault(f"not counted: {why}", []).append(name)
            found[kind] = [(self.line(why, LONG), [self.line(n) for n in names]) for why, names in reasons.items()]
        return found

    @property
    def elsewhere(self) -> Counter[str]:
        """Outcomes of the clauses on which the verdict does not hang."""
        return Counter(c.outcome for c in self.result.clauses.values() if not c.counts)

    def breach(self, breach: Breach) -> Shown:
        """One breach, in words."""
        finding = breach.finding
        pointer = self.line(finding.pointer, LONG)
        return Shown(
            rule=finding.rule,
            clauses=finding.clauses,
            says=self.line(finding.says, LONG),
            where=self.line(place(finding.where)) if finding.where else "",
            pointer=pointer,
            expected=self.line(finding.expected, LONG),
            got="" if finding.got is MISSING else self.got(finding.got),
            times=breach.times,
            cases=tuple(self.line(case) for case in breach.cases),
            fault=finding.fault,
            setting=self.line(finding.setting),
            replay=self._replay(breach.replay),
            steps=self._steps(finding.where, finding.evidence, pointer),
        )

    def got(self, value: Any) -> str:
        """A value from the wire, on one line."""
        if isinstance(value, str):
            return self.line(value) if value.strip() else json.dumps(value)
        return self.line(json.dumps(self._redactor.value(value), ensure_ascii=False, default=str))

    def _replay(self, saved: str) -> str:
        if not saved:
            return ""
        target = "reference" if self.result.target.bundled else self.result.target.profile or self.url
        return shlex.join(["conformance", "replay", saved, target])

    def _steps(self, where: Event | None, evidence: tuple[Event, ...], pointer: str) -> tuple[Step, ...]:
        events = {e.seq: e for e in evidence[:EVIDENCE]}
        if where is not None:
            events[where.seq] = where
        return tuple(self.step(events[seq], where, pointer) for seq in sorted(events))

    def step(self, event: Event, where: Event | None = None, pointer: str = "") -> Step:
        """An event in words; `where` is the one that is wrong."""
        wrong = event is where
        if isinstance(event, Frame) and event.binary is not None:
            event = replace(event, binary=self._redactor.binary(event.binary))
        who, arrow, what, body, text = told(event)
        return Step(
            at=event.at,
            who=self.line(who),
            arrow=arrow,
            what=self.line(what),
            body=body if body is MISSING else self._body(body),
            text=self.line(text, LONG),
            pointer=pointer if wrong else "",
            is_breach=wrong,
        )

    def _body(self, value: Any) -> Any:
        if id(value) not in self._bodies:
            self._bodies[id(value)] = (value, self._redactor.value(value))
        return self._bodies[id(value)][1]


def alike(breaches: Iterable[Shown]) -> list[list[Shown]]:
    """Breaches that say the same of several places, together: they have one cause."""
    groups: dict[tuple[str, ...], list[Shown]] = {}
    for shown in breaches:
        groups.setdefault((shown.rule, shown.says, shown.expected), []).append(shown)
    return list(groups.values())


def place(event: Event) -> str:
    """Where a breach is, as a person names it: `AGENT_STATUS to dashboard-1`, `GET /agents/{agentId} → 200`."""
    match event:
        case Exchange():
            return f"{event.label} → {event.status or event.failure or 'no answer'}"
        case Frame():
            return f"{event.label}{_inside(event)} {'from' if event.is_sent else 'to'} {event.connection}"
        case Opened():
            return f"handshake of {event.connection} → {event.status or event.failure or 'no answer'}"
        case Closed():
            return f"end of {event.connection} (by {event.by}{'' if event.code is None else f', {event.code}'})"
        case Note():
            return "preflight" if event.kind == "departure" else f"the tester's note: {event.kind}"


def _inside(frame: Frame) -> str:
    return "" if frame.batch is None else " inside a BATCH"


def told(event: Event) -> tuple[str, str, str, Any, str]:
    """An event in words: who, arrow, what, the JSON value it carried, or else the text."""
    match event:
        case Exchange():
            query = "?" + "&".join(f"{k}={v}" for k, v in event.query.items()) if event.query else ""
            who = event.user if event.credential == "valid" else f"{event.user} ({event.credential} credential)"
            answer = event.status or f"no answer ({event.failure or 'none'})"
            return who, "⇄", f"{event.method} {event.path}{query} → {answer}", event.value, event.text
        case Frame():
            text = event.text if event.binary is None else f"{len(event.binary)} bytes: {event.binary[:40].hex(' ')}"
            return (
                event.connection,
                "→" if event.is_sent else "←",
                event.label + _inside(event),
                event.value,
                text or "",
            )
        case Opened():
            answer = event.status or event.failure or "no answer"
            credential = "" if event.credential == "valid" else f" with a credential that is {event.credential}"
            return (
                event.connection,
                "→",
                f"{event.user} opens the {event.channel} socket{credential} → {answer}",
                MISSING,
                "",
            )
        case Closed():
            code = "" if event.code is None else f" {event.code}"
            what = f"closed by {event.by}{code}" if event.by != "fault" else "cut without a handshake"
            return event.connection, "←" if event.by == "backend" else "→", what, MISSING, event.reason
        case Note():
            return "tester", "·", event.kind, dict(event.data) or MISSING, ""
