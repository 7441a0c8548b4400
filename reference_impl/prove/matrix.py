"""The matrix of defects and clauses: for the terminal, as Markdown, as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reference_impl.prove.judging import Finding
    from reference_impl.prove.proving import Proof

NAMED: Final = "●"
ALSO: Final = "○"
MISSED: Final = "✗"
NOTHING: Final = "·"
LEGEND: Final = f"{NAMED} named by the defect and failed   {ALSO} failed as well   {MISSED} named and not failed"


def answer(proof: Proof) -> str:
    """The outcome in one line."""
    word = "PROVED" if proof.holds else "INTERRUPTED" if proof.interrupted else "NOT PROVED"
    clean = "not judged" if proof.clean is None else "clean" if not proof.clean.faults else "not clean"
    return f"{word}  {proof.found} of {proof.wanted} defects found, clean run {clean} · {proof.seconds:.0f} s"


def text(proof: Proof) -> str:
    """For the terminal: the answer first, then what is wrong, then the matrix."""
    wrong = _wrong(proof)
    blocks = [answer(proof), *(["\n".join(wrong)] if wrong else []), *([grid(proof), LEGEND] if proof.findings else [])]
    return "\n\n".join(blocks) + "\n"


def _wrong(proof: Proof) -> list[str]:
    faults = proof.clean.faults if proof.clean else ()
    lines = [f"clean run: {fault}" for fault in faults]
    for finding in proof.findings:
        name = finding.candidate.name
        if finding.trouble:
            lines.append(f"{name}: {finding.trouble}")
        lines += [f"{name}: {clause} did not fail ({told})" for clause, told in finding.missed.items()]
    return lines


def grid(proof: Proof) -> str:
    """A row for each defect, a column for each clause that is named or failed; ids run downwards."""
    columns = _columns(proof.findings)
    width = max(len(finding.candidate.name) for finding in proof.findings)
    depth = max((len(clause) for clause in columns), default=0)
    heads = ["".join(clause.rjust(depth)[line] for clause in columns) for line in range(depth)]
    lines = [f"{'':{width}}  {' '.join(head)}".rstrip() for head in heads]
    for finding in proof.findings:
        marks = " ".join(mark(finding, clause) or NOTHING for clause in columns)
        lines.append(f"{finding.candidate.name:{width}}  {marks}")
    return "\n".join(lines)


def mark(finding: Finding, clause: str) -> str:
    """What the cell of one defect and one clause says."""
    if clause in finding.candidate.clauses:
        return NAMED if clause in finding.failed else MISSED
    return ALSO if clause in finding.failed else ""


def _columns(findings: Sequence[Finding]) -> list[str]:
    """The clauses, those of one family side by side, in the order of their numbers."""
    shown = {clause for finding in findings for clause in (*finding.candidate.clauses, *finding.failed)}
    return sorted(shown, key=_family)


def _family(clause: str) -> tuple[str, str, int]:
    family, _, number = clause.partition("-")
    digits = number.lstrip("R")
    return family, number[: len(number) - len(digits)], int(digits) if digits.isdecimal() else 0


def markdown(proof: Proof) -> str:
    """As a document; without times, so that two proofs of the same code read the same."""
    head = f"{proof.found} of {proof.wanted} defects found; clean run {'clean' if _is_clean(proof) else 'not clean'}."
    rows = [
        f"| {finding.candidate.name} | {finding.candidate.summary} | {_cell(finding, named=True)} "
        f"| {_cell(finding, named=False)} |"
        for finding in proof.findings
    ]
    table = ["| defect | what the wire shows | its clauses | failed as well |", "|---|---|---|---|", *rows]
    wrong = [f"- {line}" for line in _wrong(proof)]
    blocks = ["# Kill matrix", head, _how(proof), *(["\n".join(wrong)] if wrong else []), LEGEND]
    if proof.findings:
        blocks += ["```\n" + grid(proof) + "\n```", "\n".join(table)]
    return "\n\n".join(blocks) + "\n"


def _how(proof: Proof) -> str:
    """By what each defect was judged: without that, a gap in the matrix says nothing."""
    if proof.every_clause:
        return "Each defect was judged by every clause."
    return "Each defect was judged by the clauses it names; what failed as well was only seen in passing."


def _is_clean(proof: Proof) -> bool:
    return proof.clean is not None and not proof.clean.faults


def _cell(finding: Finding, *, named: bool) -> str:
    own = finding.candidate.clauses
    shown = own if named else sorted(finding.failed - set(own), key=_family)
    return " ".join(f"{mark(finding, clause)} {clause}" if named else clause for clause in shown)


def document(proof: Proof) -> str:
    """As JSON."""
    value: dict[str, Any] = {
        "proved": proof.holds,
        "interrupted": proof.interrupted,
        "found": proof.found,
        "wanted": proof.wanted,
        "every_clause": proof.every_clause,
        "seconds": round(proof.seconds, 1),
        "clean": {
            "judged": proof.clean is not None,
            "faults": list(proof.clean.faults if proof.clean else ()),
            "untried": sorted(proof.clean.untried if proof.clean else (), key=_family),
        },
        "defects": [
            {
                "name": finding.candidate.name,
                "shows": finding.candidate.summary,
                "result": finding.word,
                "clauses": list(finding.candidate.clauses),
                "failed": sorted(finding.failed, key=_family),
                "missed": dict(finding.missed),
                "trouble": finding.trouble,
                "seconds": round(finding.seconds, 1),
            }
            for finding in proof.findings
        ],
    }
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
