"""The served OpenAPI document: whole in itself, so that any tool can read it (HLT-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi.openapi.utils import get_openapi

from reference_impl.web.files import read

if TYPE_CHECKING:
    from fastapi import FastAPI

_FOREIGN: Final = ("HTTPValidationError", "ValidationError")
"""FastAPI's own failure, which this server never answers."""
_INSIDE: Final = "#/components/schemas/"
_BEARER: Final = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


def document(app: FastAPI) -> dict[str, Any]:
    """Write down every operation that the application serves."""
    written: dict[str, Any] = get_openapi(title=app.title, version=app.version, routes=app.routes)
    components = written.setdefault("components", {})
    components["securitySchemes"] = {"bearer": _BEARER}
    schemas = components.setdefault("schemas", {})
    for name in _FOREIGN:
        schemas.pop(name, None)
    written["security"] = [{"bearer": []}]
    for methods in written["paths"].values():
        for operation in methods.values():
            operation["responses"].pop("422", None)
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _stated(parameter["schema"])
            for content in operation.get("requestBody", {}).get("content", {}).values():
                content["schema"] = _stated(content["schema"])
    whole: dict[str, Any] = _Bundle(schemas).moved(written, "")
    return whole


def _stated(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter or a body can be left out but not be null, whatever its Python type says."""
    others = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(others) != 1:
        return schema
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **others[0]}


class _Bundle:
    """Takes schemas of the contract's files into the document, each once, and points to them there."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas

    def moved(self, value: Any, file: str) -> Any:
        """The same with every reference to a file made one to the document's own components.

        Args:
            value: any part of a document.
            file: the schema file it stands in; empty for the document itself.
        """
        if isinstance(value, list):
            return [self.moved(item, file) for item in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref")
        if isinstance(reference, str) and not reference.startswith(_INSIDE):
            return {"$ref": self._take(reference.removeprefix("schemas/"), file)}
        return {key: self.moved(item, file) for key, item in value.items()}

    def _take(self, reference: str, file: str) -> str:
        path, _, inside = reference.partition("#")
        path = path or file
        name = "contract." + (inside.rpartition("/")[2] or path.removesuffix(".json")).replace("/", "-")
        if name not in self._schemas:
            self._schemas[name] = {}  # a schema may refer to itself
            found: Any = orjson.loads(read(f"schemas/{path}"))
            for step in inside.split("/")[1:]:
                found = found[step]
            found = {key: item for key, item in found.items() if key not in {"$id", "$schema", "$defs"}}
            self._schemas[name] = self.moved(found, path)
        return _INSIDE + name
