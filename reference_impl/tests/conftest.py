"""What tests share: a database of each kind, and a server on it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import pytest
import pytest_asyncio
from redis import Redis

from reference_impl.nodes import CannotStartError, private_redis, redis_server
from reference_impl.store.cluster import Cluster, MissingError
from reference_impl.tests.harness import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

from reference_impl.tests.harness import World


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A running PostgreSQL; where it is not installed tests of it are skipped, but never in CI."""
    try:
        cluster = Cluster()
    except MissingError as missing:
        _absent(f"PostgreSQL: {missing}")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Redis, under the same terms."""
    try:
        redis_server()
    except CannotStartError as missing:
        _absent(str(missing))
    with private_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def bus_url(redis_url: str) -> str:
    """An empty Redis."""
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    return redis_url


def _absent(reason: str) -> NoReturn:
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of the test's own, of each kind in turn: what `--db` takes."""
    if request.param == "sqlite":
        yield str(tmp_path / "onsembl.sqlite3")
        return
    cluster: Cluster = request.getfixturevalue("postgres")
    url = cluster.make()
    yield url
    cluster.drop(url)


@pytest_asyncio.fixture
async def world(database: str) -> AsyncIterator[World]:
    """A server with an empty database."""
    async with serving(database) as running:
        yield running
