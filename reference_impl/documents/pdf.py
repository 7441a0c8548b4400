"""A report as PDF."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Final

from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

from reference_impl.documents.glyphs import BOLD, TEXT, marked_up, shown
from reference_impl.documents.outline import Block, Heading, Items, outline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reference_impl.domain.output import Report

_LINES: Final = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")
_LONGEST: Final = 2_000
"""Characters in one paragraph; laying out a longer one takes more time than its parts."""
_MOST: Final = 300_000
"""Characters that are laid out at most, where each paragraph counts as 40 besides: some seconds of work."""
_GOES_ON = "The report goes on. It is too long for this document; its JSON and Markdown exports hold all of it."


def pdf(report: Report) -> bytes:
    """Write it. Takes time for a large report: call it beside the loop."""
    shown()
    styles = _styles()
    story = list(_within_reason(report, styles))
    written = BytesIO()
    document = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=20 * mm,
        rightMargin=20 * mm,
        topMargin=20 * mm,
        bottomMargin=20 * mm,
        title=report.title,
        author=report.agent_id,
        subject="Investigation report",
        invariant=1,
    )
    document.build(story)
    return written.getvalue()


def _within_reason(report: Report, styles: dict[str, ParagraphStyle]) -> Iterator[Paragraph | Spacer]:
    left = _MOST
    for block in outline(report):
        for text, style in _flow(block):
            left -= len(text) + 40
            if left < 0:
                yield Paragraph(_GOES_ON, styles["heading3"])
                return
            yield Paragraph(text, styles[style]) if text else Spacer(1, 7)


def _styles() -> dict[str, ParagraphStyle]:
    text = ParagraphStyle("text", fontName=TEXT, fontSize=10, leading=14, spaceAfter=3, splitLongWords=1)
    styles = {"text": text, "item": ParagraphStyle("item", text, leftIndent=5 * mm)}
    for level, size in ((1, 18), (2, 14), (3, 11)):
        name = f"heading{level}"
        styles[name] = ParagraphStyle(
            name, text, fontName=BOLD, fontSize=size, leading=size * 1.3, spaceBefore=size * 0.6, keepWithNext=level > 1
        )
    return styles


def _flow(block: Block) -> Iterator[tuple[str, str]]:
    """The paragraphs of a block, marked up, each with the name of its style."""
    if isinstance(block, Heading):
        yield marked_up(" ".join(_LINES.split(block.text))), f"heading{block.level}"
        return
    if isinstance(block, Items):
        for name, text in block.facts:
            first = f'<font name="{BOLD}">{name}:</font> '
            for line in _pieces(text):
                yield first + marked_up(line), "item"
                first = ""
        return
    for line in _pieces(block.text):
        yield marked_up(line), "text"


def _pieces(text: str) -> Iterator[str]:
    """The lines, and long ones in parts."""
    for line in _LINES.split(text):
        for start in range(0, max(1, len(line)), _LONGEST):
            yield line[start : start + _LONGEST]
