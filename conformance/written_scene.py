"""Words for examples about presets and constraints: what is made, shown, replaced and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.scene import BORN
from conformance.views import OK
from conformance.written import CREATED, Kind

if TYPE_CHECKING:
    from conformance.scene import Scene


def row(kind: Kind, body: dict[str, Any], number: str = "1", **changes: Any) -> dict[str, Any]:
    """A resource as it should be shown after this body was written."""
    made = {"id": f"id-{number}", "createdAt": BORN, "updatedAt": BORN, "isDefault": False, "usageCount": 0}
    return {**made, **kind.defaults, **body, **changes}


def makes(s: Scene, kind: Kind, body: dict[str, Any], number: str = "1", status: int = CREATED, **changes: Any) -> None:
    """POST of a body, and the answer: the new resource, or a refusal."""
    right = {"success": True, "data": row(kind, body, number, **changes)}
    s.rest(
        "POST", f"/{kind.name}", status, right if status == CREATED else {"success": False, "error": "No"}, request=body
    )


def shows(s: Scene, kind: Kind, body: dict[str, Any], number: str = "1", **changes: Any) -> None:
    """GET of one, as it should be after this body was written."""
    s.rest("GET", f"/{kind.name}/id-{number}", OK, {"success": True, "data": row(kind, body, number, **changes)})


def replaces(s: Scene, kind: Kind, body: dict[str, Any], status: int = OK, **changes: Any) -> None:
    """PUT of a body, and the answer."""
    right = {"success": True, "data": row(kind, body, **changes)}
    s.rest(
        "PUT", f"/{kind.name}/id-1", status, right if status == OK else {"success": False, "error": "No"}, request=body
    )


def lists(s: Scene, kind: Kind, *rows: dict[str, Any]) -> None:
    """GET of all, in one page."""
    s.rest("GET", f"/{kind.name}", OK, {"success": True, "data": list(rows)}, query={"limit": "100"})
