"""One server for all tests of a module that need nothing special of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest_asyncio

from reference_impl.tests.harness import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reference_impl.tests.harness import World


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A server with an empty database."""
    async with serving(tmp_path / "onsembl.sqlite3") as running:
        yield running
