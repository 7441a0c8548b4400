"""One at a time: generators parse Python source, which Python 3.11 cannot do in two threads at once (gh-106905)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from conformance.contract.shapes import load_second

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_ONE = ThreadPoolExecutor(1, thread_name_prefix="generating")


async def in_turn(make: Callable[[], T]) -> T:
    """What is made beside the event loop, once everything asked for before is made.

    The thread is its own: whoever waits for it keeps none of those in which cases are judged.
    """
    return await asyncio.get_running_loop().run_in_executor(_ONE, make)


load_second()  # which parses as well while it is imported, else in the middle of a run
