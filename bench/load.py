"""The load: raw sockets on the event loop, as cheap as a client in Python can be."""

import asyncio
import ssl
import time
from collections.abc import Callable

CHUNKED_END = b"0\r\n\r\n"
WAIT_S = 60.0


def request_bytes(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Return an HTTP/1.1 POST."""
    lines = [f"POST {path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name != "content-type"]
    lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Client(asyncio.Protocol):
    """One connection that asks again as soon as an answer has ended; lives as long as it.

    `reads` counts the pieces in which answers came, `marks` how often `mark` was in them.
    """

    def __init__(self, request: bytes, mark: bytes) -> None:
        self.request = request
        self.mark = mark
        self.left = 0
        self.reads = 0
        self.marks = 0
        self.failure = ""
        self.first_mark_at = 0.0
        self._is_head = True
        self._transport: asyncio.Transport | None = None
        self._on_done: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = transport  # type: ignore[assignment]

    def ask(self, times: int, on_done: Callable[[], None]) -> None:
        """Send the request `times` times, one after the other."""
        self.left = times
        self._on_done = on_done
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count what came, and ask again at the end of an answer."""
        self.reads += 1
        if self._is_head:
            self._is_head = False
            if not data.startswith(b"HTTP/1.1 200"):
                self._fail(data[:1000].decode("utf-8", "replace"))
                return
        if found := data.count(self.mark):
            if not self.marks:
                self.first_mark_at = time.perf_counter()
            self.marks += found
        if data.endswith(CHUNKED_END):
            self.left -= 1
            if self.left > 0:
                self._send()
            else:
                self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note an end that came too early."""
        if self.left > 0:
            self._fail(f"the connection was lost: {exc}")

    def close(self) -> None:
        """Leave, answered or not."""
        self.left = 0
        if self._transport is not None:
            self._transport.abort()

    def _send(self) -> None:
        self._is_head = True
        if self._transport is not None:
            self._transport.write(self.request)

    def _fail(self, why: str) -> None:
        self.failure = why
        self.left = 0
        self._end()

    def _end(self) -> None:
        done, self._on_done = self._on_done, None
        if done is not None:
            done()


class Crowd:
    """Several clients of one port; lives as long as their connections."""

    def __init__(self, clients: list[Client]) -> None:
        self.clients = clients

    @classmethod
    async def connect(
        cls,
        port: int,
        request: bytes,
        mark: bytes,
        *,
        size: int,
        tls: ssl.SSLContext | None = None,
    ) -> "Crowd":
        """Return a crowd whose connections are open."""
        loop = asyncio.get_running_loop()
        clients = []
        for _ in range(size):
            client = Client(request, mark)
            await loop.create_connection(lambda made=client: made, "127.0.0.1", port, ssl=tls)
            clients.append(client)
        return cls(clients)

    async def ask(self, times: int) -> None:
        """Have everybody ask `times` times and return when all answers are there."""
        loop = asyncio.get_running_loop()
        waiting = []
        for client in self.clients:
            done = loop.create_future()
            client.ask(times, lambda done=done: done.done() or done.set_result(None))
            waiting.append(done)
        await asyncio.wait_for(asyncio.gather(*waiting), WAIT_S)
        self.check()

    async def open(self, *, over_s: float) -> None:
        """Have everybody ask once, spread evenly over `over_s`, and do not wait for the ends."""
        for client in self.clients:
            client.ask(1, lambda: None)
            await asyncio.sleep(over_s / len(self.clients))

    async def until_all_have(self, marks: int) -> None:
        """Return when everybody has seen `marks` marks."""
        until = time.monotonic() + WAIT_S
        while any(client.marks < marks for client in self.clients):
            self.check()
            if time.monotonic() > until:
                raise RuntimeError("the streams did not begin in time")
            await asyncio.sleep(0.01)

    @property
    def marks(self) -> int:
        """How many marks all have seen."""
        return sum(client.marks for client in self.clients)

    @property
    def reads(self) -> int:
        """In how many pieces they came."""
        return sum(client.reads for client in self.clients)

    def check(self) -> None:
        """Raise when a client got anything but a good answer."""
        for client in self.clients:
            if client.failure:
                raise RuntimeError(client.failure)

    def close(self) -> None:
        """Leave."""
        for client in self.clients:
            client.close()
