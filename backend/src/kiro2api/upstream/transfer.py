"""One upstream response as it arrives: bytes in from libcurl's callbacks, bytes out to one reader."""

import asyncio
import math
from collections.abc import Callable, Mapping

import pycurl

from kiro2api.errors import TransferError
from kiro2api.upstream.easy import HandleKind

_BLANK = frozenset({b"\r\n", b"\n"})


class CurlTransfer:
    """Implements `gateway.ports.Transfer`; made and swept by the client that opened it.

    libcurl's callbacks only append and wake; all that may call libcurl back runs in the reader.
    At most `max_buffered_bytes` and one write of libcurl (16 KiB) wait here: then the transfer is
    paused, and the peer with it, until the reader has come.
    """

    __slots__ = (
        "_buffered_bytes",
        "_chunks",
        "_deadline",
        "_ended",
        "_failure",
        "_head",
        "_head_lines",
        "_headers",
        "_headers_done",
        "_limit_s",
        "_loop",
        "_max_buffered_bytes",
        "_on_end",
        "_paused",
        "_quiet_since",
        "_received",
        "_seen",
        "_waiter",
        "connection",
        "curl",
        "idle_limit_s",
        "kind",
        "multiplexed",
        "origin",
        "repelled",
        "status",
    )

    def __init__(
        self,
        curl: pycurl.Curl,
        kind: HandleKind,
        *,
        limit_s: float,
        max_buffered_bytes: int,
        loop: asyncio.AbstractEventLoop,
        on_end: Callable[["CurlTransfer"], None],
    ) -> None:
        """`limit_s` is the time for the headers, or for all of it when nobody lifts it."""
        self.curl: pycurl.Curl | None = curl
        self.kind = kind
        self.origin = kind.origin
        self.multiplexed = False
        # The local end of the connection that carried the request; None before it was sent.
        self.connection: tuple[object, ...] | None = None
        # True when libcurl wanted to send the request again.
        self.repelled = False
        self.status = 0
        self.idle_limit_s = math.inf
        now = loop.time()
        self._loop = loop
        self._on_end = on_end
        self._limit_s = limit_s
        self._deadline = now + limit_s
        self._max_buffered_bytes = max_buffered_bytes
        self._chunks: list[bytes] = []
        self._buffered_bytes = 0
        self._head_lines: list[bytes] = []
        self._head = b""
        self._headers: Mapping[str, str] | None = None
        self._headers_done = False
        self._paused = False
        self._ended = False
        self._failure: TransferError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._received = 0
        self._seen = 0
        self._quiet_since = now

    # ------------------------------------------------------------------------------ the reader

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer, names in lower case; most answers are never asked for them."""
        if self._headers is None:
            self._headers = _parse_headers(self._head.splitlines()[1:])
        return self._headers

    async def read(self) -> bytes:
        """Return all bytes that have come since the last call; b"" at the end of the body.

        Raises:
            TransferError: the connection broke, or nothing came for `idle_limit_s`.
        """
        while not self._chunks:
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return b""
            if self._paused:
                self._resume()
            else:
                await self._wait()
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._buffered_bytes = 0
        if self._paused:
            self._resume()
        return data

    async def read_all(self, max_bytes: int) -> bytes:
        """Return the rest of the body, cut at `max_bytes`; for error bodies.

        Raises:
            TransferError: as `read`.
        """
        parts: list[bytes] = []
        size = 0
        while size < max_bytes:
            data = await self.read()
            if not data:
                return b"".join(parts)
            parts.append(data)
            size += len(data)
        self.cancel()
        return b"".join(parts)[:max_bytes]

    async def headers_arrived(self) -> None:
        """Return once `status` and `headers` are there.

        Raises:
            TransferError: the time is up, or the connection failed.
        """
        while not self._headers_done:
            if self._failure is not None:
                raise self._failure
            await self._wait()

    def lift_limit(self) -> None:
        """Let the body take any time: only `idle_limit_s` counts from here on."""
        self._deadline = math.inf

    def cancel(self) -> None:
        """Give the transfer up at once; fine after its end and twice."""
        if not self._ended:
            self._chunks = []
            self._buffered_bytes = 0
            self.fail(TransferError(f"{self.origin}: the transfer was cancelled"))

    async def _wait(self) -> None:
        waiter = self._waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _resume(self) -> None:
        self._paused = False
        if self.curl is None:
            return
        try:
            # Calls `on_body` before it returns, and that one may pause again.
            self.curl.pause(pycurl.PAUSE_CONT)
        except pycurl.error:
            self.fail(TransferError(f"{self.origin}: the transfer could not go on"))

    # --------------------------------------------------------------------- libcurl's callbacks

    def on_request(self, *ends: object) -> int:
        """Allow the first request of this transfer and forbid another.

        libcurl repeats a request by itself when a kept-alive connection is reset under it. The
        upstream may have begun to work, so whether to repeat is the retry loop's decision.
        """
        if self.connection is not None:
            self.repelled = True
            return int(pycurl.PREREQFUNC_ABORT)
        self.connection = ends
        return int(pycurl.PREREQFUNC_OK)

    def on_header(self, line: bytes) -> None:
        """Take one line of the head."""
        if self._headers_done:
            return
        if line not in _BLANK:
            self._head_lines.append(line)
            return
        if not self._head_lines:
            return
        version, status = self._head_lines[0].split(None, 2)[:2]
        if self.connection is None or status.startswith(b"1"):
            # What a proxy says before the request, and what is said before the answer.
            self._head_lines = []
            return
        self.status = int(status)
        self.multiplexed = version == b"HTTP/2"
        self._headers_done = True
        # One object for as long as the answer streams, not one for each line.
        self._head = b"".join(self._head_lines)
        self._head_lines = []
        self._received += 1
        self._wake()

    def on_body(self, data: bytes) -> int | None:
        """Take a piece of the body, or leave it with libcurl when too much waits here."""
        if self._buffered_bytes >= self._max_buffered_bytes:
            self._paused = True
            return int(pycurl.WRITEFUNC_PAUSE)
        size = len(data)
        self._chunks.append(data)
        self._buffered_bytes += size
        self._received += size
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        return None

    # -------------------------------------------------------------------------- the client

    @property
    def ended(self) -> bool:
        """True when nothing more will come."""
        return self._ended

    def begin_again(self) -> None:
        """Allow the request once more: the server has said that it did not take it."""
        self.connection = None
        self.repelled = False

    def finish(self) -> None:
        """Note that libcurl has seen the whole answer."""
        if not self._headers_done:
            self.fail(TransferError(f"{self.origin}: the connection was closed without an answer"))
            return
        self._ended = True
        self._wake()

    def fail(self, error: TransferError) -> None:
        """End the transfer with `error`; the reader gets it after the bytes that have come."""
        if self._ended:
            return
        self._ended = True
        self._failure = error
        self._wake()
        self._on_end(self)

    def check_time(self, now: float) -> None:
        """Fail the transfer when its time is up; called for all transfers by one timer."""
        if now >= self._deadline:
            text = f"{self.origin}: no answer within {self._limit_s:g} s"
            self.fail(TransferError(text, timed_out=True))
        elif self._waiter is None or self._received != self._seen:
            self._seen = self._received
            self._quiet_since = now
        elif now - self._quiet_since >= self.idle_limit_s:
            text = f"{self.origin}: nothing came for {self.idle_limit_s:g} s"
            self.fail(TransferError(text, timed_out=True))


def _parse_headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        text = line.decode("latin-1")
        if text[:1] in (" ", "\t"):
            headers[name] = f"{headers.get(name, '')} {text.strip()}"
            continue
        name, _, value = text.partition(":")
        name = name.strip().lower()
        value = value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
