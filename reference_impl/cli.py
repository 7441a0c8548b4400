"""The command line; what is heavy is imported only where it is used."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from reference_impl.settings import Settings
    from reference_impl.simulator.tally import Tally

app = typer.Typer(
    help="The reference implementation of the Onsembl.ai contract.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_GARBAGE = (10_000, 20, 20)
"""When garbage is looked for: seldom, for a look at all that a thousand connections hold takes a fifth of a second."""


@app.command()
def serve(  # noqa: PLR0913, PLR0917 - one argument per option
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8000,
    db: Annotated[str, typer.Option(help="A database URL, or the path of an SQLite file.")] = "",
    wait_for_db: Annotated[float, typer.Option(help="Seconds to wait for the database to come up.", min=0)] = 0,
    legacy: Annotated[bool, typer.Option("--legacy", help="Turn all of the plan's switches off.")] = False,  # noqa: FBT002
    defect: Annotated[list[str] | None, typer.Option(help="Switch a defect on; repeatable.")] = None,
    user: Annotated[list[str] | None, typer.Option(help="A user to make; repeatable; else alice and bob.")] = None,
    heartbeat_interval: Annotated[float, typer.Option(help="Seconds; 0 leaves the setting.", min=0)] = 0,
    init_timeout: Annotated[float, typer.Option(help="Seconds; 0 leaves the setting.", min=0)] = 0,
    cancel_grace: Annotated[float, typer.Option(help="Seconds; 0 leaves the setting.", min=0)] = 0,
    access_ttl: Annotated[float, typer.Option(help="Seconds an access token lives.", min=0)] = 0,
    link_ttl: Annotated[float, typer.Option(help="Seconds a sign-in link lives.", min=0)] = 0,
    device_ttl: Annotated[float, typer.Option(help="Seconds a device code lives.", min=0)] = 0,
    device_interval: Annotated[float, typer.Option(help="Seconds between two polls of a device.", min=0)] = 0,
    rest_rate: Annotated[float, typer.Option(help="Requests a second, per user or address.", min=0)] = 0,
    mail_outbox: Annotated[str, typer.Option(help="A file for the sign-in mails; see `mail`.")] = "",
    bus: Annotated[str, typer.Option(help="Redis' URL, which joins this node to others on one database.")] = "",
    node: Annotated[str, typer.Option(help="This node's name among them, the same after a restart.")] = "",
    log_level: Annotated[str, typer.Option(help="debug, info, warning, error.")] = "",
    exit_with_stdin: Annotated[bool, typer.Option("--exit-with-stdin", help="Stop when stdin closes.")] = False,  # noqa: FBT002
) -> None:
    """Serve the API and the sockets; prints one JSON line once it listens."""
    from reference_impl.defects import UnknownDefectError, hard_names, names  # noqa: PLC0415 - see the module's first line

    given = {"database_url": db, "users": tuple(user or ()), "log_level": log_level, "bus_url": bus, "bus_node": node}
    settings = _settings({name: value for name, value in given.items() if value})
    timings = {
        "heartbeat_interval_s": heartbeat_interval,
        "init_timeout_s": init_timeout,
        "cancel_grace_s": cancel_grace,
    }
    auth = {
        "access_ttl_s": access_ttl,
        "link_ttl_s": link_ttl,
        "device_ttl_s": device_ttl,
        "device_interval_s": device_interval,
    }
    settings = settings.changed("timings", timings).changed("auth", auth)
    settings = settings.changed("limits", {"rest_requests_per_s": rest_rate}).changed("mail", {"outbox": mail_outbox})
    if settings.uses_development_secret and host not in _LOOPBACK:
        _refuse("Set ONSEMBL_JWT_SECRET: the development secret is published and serves only on loopback.")
    if unknown := set(defect or ()).difference(known := names() + hard_names()):
        _refuse(str(UnknownDefectError(min(unknown), known)))
    gc.disable()  # nothing that importing makes is garbage: a tenth of the start
    from reference_impl.run import Listening, run  # noqa: PLC0415 - see the module's first line
    from reference_impl.store import UnusableDatabaseError  # noqa: PLC0415

    def listening(told: Listening) -> None:
        gc.enable()
        gc.freeze()
        gc.set_threshold(*_GARBAGE)
        _print(told)

    try:
        run(
            settings.legacy() if legacy else settings,
            host=host,
            port=port,
            defects=defect or [],
            listening=listening,
            patience_s=wait_for_db,
            exit_with_stdin=exit_with_stdin,
        )
    except UnusableDatabaseError as error:
        _refuse(str(error), code=1)
    except OSError as error:
        _refuse(f"Cannot listen on {host}:{port}: {error.strerror or error}", code=1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def nodes(
    context: typer.Context,
    count: Annotated[int, typer.Option(help="How many nodes.", min=1, max=16)] = 2,
    exit_with_stdin: Annotated[bool, typer.Option("--exit-with-stdin", help="Stop when stdin closes.")] = False,  # noqa: FBT002
) -> None:
    """Serve as several nodes on one database, with a Redis of their own; all other options are those of `serve`.

    Prints one JSON line once all listen: that of the first node, and in `nodes` the URLs of all.
    """
    from reference_impl.nodes import CannotStartError, serving_nodes, wait_for_the_end  # noqa: PLC0415

    try:
        with serving_nodes(count, context.args) as told:
            _print(told)
            wait_for_the_end(exit_with_stdin=exit_with_stdin)
    except CannotStartError as error:
        _refuse(str(error), code=1)


@app.command()
def postgres(
    databases: Annotated[int, typer.Option(help="How many empty databases to make.", min=1, max=64)] = 1,
    within: Annotated[str, typer.Option(metavar="DIR", help="Where its directory is made, and removed.")] = "",
    exit_with_stdin: Annotated[bool, typer.Option("--exit-with-stdin", help="Stop when stdin closes.")] = False,  # noqa: FBT002
) -> None:
    """Run a PostgreSQL of which nothing is kept.

    Prints one JSON line at once, the `databases` as `serve --db` takes them, and a second once they are there; a server
    that is started in between is to wait for its own (`serve --wait-for-db`).
    """
    from reference_impl.nodes import wait_for_the_end  # noqa: PLC0415 - see the module's first line
    from reference_impl.store.cluster import Cluster, MissingError, StartError  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # what it has written by then is removed all the same
    try:
        cluster = Cluster(within)
    except (MissingError, OSError) as error:
        _refuse(str(error), code=1)
        return
    try:
        _print({"databases": cluster.urls(databases)})
        cluster.start()
        for _ in range(databases):
            cluster.make(empty=True)
        _print({"event": "ready"})
        wait_for_the_end(exit_with_stdin=exit_with_stdin)
    except StartError as error:
        _refuse(str(error), code=1)
    finally:
        cluster.stop()


@app.command()
def token(
    user: Annotated[str, typer.Option(help="The user id; the server makes the user at first sight.")],
    expires_in: Annotated[int, typer.Option(help="Seconds; a negative one makes an expired token.")] = 3600,
) -> None:
    """Print an access token."""
    from reference_impl.auth.tokens import sign  # noqa: PLC0415 - see the module's first line

    now = int(time.time())
    sys.stdout.write(sign(_settings({}).jwt_secret, user, now_s=now, expires_in_s=expires_in) + "\n")


@app.command()
def mail(
    to: Annotated[str, typer.Option(help="The address.")],
    outbox: Annotated[str, typer.Option(help="The file that `serve --mail-outbox` writes; else the setting.")] = "",
) -> None:
    """Print the token of the newest sign-in mail to an address."""
    from reference_impl.mail import newest  # noqa: PLC0415 - see the module's first line

    path = outbox or _settings({}).mail.outbox
    if not path:
        _refuse("Name the file: --outbox PATH, or ONSEMBL_MAIL__OUTBOX.")
    elif (token := newest(path, to)) is None:
        _refuse(f"There is no mail to {to} in {path}.", code=1)
    else:
        sys.stdout.write(token + "\n")


@app.command()
def migrate(
    db: Annotated[str, typer.Option(help="A database URL, or the path of an SQLite file.")] = "",
    down: Annotated[bool, typer.Option("--down", help="Go back by one migration instead.")] = False,  # noqa: FBT002
) -> None:
    """Bring a database to the newest schema."""
    import asyncio  # noqa: PLC0415 - see the module's first line

    from reference_impl.store import UnusableDatabaseError  # noqa: PLC0415
    from reference_impl.store.database import database_url, make_engine, told  # noqa: PLC0415
    from reference_impl.store.migrate import downgrade, upgrade  # noqa: PLC0415

    async def work() -> None:
        engine = make_engine(database_url(db or _settings({}).database_url))
        with told(engine.url):
            await (downgrade if down else upgrade)(engine)
        await engine.dispose()

    try:
        asyncio.run(work())
    except UnusableDatabaseError as error:
        _refuse(str(error), code=1)


@app.command()
def evidence(
    db: Annotated[str, typer.Option(help="A database URL, or the path of an SQLite file.")] = "",
) -> None:
    """Print what the API does not show, as JSON: the agents as stored, and a sample migrated up, again and back."""
    gc.disable()  # see `serve`
    from reference_impl.store import UnusableDatabaseError  # noqa: PLC0415 - see the module's first line
    from reference_impl.store.evidence import as_json, collect  # noqa: PLC0415

    try:
        document = collect(db or _settings({}).database_url)
    except UnusableDatabaseError as error:
        _refuse(str(error), code=1)
    else:
        sys.stdout.buffer.write(as_json(document) + b"\n")


@app.command()
def prove(  # noqa: PLR0913, PLR0917 - one argument per option
    only: Annotated[str, typer.Option(metavar="GLOB", help="Only these defects; commas part several.")] = "",
    jobs: Annotated[
        int, typer.Option(help="How many servers are judged at a time; 0: three for each processor.", min=0, max=64)
    ] = 0,
    report: Annotated[str, typer.Option(metavar="DIR", help="Write kill-matrix or generated-faults there.")] = "",
    every_clause: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--every-clause", help="By all clauses, not only those a defect names; slow."),
    ] = False,
    generated: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--generated", help="Instead: the hard defects, by generated sequences alone; an idle machine."),
    ] = False,
    seeds: Annotated[int, typer.Option(help="With --generated: how many seeds for each.", min=1, max=100)] = 5,
    seconds: Annotated[float, typer.Option(help="With --generated: the most that a run may take.", min=5)] = 60,
) -> None:
    """Prove the suite: it must find every defect, each on the clauses it names, and nothing in the clean server."""
    from reference_impl.defects import UnknownDefectError  # noqa: PLC0415 - see the module's first line
    from reference_impl.prove.command import prove as work  # noqa: PLC0415
    from reference_impl.prove.command import prove_generated  # noqa: PLC0415

    try:
        if generated:
            code = prove_generated(only, seeds, seconds, report)
        else:
            code = work(only, jobs, report, every_clause=every_clause)
    except UnknownDefectError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"Cannot write to {report}: {error.strerror or error}")
    else:
        raise typer.Exit(code)


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - one argument per option
    agents: Annotated[int, typer.Option(help="How many agents.", min=1)] = 10,
    clients: Annotated[int, typer.Option(help="How many people give commands, over REST.", min=0)] = 2,
    dashboards: Annotated[int, typer.Option(help="How many people watch.", min=0)] = 2,
    url: Annotated[str, typer.Option(help="The server.")] = "http://127.0.0.1:8000",
    token: Annotated[str, typer.Option(help="Whose all of it is; else one is signed for --user.")] = "",
    user: Annotated[str, typer.Option(help="The user to sign a token for.")] = "alice",
    seed: Annotated[int, typer.Option(help="The same seed, the same lives.")] = 1,
    interval: Annotated[float, typer.Option(help="Seconds between heartbeats.", min=0.01)] = 5,
    day: Annotated[float, typer.Option(help="Seconds that a working day takes.", min=1)] = 300,
    duration: Annotated[float, typer.Option(help="Seconds; 0 goes on until stopped.", min=0)] = 0,
) -> None:
    """Play working days: agents that execute commands, come and go; people who give commands, and who watch."""
    import asyncio  # noqa: PLC0415 - see the module's first line

    from reference_impl.auth.tokens import sign  # noqa: PLC0415
    from reference_impl.simulator.day import Cast, play  # noqa: PLC0415

    bearer = token or sign(_settings({}).jwt_secret, user, now_s=int(time.time()), expires_in_s=86_400)
    cast = Cast(seed, agents, clients, dashboards, interval, day)

    def progress(tally: Tally) -> None:
        sys.stderr.write(f"\r{tally.line()}   ")
        sys.stderr.flush()

    try:
        tally = asyncio.run(play(url, bearer, cast, duration_s=duration or None, progress=progress))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    sys.stderr.write(f"\r{tally.line()}   \n")
    if not tally.heartbeats:
        _refuse(f"No agent could send a heartbeat to {url}; is it a server of this contract?", code=1)


def _settings(given: dict[str, object]) -> Settings:
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # else it looks through all that is installed for some
    from reference_impl.settings import Settings  # noqa: PLC0415 - see the module's first line

    return Settings(**given)  # type: ignore[arg-type]


def _print(said: object) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _refuse(sentence: str, code: int = 2) -> None:
    sys.stderr.write(f"onsembl-reference: {sentence}\n")
    raise typer.Exit(code)


def main() -> None:
    """Run the command line."""
    app()
