"""A case of schemathesis written down as a request.

The library does this for any document and any way of sending, which takes longer than to read the answer. Ours are
plain: parameters that are escaped already, a body of JSON. Those are written here, and all others by the library; a
test holds the two against each other for every operation of the contract.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

ORIGIN = "http://target.invalid"
"""Nothing is sent there; the path below it is all that counts."""
JSON = "application/json"
ANY = {"accept": "*/*"}
NOT_OURS = frozenset({"authorization", "user-agent", "accept-encoding", "connection", "x-schemathesis-testcaseid"})
PLAIN = re.compile(r"(?:/[A-Za-z0-9_~%-]+)+", re.ASCII)
"""Paths that no reader takes for anything else: without dots, empty segments and delimiters."""
JSON_TYPES = frozenset({dict, list, str, int, float, bool})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes out, the credential aside."""

    method: str
    target: str
    """Path below the base path, with its query, percent-encoded."""
    headers: Mapping[str, str]
    """Names in lower case."""
    data: bytes | None


def written(case: Any) -> Request | None:
    """The request of a case; None where it cannot be written down, or says what may be read in two ways."""
    parts = plainly(case)
    path, search, headers, data = parts if parts is not None else by_the_library(case)
    if search:
        pairs = search.split("&")
        if len({pair.partition("=")[0] for pair in pairs}) < len(set(pairs)):
            return None
    if headers is None or (data is not None and "content-type" not in headers):
        return None
    if not all(value.isprintable() and value.isascii() for value in headers.values()):
        return None
    return Request(str(case.method), f"{path}?{search}" if search else path, headers, data)


Parts = tuple[str, str, "dict[str, str] | None", "bytes | None"]
"""Path, query, headers (None where there is more to send than can be said here) and body."""


def by_the_library(case: Any) -> Parts:
    """What a case consists of, as the library sends it."""
    parts = case.as_transport_kwargs(base_url=ORIGIN)
    headers = {k.lower(): str(v) for k, v in parts["headers"].items() if k.lower() not in NOT_OURS}
    is_whole = not (parts.get("cookies") or parts.get("files"))
    data = json.dumps(parts["json"], allow_nan=False).encode() if "json" in parts else parts.get("data")
    data = data.encode() if isinstance(data, str) else data
    return urlsplit(parts["url"]).path, _search(parts.get("params")), headers if is_whole else None, data


def plainly(case: Any) -> Parts | None:
    """The same, of a plain case; None of others."""
    library = _library()
    body, data = case.body, None
    if has_body(case):
        if case.media_type != JSON or type(body) not in JSON_TYPES:
            return None
        data = json.dumps(body, allow_nan=False).encode()
    path = library.path(case.path, case.path_parameters)
    if case.cookies or not PLAIN.fullmatch(path):
        return None
    headers = ANY | {name.lower(): str(value) for name, value in case.headers.items()}
    if data is not None:
        headers.setdefault("content-type", JSON)
    for name in library.left_out(case):
        headers.pop(name.lower(), None)
    headers = {name: value for name, value in headers.items() if name not in NOT_OURS}
    return path, _search(library.query(case)) if case.query else "", headers, data


def has_body(case: Any) -> bool:
    """Whether a case has a body."""
    return case.body is not _library().no_body


@cache
def _library() -> SimpleNamespace:
    """What is used of it."""
    from schemathesis.core import NOT_SET  # noqa: PLC0415 - slow, and most runs do without
    from schemathesis.transport.prepare import get_exclude_headers, prepare_path  # noqa: PLC0415
    from schemathesis.transport.requests import prepare_query  # noqa: PLC0415

    return SimpleNamespace(no_body=NOT_SET, left_out=get_exclude_headers, path=prepare_path, query=prepare_query)


def _search(params: Mapping[str, Any] | str | None) -> str:
    return params if isinstance(params, str) else urlencode(params or {}, doseq=True)
