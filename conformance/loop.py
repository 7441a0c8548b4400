"""Runs the command line's event loop: uvloop's where it is installed, for a run is mostly sockets.

A run keeps all that it records until it ends: looking for garbage in that, again and again, would hold up the reading
of sockets for a fifth of a second each time, and for two in a run of five minutes. What is found there is next to
nothing: some thousand things in a minute.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):  # Windows has none
    from uvloop import new_event_loop as new_loop

T = TypeVar("T")
SELDOM = (50_000, 1_000_000, 1_000_000)
"""When garbage is looked for: among what is new, each time that it is so much; among what is older, never."""


def run(main: Coroutine[object, object, T]) -> T:
    """What a coroutine gives."""
    before = gc.get_threshold()
    gc.set_threshold(*SELDOM)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(main)
    finally:
        gc.set_threshold(*before)
