"""The same seed gives the same tests: what is drawn, byte for byte in any process, and what a run says of a backend."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from conformance.tests.running import environment, reference, run

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.tests.running import Told

DRAWN = """
import json, sys
from conformance.contract import load_contract
from conformance.generate.messages import samples
from conformance.generate.rest import Generator
from conformance.sequences.draw import scripts

contract, generator, seed = load_contract(), Generator(3), 3
said = [m for m in contract.messages.values() if m.side.startswith("from-")]
operations = sorted(contract.operations, reverse="backwards" in sys.argv)
made = {o: [*generator.coverage(o), *generator.fuzzing(o, 6)] for o in operations}
print(json.dumps({
    "scripts": [scripts(contract, count=20, size=12, seed_=seed, destructive=d) for d in (False, True)],
    "messages": {m.key: [samples(contract, m).valid, samples(contract, m).broken] for m in said},
    "requests": {
        o: [[r.method, r.target, list(r.headers.items()), (r.data or b"").decode("latin-1")]
            for m in made[o] if (r := m.request)]
        for o in sorted(made)
    },
}))
"""


def drawn(place: Path, *arguments: str, hashing: str) -> bytes:
    """Everything that a seed draws, as a process with this order of sets prints it."""
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", DRAWN, *arguments],
        cwd=place,
        env={**environment(), "PYTHONHASHSEED": hashing},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_processes_draw_the_same(tmp_path: Path) -> None:
    """Scripts, messages and requests of a seed do not hang on hashes, nor on which operation is asked for first."""
    first = drawn(tmp_path, hashing="1")
    again = drawn(tmp_path, "backwards", hashing="2")
    assert len(first) > 500_000
    assert first == again


def outcomes(told: Told) -> dict[str, str]:
    """Of the clauses on which the verdict hangs; whether others have an occasion by chance is a matter of moments."""
    return {clause: facts["outcome"] for clause, facts in told.report["clauses"].items() if facts["counts"]}


def broken(told: Told) -> set[str]:
    return {clause for clause, facts in told.report["clauses"].items() if facts["outcome"] == "failed"}


def test_two_runs_say_the_same(tmp_path: Path) -> None:
    """Each against a fresh backend: the verdict, the number of cases, and the outcome of each clause that counts.

    What a library remembers of one is not left in the directory of whoever runs it.
    """
    runs = []
    for number in ("1", "2"):
        place = tmp_path / number
        place.mkdir()
        with reference(place) as url:
            runs.append(run(place, url, "--effort", "quick", "--seed", "3"))
    first, again = runs
    assert first.report["verdict"] == again.report["verdict"] == "conforms"
    assert first.report["plan"] == again.report["plan"]
    assert outcomes(first) == outcomes(again)
    assert broken(first) == broken(again) == set()
    assert not list(tmp_path.rglob(".hypothesis"))
