"""The command line. What is heavy is imported inside the commands, so that `--help` is there at once."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

USAGE = 2
app = typer.Typer(
    name="conformance",
    help="Says, with proof, whether a backend keeps the Onsembl.ai contract.",
    epilog="Exit codes: 0 conforms, 1 does not, 2 wrong usage, 3 incomplete, 4 a fault of this tool.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

TargetArgument = Annotated[
    str | None, typer.Argument(help="URL of a backend, or a target.toml; left out: the bundled reference.")
]
Level = Annotated[str | None, typer.Option(help="core or full: what the verdict hangs on. [default: core]")]
Only = Annotated[
    str | None, typer.Option(metavar="GLOB", help="Only clauses, rules or cases that match; commas part several.")
]
Effort = Annotated[
    str | None, typer.Option(help="quick, normal or deep: also draw sequences of many actors, more or fewer.")
]
FailUnder = Annotated[
    float | None,
    typer.Option(min=0, max=100, help="Percent of operations, messages, keywords … below which a run is incomplete."),
]
Missing = Annotated[
    bool | None, typer.Option("--missing", help="Also list what of the contract was not reached, and why.")
]
ChangedSince = Annotated[
    str | None,
    typer.Option(
        metavar="REV",
        help="Of the generated cases only those that the contract's change since this git revision touches.",
    ),
]
FailFast = Annotated[
    bool | None, typer.Option("--fail-fast", "-x", help="End at the first failure, once it is shrunk.")
]
Corpus = Annotated[str | None, typer.Option(metavar="DIR", help="Play the sequences kept there as well.")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same plan. [default: 0]")]
MaxTime = Annotated[
    float | None, typer.Option(min=1, help="Seconds after which the run ends with what it has. [default: 300]")
]
Report = Annotated[list[str] | None, typer.Option(metavar="KIND=FILE", help="json, junit, html or svg; repeatable.")]
Token = Annotated[str | None, typer.Option(help="Access token of a user. [or ONSEMBL_TOKEN]")]
SecondToken = Annotated[str | None, typer.Option(help="Access token of another user. [or ONSEMBL_SECOND_TOKEN]")]
JwtSecret = Annotated[
    str | None,
    typer.Option(help="HS256 key: the suite signs its own tokens. [or ONSEMBL_JWT_SECRET]"),
]
Users = Annotated[str | None, typer.Option(metavar="A,B", help="The users it signs for (`sub`). [default: alice,bob]")]
Header = Annotated[list[str] | None, typer.Option(metavar="'Name: value'", help="Sent with every request; repeatable.")]
BasePath = Annotated[str | None, typer.Option(help="Where the API is, if not under /api/v1.")]
AgentWs = Annotated[str | None, typer.Option(help="Path of the agents' socket, if not /ws/agent.")]
DashboardWs = Annotated[str | None, typer.Option(help="Path of the dashboards' socket, if not /ws/dashboard.")]
Withhold = Annotated[
    list[str] | None,
    typer.Option(metavar="CAPABILITY", help="A capability that this backend does not promise; repeatable."),
]
Timing = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=SECONDS", help="How long the backend takes for something; repeatable."),
]
Node = Annotated[list[str] | None, typer.Option(metavar="URL", help="A further node of the backend; repeatable.")]
Destructive = Annotated[
    bool | None, typer.Option("--destructive", help="Allow what harms all users of a shared backend (emergency stop).")
]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="KIND", help="What the bundled reference keeps its data in: sqlite, or a postgresql of its own."
    ),
]
Quiet = Annotated[bool | None, typer.Option("--quiet", "-q", help="Only the first line.")]


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one argument for each option
    target: TargetArgument = None,
    level: Level = None,
    only: Only = None,
    seed: Seed = None,
    max_time: MaxTime = None,
    effort: Effort = None,
    changed_since: ChangedSince = None,
    corpus: Corpus = None,
    fail_under: FailUnder = None,
    missing: Missing = None,
    fail_fast: FailFast = None,
    report: Report = None,
    token: Token = None,
    second_token: SecondToken = None,
    jwt_secret: JwtSecret = None,
    users: Users = None,
    header: Header = None,
    base_path: BasePath = None,
    agent_ws: AgentWs = None,
    dashboard_ws: DashboardWs = None,
    withhold: Withhold = None,
    timing: Timing = None,
    node: Node = None,
    destructive: Destructive = None,
    store: Store = None,
    quiet: Quiet = None,
) -> None:
    """Judge a backend: TARGET is its URL or a target.toml; without one the bundled reference is started and judged."""
    said = {k: v for k, v in locals().items() if k != "target" and v not in (None, [])}
    _finish(lambda: _execute(target, said))


@app.command()
def replay(  # noqa: PLR0913, PLR0917 - one argument for each option
    file: Annotated[Path, typer.Argument(help="A saved case, as named in a failure.")],
    target: Annotated[
        str | None,
        typer.Argument(help="Provoke the case again here: a URL, a target.toml, or the word reference."),
    ] = None,
    report: Report = None,
    token: Token = None,
    second_token: SecondToken = None,
    jwt_secret: JwtSecret = None,
    users: Users = None,
    header: Header = None,
    base_path: BasePath = None,
    agent_ws: AgentWs = None,
    dashboard_ws: DashboardWs = None,
    withhold: Withhold = None,
    timing: Timing = None,
    node: Node = None,
    destructive: Destructive = None,
    store: Store = None,
    quiet: Quiet = None,
) -> None:
    """Judge a saved case again, as recorded; with TARGET, provoke it again there."""
    said = {k: v for k, v in locals().items() if k not in {"file", "target"} and v not in (None, [])}

    def again() -> int:
        from conformance.cli.replay import replay_live, replay_recorded  # noqa: PLC0415 - see the module's first line

        return replay_recorded(file, said) if target is None else replay_live(file, target, said)

    _finish(again)


@app.command(name="list")
def list_(
    untested: Annotated[bool, typer.Option("--untested", help="Only clauses that no rule judges.")] = False,  # noqa: FBT002
    level: Level = None,
) -> None:
    """List the clauses with the rules that judge them."""

    def show() -> int:
        from conformance.cli.show import list_clauses  # noqa: PLC0415 - see the module's first line

        return list_clauses(level or "full", untested=untested)

    _finish(show)


@app.command()
def explain(what: Annotated[str, typer.Argument(metavar="CLAUSE-OR-RULE")]) -> None:
    """Say what a clause demands, for whom it matters, and how it is judged."""

    def show() -> int:
        from conformance.cli.show import explain_one  # noqa: PLC0415 - see the module's first line

        return explain_one(what)

    _finish(show)


@app.callback(invoke_without_command=True)
def top(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:  # noqa: FBT002
    """Says, with proof, whether a backend keeps the Onsembl.ai contract."""
    if version:
        from conformance import __version__  # noqa: PLC0415 - see the module's first line

        sys.stdout.write(f"conformance {__version__}\n")
        raise typer.Exit


def _execute(target: str | None, said: dict[str, Any]) -> int:
    from conformance.cli.execute import execute  # noqa: PLC0415 - see the module's first line

    return execute(target, said)


def _finish(work: Callable[[], int]) -> None:
    """Ends with the work's exit code; a known error becomes one sentence, an unknown one names itself as ours."""
    try:
        code = work()
    except BrokenPipeError:
        code = USAGE
    except KeyboardInterrupt:
        sys.stderr.write("conformance: interrupted before anything was judged\n")
        code = 3
    except Exception as error:  # noqa: BLE001 - no traceback reaches a user
        code, said = _told(error)
        sys.stderr.write(f"conformance: {said}\n")
    raise typer.Exit(code)


def _told(error: Exception) -> tuple[int, str]:
    """The exit code that an error stands for, and its sentence."""
    from conformance.contract.load import ContractError  # noqa: PLC0415 - see the module's first line
    from conformance.report import ReportError  # noqa: PLC0415
    from conformance.saved import SavedError  # noqa: PLC0415
    from conformance.target import TargetError  # noqa: PLC0415

    if isinstance(error, TargetError | ReportError | SavedError):
        return USAGE, str(error)
    if isinstance(error, ContractError):
        return 4, str(error)
    from conformance.broken import named  # noqa: PLC0415 - see the module's first line

    return 4, f"a fault of this tool, not of the backend: {named(error)}: {error}"


def main() -> None:
    """The entry point."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - it never raises
    # what Hypothesis reads of Unicode and Python is not to be kept in the directory of whoever runs this
    os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", f"{home}/onsembl-conformance/hypothesis")
    try:
        app()
    finally:
        gc.freeze()  # a process that ends need not look for garbage once more


if __name__ == "__main__":
    main()
