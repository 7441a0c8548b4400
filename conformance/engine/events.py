"""What a run says while it goes on. Events are its only output; every writer listens to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.engine.plan import Plan
    from conformance.engine.result import Result
    from conformance.judge import Judgement
    from conformance.rule import Finding
    from conformance.timeline import Timeline


@dataclass(frozen=True, slots=True)
class PlanMade:
    """What the run intends."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class CaseStarted:
    """A case begins."""

    case: str


@dataclass(frozen=True, slots=True)
class CaseFinished:
    """A case has ended, however it ended."""

    case: str
    seconds: float
    judgements: tuple[Judgement, ...] = ()
    timeline: Timeline | None = field(default=None, repr=False)
    unmet: tuple[str, ...] = ()
    """What the script waited for in vain."""
    cut: str = ""
    """Why it did not end by itself: budget, time, interrupted."""
    error: str = ""
    """Set when our own script broke."""
    script: Mapping[str, Any] | None = field(default=None, repr=False)
    """What was played, where it was generated: the smallest that still breaks, if something broke."""
    late: tuple[str, ...] = ()
    """What came too late in company and in time alone: load, no breach."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings on its timeline."""
        return tuple(f for j in self.judgements for f in j.findings)


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run is over; its result is complete."""

    result: Result


RunEvent = PlanMade | CaseStarted | CaseFinished | RunFinished
