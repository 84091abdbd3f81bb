"""The listener: opening, the date, draining on signals."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from kiro2api.errors import SetupError
from kiro2api.server.limits import EdgeLimits
from kiro2api.server.serve import GatewayServer, serve
from tests.server.listening import Listening, Receive, Send, answer, echo, listening, run

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"

# Answers at once, or streams a line each 0.1 s until it is told that the time is up.
PROGRAM = """
import asyncio, sys, uvloop
from kiro2api.server.serve import serve

draining, limit = asyncio.Event(), asyncio.Event()

async def app(scope, receive, send):
    if scope["path"] != "/stream":
        body = b"draining" if draining.is_set() else b"ready"
        start = {"type": "http.response.start", "status": 200}
        await send({**start, "headers": [(b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for number in range(int(scope["query_string"])):
        if limit.is_set():
            await send({"type": "http.response.body", "body": b"error event"})
            return
        await send({"type": "http.response.body", "body": b"line", "more_body": True})
        await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": b"whole"})

async def on_drain_limit():
    limit.set()

async def main():
    await serve(app, host="127.0.0.1", port=0, drain_timeout_s=float(sys.argv[1]),
                on_started=lambda host, port: print(port, flush=True),
                on_draining=draining.set, on_drain_limit=on_drain_limit)

uvloop.run(main())
"""


class Program:
    """A process that serves, and a way to ask it."""

    def __init__(self, drain_timeout_s: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(drain_timeout_s)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def ask(self, path: str) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        return connection

    def answer_to(self, path: str) -> bytes:
        with self.ask(path) as connection:
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def ended(self, within_s: float) -> tuple[int, bytes]:
        _, errors = self.process.communicate(timeout=within_s)
        return self.process.returncode, errors


@contextmanager
def program(drain_timeout_s: float) -> Iterator[Program]:
    running = Program(drain_timeout_s)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()


def all_of(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_program_ends_at_once_with_zero(number: signal.Signals) -> None:
    with program(30) as running:
        idle = running.ask("/a")
        while not idle.recv(4096).endswith(b"ready"):
            pass
        running.process.send_signal(number)
        began = time.monotonic()

        assert running.ended(5) == (0, b"")
        assert time.monotonic() - began < 2
        assert all_of(idle) == b""


def test_streams_run_to_their_end_and_probes_are_answered_meanwhile() -> None:
    with program(30) as running:
        stream = running.ask("/stream?12")
        stream.recv(4096)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        probe = running.answer_to("/ready")

        assert probe.endswith(b"draining")
        assert b"connection: close" in probe
        assert b"whole" in all_of(stream)
        assert running.ended(5) == (0, b"")


def test_after_the_drain_limit_streams_get_their_last_words() -> None:
    with program(0.5) as running:
        stream = running.ask("/stream?1000")
        stream.recv(4096)
        running.process.send_signal(signal.SIGTERM)

        assert all_of(stream).endswith(b"error event\r\n0\r\n\r\n")
        assert running.ended(5) == (0, b"")


def test_a_second_signal_does_not_wait_for_the_drain_limit() -> None:
    with program(1000) as running:
        stream = running.ask("/stream?1000")
        stream.recv(4096)
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        running.process.send_signal(signal.SIGINT)

        assert all_of(stream).endswith(b"error event\r\n0\r\n\r\n")
        assert running.ended(5) == (0, b"")


def test_what_ignores_the_drain_limit_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kiro2api.server.serve._GRACE_S", 0.3)

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(1000)

    async def work() -> float:
        server = GatewayServer(app)
        _, port = await server.listen("127.0.0.1", 0)
        listener = Listening(server, port)
        reader, writer = await listener.open()
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await server.drain(0.1, lambda: asyncio.sleep(1000))
        took_s = loop.time() - began
        writer.close()
        return took_s

    assert run(work()) < 3


def test_a_request_on_a_kept_connection_is_its_last_while_draining() -> None:
    async def work() -> tuple[bytes, bytes]:
        release = asyncio.Event()

        async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            if scope["path"] == "/hold":
                await release.wait()
            await answer(send, b"done")

        async with listening(app) as server:
            held_reader, held_writer = await server.open()
            held_writer.write(b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\n")
            kept_reader, kept_writer = await server.open()
            kept_writer.write(GET)
            await kept_reader.readuntil(b"done")
            draining = asyncio.create_task(server.server.drain(30, lambda: asyncio.sleep(0)))
            await asyncio.sleep(0.1)
            kept_writer.write(GET)
            kept = await asyncio.wait_for(kept_reader.read(), 5)
            release.set()
            held = await asyncio.wait_for(held_reader.read(), 5)
            await draining
            held_writer.close()
            kept_writer.close()
            return kept, held

    for out in run(work()):
        assert b"connection: close" in out
        assert out.endswith(b"done")


def test_the_date_of_answers_moves() -> None:
    async def work() -> float:
        async with listening(echo) as server:
            dates = []
            for wait_s in (1.8, 0):
                out, _ = await server.say(GET, listen_s=0.1)
                line = next(line for line in out.split(b"\r\n") if line.startswith(b"date: "))
                dates.append(parsedate_to_datetime(line[6:].decode()))
                await asyncio.sleep(wait_s)
            return (dates[1] - dates[0]).total_seconds()

    assert run(work()) >= 1


def test_an_address_in_use_is_told_in_one_sentence() -> None:
    async def work() -> str:
        async with listening(echo) as server:
            with pytest.raises(SetupError) as caught:
                await GatewayServer(echo).listen("127.0.0.1", server.port)
            return str(caught.value)

    message = run(work())
    assert "Cannot listen on 127.0.0.1:" in message
    assert "\n" not in message


def test_ipv6_is_listened_on_where_there_is_any() -> None:
    async def work() -> str:
        server = GatewayServer(echo)
        try:
            host, _ = await server.listen("::1", 0)
        except SetupError:
            # No IPv6 here: then the reason is told, as above.
            return "::1"
        finally:
            await server.close()
        return host

    assert run(work()) == "::1"


def test_serving_tells_the_address_and_ends_when_told() -> None:
    told: list[object] = []

    async def work() -> None:
        def on_started(host: str, port: int) -> None:
            told.append(host)
            with socket.create_connection((host, port), timeout=5):
                told.append("connected")
            os.kill(os.getpid(), signal.SIGTERM)

        await serve(
            echo,
            host="127.0.0.1",
            port=0,
            drain_timeout_s=5,
            on_started=on_started,
            on_draining=lambda: told.append("draining"),
            on_drain_limit=lambda: asyncio.sleep(0),
            limits=EdgeLimits(),
        )
        told.append("ended")

    run(work())

    assert told == ["127.0.0.1", "connected", "draining", "ended"]
