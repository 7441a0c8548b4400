"""Says of an error of ours what it is and where it arose, in a few words instead of a traceback."""

from __future__ import annotations

from pathlib import Path


def named(error: BaseException) -> str:
    """Its type and the innermost place, as `KeyError at judge.py:12`."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"
