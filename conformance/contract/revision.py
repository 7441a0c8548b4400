"""Contract files as they were at a git revision: read as data, within bounds; nothing of them is run."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any, Final

import yaml

from conformance.contract.load import NAMES, documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MOST: Final = 1000
"""Files that are taken of one revision; the contract has about ninety."""
LARGEST: Final = 16 * 1024 * 1024
"""Bytes that are taken of one revision, all files together."""
NODES: Final = 1_000_000
"""Values in one document: a few lines of YAML can stand for any number of them."""
SECONDS: Final = 20.0
INSTALLED: Final = "_contracts"
OF_ANOTHER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""Variables that a git hook sets, of the repository that it runs in."""


class RevisionError(Exception):
    """The contract of a revision cannot be read; the message is one sentence for a person."""


def documents_at(place: Path, revision: str) -> dict[str, Any]:
    """What the contract files of a working copy said at a revision, by path. Raises `RevisionError`."""
    files = files_at(place, revision)
    try:
        said = documents(files)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise RevisionError(f"the contract at {revision} cannot be read: {first}") from None
    if any(_is_too_large(document) for document in said.values()):
        raise RevisionError(f"the contract at {revision} cannot be read: it is too large")
    return said


def files_at(place: Path, revision: str) -> dict[str, bytes]:
    """What those files held, by their path below `place`. Raises `RevisionError`."""
    if place.name == INSTALLED:
        raise RevisionError(
            f"the contract in use is that of an installation, {place}, and has no revisions; "
            "run it from a checkout that holds contracts/"
        )
    if not revision or revision.startswith("-"):
        raise RevisionError(f"{revision!r} is no git revision")
    prefix = _git(place, "rev-parse", "--show-prefix", otherwise=f"{place} is in no git repository").decode().strip()
    commit = _git(
        place,
        *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"),
        otherwise=f"git knows no revision {revision!r} (in CI: fetch it first, a shallow clone has no other branch)",
    )
    tree = f"{commit.decode().strip()}:{prefix}"
    nothing = f"there are no contract files in {prefix or place} at {revision}"
    listed = _git(place, "ls-tree", "-r", "-l", "-z", "--full-tree", tree, otherwise=nothing)
    wanted = dict(_wanted(listed))
    if not wanted.keys() >= set(NAMES):
        raise RevisionError(nothing)
    if len(wanted) > MOST or sum(size for _, size in wanted.values()) > LARGEST:
        raise RevisionError(f"the contract at {revision} cannot be read: it is too large")
    asked = "".join(f"{blob}\n" for blob, _ in wanted.values()).encode()
    given = _git(place, "cat-file", "--batch", asked=asked, otherwise=f"git cannot read the files at {revision}")
    return _contents(given, wanted)


def _wanted(listed: bytes) -> Iterator[tuple[str, tuple[str, int]]]:
    """Each contract file of a listing, with the name of its content and its size; links are none."""
    for line in filter(None, listed.split(b"\0")):
        facts, _, path = line.partition(b"\t")
        mode, kind, blob, size = facts.decode().split()
        name = path.decode(errors="replace")
        is_ours = name in NAMES or (name.startswith("schemas/") and name.endswith(".json"))
        if is_ours and kind == "blob" and mode.startswith("100"):
            yield name, (blob, int(size))


def _contents(given: bytes, wanted: Mapping[str, tuple[str, int]]) -> dict[str, bytes]:
    """What `cat-file --batch` gave: of each a line, the content, and the end of a line."""
    found, at = {}, 0
    for name, (_, size) in wanted.items():
        start = given.index(b"\n", at) + 1
        found[name] = given[start : start + size]
        at = start + size + 1
    return found


def _git(place: Path, *arguments: str, otherwise: str, asked: bytes = b"") -> bytes:
    env = {name: value for name, value in os.environ.items() if name not in OF_ANOTHER}
    env |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the revision cannot be taken for an option
            ["git", "-C", str(place), *arguments],  # noqa: S607 - the user's own git
            input=asked,
            capture_output=True,
            timeout=SECONDS,
            env=env,
            check=False,
        )
    except FileNotFoundError:
        raise RevisionError("there is no git on this machine") from None
    except subprocess.TimeoutExpired:
        raise RevisionError(f"git did not answer within {SECONDS:g} s") from None
    except ValueError:  # NUL in an argument
        raise RevisionError("a git revision has no NUL in it") from None
    if done.returncode:
        first = next(iter(done.stderr.decode(errors="replace").splitlines()), "").removeprefix("fatal: ")
        said = f": git says {first}" if first and "not a git repository" not in first else ""
        raise RevisionError(otherwise + said)
    return done.stdout


def _is_too_large(document: Any) -> bool:
    seen, left = 0, [document]
    while left:
        seen += 1
        if seen > NODES:
            return True
        inner = left.pop()
        left.extend(inner.values() if isinstance(inner, dict) else inner if isinstance(inner, list) else ())
    return False
