"""Traces as trees: which entry stands under which (TRC-1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Node:
    """An entry as far as the tree needs it; `position` finds the rest."""

    position: int
    trace_id: str
    parent_id: str | None
    size: int


def preorder(nodes: Sequence[Node]) -> Iterator[tuple[Node, int]]:
    """Walk the trees, each entry before its children, with its depth; in the order the entries came.

    An entry whose parent is unknown stands at the root. Entries that are each other's ancestors
    have no root; there the one that came first stands at the root, so that none is lost.
    """
    known = {node.trace_id for node in nodes}
    children: dict[str, list[Node]] = {}
    for node in nodes:
        if node.parent_id is not None:
            children.setdefault(node.parent_id, []).append(node)
    seen: set[str] = set()
    roots = [node for node in nodes if node.parent_id not in known]
    for root in (*roots, *nodes):
        waiting = [(root, 0)]
        while waiting:
            node, depth = waiting.pop()
            if node.trace_id not in seen:
                seen.add(node.trace_id)
                yield node, depth
                waiting.extend((child, depth + 1) for child in reversed(children.get(node.trace_id, ())))


class Weaver:
    """Writes entries in preorder as a JSON array of trees, piece by piece and however deep."""

    def __init__(self) -> None:
        self._open: list[int] = []
        self._begun = False

    def add(self, depth: int, entry: bytes) -> bytes:
        """Write the next entry, a JSON object without its `children`; one whose parent was left out is no matter."""
        closed = 0
        while self._open and self._open[-1] >= depth:
            self._open.pop()
            closed += 1
        before = b"" if self._begun else b"["
        self._begun = True
        self._open.append(depth)
        return before + b"]}" * closed + (b"," if closed else b"") + entry[:-1] + b',"children":['

    def end(self) -> bytes:
        """Close what is open."""
        return (b"" if self._begun else b"[") + b"]}" * len(self._open) + b"]"
