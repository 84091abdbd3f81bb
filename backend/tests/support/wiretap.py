"""A TCP relay between a client program and the gateway that keeps what both said."""

import http.client
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import msgspec

from kiro2api.protocol.wire import json
from tests.support.sse import SseEvent, parse_sse


class Exchange(msgspec.Struct, frozen=True):
    """One request and its answer, as they went over the wire; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer_headers: dict[str, str]
    answer: bytes

    @property
    def asked(self) -> Any:
        """The request's JSON."""
        return json.decode(self.body)

    @property
    def is_stream(self) -> bool:
        return self.answer_headers.get("content-type", "").startswith("text/event-stream")

    @property
    def events(self) -> list[SseEvent]:
        return parse_sse(self.answer)


class Wiretap:
    """Relays every connection to one address, byte for byte; lives as long as its block."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[_Connection] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def close(self) -> None:
        """End the listener and what is still open."""
        # A blocked `accept` is not woken by a close, but by a shutdown.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        for connection in self._connections:
            connection.close()

    def exchanges(self) -> list[Exchange]:
        """Return what was said so far; in order within each connection."""
        return [exchange for one in self._connections for exchange in one.exchanges()]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                connection = _Connection(client, self._target)
                # Known before its first byte: whoever has read an answer finds it here.
                self._connections.append(connection)
                connection.start()


class _Connection:
    """One relayed connection and its two threads."""

    def __init__(self, client: socket.socket, target: tuple[str, int]) -> None:
        server = socket.create_connection(target)
        self._sockets = (client, server)
        self._asked, self._answered = bytearray(), bytearray()
        self._threads = [
            threading.Thread(target=_pump, args=(client, server, self._asked)),
            threading.Thread(target=_pump, args=(server, client, self._answered)),
        ]

    def start(self) -> None:
        """Relay until one side is done."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()

    def exchanges(self) -> Iterator[Exchange]:
        asked, answered = io.BytesIO(bytes(self._asked)), _Replay(bytes(self._answered))
        while line := asked.readline():
            method, path, _ = line.decode().split(" ")
            headers = _lower(http.client.parse_headers(asked))
            body = asked.read(int(headers.get("content-length", "0")))
            answer = http.client.HTTPResponse(answered, method=method)  # type: ignore[arg-type]
            answer.begin()
            yield Exchange(
                method,
                path,
                headers,
                body,
                answer.status,
                _lower(answer.headers),
                _read(answer),
            )


def _read(answer: http.client.HTTPResponse) -> bytes:
    """Return the body, or as much of it as a client has read that left at an error."""
    try:
        return answer.read()
    except http.client.IncompleteRead as cut:
        return cut.partial


class _Replay(io.BytesIO):
    """Recorded bytes in the guise of a socket, whose file several answers read one after another."""

    def makefile(self, _mode: str) -> "_Replay":
        return self

    def close(self) -> None:
        """Stay open for the next answer."""


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            kept += data
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _lower(headers: http.client.HTTPMessage) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@contextmanager
def tapped(url: str) -> Iterator[Wiretap]:
    """Stand between a client and the server at `url` until the block ends."""
    parts = urlsplit(url)
    tap = Wiretap((parts.hostname or "", parts.port or 80))
    try:
        yield tap
    finally:
        tap.close()
