"""The listener: accepts clients, and on SIGTERM drains before it ends."""

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate

from uvicorn import Config

from kiro2api.errors import SetupError
from kiro2api.server.connection import EdgeState, GatewayProtocol
from kiro2api.server.exchange import Application
from kiro2api.server.limits import EdgeLimits

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_BACKLOG = 2048
_TICK_S = 0.5
_DRAIN_TICK_S = 0.05
# What the app gets to write its last words after the drain limit, and sockets to take them.
_GRACE_S = 5.0
_DEFAULT_LIMITS = EdgeLimits()


class GatewayServer:
    """Listens, keeps the connections' time, and drains; lives as long as the listener.

    While it drains it goes on to accept connections and requests, so that the app can tell probes
    and clients that it is going away; every answer ends its connection.
    """

    def __init__(self, app: Application, limits: EdgeLimits = _DEFAULT_LIMITS) -> None:
        self._config = Config(
            app,
            http=GatewayProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._config.load()
        self._state = EdgeState(limits)
        self._loop = asyncio.get_running_loop()
        self._listener: asyncio.Server | None = None
        self._stopping = asyncio.Event()
        self._hurried = False

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Open the listener and return its host and port, a free one when `port` is 0.

        Raises:
            SetupError: the address cannot be had.
        """
        self._tick()
        try:
            self._listener = await self._loop.create_server(
                self._connection, host or None, port, backlog=_BACKLOG
            )
        except (OSError, OverflowError) as error:
            raise SetupError(
                f"Cannot listen on {host or '*'}:{port} ({error}). Choose another HOST or PORT, "
                "or stop the program that uses it."
            ) from None
        address = self._listener.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    def stop(self) -> None:
        """Begin to drain; the second time, do not wait for the drain limit."""
        self._hurried = self._stopping.is_set()
        self._stopping.set()

    async def serve_until_stopped(self) -> None:
        """Return when `stop` has been called; connections are kept in time until then."""
        while not self._stopping.is_set():
            self._tick()
            try:
                async with asyncio.timeout(_TICK_S):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    async def drain(
        self, timeout_s: float, on_drain_limit: Callable[[], Awaitable[object]]
    ) -> None:
        """Let what is under way end, then close everything.

        After `timeout_s` `on_drain_limit` is awaited once, to end what is left in good order.
        """
        self._state.draining = True
        for connection in list(self._state.connections):
            if isinstance(connection, GatewayProtocol):
                connection.close_after_answer()
        await self._wait(timeout_s, lambda: not self._state.tasks or self._hurried)
        if self._state.tasks:
            try:
                async with asyncio.timeout(_GRACE_S):
                    await on_drain_limit()
            except TimeoutError:
                pass
            await self._wait(_GRACE_S, lambda: not self._state.tasks)
        await self.close()

    async def close(self) -> None:
        """Close the listener and every connection, and end what still runs."""
        if self._listener is not None:
            self._listener.close()
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            if isinstance(connection, GatewayProtocol):
                connection.close()
        await self._wait(_GRACE_S, lambda: not self._state.connections)
        for connection in list(self._state.connections):
            if isinstance(connection, GatewayProtocol):
                connection.abort()
        await self._wait(_GRACE_S, lambda: not self._state.tasks)

    async def _wait(self, limit_s: float, done: Callable[[], bool]) -> None:
        limit = self._loop.time() + limit_s
        while not done() and self._loop.time() < limit:
            self._tick()
            await asyncio.sleep(_DRAIN_TICK_S)

    def _connection(self) -> GatewayProtocol:
        return GatewayProtocol(config=self._config, server_state=self._state, app_state={})

    def _tick(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        now = self._loop.time()
        for connection in list(self._state.connections):
            if isinstance(connection, GatewayProtocol):
                connection.check_time(now)


async def serve(
    app: Application,
    *,
    host: str,
    port: int,
    drain_timeout_s: float,
    on_started: Callable[[str, int], None],
    on_draining: Callable[[], None],
    on_drain_limit: Callable[[], Awaitable[object]],
    limits: EdgeLimits = _DEFAULT_LIMITS,
) -> None:
    """Serve `app` until SIGTERM or SIGINT, then drain and return.

    `on_started(host, port)` is called when the listener is open, `on_draining` at the first signal,
    before anything else, `on_drain_limit` is awaited when `drain_timeout_s` has passed, or a second
    signal come, with requests still under way.

    Raises:
        SetupError: the address cannot be had.
    """
    server = GatewayServer(app, limits)
    address = await server.listen(host, port)
    try:
        with _signals(server.stop):
            on_started(*address)
            await server.serve_until_stopped()
            on_draining()
            await server.drain(drain_timeout_s, on_drain_limit)
    finally:
        await server.close()


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    # Only the main thread may have them; elsewhere, in tests, nobody sends any.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
