"""Health, metrics and the contract's own documents; none needs a token (HLT-1)."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from reference_impl.domain.errors import Refusal
from reference_impl.web.answers import JSON, plain

if TYPE_CHECKING:
    from reference_impl.parts import Core

_HERE: Final = Path(__file__).resolve().parents[1]
_PLACES: Final = (_HERE / "_contracts", _HERE.parent / "contracts")
"""In an installed package, and in a checkout."""


def documents(core: Core) -> APIRouter:
    """Make the routes."""
    parts = core.parts
    router = APIRouter(tags=["System"])

    @router.get("/health")
    async def health() -> Response:
        """The process lives. Also tells the plan's feature flag `frontend.live_data`."""
        return plain({"status": "ok", "liveData": parts.settings.frontend.live_data})

    @router.get("/health/ready")
    async def ready() -> Response:
        """Database and fan-out answer."""
        try:
            await parts.database.ping()
            parts.hub.audience("")
        except Exception:
            parts.log.exception("not_ready")
            raise Refusal("NOT_READY", "The server is not ready", status=503) from None
        return plain({"status": "ready", "checks": {"database": "ok", "fanout": "ok"}})

    @router.get("/metrics")
    async def metrics() -> Response:
        """Prometheus."""
        return Response(parts.telemetry.exposition(), media_type="text/plain; version=0.0.4")

    read = cache(_asyncapi)

    @router.get("/asyncapi.json")
    async def asyncapi() -> Response:
        """The contract of the sockets; its `$ref`s lead to /schemas/."""
        return Response(await asyncio.to_thread(read), media_type=JSON)

    @router.get("/schemas/{path:path}")
    async def schema(path: str) -> Response:
        """A schema of the contract."""
        return plain(orjson.loads(await asyncio.to_thread(_read, f"schemas/{path}")))

    return router


def _asyncapi() -> bytes:
    import yaml  # noqa: PLC0415 - slow, and needed by few

    document: Any = yaml.load(_read("asyncapi.yaml"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    return orjson.dumps(document)


def _read(name: str) -> bytes:
    for place in _PLACES:
        path = (place / name).resolve()
        if path.is_relative_to(place) and path.is_file():
            return path.read_bytes()
    raise Refusal("NOT_FOUND", "There is no such document", status=404)
