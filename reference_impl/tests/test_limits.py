"""How much one client may ask, and what else bounds it (RATE-1); the outbox of mails."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest

from reference_impl.domain.allowance import Allowance
from reference_impl.domain.times import parse_rfc3339, rfc3339
from reference_impl.mail import Mail, Outbox, newest
from reference_impl.tests.harness import serving, signed

if TYPE_CHECKING:
    from pathlib import Path

    from reference_impl.tests.harness import World


async def test_too_many_requests(tmp_path: Path) -> None:
    """Past the limit a user gets 429 with Retry-After and a failure body; other users and strangers do not."""
    async with serving(str(tmp_path / "db"), limits={"rest_requests_per_s": 0.01, "rest_burst_s": 300}) as world:
        for _ in range(3):
            assert (await world.rest("GET", "/agents"))[0] == 200
        response = await world.raw("GET", "/agents")
        body = await response.json()
        assert (response.status, body["success"], body["code"]) == (429, False, "RATE_LIMIT")
        assert 1 <= int(response.headers["Retry-After"]) <= 100
        assert (await world.rest("GET", "/agents", "bob"))[0] == 200
        strangers = [(await world.rest("GET", "/agents", None))[0] for _ in range(5)]
        assert strangers == [401, 401, 401, 429, 429]
        assert (await world.session.get(f"{world.url}/health")).status == 200
        assert (await world.rest("POST", "/auth/verify", None, json={"token": "x"}))[0] == 429


async def test_ordinary_use_is_never_limited(world: World) -> None:
    """By default two thousand a second pass."""
    header = {"Authorization": f"Bearer {signed('alice')}"}
    assert {(await world.raw("GET", "/agents/x", None, headers=header)).status for _ in range(200)} == {404}


def test_the_allowance_fills_again() -> None:
    """A client may send its burst at once, then one for each interval; what is refused costs nothing."""
    allowance = Allowance(10, burst_s=0.5)
    assert [allowance.wait("a", 0) for _ in range(5)] == [0] * 5
    assert [round(allowance.wait("a", 0), 3) for _ in range(3)] == [0.1] * 3
    assert allowance.wait("b", 0) == 0
    assert allowance.wait("a", 0.1001) == 0
    assert allowance.wait("a", 0.1001) > 0


def test_clients_are_forgotten() -> None:
    """Only so many clients are remembered, the latest."""
    allowance = Allowance(1, burst_s=1)
    for number in range(50_001):
        allowance.wait(str(number), 0)
    assert allowance.wait("50000", 0) > 0
    assert allowance.wait("0", 0) == 0


async def test_the_outbox_has_a_bound(tmp_path: Path) -> None:
    """An outbox holds the newest mails, one JSON object a line, and only its owner may read it."""
    path = tmp_path / "outbox"
    assert newest(str(path), "a@b") is None
    outbox = Outbox(str(path))
    for number in range(2_001):
        await outbox.send(Mail("A@b", f"t{number}", "link"))
    lines = path.read_text().splitlines()
    assert len(lines) == 1_000
    assert json.loads(lines[-1]) == {"to": "A@b", "token": "t2000", "link": "link"}
    assert newest(str(path), "a@B") == "t2000"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-10-30T12:00:00Z", "2025-10-30T12:00:00.000Z"),
        ("2025-10-30t12:00:00.5z", "2025-10-30T12:00:00.500Z"),
        ("2025-10-30T12:00:00.123456789+00:00", "2025-10-30T12:00:00.124Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
        ("0000-02-29T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59.999Z"),
        ("2025-10-30", None),
        ("2025-10-30T12:00:00", None),
        ("2025-10-30T12:00:00+01:00", None),
        ("2025-02-30T12:00:00Z", None),
        ("2025-10-30T24:00:00Z", None),
        ("2025-10-30T12:00:00Z\n", None),
    ],
)
def test_times_of_queries(text: str, expected: str | None) -> None:
    """A time of RFC 3339 in UTC is read to the millisecond, rounded up; anything else is refused."""
    if expected is None:
        with pytest.raises(ValueError, match=r"."):
            parse_rfc3339(text)
    else:
        assert rfc3339(parse_rfc3339(text)) == expected
