"""Presets over REST (PRE-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.responses import Response

from reference_impl.domain.errors import Refusal
from reference_impl.domain.presets import Preset
from reference_impl.rest.bodies import Body, Name
from reference_impl.rest.caller import User, json_body
from reference_impl.rest.path import PresetId
from reference_impl.rest.query import Limit, Offset
from reference_impl.store.belongings import NameTaken
from reference_impl.web.answers import listing, success
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from reference_impl.parts import Core

_PRESET: Final = schema("preset.json")
_NEXT: Final = {"read": "getPreset", "replace": "replacePreset", "delete": "deletePreset"}


class Variable(Body):
    """One blank of a preset that is filled when it is used."""

    name: str
    description: str | None = None
    default: str | None = None


class PresetWrite(Body):
    """The body that creates or replaces a preset."""

    name: Name
    content: Annotated[str, Field(min_length=1, max_length=10_000)]
    type: Literal["NATURAL", "INVESTIGATE", "REVIEW", "PLAN", "SYNTHESIZE"]
    description: Annotated[str, Field(max_length=1_000)] | None = None
    target_agent_types: list[Literal["CLAUDE", "GEMINI", "CODEX", "CUSTOM"]] = Field(default_factory=list)
    variables: list[Variable] = Field(default_factory=list)

    def said(self) -> dict[str, Any]:
        """The fields of a preset; a variable keeps only what was said of it."""
        said = super().said()
        lists: dict[str, Any] = {key: tuple(said[key]) for key in ("target_agent_types", "variables") if key in said}
        return {**said, **lists}


def presets(core: Core) -> APIRouter:
    """Make the routes."""
    parts = core.parts
    store, clock = parts.presets, parts.clock
    router = APIRouter(prefix="/presets", tags=["Presets"])

    async def found(user: str, preset_id: str) -> Preset:
        preset = await store.get(user, preset_id.lower())
        if preset is None:
            raise _not_found()
        return preset

    @router.get("", **operation("listPresets", page="preset-list.json"))
    async def list_presets(user: User, limit: Limit = 50, offset: Offset = 0) -> Response:
        """The caller's presets, newest first."""
        page, total = await store.page(user, limit, offset)
        return listing([preset.shown() for preset in page], total=total, limit=limit, offset=offset)

    @router.post(
        "",
        dependencies=[Depends(json_body)],
        **operation("createPreset", data=_PRESET, status=201, also=(409,), body=True, links=_NEXT, link_key="presetId"),
    )
    async def create_preset(body: PresetWrite, user: User) -> Response:
        """Save a preset."""
        now = clock.now_ms()
        preset = Preset(parts.ids.unique(), user, created_at=now, updated_at=now, **body.said())
        try:
            await store.add(preset)
        except NameTaken:
            raise _name_taken() from None
        return success(preset.shown(), 201)

    @router.get("/{presetId}", **operation("getPreset", data=_PRESET, also=(404,)))
    async def get_preset(preset_id: PresetId, user: User) -> Response:
        """One preset."""
        return success((await found(user, preset_id)).shown())

    @router.put(
        "/{presetId}",
        dependencies=[Depends(json_body)],
        **operation("replacePreset", data=_PRESET, also=(404, 409), body=True),
    )
    async def replace_preset(preset_id: PresetId, body: PresetWrite, user: User) -> Response:
        """Replace a preset; what is left out goes back to what it is in a new one."""
        preset = (await found(user, preset_id)).replaced(body.said(), clock.now_ms())
        try:
            kept = await store.put(preset)
        except NameTaken:
            raise _name_taken() from None
        if not kept:
            raise _not_found()
        return success(preset.shown())

    @router.delete("/{presetId}", **operation("deletePreset", status=204, also=(404,)))
    async def delete_preset(preset_id: PresetId, user: User) -> Response:
        """Remove a preset."""
        if not await store.delete(user, preset_id.lower()):
            raise _not_found()
        return Response(status_code=204)

    return router


def _not_found() -> Refusal:
    return Refusal("PRESET_NOT_FOUND", "Preset not found", status=404)


def _name_taken() -> Refusal:
    return Refusal("PRESET_NAME_TAKEN", "Another preset of yours has this name", status=409)
