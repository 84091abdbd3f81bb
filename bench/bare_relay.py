"""The second baseline: a bare uvicorn + libcurl relay that passes the same bytes on, unread.

`python -m bench.bare_relay` reads its target from the environment (`RELAY_TARGET`, JSON) and prints
the port it listens on. It is the least that such a program can do: handles are set up once and
reused, sockets go straight into libcurl, a write of the upstream becomes one write to the client.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pycurl

from bench.listen import listen

HEADERS = [(b"content-type", b"application/vnd.amazon.eventstream")]
VERSIONS = {"1.1": pycurl.CURL_HTTP_VERSION_1_1, "2": pycurl.CURL_HTTP_VERSION_2TLS}

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Target(msgspec.Struct):
    """Where every request goes, and with which headers."""

    url: str
    headers: list[str]
    ca_file: str
    version: str


class Pending:
    """One response on its way; lives as long as its request."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.chunks: list[bytes] = []
        self.ended = False
        self._loop = loop
        self._waiter: asyncio.Future[None] | None = None

    def on_body(self, data: bytes) -> None:
        self.chunks.append(data)
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter


class Relay:
    """An ASGI app and the libcurl multi handle behind it; one per process."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._idle: list[pycurl.Curl] = []
        self._pending: dict[pycurl.Curl, Pending] = {}
        self._running = 0
        self._timer: asyncio.TimerHandle | None = None
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_MAXCONNECTS, 1024)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, 100)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Pass one request on and its response back."""
        parts = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        curl = self._idle.pop() if self._idle else self._new_handle()
        pending = self._pending[curl] = Pending(self._loop)
        curl.setopt(pycurl.POSTFIELDS, parts[0] if len(parts) == 1 else b"".join(parts))
        curl.setopt(pycurl.WRITEFUNCTION, pending.on_body)
        self._multi.add_handle(curl)
        # uvicorn's own object, because nothing else tells so cheaply that the client has left.
        cycle: Any = receive.__self__  # type: ignore[attr-defined]
        started = False
        while True:
            if cycle.disconnected:
                self._break_off(curl)
                return
            if pending.chunks:
                data = pending.chunks[0] if len(pending.chunks) == 1 else b"".join(pending.chunks)
                pending.chunks = []
                if not started:
                    started = True
                    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                await send({"type": "http.response.body", "body": data, "more_body": True})
            elif pending.ended:
                break
            else:
                await pending.wait()
        await send({"type": "http.response.body", "body": b""})
        self._idle.append(curl)

    def _break_off(self, curl: pycurl.Curl) -> None:
        if self._pending.pop(curl, None) is not None:
            self._multi.remove_handle(curl)

    def _new_handle(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        curl.setopt(pycurl.URL, self._target.url)
        curl.setopt(pycurl.POST, 1)
        curl.setopt(pycurl.HTTPHEADER, [*self._target.headers, "Expect:"])
        curl.setopt(pycurl.CAINFO, self._target.ca_file)
        curl.setopt(pycurl.HTTP_VERSION, VERSIONS[self._target.version])
        curl.setopt(pycurl.PIPEWAIT, int(self._target.version == "2"))
        curl.setopt(pycurl.PROXY, "")
        curl.setopt(pycurl.NOSIGNAL, 1)
        return curl

    def _on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        if what != pycurl.POLL_REMOVE:
            if what & pycurl.POLL_IN:
                self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
            if what & pycurl.POLL_OUT:
                self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)

    def _on_timer(self, timeout_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if timeout_ms >= 0:
            self._timer = self._loop.call_later(
                timeout_ms / 1000, self._act, pycurl.SOCKET_TIMEOUT, 0
            )

    def _act(self, fd: int, mask: int) -> None:
        _, running = self._multi.socket_action(fd, mask)
        if running < len(self._pending):
            self._loop.call_soon(self._collect)

    def _collect(self) -> None:
        _, succeeded, failed = self._multi.info_read()
        for curl in [*succeeded, *(curl for curl, _, _ in failed)]:
            self._multi.remove_handle(curl)
            pending = self._pending.pop(curl)
            pending.ended = True
            pending.wake()


async def main() -> None:
    """Relay until told to stop."""
    target = msgspec.json.decode(os.environ["RELAY_TARGET"], type=Target)
    await listen(Relay(target))


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
