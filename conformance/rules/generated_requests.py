"""What an independent tool has against an answer to a request that it generated (VAL-1, VAL-3, VAL-6, ENV-2, ENV-6 …).

The tool knows the document and not the decisions beside it: a complaint about what the contract leaves open is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.asked import may_be_refused, right_or_wrong
from conformance.rule import Finding, Rule
from conformance.timeline import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conformance.scene import Scene
    from conformance.timeline import Exchange, Note, Timeline

FAILED, SERVER = 400, 500
OF_HTTP = frozenset({405, 406, 408, 411, 413, 414, 415, 417, 421, 426, 429, 431})
"""Statuses that any server or proxy may answer to a request as such, whatever the document says of an operation."""
ANYWHERE = frozenset({"HEAD", "OPTIONS"})
CLAUSES = {
    "not_a_server_error": "VAL-6",
    "status_code_conformance": "VAL-1",
    "content_type_conformance": "ENV-6",
    "negative_data_rejection": "VAL-1",
    "positive_data_acceptance": "VAL-1",
    "missing_required_header": "AUTH-1",
    "ignored_auth": "AUTH-1",
    "object_level_authorization": "ISO-1",
    "unsupported_method": "VAL-3",
    "allow_header_conformance": "VAL-3",
}
"""Check → the clause that it is about; the others are about the operation itself."""
EXPECTED = {
    "not_a_server_error": "no 5xx",
    "status_code_conformance": "a status that the operation's document names",
    "content_type_conformance": "a media type that the operation's document names",
    "response_headers_conformance": "the headers that the operation's document names",
    "response_schema_conformance": "a body that fits the operation's document",
    "negative_data_rejection": "a refusal: the request breaks the document",
    "positive_data_acceptance": "no refusal: the request keeps the document",
    "missing_required_header": "401",
    "ignored_auth": "401",
    "unsupported_method": "405",
    "allow_header_conformance": "an Allow that names what is served",
    "use_after_free": "404: it was deleted",
    "ensure_resource_availability": "what was made is there",
}


def checked(t: Timeline) -> Iterator[tuple[Note, Exchange]]:
    """Each answer that the tool looked at, and each of its complaints."""
    by_seq = {e.seq: e for e in t.exchanges}
    for note in t.notes:
        if note.kind in {"checked", "complaint"} and (e := by_seq.get(note.data["exchange"])) is not None:
            yield note, e


def is_none(occasion: tuple[Note, Exchange], t: Timeline) -> Iterator[Finding]:
    """No complaint, but about what is left open."""
    note, e = occasion
    if note.kind != "complaint" or _is_open(t, note.data["check"], e):
        return
    check = note.data["check"]
    says = f"{e.label}, asked by a generated request: {note.data['says']}"
    got = f"{e.status}, for a request made for this: {note.data['made_for']}"
    yield Finding(says, e, "", EXPECTED.get(check, "no complaint"), got, clauses=(_clause(t, check, e),))


def _clause(t: Timeline, check: str, e: Exchange) -> str:
    operation = t.contract.operations.get(e.operation or "")
    if check == "response_headers_conformance":
        return "AUTH-2" if e.status == 401 else "VAL-3"  # noqa: PLR2004 - the header that is required there
    if check == "response_schema_conformance" and e.status >= FAILED:
        return "ENV-2"
    return CLAUSES.get(check) or (operation.clause if operation else "VAL-1")


def _is_open(t: Timeline, check: str, e: Exchange) -> bool:
    """Whether the contract lets the answer be as it is, all the same."""
    of_http = e.status in OF_HTTP or e.status >= SERVER or e.operation is None
    match check:
        case "unsupported_method" | "allow_header_conformance":
            return e.method in ANYWHERE
        case "status_code_conformance" | "content_type_conformance":
            return of_http
        case "response_schema_conformance":  # what was asked in an odd way may be echoed so
            odd = (e.query or e.request is not MISSING) and right_or_wrong(t.contract, e) is not True
            return of_http or (e.status < FAILED and bool(odd))
        case "negative_data_rejection":
            return right_or_wrong(t.contract, e) is not False
        case "positive_data_acceptance":
            return may_be_refused(e) or right_or_wrong(t.contract, e) is not True
    return False


def complains(
    s: Scene, check: str, *, method: str = "POST", path: str = "/presets", status: int = 201, **more: Any
) -> None:
    """An answer that the tool has something against."""
    body = {"success": True, "data": {}} if status < FAILED else {"success": False, "error": "No"}
    e = s.rest(method, path, status, body, **more)
    s.note("checked", exchange=e.seq)
    s.note("complaint", exchange=e.seq, check=check, says="It should not", made_for="a text too long")


def nothing_said(s: Scene) -> None:
    s.note("checked", exchange=s.rest("GET", "/presets", 200, {"success": True, "data": []}).seq)


def of_what_is_open(s: Scene) -> None:
    complains(s, "negative_data_rejection", method="GET", path="/commands", status=200, query={"status": "completed"})
    complains(s, "positive_data_acceptance", path="/auth/device/token", status=400, request={"deviceCode": "gone"})
    complains(s, "unsupported_method", method="HEAD", status=200)
    complains(s, "status_code_conformance", status=414)


def took_a_number(s: Scene) -> None:
    complains(s, "negative_data_rejection", request={"name": 5, "content": "Look", "type": "PLAN"})


def refused_what_is_right(s: Scene) -> None:
    complains(s, "positive_data_acceptance", status=400, request={"name": "n", "content": "Look", "type": "PLAN"})


def other_status(s: Scene) -> None:
    complains(s, "status_code_conformance", status=422, request={"name": 5})


def other_shape(s: Scene) -> None:
    complains(s, "response_schema_conformance", method="GET", path="/presets/p1", status=200)
    complains(s, "response_headers_conformance", method="GET", path="/presets/p1", status=401)


RULE = Rule(
    id="requests.second-opinion",
    clauses=("VAL-1", "VAL-3", "VAL-6", "ENV-2", "ENV-6", "AUTH-1", "AUTH-2"),
    judges="An independent tool that generates requests from the document has nothing against the answers.",
    when=checked,
    check=is_none,
    good=(nothing_said, of_what_is_open),
    bad=(took_a_number, refused_what_is_right, other_status, other_shape),
)
