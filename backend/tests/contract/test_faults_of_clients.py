"""What clients do wrong: they leave, read slowly, or stop reading (F13, F14)."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulator import RunningEmulator
from tests.support.gateway import KEY, RunningGateway, StartGateway, anthropic_body, chat_body
from tests.support.talk import STREAMS, WAYS, Way, name_of

KIB, MIB = 1024, 1024 * 1024


def request_bytes(way: Way) -> bytes:
    """Return one whole request as it goes over the wire."""
    asked = anthropic_body() if way.dialect == "anthropic" else chat_body()
    body = json.encode(asked | {"stream": way.stream})
    head = f"POST {way.path} HTTP/1.1\r\nhost: gateway\r\nx-api-key: {KEY}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def client(gateway: RunningGateway, way: Way, *, buffer_bytes: int = 0) -> Iterator[socket.socket]:
    """Give the socket of a client that has sent its request and reads nothing by itself."""
    parts = urlsplit(gateway.url)
    assert parts.hostname
    assert parts.port
    with socket.socket() as sock:
        if buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.settimeout(20)
        sock.connect((parts.hostname, parts.port))
        sock.sendall(request_bytes(way))
        yield sock


def in_flight(gateway: RunningGateway) -> int:
    return sum(account["in_flight"] for account in gateway.accounts())


# ---------------------------------------------------------------------------- clients that leave


@pytest.mark.parametrize(
    "behaviour",
    [
        {"fault": "hang"},
        {"scenario": "stall_at_start"},
        {"scenario": "stall_after_text"},
        {"paced": {"events": 10_000, "every_s": 0.02}},
    ],
    ids=["before the head", "before the first event", "in a silence", "while text flows"],
)
@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_the_upstream_is_given_up_as_soon_as_the_client_leaves(
    gateway: RunningGateway, way: Way, behaviour: dict[str, object]
) -> None:
    emulator = gateway.emulator
    emulator.queue(**behaviour)
    with client(gateway, way):
        gateway.wait_for(emulator.generations, "the call")
        gateway.wait_for(lambda: in_flight(gateway) == 1, "one request in flight")
        time.sleep(0.05)
    left_at = time.monotonic()
    gateway.wait_for(lambda: emulator.generations()[0].ended_at_monotonic_s, "its end")
    [record] = emulator.generations()

    assert record.closed_early
    assert record.ended_at_monotonic_s is not None
    assert record.ended_at_monotonic_s - left_at < 1.0
    gateway.wait_for(lambda: in_flight(gateway) == 0, "no request in flight", within_s=1.0)


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_client_that_leaves_is_not_held_against_the_account(
    gateway: RunningGateway, way: Way
) -> None:
    for _ in range(3):
        gateway.emulator.queue(scenario="stall_after_text")
        with client(gateway, way) as sock:
            sock.recv(16)
    gateway.wait_for(lambda: in_flight(gateway) == 0, "no request in flight")
    gateway.emulator.forget_records()
    way.hear(gateway)

    assert [record.account for record in gateway.emulator.generations()] == ["alpha"]
    assert gateway.account("alpha")["standing"] == "ready"


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_the_log_says_that_the_client_left(gateway: RunningGateway, way: Way) -> None:
    before = gateway.lines_until_now()
    gateway.emulator.queue(scenario="stall_after_text")
    with client(gateway, way) as sock:
        sock.recv(16)
    line = gateway.finished(before + 1)[-1]

    assert (line["outcome"], line["partial"]) == ("client_gone", True)


def test_a_client_that_leaves_in_the_middle_of_its_body_costs_nothing(
    gateway: RunningGateway,
) -> None:
    before = gateway.lines_until_now()
    whole = request_bytes(STREAMS[0])
    parts = urlsplit(gateway.url)
    with socket.create_connection((parts.hostname, parts.port)) as sock:
        sock.sendall(whole[:-10])
    line = gateway.finished(before + 1)[-1]

    assert line["outcome"] == "client_gone"
    assert gateway.emulator.generations() == []


# --------------------------------------------------------------------- clients that read slowly


def memory_bytes(gateway: RunningGateway) -> int:
    shown = subprocess.check_output(["ps", "-o", "rss=", "-p", str(gateway.process.pid)])
    return int(shown) * KIB


# More than the sockets on both sides of the gateway hold.
STREAM_BYTES = 16 * MIB
BIG = {"do": "text", "text": "0123456789abcdef" * (4 * KIB), "times": STREAM_BYTES // (64 * KIB)}
SLOW_READERS = 4


def receive_all(sock: socket.socket) -> int:
    """Return how many bytes come until the end of the answer."""
    received, end = 0, b""
    while not end.endswith(b"0\r\n\r\n"):
        data = sock.recv(MIB)
        assert data, "the answer was broken off"
        received += len(data)
        end = (end + data)[-5:]
    return received


def test_slow_readers_pause_the_upstream_and_get_everything(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway(emulator.add_account("a"))
    emulator.queue_stream(BIG, {"do": "tail"}, times=0)
    gateway.wait_until_settled()
    before = memory_bytes(gateway)
    with ExitStack() as stack:
        readers = [
            stack.enter_context(client(gateway, STREAMS[0], buffer_bytes=8 * KIB))
            for _ in range(SLOW_READERS)
        ]
        time.sleep(1.0)
        grown = memory_bytes(gateway) - before
        ended = [record.ended_at_monotonic_s for record in emulator.generations()]
        received = receive_all(readers[0])

    assert ended == [None] * SLOW_READERS, "all was sent to clients that read nothing"
    assert grown < SLOW_READERS * MIB
    assert received > STREAM_BYTES


@pytest.mark.parametrize("way", STREAMS[:1], ids=name_of)
def test_a_reader_that_stops_is_dropped_and_its_upstream_with_it(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    gateway = start_gateway(emulator.add_account("a"), KIRO_CLIENT_STALL_TIMEOUT="0.5")
    emulator.queue_stream(BIG, {"do": "tail"})
    with client(gateway, way, buffer_bytes=8 * KIB):
        emulator.wait_for(lambda: bool(emulator.generations()), what="the call")
        emulator.wait_for(
            lambda: emulator.generations()[0].ended_at_monotonic_s is not None, what="its end"
        )
        [record] = emulator.generations()

        assert record.closed_early
        assert record.sent_bytes < STREAM_BYTES
        gateway.wait_for(lambda: in_flight(gateway) == 0, "no request in flight")
        assert gateway.finished()[0]["outcome"] == "client_gone"
