"""Executes a run for the command line: target, engine, writers, exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from conformance.loop import run
from conformance.profile import STORES, make_target, settings_of
from conformance.report import parse_report, write_report
from conformance.target import Target, TargetError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from conformance.contract.changes import Changes
    from conformance.engine.events import RunEvent
    from conformance.engine.result import Result
    from conformance.engine.run import Run
    from conformance.redact import Redactor
    from conformance.report.terminal import Terminal
    from conformance.rule import Provocation


def execute(target: str | None, said: Mapping[str, Any], own: Sequence[Provocation] = ()) -> int:
    """A whole run, with cases of one's own beside those of the rules; gives the exit code."""
    settings = settings_of(target, said)
    reports = [parse_report(option) for option in settings.get("report", [])]
    changes = _changes(settings)
    return run(_run(settings, reports, own, changes)).exit_code


@asynccontextmanager
async def _target(settings: Mapping[str, Any]) -> AsyncIterator[Target]:
    if settings.get("url"):
        from conformance.engine.process import started  # noqa: PLC0415 - only where it is needed

        async with started(make_target(settings)) as found:
            yield found
        return
    checked = make_target({**settings, "url": "http://127.0.0.1"})
    from conformance.engine.bundled import bundled_reference  # noqa: PLC0415 - only where it is needed

    async with bundled_reference(level=checked.level, store=settings.get("store", STORES[0])) as found:
        yield found


def _changes(settings: Mapping[str, Any]) -> Changes | None:
    """What has changed in the contract, where somebody asks. Raises `TargetError`."""
    if (since := settings.get("changed_since")) is None:
        return None
    from conformance.cli.changed import changed_since  # noqa: PLC0415 - few runs ask for it
    from conformance.contract.load import contracts_dir  # noqa: PLC0415

    return changed_since(contracts_dir(), since)


async def _run(
    settings: Mapping[str, Any],
    reports: Sequence[tuple[str, Path]],
    own: Sequence[Provocation],
    changes: Changes | None = None,
) -> Result:
    loading = asyncio.create_task(asyncio.to_thread(_load))
    async with _target(settings) as target:
        await loading
        from conformance.contract import load_contract  # noqa: PLC0415 - loaded beside the start of the reference
        from conformance.engine.events import RunFinished  # noqa: PLC0415
        from conformance.engine.run import Options, Run  # noqa: PLC0415
        from conformance.redact import Redactor  # noqa: PLC0415
        from conformance.report.terminal import Terminal  # noqa: PLC0415
        from conformance.rules import all_rules  # noqa: PLC0415
        from conformance.saved import save_failures  # noqa: PLC0415

        generated = await asyncio.to_thread(_generated, settings, target, changes)
        chosen = ""
        if changes is not None:
            from conformance.cli.changed import chosen_by  # noqa: PLC0415

            chosen = chosen_by(settings["changed_since"], changes, len(generated))
        options = Options(
            level=target.level,
            only=settings.get("only", ""),
            seed=settings.get("seed", 0),
            max_time=settings.get("max_time", 300.0),
            fail_fast=settings.get("fail_fast", False),
            fail_under=settings.get("fail_under", 0.0),
            generated=(*own, *generated),
            beside=changes.clauses if changes else frozenset(),
            chosen=chosen,
        )
        planned = Run(target, all_rules().values(), load_contract(), options)
        if options.only and not planned.plan.cases and not planned.plan.left_out:
            raise TargetError(
                f"--only {options.only}: no clause, rule or case of level {options.level} matches; "
                "see `conformance list`"
            )
        redactor = Redactor(target.secrets)
        with (
            Terminal(redactor, quiet=bool(settings.get("quiet")), missing=bool(settings.get("missing"))) as terminal,
            _interruptible(planned),
        ):
            async for event in planned.events():
                if isinstance(event, RunFinished):
                    result = event.result
                    save_failures(result, redactor)
                    write_reports(reports, result, redactor, quiet=bool(settings.get("quiet")))
                tell(terminal, event)
        return result


def _generated(settings: Mapping[str, Any], target: Target, changes: Changes | None) -> list[Provocation]:
    """The cases that are generated for this run. Raises `TargetError`."""
    if changes is not None:
        settings = {"effort": "quick", **settings}
    if not settings.get("effort") and not settings.get("corpus"):
        return []
    from conformance.contract import load_contract  # noqa: PLC0415 - see _load
    from conformance.generate.effort import generated  # noqa: PLC0415
    from conformance.sequences.script import ScriptError  # noqa: PLC0415
    from conformance.world.credentials import Keyring  # noqa: PLC0415

    wanted = {name: settings[name] for name in ("effort", "corpus", "seed", "max_time") if name in settings}
    try:
        users = len(Keyring(target).users)
        return list(generated(load_contract(), target, users=users, changes=changes, **wanted))
    except (ScriptError, OSError) as error:
        raise TargetError(f"--corpus: {error}") from error


def write_reports(reports: Sequence[tuple[str, Path]], result: Result, redactor: Redactor, *, quiet: bool) -> None:
    """Every report asked for, before anything is printed: a reader who leaves early does not cost them."""
    for kind, path in reports:
        write_report(kind, path, result, redactor)
        if not quiet:
            sys.stderr.write(f"{kind} report: {path}\n")


def tell(terminal: Terminal, event: RunEvent) -> None:
    """Hands an event to the terminal; when nobody reads there any more (`| head -1`), the verdict still stands."""
    try:
        terminal.take(event)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _load() -> None:
    """Imports and reads what takes time, while the bundled reference starts."""
    from conformance.contract import load_contract  # noqa: PLC0415
    from conformance.engine import run  # noqa: F401, PLC0415
    from conformance.report import terminal  # noqa: F401, PLC0415
    from conformance.rules import all_rules  # noqa: PLC0415

    load_contract()
    all_rules()


class _interruptible:  # noqa: N801 - used like a function
    """Ctrl-C ends the run with a report of what was done; a second one ends it at once."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._stop, number)

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def _stop(self, number: int) -> None:
        asyncio.get_running_loop().remove_signal_handler(number)
        self._run.stop(f"interrupted ({signal.Signals(number).name})")
