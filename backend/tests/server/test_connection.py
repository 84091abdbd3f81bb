"""One client connection: limits, time-outs, bytes that are no request, clients that leave."""

import asyncio
import re
import socket
from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest

from kiro2api.protocol.wire import json
from kiro2api.server.connection import EdgeTransport
from kiro2api.server.limits import EdgeLimits
from tests.server.listening import (
    DEFAULT,
    QUICK,
    Receive,
    Send,
    answer,
    connection_of,
    echo,
    listening,
    run,
    whole_body,
)

GET = b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n"


def said(
    data: bytes,
    *,
    listen_s: float = 0.2,
    until: bytes | None = None,
    limits: EdgeLimits = DEFAULT,
) -> tuple[bytes, bool]:
    async def work() -> tuple[bytes, bool]:
        async with listening(echo, limits) as server:
            return await server.say(data, listen_s=listen_s, until=until)

    return run(work())


def post(body: bytes, *headers: bytes, path: bytes = b"/b") -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return b"POST %s HTTP/1.1\r\nhost: x\r\n%s\r\n%s" % (path, lines, body)


def bodies(data: bytes) -> list[bytes]:
    """Return the bodies of the answers in `data`, all of known length."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        size = int(length[1])
        found.append(data[:size])
        data = data[size:]
    return found


def refusal(data: bytes) -> tuple[int, str]:
    """Return status and message of a refusal, checked to be one JSON error and a close."""
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    assert b"content-type: application/json" in head
    assert b"content-length: %d" % len(body) in head
    error = json.decode(body)
    assert error["type"] == "error"
    assert error["error"]["type"] == "invalid_request_error"
    return int(head.split()[1]), error["error"]["message"]


# ------------------------------------------------------------------------------------- requests


def test_a_connection_serves_one_request_after_another() -> None:
    out, closed = said(GET + post(b"abc", b"content-length: 3") + GET)

    assert bodies(out) == [b"GET /a 0", b"POST /b 3", b"GET /a 0"]
    assert not closed


def test_thousands_of_requests_pass_through_one_connection() -> None:
    async def work() -> int:
        async with listening(echo) as server:
            reader, writer = await server.open()
            answered = 0
            for _ in range(50):
                writer.write(GET * 100)
                for _ in range(100):
                    await reader.readuntil(b"GET /a 0")
                    answered += 1
            writer.close()
            await writer.wait_closed()
            return answered

    assert run(work()) == 5000


def test_head_is_answered_without_a_body() -> None:
    out, _ = said(b"HEAD /a HTTP/1.1\r\nhost: x\r\n\r\n")

    assert out.startswith(b"HTTP/1.1 200 OK\r\n")
    assert out.endswith(b"\r\n\r\n")


def test_a_client_that_waits_for_100_continue_gets_it() -> None:
    out, _ = said(post(b"", b"content-length: 3", b"expect: 100-continue"))

    assert out == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("size", [100_000, 5_000_000])
def test_big_bodies_arrive_whole_and_the_next_request_too(size: int) -> None:
    out, _ = said(
        post(b"x" * size, b"content-length: %d" % size) + GET, listen_s=5, until=b"GET /a 0"
    )

    assert bodies(out) == [b"POST /b %d" % size, b"GET /a 0"]


def test_an_offer_of_http2_does_not_cost_the_body() -> None:
    offer = (b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAMAAA")
    out, closed = said(post(b"abc", *offer, b"content-length: 3") * 3 + GET)

    assert bodies(out) == [b"POST /b 3"] * 3 + [b"GET /a 0"]
    assert not closed


def test_an_offer_beside_a_close_still_closes() -> None:
    out, closed = said(
        post(b"abc", b"connection: close, upgrade", b"upgrade: h2c", b"content-length: 3")
    )

    assert bodies(out) == [b"POST /b 3"]
    assert closed


def test_small_writes_leave_at_once() -> None:
    seen = []

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        protocol = connection_of(scope)._protocol
        sock = protocol.transport.get_extra_info("socket")
        seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await answer(send, b"")

    async def work() -> None:
        async with listening(app) as server:
            await server.say(GET)

    run(work())

    assert seen != [0]


# --------------------------------------------------------------------- bytes that are no request


@pytest.mark.parametrize(
    "data",
    [
        post(b"abc", b"content-length: 3", b"content-length: 3"),
        post(b"abc", b"content-length: 3", b"content-length: 4"),
        post(b"0\r\n\r\n", b"content-length: 5", b"transfer-encoding: chunked"),
        post(b"0\r\n\r\n", b"transfer-encoding: chunked", b"content-length: 5"),
        post(b"0\r\n\r\n", b"transfer-encoding: xchunked"),
        post(b"0\r\n\r\n", b"transfer-encoding: chunked", b"transfer-encoding: identity"),
        post(b"abc", b"content-length: +3"),
        post(b"abc", b"content-length: 3, 3"),
        post(b"abc", b"content-length: -1"),
        post(b"abc", b"content-length: 99999999999999999999999"),
        post(b"ZZ\r\n\r\n", b"transfer-encoding: chunked"),
        post(b"3\r\nabcXX0\r\n\r\n", b"transfer-encoding: chunked"),
        post(b"3;a\nb\r\nabc\r\n0\r\n\r\n", b"transfer-encoding: chunked"),
        b"GET /a HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\ra: b\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost : x\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\na: b\0c\r\n\r\n",
        b"GET /a HTTP/1.1\nhost: x\n\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT a.example:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\nnonsense\r\n\r\n",
    ],
)
def test_what_is_no_request_is_400_and_a_close(data: bytes) -> None:
    out, closed = said(data + GET)

    assert refusal(out) == (400, "The request is not valid HTTP.")
    assert closed


def test_nonsense_behind_a_request_does_not_disturb_its_answer() -> None:
    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.1)
        await answer(send, b"whole")

    async def work() -> tuple[bytes, bool]:
        async with listening(app) as server:
            return await server.say(GET + b"nonsense\r\n\r\n", listen_s=1)

    out, closed = run(work())
    assert bodies(out) == [b"whole"]
    assert closed


def test_a_broken_body_after_the_answer_began_drops_the_connection() -> None:
    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await whole_body(receive)

    async def work() -> tuple[bytes, bool]:
        async with listening(app) as server:
            reader, writer = await server.open()
            writer.write(post(b"1\r\na\r\n", b"transfer-encoding: chunked"))
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"nonsense")
            try:
                rest = await reader.read()
            except ConnectionError:
                rest = b""
            writer.close()
            return head, rest == b""

    head, nothing_more = run(work())
    assert head.startswith(b"HTTP/1.1 200")
    assert nothing_more


def test_an_answer_cannot_be_given_more_headers_by_a_value() -> None:
    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await answer(send, b"", 200, (b"x", b"a\r\nset-cookie: b"))

    async def work() -> bytes:
        async with listening(app) as server:
            return (await server.say(GET, listen_s=1))[0]

    assert b"set-cookie" not in run(work())


# -------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    "data",
    [
        b"GET /a HTTP/1.1\r\na: " + b"b" * 50_000_000,
        b"GET /a HTTP/1.1\r\n" + b"a: b\r\n" * 5_000_000,
        b"GET /" + b"a" * 5_000_000,
        b"GET /a HTTP/1.1\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
    ],
    ids=["one header", "many headers", "a path", "just over, whole"],
)
def test_a_head_over_the_limit_is_431_and_the_client_can_read_it(data: bytes) -> None:
    out, closed = said(data, listen_s=5)

    assert refusal(out)[0] == 431
    assert closed


def test_a_head_just_under_the_limit_passes() -> None:
    out, _ = said(b"GET /a HTTP/1.1\r\na: " + b"b" * 65_000 + b"\r\n\r\n")

    assert bodies(out) == [b"GET /a 0"]


def test_a_head_may_come_byte_by_byte() -> None:
    async def work() -> bytes:
        async with listening(echo) as server:
            reader, writer = await server.open()
            for byte in GET:
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            out = await reader.readuntil(b"GET /a 0")
            writer.close()
            return out

    assert bodies(run(work())) == [b"GET /a 0"]


@pytest.mark.parametrize(("count", "status"), [(100, 200), (101, 431)])
def test_the_number_of_headers_is_bounded(count: int, status: int) -> None:
    out, _ = said(b"GET /a HTTP/1.1\r\n" + b"a: b\r\n" * count + b"\r\n", listen_s=1)

    assert out.split()[1] == str(status).encode()


def test_many_small_requests_in_one_read_are_no_big_head() -> None:
    async def work() -> int:
        async with listening(echo) as server:
            reader, writer = await server.open()
            writer.write(GET * 5000 + GET[:10])
            for _ in range(5000):
                await reader.readuntil(b"GET /a 0")
            writer.write(GET[10:])
            await reader.readuntil(b"GET /a 0")
            writer.close()
            return 5001

    assert run(work()) == 5001


def test_an_early_answer_can_be_read_by_a_client_that_goes_on_sending() -> None:
    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await answer(send, b"too large", 413)

    async def work() -> tuple[bytes, bool]:
        async with listening(app) as server:
            size = 50_000_000
            return await server.say(post(b"x" * size, b"content-length: %d" % size), listen_s=5)

    out, closed = run(work())
    assert bodies(out) == [b"too large"]
    assert closed


def test_a_small_body_behind_an_early_answer_does_not_end_the_connection() -> None:
    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await answer(send, b"no", 401)

    async def work() -> list[bytes]:
        async with listening(app) as server:
            reader, writer = await server.open()
            out = b""
            for _ in range(2):
                writer.write(post(b"", b"content-length: 100000"))
                out += await reader.readuntil(b"\r\n\r\nno")
                writer.write(b"x" * 100_000)
            writer.close()
            return bodies(out)

    assert run(work()) == [b"no", b"no"]


# --------------------------------------------------------------------------------------- time


def test_a_half_sent_head_is_408() -> None:
    out, closed = said(b"GET /a HTTP/1.1\r\nhos", listen_s=3, limits=QUICK)

    assert refusal(out) == (408, "The request headers did not arrive in time.")
    assert closed


def test_a_head_that_drips_is_408_all_the_same() -> None:
    # A client that goes on after the linger is reset, and may lose the answer by it.
    patient = msgspec.structs.replace(QUICK, linger_s=10.0)

    async def work() -> bytes:
        async with listening(echo, patient) as server:
            reader, writer = await server.open()
            writer.write(b"GET /a HTTP/1.1\r\na: ")
            answer = asyncio.ensure_future(reader.read(65536))
            while not answer.done():
                writer.write(b"b")
                await asyncio.wait([answer], timeout=0.05)
            writer.close()
            return await answer

    assert refusal(run(work()))[0] == 408


@pytest.mark.parametrize("before", [b"", GET], ids=["a new connection", "after a request"])
def test_an_idle_connection_is_closed_without_a_word(before: bytes) -> None:
    out, closed = said(before, listen_s=3, limits=QUICK)

    assert bodies(out) == ([b"GET /a 0"] if before else [])
    assert closed


def test_a_body_that_stops_is_408_and_the_app_is_told() -> None:
    told: list[bytes | None] = []

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        told.append(await whole_body(receive))
        assert connection_of(scope).gone

    async def work() -> tuple[bytes, bool]:
        async with listening(app, QUICK) as server:
            return await server.say(post(b"a", b"content-length: 3"), listen_s=3)

    out, closed = run(work())
    assert refusal(out) == (408, "The request body stopped arriving.")
    assert closed
    assert told == [None]


def test_a_slow_body_that_keeps_coming_is_waited_for() -> None:
    async def work() -> bytes:
        async with listening(echo, EdgeLimits(body_silence_s=1.2)) as server:
            reader, writer = await server.open()
            writer.write(post(b"", b"content-length: 8"))
            for _ in range(8):
                await asyncio.sleep(0.3)
                writer.write(b"x")
            out = await reader.readuntil(b"POST /b 8")
            writer.close()
            return out

    assert bodies(run(work())) == [b"POST /b 8"]


def test_a_long_answer_is_no_silence_of_the_client() -> None:
    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await whole_body(receive)
        await asyncio.sleep(1.8)
        await answer(send, b"late")

    async def work() -> bytes:
        async with listening(app, QUICK) as server:
            return (
                await server.say(post(b"abc", b"content-length: 3"), listen_s=3, until=b"late")
            )[0]

    assert bodies(run(work())) == [b"late"]


class RecordingTransport(asyncio.Transport):
    """Keeps its writes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        self.writes.append(data)

    def writelines(self, list_of_data: Any) -> None:
        self.writes.append(b"".join(list_of_data))


def test_a_held_head_leaves_in_one_write_with_the_first_piece_of_its_body() -> None:
    transport = RecordingTransport()
    edge = EdgeTransport(transport, transport.close)
    edge.hold_next()
    for piece in (b"head ", b"first", b"second"):
        edge.write(piece)

    assert transport.writes == [b"head first", b"second"]


def test_a_head_that_the_app_holds_comes_before_its_body() -> None:
    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        await whole_body(receive)
        connection_of(scope).hold_head()
        await answer(send, b"held")

    async def work() -> bytes:
        async with listening(app) as server:
            return (await server.say(post(b"abc", b"content-length: 3"), until=b"held"))[0]

    assert bodies(run(work())) == [b"held"]


def test_a_client_that_reads_nothing_is_dropped_and_the_app_told() -> None:
    gone = asyncio.Event()

    async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        connection_of(scope).on_gone(gone.set)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not connection_of(scope).gone:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    async def work() -> None:
        async with listening(app, QUICK) as server:
            _, writer = await server.open()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(GET)
            async with asyncio.timeout(5):
                await gone.wait()
            writer.transport.abort()

    run(work())


# -------------------------------------------------------------------------- the app's handle


@pytest.mark.parametrize("size", [0, 100_000, 260_000, 3_000_000])
def test_the_app_is_told_at_once_when_the_client_leaves(size: int) -> None:
    async def work() -> float:
        loop = asyncio.get_running_loop()
        ready, gone = asyncio.Event(), asyncio.Event()

        async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            await whole_body(receive)
            connection = connection_of(scope)
            connection.on_gone(gone.set)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            before = connection.gone
            ready.set()
            await gone.wait()
            assert (before, connection.gone) == (False, True)

        async with listening(app) as server:
            _, writer = await server.open()
            writer.write(post(b"x" * size, b"content-length: %d" % size))
            await ready.wait()
            began = loop.time()
            writer.close()
            async with asyncio.timeout(5):
                await gone.wait()
            return loop.time() - began

    assert run(work()) < 0.5


def test_only_the_last_callback_is_called_and_none_clears() -> None:
    async def work() -> list[str]:
        calls: list[str] = []
        ready, over = asyncio.Event(), asyncio.Event()

        async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            connection = connection_of(scope)
            connection.on_gone(lambda: calls.append("cleared"))
            connection.on_gone(None)
            connection.on_gone(lambda: calls.append("first"))
            connection.on_gone(lambda: calls.append("last"))
            ready.set()
            while not connection.gone:
                await asyncio.sleep(0.01)
            connection.on_gone(lambda: calls.append("late"))
            over.set()

        async with listening(app) as server:
            _, writer = await server.open()
            writer.write(GET)
            await ready.wait()
            writer.close()
            async with asyncio.timeout(5):
                await over.wait()
        return calls

    assert run(work()) == ["last", "late"]


def test_a_callback_of_one_request_is_not_called_for_the_next() -> None:
    async def work() -> list[str]:
        calls: list[str] = []

        async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            connection = connection_of(scope)
            name = scope["path"]
            connection.on_gone(lambda: calls.append(name))
            await answer(send, b"x")
            connection.on_gone(None)

        async with listening(app) as server:
            await server.say(GET * 2)
            await asyncio.sleep(0.05)
        return calls

    assert run(work()) == []


def test_the_app_can_see_that_the_client_reads_slowly_and_drop_it() -> None:
    async def work() -> bool:
        paused = asyncio.Event()

        async def app(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            connection = connection_of(scope)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while not connection.write_paused:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            paused.set()
            connection.abort()

        async with listening(app) as server:
            reader, writer = await server.open()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(GET)
            await asyncio.wait_for(paused.wait(), 5)
            writer.transport.resume_reading()  # type: ignore[attr-defined]
            try:
                while await asyncio.wait_for(reader.read(1 << 20), 5):
                    pass
            except ConnectionError:
                pass
            writer.close()
            return True

    assert run(work())
