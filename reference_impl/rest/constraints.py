"""Constraints over REST (LIM-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.responses import Response

from reference_impl.domain.errors import Refusal
from reference_impl.domain.presets import Constraint
from reference_impl.rest.bodies import Body, Name, PositiveAmount, PositiveCount
from reference_impl.rest.caller import User, json_body
from reference_impl.rest.path import ConstraintId
from reference_impl.rest.query import Limit, Offset
from reference_impl.web.answers import listing, success
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from reference_impl.parts import Core

_CONSTRAINT: Final = schema("constraint.json")
_NEXT: Final = {"read": "getConstraint", "replace": "replaceConstraint", "delete": "deleteConstraint"}


class ConstraintWrite(Body):
    """The body that creates or replaces a constraint."""

    name: Name
    description: str | None = None
    time_limit_ms: PositiveCount | None = None
    token_budget: PositiveCount | None = None
    memory_limit_mb: PositiveAmount | None = None
    cpu_limit_percent: Annotated[float, Field(gt=0, le=100)] | None = None
    is_default: bool = False


def constraints(core: Core) -> APIRouter:
    """Make the routes."""
    parts = core.parts
    store, clock = parts.constraints, parts.clock
    router = APIRouter(prefix="/constraints", tags=["Constraints"])

    async def found(user: str, constraint_id: str) -> Constraint:
        constraint = await store.get(user, constraint_id.lower())
        if constraint is None:
            raise _not_found()
        return constraint

    @router.get("", **operation("listConstraints", page="constraint-list.json"))
    async def list_constraints(user: User, limit: Limit = 50, offset: Offset = 0) -> Response:
        """The caller's constraints, newest first."""
        page, total = await store.page(user, limit, offset)
        return listing([constraint.shown() for constraint in page], total=total, limit=limit, offset=offset)

    @router.post(
        "",
        dependencies=[Depends(json_body)],
        **operation("createConstraint", data=_CONSTRAINT, status=201, body=True, links=_NEXT, link_key="constraintId"),
    )
    async def create_constraint(body: ConstraintWrite, user: User) -> Response:
        """Save a constraint; one that is the default takes that from the one before."""
        now = clock.now_ms()
        constraint = Constraint(parts.ids.unique(), user, created_at=now, updated_at=now, **body.said())
        await store.add(constraint)
        return success(constraint.shown(), 201)

    @router.get("/{constraintId}", **operation("getConstraint", data=_CONSTRAINT, also=(404,)))
    async def get_constraint(constraint_id: ConstraintId, user: User) -> Response:
        """One constraint."""
        return success((await found(user, constraint_id)).shown())

    @router.put(
        "/{constraintId}",
        dependencies=[Depends(json_body)],
        **operation("replaceConstraint", data=_CONSTRAINT, also=(404,), body=True),
    )
    async def replace_constraint(constraint_id: ConstraintId, body: ConstraintWrite, user: User) -> Response:
        """Replace a constraint; what is left out goes back to what it is in a new one."""
        constraint = (await found(user, constraint_id)).replaced(body.said(), clock.now_ms())
        if not await store.put(constraint):
            raise _not_found()
        return success(constraint.shown())

    @router.delete("/{constraintId}", **operation("deleteConstraint", status=204, also=(404,)))
    async def delete_constraint(constraint_id: ConstraintId, user: User) -> Response:
        """Remove a constraint."""
        if not await store.delete(user, constraint_id.lower()):
            raise _not_found()
        return Response(status_code=204)

    return router


def _not_found() -> Refusal:
    return Refusal("CONSTRAINT_NOT_FOUND", "Constraint not found", status=404)
