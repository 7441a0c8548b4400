"""Runs the command line's event loop: uvloop's where it is installed, for a run is mostly sockets."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # Windows has none
    from uvloop import new_event_loop as new_loop

T = TypeVar("T")


def run(main: Coroutine[object, object, T]) -> T:
    """What a coroutine gives."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)
