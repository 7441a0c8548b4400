"""The terminal: one live line while a run goes on, the answer in the first line at its end, then what failed."""

from __future__ import annotations

import io
import sys
import textwrap
import time
from typing import IO, TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live
from rich.text import Text

from conformance.engine.events import CaseFinished, CaseStarted, PlanMade, RunEvent, RunFinished
from conformance.engine.result import signature
from conformance.report.facts import Facts, alike, plural, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, Self

    from conformance.engine.result import ClauseResult, Result
    from conformance.redact import Redactor
    from conformance.report.facts import Shown

BREACHES: Final = 6
"""Breaches shown of one clause; the other reports hold all."""
PLACES: Final = 3
"""Other places named of one breach."""
EVERY: Final = 2.0
WIDEST: Final = 120
STYLES: Final[Mapping[str, str]] = {
    "conforms": "bold green",
    "violates": "bold red",
    "incomplete": "bold yellow",
    "error": "bold magenta",
}


class Terminal:
    """Listens to a run: `take` every event, or use it as a context so that the live line goes whatever happens."""

    def __init__(  # noqa: PLR0913 - what a person asks of it, by name
        self,
        redactor: Redactor,
        *,
        quiet: bool = False,
        missing: bool = False,
        out: IO[str] | None = None,
        err: IO[str] | None = None,
        width: int | None = None,
    ) -> None:
        self._redactor = redactor
        self._quiet = quiet
        self._missing = missing
        self._out = _console(out or sys.stdout, width)
        self._progress = Progress(_console(err or sys.stderr, width)) if not quiet else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def take(self, event: RunEvent) -> None:
        """One event of the run; the last one prints the result."""
        if isinstance(event, RunFinished):
            self.close()
            self.show(event.result)
        elif self._progress is not None:
            self._progress.take(event)

    def close(self) -> None:
        """Takes the live line away."""
        if self._progress is not None:
            self._progress.close()

    def show(self, result: Result) -> None:
        """Prints a result: the answer, then its reasons."""
        for line in lines(
            result, self._redactor, width=min(self._out.width, WIDEST), quiet=self._quiet, missing=self._missing
        ):
            self._out.print(line, soft_wrap=True)


class Progress:
    """What is going on, in one line: live on a terminal, else a plain line every two seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._planned = self._done = 0
        self._running: dict[str, None] = {}
        self._breaches: set[tuple[Any, ...]] = set()
        self._told = time.monotonic()

    def take(self, event: RunEvent) -> None:
        """One event."""
        match event:
            case PlanMade():
                self._planned = event.plan.size
                if self._console.is_terminal:
                    self._live = Live(get_renderable=self._line, console=self._console, transient=True)
                    self._live.start()
            case CaseStarted():
                self._running[event.case] = None
            case CaseFinished():
                self._running.pop(event.case, None)
                self._done += 1
                self._breaches.update(signature(f) for f in event.findings)
                self._tell()
            case _:
                pass

    def close(self) -> None:
        """The end of it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _tell(self) -> None:
        if self._live is None and time.monotonic() - self._told >= EVERY:
            self._told = time.monotonic()
            self._console.print(self._said(), soft_wrap=True)

    def _said(self) -> str:
        count = len(self._breaches)
        found = f" · {count} {'breach' if count == 1 else 'breaches'}" if count else ""
        of = f"{self._done} of " if self._done <= self._planned else ""  # beyond, those that there is time for
        return f"{of}{plural(max(self._done, self._planned), 'case')}{found}"

    def _line(self) -> Text:
        now = ", ".join(self._running)
        line = Text(no_wrap=True, overflow="ellipsis")
        line.append(self._said(), "bold red" if self._breaches else "bold")
        line.append(f" · {now}" if now else "", "dim")
        return line


def lines(
    result: Result, redactor: Redactor, *, width: int, quiet: bool = False, missing: bool = False
) -> Iterable[Text]:
    """A result as lines, none of which needs to be wrapped but the first and the replay commands."""
    facts = Facts(result, redactor)
    yield Text.assemble((facts.word, STYLES[result.verdict]), "  ", facts.answer)
    if not quiet:
        yield from Page(facts, width, missing=missing).lines()


def picture(result: Result, redactor: Redactor, *, width: int = 100) -> str:
    """What the terminal shows of a result, as an SVG picture."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines(result, redactor, width=width):
        console.print(line, soft_wrap=True)
    return console.export_svg(title="conformance run", unique_id="conformance")


class Page:
    """What stands below the answer."""

    def __init__(self, facts: Facts, width: int, *, missing: bool = False) -> None:
        self._facts = facts
        self._missing = missing
        self._width = max(width, 40)
        self._seen: dict[int, str] = {}

    def lines(self) -> Iterable[Text]:
        """All of it."""
        if self._facts.chosen:
            yield from self._wrapped(self._facts.chosen, "", "dim")
        yield from self.failures()
        yield from self._beyond()
        yield from self.gaps()
        yield from self._reached()
        yield from self._rest()

    def _reached(self) -> Iterable[Text]:
        """How much of the contract this run reached."""
        if self._facts.reached:
            yield Text()
            yield from self._wrapped(f"Reached {self._facts.reached}.", "", "dim")
        for kind, reasons in self._facts.not_reached.items() if self._missing else ():
            yield from self._heading(f"Not reached: {kind}" if reasons else f"All {kind} were reached")
            for why, names in reasons:
                yield from self._wrapped(f"{why}: {', '.join(names)}", "  ")

    def failures(self) -> Iterable[Text]:
        """What is broken and decides the verdict."""
        for clause in self._facts.failed:
            yield Text()
            yield from self.clause(clause)

    def gaps(self) -> Iterable[Text]:
        """What the run could not say."""
        yield from self._reasons("Not judged, although the verdict hangs on it", self._facts.unjudged, "yellow")
        yield from self._reasons("Limits of this run", self._facts.limits, "")
        if self._facts.problems:
            yield from self._heading("Problems")
            for problem in self._facts.problems:
                yield from self._wrapped(problem, "  ")
        if self._facts.late:
            yield from self._heading("Late or not seen beside other cases, in time alone: a busy machine, no breach")
            for late in self._facts.late:
                yield from self._wrapped(late, "  ")

    def clause(self, c: ClauseResult) -> Iterable[Text]:
        """One failed clause with its breaches; one that an earlier clause showed is only named."""
        level = f"{c.clause.level}{' [core]' if c.clause.core else ''}"
        yield Text.assemble((c.clause.id, "bold red"), "  ", (level, "dim"))
        yield from self._wrapped(c.clause.sentence, "  ")
        if c.clause.breaks:
            yield from self._wrapped(f"Breaks: {c.clause.breaks}", "  ", "italic")
        for breach in c.breaches:
            if (home := self._seen.get(id(breach))) is not None:
                yield from self._wrapped(f"• {self._facts.breach(breach).says} (see {home})", "  ")
        fresh = alike(self._facts.breach(b) for b in c.breaches if id(b) not in self._seen)
        self._seen |= {id(b): self._seen.get(id(b), c.clause.id) for b in c.breaches}
        shown = fresh[:BREACHES]
        for same, following in zip(shown, [*shown[1:], None], strict=False):
            together = following is not None and _origin(following) == _origin(same)
            yield from self.breach(same, c.clause.id, more_follow=together)
        if len(fresh) > BREACHES:
            yield Text(f"  … and {len(fresh) - BREACHES} more ways, in the HTML and JSON reports", "dim")

    def breach(self, same: list[Shown], clause_id: str, *, more_follow: bool = False) -> Iterable[Text]:
        """One breach with its evidence, and the other places where it showed.

        Breaches that one rule found in one case stand together; how often, whose fault and how to play them again is
        said once, after the last of them.
        """
        shown = same[0]
        yield Text()
        yield from self._wrapped(f"• {shown.says}", "  ", "bold")
        for name, value in _rows(same, clause_id):
            if not (more_follow and name in {"seen", "rule"}):
                yield from self._wrapped(value, f"    {name:<9} ", first_style="dim")
        if shown.replay and not more_follow:
            yield Text.assemble("    ", (shown.replay, "cyan"), no_wrap=True)

    def _beyond(self) -> Iterable[Text]:
        if self._facts.beyond:
            yield from self._heading("Beyond the verdict")
        for c in self._facts.beyond:
            says = [self._facts.breach(b).says for b in c.breaches]
            more = f" (+{len(says) - 1} more)" if len(says) > 1 else ""
            level = "MUST, full" if c.clause.level == "MUST" else c.clause.level
            head = f"  {c.clause.id} ({level}): "
            yield Text(head + shortened(says[0], max(self._width - len(head) - len(more), 30)) + more)

    def _reasons(self, title: str, reasons: list[tuple[str, list[str]]], style: str) -> Iterable[Text]:
        if reasons:
            yield from self._heading(title)
        for reason, ids in reasons:
            yield from self._wrapped(f"{', '.join(ids)}: {reason}", "  ", style)

    def _rest(self) -> Iterable[Text]:
        elsewhere = self._facts.elsewhere
        if self._facts.failed and elsewhere["not_exercised"]:
            yield Text()
            count = plural(elsewhere["not_exercised"], "clause")
            yield from self._wrapped(f"{count} outside this verdict were not exercised.", "", "dim")

    def _heading(self, title: str) -> Iterable[Text]:
        yield Text()
        yield Text(title, "bold")

    def _wrapped(self, text: str, indent: str, style: str = "", first_style: str = "") -> Iterable[Text]:
        hang = " " * len(indent) + ("  " if text.startswith("• ") else "")
        folded = textwrap.wrap(text, self._width, initial_indent=indent, subsequent_indent=hang, break_on_hyphens=False)
        for number, line in enumerate(folded):
            head = len(indent) if number == 0 else 0
            yield Text.assemble((line[:head], first_style or style), (line[head:], style))


def _origin(same: list[Shown]) -> tuple[str, str]:
    return same[0].rule, same[0].replay


def _rows(same: list[Shown], clause_id: str) -> Iterable[tuple[str, str]]:
    shown = same[0]
    others = ", ".join(c for c in shown.clauses if c != clause_id)
    places = [s.place for s in same[1 : PLACES + 1]] + (
        [f"{len(same) - 1 - PLACES} more"] if len(same) > PLACES + 1 else []
    )
    rows = {
        "where": shown.place,
        "also": "; ".join(places),
        "expected": shown.expected,
        "got": shown.got,
        "seen": f"{shown.often}; fault: {shown.fault}",
        "setting": shown.setting,
        "rule": shown.rule + (f", which also speaks for {others}" if others else ""),
    }
    return ((name, value) for name, value in rows.items() if value)


def _console(stream: IO[str], width: int | None) -> Console:
    """A console that changes no text, and does not fail where the terminal's alphabet is too small."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
