"""Reports of a finished run, and the terminal that listens while it goes on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from conformance.engine.result import Result
    from conformance.redact import Redactor

Writer = Callable[["Result", "Redactor"], str | bytes]


class ReportError(Exception):
    """A report cannot be written; the message is one sentence for a person."""


def _json(result: Result, redactor: Redactor) -> str:
    from conformance.report import json_report  # noqa: PLC0415 - a run loads only what it writes

    return json_report.write(result, redactor)


def _junit(result: Result, redactor: Redactor) -> str:
    from conformance.report import junit  # noqa: PLC0415 - as above

    return junit.write(result, redactor)


def _html(result: Result, redactor: Redactor) -> str:
    from conformance.report import html  # noqa: PLC0415 - as above

    return html.write(result, redactor)


def _svg(result: Result, redactor: Redactor) -> str:
    from conformance.report import terminal  # noqa: PLC0415 - as above

    return terminal.picture(result, redactor)


WRITERS: Final[Mapping[str, Writer]] = {"json": _json, "junit": _junit, "html": _html, "svg": _svg}
"""Kind of report → what makes its content."""


def parse_report(option: str) -> tuple[str, Path]:
    """The kind and the file that `--report kind=file` names. Raises `ReportError`."""
    kind, equals, name = option.partition("=")
    if not (equals and name and kind in WRITERS):
        raise ReportError(f"--report {option!r}: write it as KIND=FILE, with KIND one of {', '.join(WRITERS)}")
    return kind, Path(name)


def write_report(kind: str, path: Path, result: Result, redactor: Redactor) -> Path:
    """Writes one report, whole or not at all; makes the directories above it. Raises `ReportError`."""
    content = WRITERS[kind](result, redactor)
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(None, "it is a directory")
        _replace(path, data)
    except OSError as error:
        raise ReportError(f"The {kind} report cannot be written to {path}: {error.strerror or error}.") from None
    return path


def _replace(path: Path, data: bytes) -> None:
    if path.exists() and not path.is_file():  # a pipe or /dev/stdout
        path.write_bytes(data)
        return
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
