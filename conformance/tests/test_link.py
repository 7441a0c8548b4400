"""A socket goes to the target and to nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from conformance.contract import load_contract
from conformance.target import Target
from conformance.world.credentials import Keyring
from conformance.world.site import Site
from conformance.world.world import World

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def server(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> TestServer:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    return TestServer(app)


async def test_a_redirected_handshake_is_a_refusal_and_is_not_followed() -> None:
    """A backend that redirects a socket elsewhere does not make the tester take its headers there."""
    strangers: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        strangers.append(str(request.headers.get("X-Gateway-Key")))
        return web.Response(status=403)

    async with server(elsewhere) as other:

        async def redirects(_: web.Request) -> web.StreamResponse:
            return web.Response(status=302, headers={"Location": str(other.make_url("/ws")).replace("http", "ws", 1)})

        async with server(redirects) as backend, ClientSession() as session:
            target = Target(str(backend.make_url("")), headers={"X-Gateway-Key": "secret"})
            world = World(Site(target, load_contract(), Keyring(target), session), "link/redirected")
            link = await world.user().socket("dashboard")
            assert link.status == 302
            assert not link.is_open
    assert strangers == []
