"""Every failure of a route becomes a Refusal, and every Refusal one answer (ENV-2, VAL-1..4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from reference_impl.domain.errors import Refusal, invalid

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Scope


def refusal_of(app: FastAPI, scope: Scope, error: Exception) -> Refusal | None:
    """Say what was raised as a refusal; None if it is a fault of ours."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    return _http(app, scope, error) if isinstance(error, HTTPException) else None


def _invalid(error: RequestValidationError) -> Refusal:
    """Say what is wrong where, and never what was sent (VAL-1)."""
    errors = []
    for found in error.errors():
        path = () if found["type"] == "json_invalid" else found["loc"][1:]
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
        errors.append({"pointer": "".join(f"/{step}" for step in steps), "message": str(found["msg"])})
    where = errors[0]["pointer"] or "the body"
    return invalid(f"The request is wrong at {where}: {errors[0]['message']}", errors)


def _http(app: FastAPI, scope: Scope, error: HTTPException) -> Refusal:
    status = error.status_code
    if status == 404:  # noqa: PLR2004
        return Refusal("NOT_FOUND", "There is no such path", status=404)
    if status == 405:  # noqa: PLR2004
        allowed = ", ".join(sorted(_methods(app, scope)))
        return Refusal("METHOD_NOT_ALLOWED", "The path has no such method", status=405, headers={"Allow": allowed})
    if status == 400:  # noqa: PLR2004 - FastAPI could not read the body
        return invalid("The body is not valid JSON", [{"pointer": "", "message": "must be JSON"}])
    return Refusal("REQUEST_FAILED", "The request could not be served", status=status)


def _methods(app: FastAPI, scope: Scope) -> set[str]:
    """All methods of the path: one route knows only its own (VAL-3)."""
    asked = {key: scope[key] for key in ("type", "path", "root_path", "headers", "query_string", "method")}
    there = [route for route in app.routes if isinstance(route, Route) and route.matches(asked)[0] is not Match.NONE]
    return {method for route in there for method in route.methods or ()}
