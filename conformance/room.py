"""Room on this machine: how many files this process and those it starts may open; where short-lived ones are quick."""

from __future__ import annotations

import contextlib
import os
import shutil

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None  # type: ignore[assignment]

MANY = 8192
MEMORY = "/dev/shm"  # noqa: S108 - a directory of our own is made in it
ENOUGH = 512 * 1024 * 1024
"""Bytes that are to be free there."""


def open_files(wanted: int = MANY) -> int:
    """Raises the limit as far as this user may, up to what is wanted; gives the limit that holds now."""
    if resource is None:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    more = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < more:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if now == resource.RLIM_INFINITY else now


def quick_place() -> str | None:
    """A directory in memory, where nobody waits for a disk, if this machine has one with room; else None."""
    with contextlib.suppress(OSError):
        if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH:
            return MEMORY
    return None
