"""A listener in this process and raw bytes to talk to it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvloop

from kiro2api.server.connection import ClientConnection
from kiro2api.server.limits import EdgeLimits
from kiro2api.server.serve import GatewayServer

T = TypeVar("T")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

DEFAULT = EdgeLimits()
# Short limits where time matters; a test that waits for one overrides it.
QUICK = EdgeLimits(header_s=0.5, body_silence_s=0.5, keep_alive_s=0.5, unread_s=0.5, linger_s=1.0)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the loop that the program uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


class Listening:
    """A server that listens, and its port."""

    def __init__(self, server: GatewayServer, port: int) -> None:
        self.server = server
        self.port = port

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a new connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 24)

    async def say(
        self, data: bytes, *, listen_s: float = 0.2, until: bytes | None = None
    ) -> tuple[bytes, bool]:
        """Return what comes back for `data`, and whether the end was closed.

        It is listened for `listen_s`, or until the answers end with `until`.
        """
        reader, writer = await self.open()
        out = b""
        closed = False
        try:
            writer.write(data)
            async with asyncio.timeout(listen_s):
                while piece := await reader.read(65536):
                    out += piece
                    if until is not None and out.endswith(until):
                        return out, closed
                closed = True
        except TimeoutError:
            pass
        except ConnectionError:
            closed = True
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        return out, closed


@asynccontextmanager
async def listening(app: App, limits: EdgeLimits = DEFAULT) -> AsyncIterator[Listening]:
    """Serve `app` on a free port."""
    server = GatewayServer(app, limits)
    _, port = await server.listen("127.0.0.1", 0)
    serving = asyncio.create_task(server.serve_until_stopped())
    try:
        yield Listening(server, port)
    finally:
        server.stop()
        await serving
        await server.close()


async def whole_body(receive: Receive) -> bytes | None:
    """Return the request's body; None when the client left before its end."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def answer(send: Send, body: bytes, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    """Send a whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Tell what was asked: method, path, size of the body."""
    body = await whole_body(receive)
    if body is not None:
        text = f"{scope['method']} {scope['path']} {len(body)}"
        await answer(send, b"" if scope["method"] == "HEAD" else text.encode())


def connection_of(scope: MutableMapping[str, Any]) -> ClientConnection:
    """Return what the edge tells the app about the connection."""
    connection = scope["extensions"]["kiro2api"]
    assert isinstance(connection, ClientConnection)
    return connection
