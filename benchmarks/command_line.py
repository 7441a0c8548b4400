"""What a person waits for: `conformance --help`, a core run of the bundled reference, the start of a server."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "conformance --help": ("-m", "conformance", "--help"),
    "conformance run (bundled reference, core)": ("-m", "conformance", "run", "--level", "core", "--quiet"),
    "python -c 'import fastapi, sqlalchemy' (floor of the reference's start)": ("-c", "import fastapi, sqlalchemy"),
}


def once(arguments: tuple[str, ...]) -> float:
    """Seconds from start to end of one command."""
    started = time.perf_counter()
    done = subprocess.run((sys.executable, *arguments), capture_output=True, check=False)  # noqa: S603 - see COMMANDS
    taken = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stdout.decode()[:200]}")
    return taken


def main() -> None:
    """Takes the commands in turn and prints median, best and worst."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            taken[name].append(once(arguments))
    for name, values in taken.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        sys.stdout.write(f"{middle:6.2f} s  ({low:.2f} to {high:.2f})  {name}\n")


if __name__ == "__main__":
    main()
