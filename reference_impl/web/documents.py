"""Health, metrics and the contract's own documents; none needs a token (HLT-1)."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from reference_impl.domain.errors import Refusal
from reference_impl.web.answers import JSON, plain
from reference_impl.web.files import read
from reference_impl.web.operations import plain_operation, schema

if TYPE_CHECKING:
    from reference_impl.parts import Core

_OBJECT: Final = {"type": "object"}


def documents(core: Core, *, shown: bool = True) -> APIRouter:
    """Make the routes, shown in the OpenAPI document or not."""
    parts = core.parts
    router = APIRouter(tags=["System"], include_in_schema=shown)

    @router.get("/health", **plain_operation("health", JSON, schema("health.json")))
    async def health() -> Response:
        """The process lives. Also tells the plan's feature flag `frontend.live_data`."""
        return plain({"status": "ok", "liveData": parts.settings.frontend.live_data})

    @router.get("/health/ready", **plain_operation("healthReady", JSON, schema("health.json"), status_503="Not ready."))
    async def ready() -> Response:
        """Database and fan-out answer."""
        try:
            await parts.database.ping()
            await parts.nodes.ping()
        except Exception:
            parts.log.exception("not_ready")
            raise Refusal("NOT_READY", "The server is not ready", status=503) from None
        return plain({"status": "ready", "checks": {"database": "ok", "fanout": "ok"}})

    @router.get("/metrics", **plain_operation("metrics", "text/plain", {"type": "string"}))
    async def metrics() -> Response:
        """Prometheus."""
        return Response(parts.telemetry.exposition(), media_type="text/plain; version=0.0.4")

    @router.get("/openapi.json", **plain_operation("openapiDocument", JSON, _OBJECT))
    async def openapi(request: Request) -> Response:
        """This document, made once: the quarter of a second that it takes is not to hold up whoever is connected."""
        return Response(orjson.dumps(await asyncio.to_thread(request.app.openapi)), media_type=JSON)

    written = cache(_asyncapi)

    @router.get("/asyncapi.json", **plain_operation("asyncapiDocument", JSON, _OBJECT))
    async def asyncapi() -> Response:
        """The contract of the sockets; its `$ref`s lead to /schemas/."""
        return Response(await asyncio.to_thread(written), media_type=JSON)

    @router.get("/schemas/{path:path}", include_in_schema=False)
    async def schema_file(path: str) -> Response:
        """A schema of the contract."""
        return plain(orjson.loads(await asyncio.to_thread(read, f"schemas/{path}")))

    return router


def _asyncapi() -> bytes:
    import yaml  # noqa: PLC0415 - slow, and needed by few

    document: Any = yaml.load(read("asyncapi.yaml"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return orjson.dumps(document)
