"""Runs of the command line as a person starts them, for tests: in a process and a directory of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from conformance.tests.backends.launch import backend

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SCHEMA = Draft202012Validator(json.loads((Path(__file__).parents[2] / "reports" / "report.schema.json").read_text()))
AT_ONCE = 4
PATIENCE = 90.0
"""Seconds after which a run has failed to end."""


@dataclass(frozen=True)
class Told:
    """What a run left behind."""

    code: int
    out: str
    err: str
    place: Path

    @property
    def first(self) -> str:
        """The first line: the answer."""
        return (self.out.splitlines() or [""])[0]

    @property
    def report(self) -> dict[str, Any]:
        """The JSON report, which keeps its schema."""
        document = json.loads((self.place / "report.json").read_text())
        SCHEMA.validate(document)
        return dict(document)

    def failed(self, *, core: bool = True) -> set[str]:
        """The ids of the MUSTs that failed: those of the core, or all."""
        musts = {i: c for i, c in self.report["clauses"].items() if c["level"] == "MUST"}
        return {i for i, c in musts.items() if c["outcome"] == "failed" and (c["core"] or not core)}

    def found(self, clause: str, rule: str = "") -> list[dict[str, Any]]:
        """The findings of a clause, of one rule if it is named."""
        return [f for f in self.report["clauses"][clause]["findings"] if not rule or f["rule"] == rule]


def environment() -> dict[str, str]:
    """The environment, without what is ours in it."""
    return {k: v for k, v in os.environ.items() if not k.startswith("ONSEMBL_")}


def command(place: Path, *arguments: str) -> Told:
    """`conformance …`, in a directory."""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-m", "conformance", *arguments],
        cwd=place, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
        check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout + done.stderr
    return Told(done.returncode, done.stdout, done.stderr, place)


def run(place: Path, *arguments: str) -> Told:
    """`conformance run …` with a JSON report, in a directory that it makes."""
    place.mkdir(exist_ok=True)
    return command(place, "run", *arguments, "--report", "json=report.json")


def run_against(
    place: Path, opponents: Mapping[str, Sequence[str]], *options: str, at_once: int = AT_ONCE
) -> dict[str, Told]:
    """A run against each of these opponents (name → script and its arguments), several at a time."""

    def one(name: str) -> Told:
        script, *arguments = opponents[name]
        with backend(script, *arguments) as url:
            return run(place / name, url, *options)

    with ThreadPoolExecutor(at_once) as pool:
        return dict(zip(opponents, pool.map(one, opponents), strict=True))


@contextmanager
def reference(place: Path, *arguments: str) -> Iterator[str]:
    """The URL of the reference implementation, known here by its command line alone."""
    serve = [sys.executable, "-m", "reference_impl", "serve", "--port", "0", "--exit-with-stdin"]
    with subprocess.Popen(  # noqa: S603 - our own
        [*serve, "--db", str(place / "reference.sqlite3"), "--log-level", "error", *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield str(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()
