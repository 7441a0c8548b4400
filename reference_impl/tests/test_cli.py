"""The command line, as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_impl.store.migrate import HEAD

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("ONSEMBL_")}
PROGRAM = [sys.executable, "-c", "from reference_impl.cli import main; main()"]


def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**ENVIRONMENT, **environment},
    )


@contextmanager
def served(path: Path | str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    command = [*PROGRAM, "serve", "--port", "0", "--db", str(path), "--log-level", "error", *arguments]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


def test_serves_what_it_says_until_stopped(tmp_path: Path) -> None:
    """It prints one line once it listens, serves a token of its own, and ends with 0 on SIGTERM."""
    token = ran("token", "--user", "dora").stdout.strip()
    with served(tmp_path / "db", "--heartbeat-interval", "2.5") as (process, told):
        assert told["event"] == "listening"
        assert (told["base_path"], told["agent_ws"], told["dashboard_ws"]) == ("/api/v1", "/ws/agent", "/ws/dashboard")
        assert told["heartbeat_interval_s"] == 2.5
        connection = HTTPConnection(told["url"].removeprefix("http://"), timeout=5)
        connection.request("GET", "/api/v1/agents", headers={"Authorization": f"Bearer {token}"})
        assert json.load(connection.getresponse())["data"] == []
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_ends_with_its_parent(tmp_path: Path) -> None:
    """With --exit-with-stdin it ends by itself when stdin is closed."""
    with served(tmp_path / "db", "--exit-with-stdin") as (process, _):
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(5) == 0


def test_published_secret_only_on_loopback(tmp_path: Path) -> None:
    """With the development secret it refuses, in one sentence, to serve on other addresses."""
    result = ran("serve", "--host", "0.0.0.0", "--port", "0", "--db", str(tmp_path / "db"))  # noqa: S104
    assert result.returncode == 2
    assert "ONSEMBL_JWT_SECRET" in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_defect_lists_the_known(tmp_path: Path) -> None:
    """An unknown defect ends with 2 and names those there are."""
    result = ran("serve", "--port", "0", "--db", str(tmp_path / "db"), "--defect", "nonsense")
    assert result.returncode == 2
    assert "no-disconnect-event" in result.stderr
    assert "Traceback" not in result.stderr


def test_migrate_up_and_down(tmp_path: Path) -> None:
    """`migrate` makes the newest schema, and `migrate --down` goes one step back."""
    path = tmp_path / "db"
    versions = []
    for arguments in (["migrate"], ["migrate", "--down"]):
        result = ran(*arguments, "--db", str(path))
        assert result.returncode == 0, result.stderr
        with sqlite3.connect(path) as connection:
            versions.append(connection.execute("SELECT version_num FROM alembic_version").fetchall())
    assert versions == [[(HEAD,)], [(f"{int(HEAD) - 1:04}",)]]


def test_unusable_databases_are_one_sentence(tmp_path: Path) -> None:
    """A database that cannot be used ends with 1 and one sentence, without its password."""
    for command, url in (
        ("serve", str(tmp_path / "missing" / "db")),
        ("migrate", "nonsense://user:hidden@host/db"),
    ):
        result = ran(command, "--db", url)
        assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
        assert "hidden" not in result.stderr


def test_mails_are_read_from_the_outbox(tmp_path: Path) -> None:
    """`mail` prints the token that a server with an outbox has sent, and says when there is none."""
    outbox = tmp_path / "outbox"
    with served(tmp_path / "db", "--mail-outbox", str(outbox), "--access-ttl", "60") as (_, told):
        connection = HTTPConnection(told["url"].removeprefix("http://"), timeout=5)

        def post(path: str, body: dict[str, str]) -> Any:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/api/v1/auth/{path}", json.dumps(body), headers)
            return json.load(connection.getresponse())

        post("magic-link", {"email": "alice@example.com"})
        token = ran("mail", "--to", "Alice@example.com", "--outbox", str(outbox)).stdout.strip()
        signed_in = post("verify", {"token": token})["data"]
        assert (signed_in["user"]["id"], signed_in["expiresIn"]) == ("alice", 60)
        connection.close()
    missing = ran("mail", "--to", "bob@example.com", ONSEMBL_MAIL__OUTBOX=str(outbox))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "no mail to bob@example.com" in missing.stderr
    assert ran("mail", "--to", "bob@example.com").returncode == 2


def test_a_postgresql_for_as_long_as_it_runs(postgres: object) -> None:
    """`postgres` says at once where its databases will be, ends with stdin, and leaves nothing behind."""
    assert postgres, "there is one on this machine"
    command = [*PROGRAM, "postgres", "--databases", "2", "--exit-with-stdin"]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stdout is not None
    one, other = json.loads(process.stdout.readline())["databases"]
    assert one != other
    place = Path(one.partition("?host=")[2])
    assert place.is_dir()
    with served(one, "--wait-for-db", "30") as (_, told):  # it has only begun to be made
        assert told["event"] == "listening"
    assert json.loads(process.stdout.readline()) == {"event": "ready"}
    process.communicate(timeout=20)
    assert (process.returncode, place.exists()) == (0, False)
