"""Small forward proxies: HTTP (plain and CONNECT) and SOCKS5, that remember what passed."""

import base64
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

WAIT_S = 10.0


class Proxy:
    """A listening proxy; `passed` has a line for each connection or request, in order.

    With `login` (as `user:password`) others are refused.
    """

    def __init__(self, *, login: str = "") -> None:
        self.passed: list[str] = []
        self.refused = 0
        self._login = base64.b64encode(login.encode()).decode() if login else ""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = False

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def accept_forever(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._ended = True
        # Only a connection wakes a thread that waits for one.
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)):
            pass
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        with closing(client):
            client.settimeout(WAIT_S)
            try:
                first = client.recv(1)
                if first == b"\x05":
                    self._serve_socks(client)
                elif first:
                    self._serve_http(client, first)
            except (OSError, struct.error):
                return

    # ------------------------------------------------------------------------------------ HTTP

    def _serve_http(self, client: socket.socket, data: bytes) -> None:
        while True:
            while b"\r\n\r\n" not in data:
                piece = client.recv(65536)
                if not piece:
                    return
                data += piece
            head, _, rest = data.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            login = f"proxy-authorization: Basic {self._login}"
            if self._login and login not in [line.replace("Proxy-A", "proxy-a") for line in lines]:
                self.refused += 1
                client.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"
                )
                return
            self.passed.append(f"{method} {target}")
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                with closing(socket.create_connection((host, int(port)), timeout=WAIT_S)) as server:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    self._splice(client, server)
                return
            data = self._forward(client, target, lines, rest)

    def _forward(self, client: socket.socket, target: str, lines: list[str], rest: bytes) -> bytes:
        """Pass one request on over a connection of its own, and return what follows it."""
        parts = urlsplit(target)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        method = lines[0].split(" ")[0]
        kept = [line for line in lines[1:] if not line.lower().startswith("proxy-")]
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "connection: close"])
        length = next(
            (int(line.split(":")[1]) for line in kept if line.lower().startswith("content-length")),
            0,
        )
        while len(rest) < length:
            rest += client.recv(65536)
        address = (parts.hostname or "", parts.port or 80)
        with closing(socket.create_connection(address, timeout=WAIT_S)) as server:
            server.sendall(head.encode("latin-1") + b"\r\n\r\n" + rest[:length])
            while piece := server.recv(65536):
                client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        return rest[length:]

    # ------------------------------------------------------------------------------------ SOCKS

    def _serve_socks(self, client: socket.socket) -> None:
        client.recv(client.recv(1)[0])
        client.sendall(b"\x05\x00")
        _, _, _, kind = client.recv(4)
        host = socket.inet_ntoa(client.recv(4)) if kind == 1 else self._name(client)
        (port,) = struct.unpack("!H", client.recv(2))
        self.passed.append(f"SOCKS {host}:{port}")
        with closing(socket.create_connection((host, port), timeout=WAIT_S)) as server:
            client.sendall(b"\x05\x00\x00\x01" + bytes(6))
            self._splice(client, server)

    def _name(self, client: socket.socket) -> str:
        return client.recv(client.recv(1)[0]).decode()

    def _splice(self, one: socket.socket, two: socket.socket) -> None:
        """Pass bytes both ways until either side ends."""
        while True:
            ready, _, _ = select.select([one, two], [], [], WAIT_S)
            for source, target in ((one, two), (two, one)):
                if source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    target.sendall(data)


@contextmanager
def run_proxy(*, login: str = "") -> Iterator[Proxy]:
    """Run a proxy in a thread until the block ends."""
    proxy = Proxy(login=login)
    thread = threading.Thread(target=proxy.accept_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join(timeout=WAIT_S)
