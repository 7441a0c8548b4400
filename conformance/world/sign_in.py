"""The ways into an account: the device grant, confirmed by a user of the run, and the link that comes by mail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.resources import data_of
from conformance.world.command import CommandError, printed

if TYPE_CHECKING:
    from conformance.timeline import Exchange
    from conformance.world.rest import Rest
    from conformance.world.world import World

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
MAIL_SECONDS = 10.0
"""How long a mail may take to arrive."""
LONGEST_TOKEN = 4096
SLOWER = 5.0
"""Seconds that slow_down adds to the interval (RFC 8628, section 3.5)."""


@dataclass
class Session:
    """A session: the names of its tokens (see `Vault`), as they are now."""

    rest: Rest
    access: str
    refresh: str

    async def renew(self, token: str = "") -> Exchange:
        """Uses a refresh token, by default the present one; keeps what comes back."""
        answer = await self.rest.post("/auth/refresh", {"refreshToken": token or self.refresh}, credential="none")
        given = data_of(answer)
        self.access = str(given.get("accessToken", self.access))
        self.refresh = str(given.get("refreshToken", self.refresh))
        return answer

    async def call(self, method: str, path: str, **options: Any) -> Exchange:
        """A request with its access token."""
        return await self.rest.call(method, path, credential="session", bearer=self.access, **options)


@dataclass
class Device:
    """A device that waits to be let in."""

    rest: Rest
    code: str
    user_code: str
    interval: float
    """Seconds that it must wait between two polls, as it was told last."""
    expires_in: float
    slack: float
    """The tester's own delays, in seconds."""

    async def confirm(self, rest: Rest | None = None, **options: Any) -> Exchange:
        """A signed-in user lets it in; by default the user of the case."""
        return await (rest or self.rest).post("/auth/device/confirm", {"userCode": self.user_code}, **options)

    async def poll(self) -> Exchange:
        """Asks whether it has been let in; told to slow down, it waits longer from then on."""
        body = {"deviceCode": self.code, "grantType": GRANT}
        answer = await self.rest.post("/auth/device/token", body, credential="none")
        if isinstance(answer.value, dict) and answer.value.get("error") == "slow_down":
            self.interval += SLOWER
        return answer

    async def wait(self) -> None:
        """Lets pass what must lie between two polls, and the tester's own delays."""
        await asyncio.sleep(self.interval + self.slack)

    async def session(self) -> Session | None:
        """Asks, and once more if it was too fast; None when it was not let in."""
        interval, answer = self.interval, await self.poll()
        if self.interval > interval:
            await self.wait()
            answer = await self.poll()
        return session_of(self.rest, answer)


def session_of(rest: Rest, answer: Exchange) -> Session | None:
    """The session that an answer opens, if it does."""
    given = data_of(answer)
    access, refresh = given.get("accessToken"), given.get("refreshToken")
    return Session(rest, access, refresh) if isinstance(access, str) and isinstance(refresh, str) else None


async def new_device(world: World, index: int = 0) -> Device | None:
    """A device that begins to ask to be let in; None where the backend gives no codes."""
    rest = world.user(index).rest
    codes = data_of(await rest.post("/auth/device/authorize", {}, credential="none"))
    texts = [codes.get(name) for name in ("deviceCode", "userCode")]
    numbers = [codes.get(name) for name in ("interval", "expiresIn")]
    if not all(isinstance(t, str) and t for t in texts):
        return None
    interval, expires = (float(n) if isinstance(n, int | float) and n > 0 else SLOWER for n in numbers)
    return Device(rest, str(texts[0]), str(texts[1]), interval, expires, world.site.terms.slack)


async def new_session(world: World, index: int = 0) -> Session | None:
    """A session of a user of the run, by the device grant; None, and a wait in vain, where it does not let one in."""
    device = await new_device(world, index)
    if device is not None:
        await device.confirm()
        if (session := await device.session()) is not None:
            return session
    world.recorder.note("unmet", waited_for="tokens", connection="the device grant")
    return None


async def mailed_token(world: World) -> str | None:
    """Asks for a sign-in link for the account and reads its token; gives the name. The caller holds `site.mail`.

    None, and a wait in vain, when no new token comes.
    """
    site, email = world.site, world.site.target.email
    before = await _newest(world, email)
    world.recorder.note("account", email=email)
    await world.user().rest.post("/auth/magic-link", {"email": email}, credential="none")
    clock = asyncio.get_running_loop().time
    end = clock() + MAIL_SECONDS
    while True:
        token = await _newest(world, email)
        if token and token != before:
            name = site.vault.keep("mailed", token)
            world.recorder.note("mailed", token=name, email=email)
            return name
        if clock() > end:
            world.recorder.note("unmet", waited_for="a sign-in mail", connection="the target's mail command")
            return None
        await asyncio.sleep(0.1)


async def _newest(world: World, email: str) -> str:
    """The newest token for an address, or nothing: there may be none yet."""
    try:
        output = await printed([part.replace("{email}", email) for part in world.site.target.mail_command])
    except CommandError:
        return ""
    words = output.decode("utf-8", "replace").split()
    return words[-1] if words and len(words[-1]) <= LONGEST_TOKEN else ""
