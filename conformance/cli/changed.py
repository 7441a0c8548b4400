"""`--changed-since REV`: what has changed in the contract of a checkout, and what a run makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.contract.changes import Changes, changes
from conformance.contract.load import contract_files, documents, load_contract
from conformance.contract.revision import RevisionError, documents_at
from conformance.target import TargetError

if TYPE_CHECKING:
    from pathlib import Path


def changed_since(place: Path, revision: str) -> Changes:
    """What has changed in the contract files of a working copy since a revision. Raises `TargetError`."""
    load_contract()  # says what is wrong with the one that is judged by
    try:
        before = documents_at(place, revision)
    except RevisionError as error:
        raise TargetError(f"--changed-since: {error}") from None
    try:
        return changes(before, documents(contract_files(place)))
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise TargetError(
            f"--changed-since: the contract at {revision} is of another form and cannot be compared "
            f"({type(error).__name__}: {error})"
        ) from None


def chosen_by(revision: str, changed: Changes, generated: int) -> str:
    """By what the cases of a run are chosen, in a sentence."""
    if not changed:
        return f"Nothing that is judged has changed in the contract since {revision}: no generated cases."
    more = " and the scripted cases of the changed clauses" if changed.clauses else ""
    return f"Changed in the contract since {revision}: {changed}. For this, {generated} generated cases{more}."
