"""Schemathesis, an independent tool, finds nothing in the served document and the answers to it (VAL-1, VAL-6, HLT-1).

Its own command line, with all of its checks; what the contract itself demands otherwise stands in schemathesis.toml.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reference_impl.tests.test_cli import ENVIRONMENT, PROGRAM, ran, served

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMATHESIS = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
CONFIG = Path(__file__).resolve().parents[2] / "schemathesis.toml"


@contextmanager
def busy(url: str) -> Iterator[None]:
    """Agents of alice's that work meanwhile, so that there are agents, commands, output and reports to be asked for."""
    command = [*PROGRAM, "simulate", "--url", url, "--user", "alice", "--agents", "2", "--interval", "0.2"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("database", "phases", "examples"),
    [("sqlite", "coverage", 1), ("postgresql", "examples,fuzzing,stateful", 4)],  # together all, in half the time
    indirect=["database"],
)
def test_schemathesis_finds_nothing(database: str, tmp_path: Path, phases: str, examples: int) -> None:
    """With all checks, at a server where agents are at work."""
    token = ran("token", "--user", "alice").stdout.strip()
    with served(database, "--log-level", "critical") as (_, told), busy(told["url"]):
        found = subprocess.run(  # noqa: S603 - a tool that this project depends on
            [
                *SCHEMATHESIS,
                f"--config-file={CONFIG}",
                "--no-color",
                "run",
                f"{told['url']}/openapi.json",
                f"--header=Authorization: Bearer {token}",
                "--checks=all",
                f"--phases={phases}",
                f"--max-examples={examples}",
                "--seed=1",
                "--no-shrink",
                "--generation-database=none",
                "--continue-on-failure",
            ],
            cwd=tmp_path,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert found.returncode == 0, found.stdout + found.stderr
