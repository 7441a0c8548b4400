"""What a report says, in the order in which every document says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reference_impl.domain.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from reference_impl.domain.output import Report


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading; the title of the report is of level 1."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Text of one or more lines."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list of facts, each with a name."""

    facts: Sequence[tuple[str, str]]


Block = Heading | Paragraph | Items


def outline(report: Report) -> Iterator[Block]:
    """Lay a report out."""
    content = report.content
    yield Heading(1, report.title)
    yield Items(tuple(_facts(report).items()))
    yield Heading(2, "Summary")
    yield Paragraph(report.summary)
    for section in sorted(content["sections"], key=lambda section: section["order"]):
        yield Heading(2, section["title"])
        yield Paragraph(section["content"])
    if content["findings"]:
        yield Heading(2, "Findings")
    for finding in content["findings"]:
        yield Heading(3, f"{finding['type'].title()} ({finding['severity']})")
        yield Paragraph(finding["description"])
        yield Items([("Evidence", evidence) for evidence in finding["evidence"]])
    if content["recommendations"]:
        yield Heading(2, "Recommendations")
    for advice in content["recommendations"]:
        yield Heading(3, advice["action"])
        yield Items([("Priority", str(advice["priority"])), ("Rationale", advice["rationale"])])


def _facts(report: Report) -> Mapping[str, str]:
    facts = {
        "Report": report.report_id,
        "Agent": report.agent_id,
        "Command": report.command_id,
        "Status": str(report.status),
        "Created": rfc3339(report.created_at),
        "Updated": rfc3339(report.updated_at),
    }
    return facts if report.completed_at is None else {**facts, "Completed": rfc3339(report.completed_at)}
