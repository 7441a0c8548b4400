"""REST cases of the coverage phase: ours against `st run` on the same document and server, and the ceiling of a client.

Taken in turn on one server: `st run --phases coverage --checks all`; the same phase as cases of a run, with generating,
sending, schemathesis' checks, the timeline and all rules; the same with cases that were generated before and without
rules; and a bare client that sends our requests once more and looks at nothing. Of `st run` the phase alone counts.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from benchmarks.spent import Clock, Spent, line
from conformance.contract import load_contract
from conformance.contract.load import contracts_dir
from conformance.engine.bundled import bundled_reference
from conformance.engine.events import CaseFinished, CaseStarted
from conformance.engine.run import Options, Run
from conformance.generate.rest_cases import Phase, cases, coverage, generator
from conformance.loop import run
from conformance.rules import all_rules
from conformance.world.credentials import Keyring

if TYPE_CHECKING:
    from conformance.generate.rest_request import Request
    from conformance.target import Target

CLIENTS = 8
SCHEMATHESIS = (sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()")


def of_schemathesis(target: Target) -> Spent:
    """Its command line: its cases in the seconds of the phase; of a processor all that the command used."""
    begun = Clock(target.held.pid)  # type: ignore[union-attr]
    token = Keyring(target).token(target.users[0])
    with tempfile.TemporaryDirectory() as place:
        done = subprocess.run(  # noqa: S603 - a tool that this project depends on
            [
                *SCHEMATHESIS,
                "--no-color",
                "run",
                str(contracts_dir() / "openapi.yaml"),
                f"--url={target.url}/api/v1",
                f"--header=Authorization: Bearer {token}",
                "--checks=all",
                "--phases=coverage",
                "--continue-on-failure",
                "--generation-database=none",
            ],
            cwd=Path(place),
            capture_output=True,
            text=True,
            check=False,
        )
    seconds, made = (re.search(p, done.stdout) for p in (r"Coverage \(in ([\d.]+)s\)", r"([\d,]+) generated"))
    if seconds is None or made is None:
        sys.exit(done.stdout + done.stderr)
    cases = int(made[1].replace(",", ""))
    return begun.until(Clock(begun.pid), cases, float(seconds[1]))


async def of_ours(target: Target, *, whole: bool) -> Spent:
    """The whole of a run, or with cases that were generated before, and without the rules."""
    contract = load_contract()
    generator.cache_clear()  # what was generated for the round before is generated again
    phase = coverage()
    if not whole:
        ready = {o: generator(0).coverage(o) for o in contract.operations}
        phase = Phase("coverage", lambda _, operation: ready[operation])
    drawn = tuple(cases(contract, target, phases=(phase,), seed=0))
    rules = all_rules().values() if whole else ()
    begun = ended = None
    checked = 0
    async for event in Run(target, rules, contract, Options(level="full", only="rest/*", generated=drawn)).events():
        if isinstance(event, CaseStarted) and event.case.startswith("rest/"):
            begun = begun or Clock(target.held.pid)  # type: ignore[union-attr]
        elif isinstance(event, CaseFinished) and event.timeline is not None and event.case.startswith("rest/"):
            ended = Clock(target.held.pid)  # type: ignore[union-attr]
            checked += sum(note.kind == "checked" for note in event.timeline.notes)
    if begun is None or ended is None:
        sys.exit("no request was sent")
    return begun.until(ended, checked)


async def of_a_bare_client(target: Target, requests: list[Request]) -> Spent:
    """Nothing but sending and reading."""
    headers = {"Authorization": f"Bearer {Keyring(target).token(target.users[0])}"}
    waiting = iter(requests)

    async def client(session: aiohttp.ClientSession) -> None:
        for request in waiting:
            async with session.request(
                request.method,
                f"{target.url}/api/v1{request.target}",
                data=request.data,
                headers=headers | dict(request.headers),
            ) as answer:
                await answer.read()

    async with aiohttp.ClientSession() as session:
        begun = Clock(target.held.pid)  # type: ignore[union-attr]
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
        return begun.until(Clock(begun.pid), len(requests))


async def measured(rounds: int) -> dict[str, list[Spent]]:
    """Each in turn, on one server."""
    found: dict[str, list[Spent]] = {}
    operations = [o for o in load_contract().operations.values() if o.under_base and not o.destructive]
    requests = [r for o in operations for made in generator(0).coverage(o.id) if (r := made.request)]
    async with bundled_reference() as target:
        for _ in range(rounds):
            for name, rate in (
                ("st run, coverage phase", await asyncio.to_thread(of_schemathesis, target)),
                ("ours: generated, sent, checked, judged by all rules", await of_ours(target, whole=True)),
                ("ours: generated before, sent, checked", await of_ours(target, whole=False)),
                (f"a bare client, {CLIENTS} connections, the same requests", await of_a_bare_client(target, requests)),
            ):
                found.setdefault(name, []).append(rate)
    return found


def main() -> None:
    """Prints what each took, and how many times as many cases a second as `st run` ours gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    found = run(measured(parser.parse_args().rounds))
    for name, spent in found.items():
        sys.stdout.write(line(name, spent))
    theirs, *ours, _ = found.values()
    times = [statistics.median(o.rate / t.rate for o, t in zip(one, theirs, strict=True)) for one in ours]
    sys.stdout.write(f"{times[0]:.1f} and {times[1]:.1f} times as many cases a second as `st run`, round by round\n")


if __name__ == "__main__":
    main()
