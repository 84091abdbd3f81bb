"""Small real servers to be the other end of an upstream call, and a certificate for them."""

import asyncio
import datetime
import ipaddress
import math
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

T = TypeVar("T")
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` on the loop that the program uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


class Peer:
    """A listening server and what it has seen."""

    def __init__(self, scheme: str, port: int) -> None:
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.port = port
        self.connections = 0


@asynccontextmanager
async def peer(script: Script, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Serve each connection with `script`, which may return, raise or be cut off."""
    tasks: set[asyncio.Task[None]] = set()

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0, ssl=tls)
    seen = Peer("https" if tls else "http", server.sockets[0].getsockname()[1])
    try:
        yield seen
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(list(tasks), timeout=5)
        await asyncio.sleep(0)


async def request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return the head and the body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head, await reader.readexactly(length)


def reset(writer: asyncio.StreamWriter) -> None:
    """Drop the connection with a reset."""
    # The transport's own view of the socket has no setsockopt on every loop.
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def answers(*replies: bytes) -> Script:
    """Return a script that answers the requests of each connection in turn, the last for ever."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while True:
            await request(reader)
            writer.write(replies[min(number, len(replies) - 1)])
            number += 1

    return script


def reply(body: bytes = b"hello", status: str = "200 OK", extra: bytes = b"") -> bytes:
    """Return a whole answer."""
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n".encode()
    return head + extra + b"\r\n" + body


class Certificate:
    """A certificate authority and a server certificate for 127.0.0.1, in files."""

    def __init__(self, folder: Path) -> None:
        ca_key = ec.generate_private_key(ec.SECP256R1())
        ca = _certificate("test authority", ca_key, issuer="test authority", signer=ca_key)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate("127.0.0.1", key, issuer="test authority", signer=ca_key)
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self._chain = folder / "server.pem"
        self._chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + leaf.public_bytes(serialization.Encoding.PEM)
        )

    def context(self, *protocols: str) -> ssl.SSLContext:
        """Return a server's context that offers `protocols` by ALPN."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    is_ca = name == issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if not is_ca:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(signer, hashes.SHA256())


class Http2Peer:
    """A server of HTTP/2: answers at once, or holds streams open until told; sees resets.

    Pass `serve` to `peer` with a context that offers "h2".
    """

    def __init__(
        self, *, body: bytes = b"hello", max_streams: int = 100, hold: bool = False
    ) -> None:
        self.resets: list[int] = []
        self.bodies: dict[int, int] = {}
        self.open_streams = 0
        self.most_streams_on_one = 0
        self._body = body
        self._max_streams = max_streams
        self._hold = hold
        self.requests = 0
        self.reset_after = math.inf

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        # A server refuses what comes above its limit before the client can know the limit.
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        connection.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self._max_streams})
        writer.write(connection.data_to_send())
        here: set[int] = set()
        pending: dict[int, tuple[bytes, bool]] = {}

        def flush(stream: int) -> None:
            data, end = pending.get(stream, (b"", False))
            try:
                while data:
                    room = min(
                        connection.local_flow_control_window(stream),
                        connection.max_outbound_frame_size,
                    )
                    if room <= 0:
                        break
                    connection.send_data(stream, data[:room])
                    data = data[room:]
                if end and not data:
                    connection.end_stream(stream)
                    here.discard(stream)
                    end = False
            except (h2.exceptions.StreamClosedError, h2.exceptions.ProtocolError):
                data, end = b"", False
            pending[stream] = (data, end)

        while data := await reader.read(65536):
            for event in connection.receive_data(data):
                self.requests += isinstance(event, h2.events.RequestReceived)
                if self.requests >= self.reset_after:
                    reset(writer)
                    return
                match event:
                    case h2.events.RequestReceived(stream_id=stream) if (
                        len(here) >= self._max_streams
                    ):
                        assert stream is not None
                        connection.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
                    case h2.events.RequestReceived(stream_id=stream):
                        assert stream is not None
                        here.add(stream)
                        self.open_streams += 1
                        self.most_streams_on_one = max(self.most_streams_on_one, len(here))
                        connection.send_headers(stream, [(":status", "200"), ("x-a", "b")])
                        pending[stream] = (self._body, not self._hold)
                    case h2.events.DataReceived(stream_id=stream):
                        assert stream is not None
                        size = event.flow_controlled_length or 0
                        self.bodies[stream] = self.bodies.get(stream, 0) + size
                        connection.acknowledge_received_data(size, stream)
                    case h2.events.StreamReset(stream_id=stream):
                        assert stream is not None
                        self.resets.append(stream)
                        here.discard(stream)
                    case _:
                        pass
            for stream in list(pending):
                flush(stream)
            writer.write(connection.data_to_send())
            await writer.drain()
