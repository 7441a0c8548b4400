"""One socket of the tester's, recorded frame by frame. It answers server PINGs and keeps everything within bounds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from conformance.rim import as_json
from conformance.timeline import MISSING, VALID, Closed, Frame, Opened
from conformance.world.rest import failure_of
from conformance.world.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from websockets.frames import Close

    from conformance.world.recorder import Recorder
    from conformance.world.site import Site

MAX_FRAME = 4 * 1024 * 1024
OPEN_SECONDS = 5.0
CONTRACT_SECONDS = 1.0
"""The bound of most events (STA-4, DIS-1, HB-1)."""


class _Handshake(connect):
    """A handshake that follows no redirect: a backend does not say to whom the target's headers are sent."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The refusal as it is."""
        return exc


class Link:
    """One socket of a case; `World.new_link` makes it."""

    def __init__(self, site: Site, recorder: Recorder, name: str, node: str = "") -> None:
        self._site = site
        self._recorder = recorder
        self.name = name
        self._node = node
        self.status = 0
        self.frames: list[Frame] = []
        self.sums_above: int | None = None
        """Bytes above which a frame is only counted in a note: the timeline has no room for what is poured."""
        self.closed: Closed | None = None
        self._socket: Wire | None = None
        self.is_silent = False
        """Whether its peer answers nothing any more."""
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._count = 0

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""
        return self.is_there and not self.is_silent

    @property
    def is_there(self) -> bool:
        """Whether nobody has ended it, though its peer may have fallen silent."""
        return self._socket is not None and self.closed is None

    async def open(  # noqa: PLR0913 - each is a part of a handshake
        self,
        *,
        user: str,
        channel: str,
        role: str,
        credential: str = VALID,
        in_query: bool = True,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> None:
        """The handshake; a refusal is recorded, not raised."""
        site = self._site
        value = token if token is not None else site.keyring.credential(credential, user)
        asked = dict(query or {})
        sent = {**site.target.headers, **(headers or {})}
        if value is not None and in_query:
            asked["token"] = value
        elif value is not None:
            sent["Authorization"] = f"Bearer {value}".rstrip()
        url = (
            site.origin(self._node).replace("http", "ws", 1)
            + site.sockets[channel]
            + (f"?{urlencode(asked)}" if asked else "")
        )
        at, failure = self._recorder.now, ""
        try:
            socket = await _Handshake(
                url,
                create_connection=Wire,
                additional_headers=sent,
                compression=None,
                max_size=MAX_FRAME,
                max_queue=1024,
                open_timeout=OPEN_SECONDS,
                close_timeout=1.0,
                ping_interval=None,
                proxy=None,
                user_agent_header="onsembl-conformance",
            )
            assert isinstance(socket, Wire)  # noqa: S101 - asked for above
            self._socket = socket
            self.status = 101
        except InvalidStatus as refusal:
            self.status = refusal.response.status_code
        except (InvalidHandshake, OSError, TimeoutError, ValueError) as error:
            failure = failure_of(error)
        self._recorder.add(
            Opened,
            at=at,
            connection=self.name,
            user=user,
            credential=credential,
            channel=channel,
            role=role,
            status=self.status,
            query=dict(query or {}),
            failure=failure,
            node=self._node,
        )
        if self._socket is not None:
            self._reader = asyncio.create_task(self._read(self._socket), name=f"read {self.name}")

    async def _read(self, ws: Wire) -> None:
        try:
            while not self._recorder.full:
                self._take(await ws.recv())
            self._recorder.note("flood", connection=self.name)
            await ws.close()
        except ConnectionClosed as end:
            self._ended(end)
        finally:
            self._news.set()

    def _ended(self, end: ConnectionClosed) -> None:
        by_backend = end.sent is None or bool(end.rcvd_then_sent)
        close = end.rcvd if by_backend else end.sent
        if self.closed is None:
            self._close(
                "backend" if by_backend else "tester", close.code if close else None, close.reason if close else ""
            )

    def _close(self, by: str, code: int | None, reason: str = "") -> None:
        """Records the end: when the tester begins it, for the backend may act on it before it answers."""
        self.closed = self._recorder.add(Closed, connection=self.name, by=by, code=code, reason=reason)

    def _take(self, data: str | bytes) -> None:
        value: Any = MISSING
        text = binary = None
        if self.sums_above is not None and len(data) > self.sums_above:
            self._recorder.note("large", connection=self.name, bytes=len(data))
            return
        if isinstance(data, str):
            text = data
            value = as_json(data)
        else:
            binary = data[:1000]
        frames = self._recorder.received(connection=self.name, text=text, binary=binary, value=value, size=len(data))
        self.frames += frames
        self._news.set()
        for frame in frames:
            if frame.type == "PING" and not self.is_silent:
                echo = {k: frame.payload[k] for k in ("timestamp", "sequence") if k in frame.payload}
                self._pong = asyncio.create_task(self.send("PONG", echo))

    async def send(self, kind: str, payload: Any = None, **envelope: Any) -> Frame:
        """A message. Envelope fields given replace the usual ones; `...` leaves one out."""
        message = {k: v for k, v in (self._message(kind, payload) | envelope).items() if v is not ...}
        return await self.send_text(orjson.dumps(message).decode(), value=message)

    def _message(self, kind: str, payload: Any) -> dict[str, Any]:
        """A message with an id of its own and the time of now."""
        self._count += 1
        return {
            "type": kind,
            "id": f"{self.name}.{self._count}",
            "timestamp": _now(),
            "payload": {} if payload is None else payload,
        }

    async def send_text(self, text: str, value: Any = MISSING) -> Frame:
        """A text frame as it is; `value` is the JSON it holds, if it holds one."""
        frame = self._sent(text, value)
        await self._write(text)
        return frame

    def _sent(self, text: str, value: Any) -> Frame:
        """A text frame of ours on the timeline, which keeps so much of it."""
        return self._recorder.add(
            Frame, connection=self.name, direction="to_server", text=text[:2000], value=value, size=min(len(text), 2000)
        )

    async def send_all(self, kind: str, payloads: Iterable[Any]) -> list[Frame]:
        """Messages of one type, which leave in one go."""
        messages = [self._message(kind, payload) for payload in payloads]
        texts = [orjson.dumps(message).decode() for message in messages]
        frames = [self._sent(text, message) for text, message in zip(texts, messages, strict=True)]
        if self._socket is not None and texts:
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                async with asyncio.timeout(OPEN_SECONDS):
                    await self._socket.send_all(texts)
        return frames

    async def send_binary(self, data: bytes) -> Frame:
        """A binary frame."""
        frame = self._recorder.add(Frame, connection=self.name, direction="to_server", binary=data[:1000])
        await self._write(data)
        return frame

    async def _write(self, data: str | bytes) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(OPEN_SECONDS):
                await self._socket.send(data)

    async def until(
        self,
        *kinds: str,
        since: int = -1,
        within: float = CONTRACT_SECONDS,
        where: Callable[[Frame], bool] | None = None,
        expected: bool = True,
    ) -> Frame | None:
        """The first frame of these kinds after an event's `seq`; None when none comes in time or the socket ends.

        It looks on a little longer than `within`, so that late can be told from never; not so for what need not come.
        """

        def fits(frame: Frame) -> bool:
            return frame.seq > since and (not kinds or frame.kind in kinds) and (where is None or where(frame))

        patience = within + self._site.terms.slack + 0.3 if expected else within
        found = await self._first(fits, patience)
        if found is None and expected:
            self._recorder.note(
                "unmet", connection=self.name, waited_for=" or ".join(kinds) or "an answer", seconds=patience
            )
        return found

    async def _first(self, fits: Callable[[Frame], bool], patience: float) -> Frame | None:
        seen = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while True:
                    while seen < len(self.frames):
                        seen += 1
                        if fits(self.frames[seen - 1]):
                            return self.frames[seen - 1]
                    if not self.is_open:
                        return None
                    self._news.clear()
                    await self._news.wait()
        return None

    async def answer(
        self, sent: Frame, *kinds: str, within: float = CONTRACT_SECONDS, expected: bool = True
    ) -> Frame | None:
        """The answer to a message: of these kinds, or ACK/ERROR that names it."""

        def answers(frame: Frame) -> bool:
            if frame.kind in kinds:
                return True
            named = frame.payload.get("messageId", frame.payload.get("originalMessageId"))
            return frame.kind in {"ACK", "ERROR"} and (sent.id is None or named in {sent.id, None})

        return await self.until(since=sent.seq, within=within, where=answers, expected=expected)

    async def answers(self, sent: Sequence[Frame], *kinds: str, within: float) -> None:
        """Waits until as many answers came as messages were sent, for so long at most: nothing is missed.

        What is of these kinds answers one, and so does each ACK or ERROR.
        """
        wanted = {"ACK", "ERROR", *kinds}
        left = len(sent)

        def is_last(frame: Frame) -> bool:
            nonlocal left
            left -= frame.seq > sent[0].seq and frame.kind in wanted
            return left == 0

        if sent:
            await self._first(is_last, within + self._site.terms.slack)

    async def ask(self, kind: str, payload: Any = None, *, within: float = 2.0, **envelope: Any) -> Frame:
        """A message that is answered by ACK or ERROR; waits for that. Gives what was sent."""
        sent = await self.send(kind, payload, **envelope)
        await self.answer(sent, within=within)
        return sent

    async def ended(self, within: float) -> Closed | None:
        """The end of the socket, if it comes in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within + self._site.terms.slack):
                while self.is_there:
                    self._news.clear()
                    await self._news.wait()
        return self.closed

    async def fence(self) -> None:
        """Waits until everything sent before on this socket has been dealt with: a PING and whatever answers it."""
        if not self.is_open or not self._site.answers_ping:
            return
        number = self._count + 1
        ping = await self.send("PING", {"timestamp": _now(), "sequence": number})
        await self.answer(ping, "PONG", within=2.0, expected=False)

    async def outcome(self, sent: Frame, *kinds: str, within: float = CONTRACT_SECONDS) -> None:
        """Waits for these kinds, an ERROR or the end of the socket, where each of them is right: nothing is missed."""
        wanted = {"ERROR", *kinds}
        await self._first(lambda f: f.seq > sent.seq and f.kind in wanted, within + self._site.terms.slack + 0.3)

    async def keep_sending(self, kind: str, payload: Any, *, per_second: float, seconds: float) -> None:
        """The same message again and again at an even pace, as long as the socket is open."""
        clock = asyncio.get_running_loop().time
        start = clock()
        sent = 0
        while self.is_open and (passed := clock() - start) < seconds:
            while sent <= passed * per_second:
                await self.send(kind, payload)
                sent += 1
            await asyncio.sleep(0.01)

    async def close(self, code: int = 1000) -> None:
        """A clean end."""
        if self._socket is not None and self.closed is None:
            self._close("tester", code)
            await self._socket.close(code)
        await self._finish()

    async def drop(self) -> None:
        """A cut without a handshake, as a crashed process leaves it."""
        if self._socket is not None:
            if self.closed is None:
                self._close("fault", None)
            self._socket.transport.abort()
        await self._finish()

    async def reset(self) -> None:
        """A cut by RST, as a host leaves it that knows nothing of the connection any more."""
        if self._socket is not None and self.closed is None:
            self._close("fault", None)
            self._socket.reset()
        await self._finish()

    async def cut(self) -> None:
        """A cut in the middle of a frame: half of a message is never a message."""
        if self._socket is not None and self.closed is None:
            half = {"type": "PING", "id": f"{self.name}.half", "timestamp": 0, "payload": {"timestamp": 0}}
            self._recorder.note("half-a-frame", connection=self.name)
            self._close("fault", None)
            self._socket.cut(orjson.dumps(half).decode())
        await self._finish()

    def fall_silent(self) -> None:
        """From now on the peer answers nothing, says nothing and ends nothing: the line stands half open."""
        if self._socket is not None and self.is_open:
            self.is_silent = True
            self._recorder.note("half-open", connection=self.name)
            self._socket.fall_silent(self._told_to_end)

    def _told_to_end(self, close: Close | None) -> None:
        if self.closed is None:
            self._close("backend", close.code if close else None, close.reason if close else "")
        self._news.set()

    async def send_late(self, kind: str, payload: Any) -> bool:
        """What a silent peer had still to say, whatever has become of its connection; says whether it left."""
        if self._socket is None:
            return False
        message = self._message(kind, payload)
        text = orjson.dumps(message).decode()
        if left := self._socket.write_past(text):
            self._sent(text, message)
        return left

    def stall(self, seconds: float) -> None:
        """Reads nothing for so long; no rule asks this connection from then on."""
        if self._socket is not None and self.is_open:
            self._recorder.note("stalled", connection=self.name, seconds=seconds)
            self._socket.stall(seconds)

    async def _finish(self) -> None:
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=2.0)
            self._reader.cancel()


def _now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)
