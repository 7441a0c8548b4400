"""REST requests on the timeline. Bodies, time and redirects are bounded: whatever comes back is data."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import orjson
from yarl import URL

from conformance import reading
from conformance.rim import as_json
from conformance.timeline import MISSING, VALID, Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.contract import Contract
    from conformance.timeline import Frame
    from conformance.world.recorder import Recorder
    from conformance.world.site import Site

MAX_BODY = 4 * 1024 * 1024
REQUEST_SECONDS = 8.0
PAGE = 100
"""The contract's largest page."""
POLL_SECONDS = 0.05
"""Between two looks at something REST does not announce."""
KEPT = frozenset({"createPreset", "createConstraint"})
CREATED = 201
KEPT_HEADERS = frozenset(
    (
        *("content-type", "content-length", "content-encoding", "www-authenticate", "allow", "location"),
        *("retry-after", "x-request-id", "x-api-version", "date", "server"),
    )
)


def failure_of(error: BaseException) -> str:
    """The word for why there was no response: refused, dns, tls, time-out, broken."""
    match error:
        case aiohttp.ClientConnectorDNSError() | socket.gaierror():
            return "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case TimeoutError():
            return "time-out"
        case aiohttp.ClientConnectorError() | ConnectionRefusedError():
            return "refused"
    return "broken"


def open_session() -> aiohttp.ClientSession:
    """A session for a whole run. It keeps connections for less time than servers do, so none is met half closed."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=64, keepalive_timeout=1.5),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=3.0),
    )


class Rest:
    """A user's REST client."""

    def __init__(self, site: Site, recorder: Recorder, user: str, node: str = "") -> None:
        self._site = site
        self._recorder = recorder
        self.user = user
        self.node = node

    async def get(self, path: str, **options: Any) -> Exchange:
        """GET; options as for `call`."""
        return await self.call("GET", path, **options)

    async def patch(self, path: str, body: Any, **options: Any) -> Exchange:
        """PATCH with a JSON body."""
        return await self.call("PATCH", path, body=body, **options)

    async def post(self, path: str, body: Any = MISSING, **options: Any) -> Exchange:
        """POST, with a JSON body if one is given."""
        return await self.call("POST", path, body=body, **options)

    async def put(self, path: str, body: Any, **options: Any) -> Exchange:
        """PUT with a JSON body."""
        return await self.call("PUT", path, body=body, **options)

    async def delete(self, path: str, **options: Any) -> Exchange:
        """DELETE."""
        return await self.call("DELETE", path, **options)

    async def all_agents(self, **options: Any) -> list[Exchange]:
        """GET /agents, page after page until one is not full (at most 50 pages), or paging is not what it does."""
        pages: list[Exchange] = []
        before: list[Any] = []
        for number in range(50):
            page = await self.get("/agents", query={"limit": str(PAGE), "offset": str(PAGE * number)}, **options)
            pages.append(page)
            rows = reading.rows(page.value) or []
            if len(rows) != PAGE or rows == before:
                break
            before = rows
        return pages

    async def shows(self, agent_id: str, *, status: str = "", beat: Frame | None = None) -> Exchange:
        """GET an agent until it has a status and a heartbeat's metrics, as far as given; gives the last answer."""
        wanted = reading.reported(beat.payload.get("healthMetrics")) if beat else None

        def fits(row: dict[str, Any]) -> bool:
            right_status = not status or reading.status(row) == status
            return right_status and (wanted is None or reading.same_metrics(reading.metrics(row), wanted))

        return await self.until(agent_id, fits)

    async def poll(self, path: str, fits: Callable[[Exchange], bool], within: float = 1.0, **options: Any) -> Exchange:
        """GET again and again until the answer is as wanted, or for a little longer than `within`; gives the last."""
        clock = asyncio.get_running_loop().time
        end = clock() + within + self._site.terms.slack
        while True:
            answer = await self.get(path, **options)
            if clock() > end or fits(answer):
                return answer
            await asyncio.sleep(POLL_SECONDS)

    async def until(self, agent_id: str, fits: Callable[[dict[str, Any]], bool], within: float = 1.0) -> Exchange:
        """GET an agent again and again until it is as wanted, or for a little longer than `within`; gives the last."""
        return await self.poll(f"/agents/{agent_id}", lambda e: fits(reading.one(e.value) or {}), within)

    async def command(self, *targets: str, content: str = "Say hello", **fields: Any) -> str:
        """POST /commands for these agents; gives the id of the command that was made, or an empty string."""
        usual = {"content": content, "type": "NATURAL"} | ({"targetAgents": list(targets)} if targets else {})
        made = await self.post("/commands", usual | fields)
        return reading.command_id(reading.one(made.value)) or ""

    async def until_command(self, command_id: str, *statuses: str, within: float = 1.0) -> Exchange:
        """GET a command again and again until it has one of these statuses; gives the last answer."""
        return await self.poll(
            f"/commands/{command_id}", lambda e: reading.status(reading.one(e.value)) in statuses, within
        )

    async def call(  # noqa: PLR0913 - each is a part of a request
        self,
        method: str,
        path: str,
        *,
        body: Any = MISSING,
        raw: bytes | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        credential: str = VALID,
        bearer: str = "",
        under_base: bool = True,
    ) -> Exchange:
        """One request. `path` is the contract's, below the base path; `raw` is sent as body as it is.

        `bearer` is the vault's name of a token that is shown instead of the user's; say with `credential` what it is.
        """
        site = self._site
        base = site.base_path if under_base else ""
        url = URL(site.origin(self.node) + base + path + (f"?{urlencode(query)}" if query else ""), encoded=True)
        shown = {k.lower(): v for k, v in (headers or {}).items()}
        data = raw
        if body is not MISSING:
            data = orjson.dumps(site.vault.opened(body))
        if data is not None:
            shown.setdefault("content-type", "application/json")
            shown["content-length"] = str(len(data))
        sent = {"Accept-Encoding": "identity", **site.target.headers, **shown}
        if bearer:
            shown["authorization"] = bearer  # its name, on the timeline only: rules tell sessions apart by it
        value = f"Bearer {site.vault.opened(bearer)}" if bearer else site.authorization(credential, self.user)
        if value is not None:
            sent["Authorization"] = value
        facts: dict[str, Any] = {
            "at": self._recorder.now,
            "user": self.user,
            "credential": credential,
            "method": method,
            "path": path,
            "operation": self._operation(site.contract, method, path, under_base=under_base),
            "under_base": under_base,
            "query": dict(query or {}),
            "request_headers": shown,
            "request": body if raw is None else as_json(raw),
            "node": self.node,
        }
        return await self._exchanged(url, data, sent, facts)

    async def exact(
        self, method: str, target: str, *, headers: Mapping[str, str], data: bytes | None, credential: str = VALID
    ) -> Exchange:
        """One request as it was made elsewhere: its target (below the base path) and body go out byte for byte.

        The credential is put in here. Of a query parameter that is said twice the timeline keeps the last.
        """
        site = self._site
        path, _, search = target.partition("?")
        shown = {k.lower(): v for k, v in headers.items()}
        if data is not None:
            shown["content-length"] = str(len(data))
        sent = {"Accept-Encoding": "identity", **site.target.headers, **shown}
        if (value := site.authorization(credential, self.user)) is not None:
            sent["Authorization"] = value
        facts: dict[str, Any] = {
            "at": self._recorder.now,
            "user": self.user,
            "credential": credential,
            "method": method,
            "path": path,
            "operation": self._operation(site.contract, method, path, under_base=True),
            "under_base": True,
            "query": dict(parse_qsl(search, keep_blank_values=True)),
            "request_headers": shown,
            "request": MISSING if data is None else as_json(data),
            "node": self.node,
        }
        return await self._exchanged(
            URL(site.origin(self.node) + site.base_path + target, encoded=True), data, sent, facts
        )

    async def _exchanged(
        self, url: URL, data: bytes | None, sent: Mapping[str, str], facts: dict[str, Any]
    ) -> Exchange:
        """Sends it, and puts it onto the timeline with what came back."""
        method, path = facts["method"], facts["path"]
        try:
            async with self._site.session.request(
                method, url, data=data, headers=sent, allow_redirects=False
            ) as answer:
                facts |= self._sealed(path, await self._read(answer))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            facts |= {"failure": failure_of(error)}
        self._remember(facts)
        return self._recorder.add(Exchange, ended=self._recorder.now, size=len(facts.get("text", "")), **facts)

    def _sealed(self, path: str, facts: dict[str, Any]) -> dict[str, Any]:
        """An answer without the secrets that were given out, in it or before it."""
        vault = self._site.vault
        if path.startswith("/auth/"):
            vault.learn(facts.get("value"))
        text = vault.sealed(facts.get("text", ""))
        if text != facts.get("text", ""):
            facts |= {"text": text, "value": as_json(text.encode())}
        return facts | {"headers": {name: vault.sealed(value) for name, value in facts["headers"].items()}}

    def _remember(self, facts: dict[str, Any]) -> None:
        """Notes what was made and can be deleted, to be removed at the end of the run."""
        written = self._site.written.setdefault(self.user, set())
        if facts["method"] == "POST" and facts["operation"] in KEPT and facts.get("status") == CREATED:
            made = reading.one(facts["value"])
            if isinstance(made, dict) and isinstance(made.get("id"), str):
                written.add(f"{facts['path']}/{made['id']}")
        elif facts["method"] == "DELETE" and facts.get("status") in {204, 404}:
            written.discard(facts["path"])

    @staticmethod
    def _operation(contract: Contract, method: str, path: str, *, under_base: bool) -> str | None:
        return contract.operation(method, path, under_base=under_base)

    @staticmethod
    async def _read(answer: aiohttp.ClientResponse) -> dict[str, Any]:
        headers = {k.lower(): v for k, v in answer.headers.items() if k.lower() in KEPT_HEADERS}
        facts: dict[str, Any] = {"status": answer.status, "headers": headers}
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in answer.content.iter_chunked(65536):
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_BODY:
                    answer.close()
                    return facts | {"failure": "too-large", "text": b"".join(chunks)[:2000].decode("utf-8", "replace")}
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            facts["failure"] = "time-out" if isinstance(error, TimeoutError) else "broken"
        content = b"".join(chunks)
        facts["text"] = content.decode("utf-8", "replace")
        facts["value"] = as_json(content)
        return facts
