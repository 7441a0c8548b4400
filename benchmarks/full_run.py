"""What a full run costs on the bundled reference: seconds, CPU of the suite and of the reference, the longest cases."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from conformance.contract import load_contract
from conformance.engine.bundled import bundled_reference
from conformance.engine.events import CaseFinished, RunFinished
from conformance.engine.run import AT_ONCE, Options, Run
from conformance.judge import judge
from conformance.rules import all_rules

if TYPE_CHECKING:
    from conformance.engine.result import Result

SHOWN = 15


async def measured(at_once: int) -> tuple[Result, list[CaseFinished], float, float]:
    """A whole run: its result, its cases, its seconds, and the CPU seconds of the suite itself."""
    cases: list[CaseFinished] = []
    async with bundled_reference(level="full") as target:
        run = Run(target, all_rules().values(), load_contract(), Options(level="full", at_once=at_once))
        begun, spent = time.perf_counter(), time.process_time()
        async for event in run.events():
            if isinstance(event, CaseFinished):
                cases.append(event)
            if isinstance(event, RunFinished):
                result = event.result
        return result, cases, time.perf_counter() - begun, time.process_time() - spent


def judging(cases: list[CaseFinished]) -> Counter[str]:
    """CPU seconds of each rule over all timelines of the run, but those of heavy cases, which only their own judge."""
    seconds: Counter[str] = Counter()
    heavy = {p.id for rule in all_rules().values() for p in rule.provocations if p.heavy}
    for case in cases:
        if case.timeline is not None and case.case not in heavy:
            for rule in all_rules().values():
                begun = time.process_time()
                judge(rule, case.timeline)
                seconds[rule.id] += time.process_time() - begun
    return seconds


def main() -> None:
    """Runs once and prints what took how long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    result, cases, seconds, own = asyncio.run(measured(parser.parse_args().at_once))
    of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
    say = sys.stdout.write
    say(f"{result.verdict}: {len(cases)} cases in {seconds:.1f} s on {os.cpu_count()} cores\n")
    say(f"CPU: the suite {own:.1f} s, the reference {of_children.ru_utime + of_children.ru_stime:.1f} s\n")
    say("\nSeconds of the longest cases\n")
    for case in sorted(cases, key=lambda c: -c.seconds)[:SHOWN]:
        say(f"{case.seconds:7.2f}  {case.case}\n")
    say("\nCPU seconds of the dearest rules, judging all timelines once more\n")
    for rule, spent in judging(cases).most_common(SHOWN):
        say(f"{spent:7.3f}  {rule}\n")


if __name__ == "__main__":
    main()
