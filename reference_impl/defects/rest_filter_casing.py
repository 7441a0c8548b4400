"""A filter that is not written in upper case answers 500."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request

from reference_impl.defects._through import Replacing
from reference_impl.domain.vocabulary import AgentStatus, AgentType

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_impl.parts import Core


def _cast(request: Request) -> None:
    for name, words in (("type", AgentType.__members__), ("status", AgentStatus.__members__)):
        value = request.query_params.get(name, "")
        if value not in words and value.upper() in words:
            raise KeyError(value)


def _casting(make: Callable[[Core], APIRouter]) -> Callable[[Core], APIRouter]:
    def routes(core: Core) -> APIRouter:
        router = APIRouter(dependencies=[Depends(_cast)])
        router.include_router(make(core))
        return router

    return routes


DEFECT = Replacing(
    "rest-filter-casing",
    ("AGT-13",),
    "A filter in lower case answers 500",
    lambda parts: replace(parts, make_routers=tuple(_casting(make) for make in parts.make_routers)),
)
