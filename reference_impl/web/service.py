"""The application that FastAPI's routes are served by: nothing around them but what the contract asks for.

FastAPI's own way to take a router in matches every request twice, and its middleware does again what
`admission` does: sizes, failures, telemetry. That took as long as the answers themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import APIRoute
from starlette.routing import compile_path

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.types import ASGIApp


class Service(FastAPI):
    """FastAPI with its routes in one list; whatever they raise is answered by the middleware added to it."""

    def take_in(self, router: APIRouter, prefix: str = "") -> None:
        """Serve a router that was made for this application, under a prefix."""
        routes = [route for route in router.routes if isinstance(route, APIRoute)]
        if len(routes) != len(router.routes):
            self.include_router(router, prefix=prefix)
            return
        for route in routes:
            route.path = prefix + route.path
            route.path_regex, route.path_format, route.param_convertors = compile_path(route.path)
        self.router.routes.extend(routes)

    def build_middleware_stack(self) -> ASGIApp:
        """What was added, around the routes."""
        stack: ASGIApp = AsyncExitStackMiddleware(self.router)
        for middleware in reversed(self.user_middleware):
            stack = middleware.cls(stack, *middleware.args, **middleware.kwargs)
        return stack
