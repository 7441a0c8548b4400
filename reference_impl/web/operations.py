"""What each operation says of itself in the served OpenAPI document (HLT-1).

Parameters and request bodies are what the routes really read: FastAPI derives them from the code.
Answers are named here, by the contract's own schema files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"schema": {"type": "string"}}
_LABELS: Final[Schema] = {
    "X-Request-Id": {"description": "Echoed if sent, made if not.", **_TEXT},
    "X-API-Version": {"description": "The version of the answer.", "schema": {"type": "string", "enum": ["0", "1"]}},
}
_CHALLENGE: Final[Schema] = {
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "pattern": "^[Bb]earer"}}
}
_WAIT: Final[Schema] = {"Retry-After": {"description": "Seconds to wait.", **_TEXT}}
_FAILURES: Final[Mapping[int, tuple[str, Schema]]] = {
    400: ("The request breaks the schema, or asks for an unknown version; nothing has changed.", {}),
    401: ("There is no valid token.", _CHALLENGE),
    404: ("It does not exist, or belongs to another user: the answer is the same.", {}),
    409: ("Its state does not allow that; nothing has changed.", {}),
    413: ("The body is over 1 MiB.", {}),
    415: ("The body is not JSON.", {}),
    429: ("The client is past the limit.", _WAIT),
}


def operation(  # noqa: PLR0913 - what an operation can say of itself
    name: str,
    *,
    status: int = 200,
    data: Schema | None = None,
    page: str = "",
    documents: Mapping[str, Schema] | None = None,
    also: Sequence[int] = (),
    body: bool = False,
    checked: bool = True,
    public: bool = False,
    links: Mapping[str, str] | None = None,
    link_key: str = "",
    link_from: str = "/data/id",
) -> dict[str, Any]:
    """Make the arguments that a route takes beside its path.

    Args:
        name: the operationId, from which the audit log takes its event type too.
        status: of success.
        data: the schema of `data` inside the envelope; see `schema`.
        page: the schema file of the whole answer, of a list.
        documents: schemas by media type, for an answer that has no envelope.
        also: the refusals it can give beside those that follow from the other arguments.
        body: whether it takes a body.
        checked: whether there is anything in the request that can break a schema.
        public: whether it needs no token.
        links: operations that can follow, by name.
        link_key: the parameter of theirs that this answer gives.
        link_from: where in this answer, as a JSON pointer.
    """
    content = documents if documents is not None else {"application/json": schema(page) if page else _enveloped(data)}
    done: dict[str, Any] = {"description": "Done."}
    if status != 204:  # noqa: PLR2004
        done |= {"content": {kind: {"schema": shape} for kind, shape in content.items()}}
        done |= {} if documents is not None else {"headers": _LABELS}
    if links:
        follow = {"parameters": {link_key: f"$response.body#{link_from}"}}
        done["links"] = {word: {"operationId": to, **follow} for word, to in links.items()}
    refusals = {*also, 429, *((400,) if checked else ()), *(() if public else (401,)), *((413, 415) if body else ())}
    return {
        "operation_id": name,
        "status_code": status,
        "response_class": Response,
        "responses": {status: done, **{refused: _failure(refused) for refused in sorted(refusals)}},
        "openapi_extra": {"security": []} if public else {},
    }


def schema(name: str) -> Schema:
    """Refer to a file of contracts/schemas; the served document holds what it says."""
    return {"$ref": f"schemas/{name}"}


def plain_operation(name: str, kind: str, shape: Schema, **more: str) -> dict[str, Any]:
    """Make the arguments of a route beside the base path: no envelope, no token, no refusal (HLT-1).

    Args:
        name: the operationId.
        kind: the media type.
        shape: the schema.
        more: further statuses in words, such as `status_503="Not ready."`.
    """
    responses: dict[int, Schema] = {200: {"description": "As it is.", "content": {kind: {"schema": shape}}}}
    for status, words in more.items():
        failed = {"description": words, "content": {"application/json": {"schema": {"type": "object"}}}}
        responses[int(status.removeprefix("status_"))] = failed
    extra: Schema = {"security": [], "servers": [{"url": "/"}]}
    return {"operation_id": name, "response_class": Response, "responses": responses, "openapi_extra": extra}


def _enveloped(data: Schema | None) -> Schema:
    return {"allOf": [schema("envelope-success.json"), {"type": "object", "properties": {"data": data or {}}}]}


def _failure(status: int) -> Schema:
    words, headers = _FAILURES[status]
    content = {"application/json": {"schema": schema("error.json")}}
    return {"description": words, "headers": {**headers, **_LABELS}, "content": content}
