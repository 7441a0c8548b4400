"""Who calls and how, as dependencies of the routes.

They are coroutines though they await nothing: FastAPI would send plain functions to a thread.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request

from reference_impl.auth import Principal
from reference_impl.domain.errors import Refusal, invalid
from reference_impl.rest.unicode import half_pairs

_OBJECT: Final = "must be an object"
_HALF: Final = "must not hold half of a surrogate pair"


async def _user(request: Request) -> str:
    user: str = request.state.principal.user_id
    return user


async def _caller(request: Request) -> Principal:
    caller: Principal = request.state.principal
    return caller


async def _version(request: Request) -> int:
    version: int = request.state.version
    return version


async def json_body(request: Request) -> None:
    """Refuse a body that does not say it is JSON, or has texts that no encoding can write (VAL-4, VAL-6)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal("UNSUPPORTED_MEDIA_TYPE", "The body must be application/json", status=415)
    if halves := half_pairs(await request.body()):
        errors = [{"pointer": pointer, "message": _HALF} for pointer in halves]
        raise invalid(f"The request is wrong at {halves[0] or 'the body'}: {_HALF}", errors)


async def optional_json_body(request: Request) -> None:
    """Refuse a body that is there and does not say it is JSON, or says null, which is no object (VAL-1, VAL-4)."""
    if sent := (await request.body()).strip():
        await json_body(request)
        if sent == b"null":
            raise invalid(f"The request is wrong at the body: {_OBJECT}", [{"pointer": "", "message": _OBJECT}])


Caller = Annotated[Principal, Depends(_caller)]
User = Annotated[str, Depends(_user)]
Version = Annotated[int, Depends(_version)]
