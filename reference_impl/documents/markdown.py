"""A report as Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reference_impl.documents.outline import Block, Heading, Items, outline

if TYPE_CHECKING:
    from reference_impl.domain.output import Report

_SPECIAL: Final = re.compile(r"[\\`*_\[\]<>|~]|&(?=#?[0-9A-Za-z]+;)")
_LEADING: Final = re.compile(r"^([#+=-]|\d{1,9}(?=[.)]))")
_LINES: Final = re.compile(r"\r\n|[\r\n\v\f\x85\u2028\u2029]")


def markdown(report: Report) -> str:
    """Write it; what would be markup in the report's own text is escaped."""
    return "\n\n".join(filter(None, (_block(block) for block in outline(report)))) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_line(block.text)}"
    if isinstance(block, Items):
        return "\n".join(f"- **{name}:** {_lines(text, '  ')}" for name, text in block.facts)
    return _lines(block.text)


def _line(text: str) -> str:
    return " ".join(_escaped(line) for line in _LINES.split(text))


def _lines(text: str, indent: str = "") -> str:
    """Keep the lines as they are: a backslash ends one without ending the paragraph, an empty one ends it."""
    lines = [_escaped(line) for line in _LINES.split(text)]
    written = [
        f"{line}\\" if line and number + 1 < len(lines) and lines[number + 1] else line
        for number, line in enumerate(lines)
    ]
    return f"\n{indent}".join(written)


def _escaped(line: str) -> str:
    """Write what would be markup as itself, also where it would be so only at the beginning of a line."""
    bare = line.lstrip(" \t")
    indent = line[: len(line) - len(bare)].replace("\t", " " * 4)
    safe = _LEADING.sub(_lead, _SPECIAL.sub(lambda found: f"\\{found[0]}", bare.rstrip()))
    return "&nbsp;" * len(indent) + safe


def _lead(found: re.Match[str]) -> str:
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"
