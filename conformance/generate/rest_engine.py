"""Walks from operation to operation, driven by schemathesis' engine along the links of the OpenAPI document.

With `rest.py` and `rest_request.py` this is all that knows that library's REST side. The engine believes that it speaks
to an application in its own process; what it asks there is handed out, to be sent by whoever can, and the answer is
handed back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.contract.load import contracts_dir
from conformance.generate.rest import Complaint, said
from conformance.generate.rest_request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from conformance.timeline import Exchange

BASE_PATH = "/api/v1"
"""The document's own: a target's may be another, which is the sender's business."""
TOKEN = "good"  # noqa: S105 - stands for the user's, which the library never sees
SILENT = 503
"""What the engine is told when no answer came; nothing that it says of that is kept."""
NOT_OURS = frozenset(
    {"host", "user-agent", "authorization", "cookie", "content-length", "connection", "accept-encoding"}
)
CASE = "x-schemathesis-testcaseid"
UNWANTED = ("max_response_time",)


@dataclass(frozen=True, slots=True)
class Against:
    """A complaint and the exchange that it is about."""

    exchange: int
    complaint: Complaint


@dataclass
class Walks:
    """Walks over some operations; one after the other, the same for the same seed and the same answers."""

    operations: Collection[str]
    seed: int
    count: int
    send: Callable[[Request, str], Exchange]
    """Sends a request with a kind of credential: good, none, or wrong."""
    is_over: Callable[[], bool]

    def complaints(self) -> Iterator[Against]:
        """Walks, and gives what the engine's checks have against the answers."""
        from schemathesis import engine  # noqa: PLC0415 - slow, and most runs do without
        from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished  # noqa: PLC0415

        sent: dict[str, Exchange] = {}
        stream = engine.from_schema(self._schema(sent)).execute()
        for event in stream:
            if self.is_over():
                stream.stop()
            if isinstance(event, ScenarioFinished):
                yield from _against(event.recorder.checks, sent)
            elif isinstance(event, NonFatalError):
                raise event.value
            elif isinstance(event, FatalError):
                raise event.exception

    def _schema(self, sent: dict[str, Exchange]) -> Any:
        import schemathesis  # noqa: PLC0415
        from schemathesis.config import SchemathesisConfig  # noqa: PLC0415

        schema: Any = schemathesis.openapi.from_path(
            contracts_dir() / "openapi.yaml", config=SchemathesisConfig(seed=self.seed)
        )
        schema = schema.include(operation_id=list(self.operations))
        schema.app = self._application(sent)
        schema.config.update(headers={"Authorization": f"Bearer {TOKEN}"}, workers=1, continue_on_failure=True)
        schema.config.phases.update(phases=["stateful"])
        schema.config.generation.update(max_examples=self.count, database="none", no_shrink=True)
        schema.config.checks.update(excluded_check_names=list(UNWANTED))
        return schema

    def _application(self, sent: dict[str, Exchange]) -> Any:
        async def application(scope: Mapping[str, Any], receive: Any, give: Any) -> None:
            if scope["type"] != "http":
                raise NotImplementedError  # there is nothing to start and nothing to end
            message = await receive()
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            request = _request(scope, headers, message.get("body") or None)
            answer = None if self.is_over() else self.send(request, _credential(headers))
            if answer is None or not answer.status or answer.failure:
                await give({"type": "http.response.start", "status": SILENT, "headers": []})
                await give({"type": "http.response.body", "body": b""})
                return
            sent[headers.get(CASE, "")] = answer
            told = [(n.encode(), v.encode()) for n, v in answer.headers.items() if n != "content-length"]
            await give({"type": "http.response.start", "status": answer.status, "headers": told})
            await give({"type": "http.response.body", "body": answer.text.encode()})

        return application


def _against(checks: Mapping[str, Any], sent: Mapping[str, Exchange]) -> Iterator[Against]:
    for case, nodes in checks.items():
        for node in nodes:
            if node.failure_info is not None and case in sent:
                yield Against(sent[case].seq, Complaint(node.name, said(node.failure_info.failure)))


def _credential(headers: Mapping[str, str]) -> str:
    shown = headers.get("authorization")
    if shown is None:
        return "none"
    return "good" if shown == f"Bearer {TOKEN}" else "wrong"


def _request(scope: Mapping[str, Any], headers: Mapping[str, str], data: bytes | None) -> Request:
    search = scope["query_string"].decode("latin-1")
    path = scope["raw_path"].decode("latin-1").removeprefix(BASE_PATH)
    kept = {n: v for n, v in headers.items() if n not in NOT_OURS and n != CASE}
    return Request(scope["method"], path + (f"?{search}" if search else ""), kept, data)
