"""Signing in: links, refresh tokens, logout, devices (TOK-1..5)."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from reference_impl.clock import SystemClock
from reference_impl.domain.accounts import DeviceGrant, is_email, next_interval, refused_poll, typed_code
from reference_impl.mail import newest
from reference_impl.tests.harness import serving, signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from reference_impl.parts import Parts
    from reference_impl.tests.harness import Json, World


@asynccontextmanager
async def mailing(
    database: str, tmp_path: Path, wrap: Callable[[Parts], Parts] = lambda parts: parts
) -> AsyncIterator[tuple[World, str]]:
    """A server whose mails can be read, and where."""
    outbox = str(tmp_path / "outbox")
    async with serving(database, wrap=wrap, mail={"outbox": outbox}) as world:
        yield world, outbox


class Ahead(SystemClock):
    """A clock that can be put forward."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


async def ask(world: World, path: str, body: object, user: str | None = None, **options: Any) -> tuple[int, Json]:
    return await world.rest("POST", f"/auth/{path}", user, json=body, **options)


async def sign_in(world: World, outbox: str, email: str) -> Json:
    """Tokens, by way of a mail."""
    assert (await ask(world, "magic-link", {"email": email}))[0] == 200
    status, body = await ask(world, "verify", {"token": newest(outbox, email)})
    assert status == 200
    return dict(body["data"])


def bearing(token: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {token}"}}


async def test_link_opens_the_account_once(database: str, tmp_path: Path) -> None:
    """The token of a mail gives tokens of the address's user, and nothing the second time."""
    async with mailing(database, tmp_path) as (world, outbox):
        tokens = await sign_in(world, outbox, "alice@example.com")
        assert tokens["user"] == {"id": "alice", "email": "alice@example.com"}
        assert tokens["expiresIn"] == 3600
        me = await world.rest("GET", "/auth/me", None, **bearing(tokens["accessToken"]))
        assert me == (200, {"success": True, "data": tokens["user"]})
        assert (await ask(world, "verify", {"token": newest(outbox, "alice@example.com")}))[0] == 401


async def test_links_of_one_new_address_make_one_account(database: str, tmp_path: Path) -> None:
    """Two links followed at the same moment open the same new account, and any case of the address."""
    async with mailing(database, tmp_path) as (world, outbox):
        links = []
        for email in ("new@example.org", "New@Example.ORG"):
            await ask(world, "magic-link", {"email": email})
            links.append(newest(outbox, email))
        answers = await asyncio.gather(*(ask(world, "verify", {"token": link}) for link in links))
        users = [body["data"]["user"] for _, body in answers]
        assert users[0] == users[1]
        assert users[0]["email"] == "new@example.org"


async def test_known_and_unknown_address_answer_alike(world: World) -> None:
    """Whether an address has an account shows nowhere (TOK-3)."""
    known = await ask(world, "magic-link", {"email": "alice@example.com"})
    unknown = await ask(world, "magic-link", {"email": "nobody@example.com"})
    assert known == unknown
    assert known[0] == 200


async def test_a_link_ends(database: str, tmp_path: Path) -> None:
    """A link that is too old opens nothing, as one that was made up."""
    clock = Ahead()
    async with mailing(database, tmp_path, lambda parts: replace(parts, clock=clock)) as (world, outbox):
        await ask(world, "magic-link", {"email": "alice@example.com"})
        clock.ahead_ms = 900_000
        old = await ask(world, "verify", {"token": newest(outbox, "alice@example.com")})
        assert old == await ask(world, "verify", {"token": "made up \0 \N{ROCKET}"})
        assert (old[0], old[1]["code"]) == (401, "UNAUTHORIZED")


async def test_refresh_token_is_used_once(database: str, tmp_path: Path) -> None:
    """Each refresh gives the next token; the same one again ends the family, and no other session."""
    async with mailing(database, tmp_path) as (world, outbox):
        first = await sign_in(world, outbox, "alice@example.com")
        other = await sign_in(world, outbox, "alice@example.com")
        status, body = await ask(world, "refresh", {"refreshToken": first["refreshToken"]})
        assert status == 200
        second = body["data"]
        assert (await world.rest("GET", "/agents", None, **bearing(second["accessToken"])))[0] == 200
        assert (await ask(world, "refresh", {"refreshToken": first["refreshToken"]}))[0] == 401
        assert (await ask(world, "refresh", {"refreshToken": second["refreshToken"]}))[0] == 401
        assert (await ask(world, "refresh", {"refreshToken": other["refreshToken"]}))[0] == 200


async def test_refresh_at_the_same_moment(database: str, tmp_path: Path) -> None:
    """Of many who use one refresh token at once, one at most gets tokens."""
    async with mailing(database, tmp_path) as (world, outbox):
        token = (await sign_in(world, outbox, "alice@example.com"))["refreshToken"]
        answers = await asyncio.gather(*(ask(world, "refresh", {"refreshToken": token}) for _ in range(8)))
        assert sorted(status for status, _ in answers) == [200] + [401] * 7


async def test_refresh_token_opens_nothing(database: str, tmp_path: Path) -> None:
    """A refresh token is no access token, and an access token refreshes nothing."""
    async with mailing(database, tmp_path) as (world, outbox):
        tokens = await sign_in(world, outbox, "alice@example.com")
        assert (await world.rest("GET", "/agents", None, **bearing(tokens["refreshToken"])))[0] == 401
        assert (await ask(world, "refresh", {"refreshToken": tokens["accessToken"]}))[0] == 401
        assert (await ask(world, "refresh", {"refreshToken": "x"}))[0] == 401


@pytest.mark.parametrize("named", [True, False])
async def test_logout_ends_the_session(database: str, tmp_path: Path, *, named: bool) -> None:
    """After a logout the session's refresh token is refused, whether the body named it or not."""
    async with mailing(database, tmp_path) as (world, outbox):
        tokens = await sign_in(world, outbox, "alice@example.com")
        body = {"json": {"refreshToken": tokens["refreshToken"]}} if named else {}
        out = await world.rest("POST", "/auth/logout", None, **bearing(tokens["accessToken"]), **body)
        assert out == (200, {"success": True, "data": {"sessionsEnded": 1}})
        assert (await ask(world, "refresh", {"refreshToken": tokens["refreshToken"]}))[0] == 401


async def test_logout_ends_nobody_elses_session(database: str, tmp_path: Path) -> None:
    """Another user's refresh token in the body is left alone."""
    async with mailing(database, tmp_path) as (world, outbox):
        tokens = await sign_in(world, outbox, "alice@example.com")
        assert (await ask(world, "logout", {"refreshToken": tokens["refreshToken"]}, "bob"))[0] == 200
        assert (await ask(world, "refresh", {"refreshToken": tokens["refreshToken"]}))[0] == 200


async def test_secrets_are_not_stored(database: str, tmp_path: Path) -> None:
    """No table holds a token, a link or a device code as it was given out."""
    async with mailing(database, tmp_path) as (world, outbox):
        tokens = await sign_in(world, outbox, "alice@example.com")
        device = (await ask(world, "device/authorize", {}))[1]["data"]
        await ask(world, "magic-link", {"email": "bob@example.com"})
        link = newest(outbox, "bob@example.com")
        kept = str(await everything(world))
        for secret in (tokens["refreshToken"], device["deviceCode"], device["userCode"], link):
            assert str(secret) not in kept
        assert "alice@example.com" in kept


async def everything(world: World) -> list[Any]:
    from sqlalchemy import select  # noqa: PLC0415 - only here

    from reference_impl.store.tables import metadata  # noqa: PLC0415

    engine = world.parts.database._engine  # type: ignore[attr-defined]
    async with engine.connect() as connection:
        return [(await connection.execute(select(table))).all() for table in metadata.sorted_tables]


async def test_email_of_a_token(world: World) -> None:
    """A user whose address is not known has the one that the token names, or none."""
    named = signed("carol", email="carol@example.net")
    assert (await world.rest("GET", "/auth/me", None, **bearing(named)))[1]["data"]["email"] == "carol@example.net"
    assert (await world.rest("GET", "/auth/me", "dave"))[1]["data"] == {"id": "dave", "email": None}


async def test_device_signs_in(database: str) -> None:
    """A device waits until a user has typed its code, gets tokens once, and then the code is worth nothing."""
    async with serving(database, auth={"device_interval_s": 0.001}) as world:
        status, body = await ask(world, "device/authorize", {"clientId": "cli"})
        device = body["data"]
        poll = {"deviceCode": device["deviceCode"], "grantType": "urn:ietf:params:oauth:grant-type:device_code"}
        assert (status, device["expiresIn"]) == (200, 1800)
        assert device["verificationUriComplete"] == f"{device['verificationUri']}?user_code={device['userCode']}"
        waiting = await ask(world, "device/token", poll)
        assert (waiting[0], waiting[1]["error"], waiting[1]["code"]) == (
            400,
            "authorization_pending",
            "AUTHORIZATION_PENDING",
        )
        typed = device["userCode"].replace("-", "").lower()
        assert (await ask(world, "device/confirm", {"userCode": typed}, "bob"))[0] == 200
        assert (await ask(world, "device/confirm", {"userCode": typed}, "alice"))[0] == 409
        answers = await asyncio.gather(*(ask(world, "device/token", poll) for _ in range(4)))
        given = [body["data"] for status, body in answers if status == 200]
        assert [tokens["user"]["id"] for tokens in given] == ["bob"]
        assert [body["error"] for status, body in answers if status != 200] == ["invalid_grant"] * 3
        assert (await ask(world, "device/confirm", {"userCode": typed}, "alice"))[0] == 404


async def test_device_must_not_hurry(world: World) -> None:
    """A second poll within the interval is told to slow down; the code of a stranger is no grant."""
    device = (await world.rest("POST", "/auth/device/authorize", None))[1]["data"]
    assert device["interval"] == 5
    said = [(await ask(world, "device/token", {"deviceCode": device["deviceCode"]}))[1]["error"] for _ in range(2)]
    assert said == ["authorization_pending", "slow_down"]
    assert (await ask(world, "device/token", {"deviceCode": "\0"}))[1]["error"] == "invalid_grant"
    assert (await ask(world, "device/confirm", {"userCode": "\0"}, "alice"))[0] == 404
    assert (await ask(world, "device/confirm", {"userCode": device["userCode"]}))[0] == 401


def grant(**changes: Any) -> DeviceGrant:
    return DeviceGrant(**{"device_hash": "d", "user_hash": "u", "expires_at": 60_000, "interval_ms": 5_000, **changes})


@pytest.mark.parametrize(
    ("grant", "now", "error", "interval_ms"),
    [
        (grant(), 0, "authorization_pending", 5_000),
        (grant(polled_at=0), 4_400, "slow_down", 10_000),
        (grant(polled_at=0), 4_600, "authorization_pending", 5_000),
        (grant(polled_at=0, interval_ms=10_000), 9_000, "slow_down", 15_000),
        (grant(user_id="bob"), 60_000, "expired_token", 5_000),
        (grant(user_id="bob", polled_at=1), 2, None, 10_000),
    ],
)
def test_answers_of_the_device_grant(grant: DeviceGrant, now: int, error: str | None, interval_ms: int) -> None:
    """Each state of a grant has the RFC's answer, and hurry makes the interval longer by five seconds."""
    refusal = refused_poll(grant, now)
    assert (refusal and refusal.sentence) == error
    assert next_interval(grant, now) == interval_ms


def test_user_codes_are_read_as_they_are_meant() -> None:
    """Case, dashes and blanks of a typed code do not matter."""
    assert typed_code(" wdjb mjht") == typed_code("WDJB-MJHT") == "WDJBMJHT"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b", True),
        ("first.last+tag@sub.example.com", True),
        ('"two words"@example.com', True),
        ("a@[127.0.0.1]", True),
        ("", False),
        ("a", False),
        ("a@", False),
        ("@b", False),
        ("a@b@c", False),
        ("a b@c", False),
        ("a..b@c", False),
        (".a@c", False),
        ("a@-b", False),
        ("a@b..c", False),
        ("a@b\n", False),
        ("\0@b", False),
        ("ä@b", False),
        (f"{'a' * 65}@b", False),
        (f"a@{'b' * 63}.{'c' * 63}.{'d' * 63}.{'e' * 63}", False),
    ],
)
def test_addresses(text: str, expected: bool) -> None:
    """What is an address and what is not."""
    assert is_email(text) is expected


WRONG = [
    ("magic-link", "{}", "/email"),
    ("magic-link", '{"email": null}', "/email"),
    ("magic-link", '{"email": "x"}', "/email"),
    ("magic-link", '{"email": "\\ud800@b"}', "/email"),
    ("magic-link", "[]", ""),
    ("magic-link", "null", ""),
    ("verify", "{}", "/token"),
    ("verify", '{"token": ""}', "/token"),
    ("verify", '{"token": "\\ud800"}', "/token"),
    ("refresh", "{}", "/refreshToken"),
    ("refresh", '{"refreshToken": []}', "/refreshToken"),
    ("logout", "null", ""),
    ("logout", "[]", ""),
    ("logout", "{", ""),
    ("logout", '{"refreshToken": ""}', "/refreshToken"),
    ("logout", '{"refreshToken": null}', "/refreshToken"),
    ("device/authorize", "null", ""),
    ("device/authorize", '{"clientId": 5}', "/clientId"),
    ("device/authorize", '{"scope": null}', "/scope"),
    ("device/confirm", '{"userCode": ""}', "/userCode"),
    ("device/token", "{}", "/deviceCode"),
    ("device/token", '{"deviceCode": "x", "grantType": "password"}', "/grantType"),
]


async def test_wrong_bodies(world: World) -> None:
    """A body outside the schema answers 400 with a pointer, one that is no JSON 415, a wrong method 405."""
    kind = {"Content-Type": "application/json"}
    for path, body, pointer in WRONG:
        status, said = await world.rest("POST", f"/auth/{path}", data=body, headers=kind)
        assert (status, said["code"]) == (400, "VALIDATION_ERROR"), (path, body)
        assert said["details"]["errors"][0]["pointer"] == pointer, (path, body)
    for path in {path for path, _, _ in WRONG}:
        refused = await world.raw("POST", f"/auth/{path}", data="x=1", headers={"Content-Type": "text/plain"})
        assert refused.status == 415, path
        refused = await world.raw("DELETE", f"/auth/{path}")
        assert (refused.status, refused.headers["Allow"]) == (405, "POST"), path
