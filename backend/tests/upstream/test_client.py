"""Outbound HTTP against small real servers: connections, limits, cancellation, faults."""

import asyncio
from pathlib import Path

import pytest

from kiro2api.errors import TransferError
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.upstream.client import CurlUpstream
from kiro2api.upstream.easy import HttpVersion, UpstreamOptions
from kiro2api.upstream.transfer import CurlTransfer
from tests.upstream.peers import (
    Certificate,
    Http2Peer,
    Peer,
    Script,
    answers,
    peer,
    reply,
    request,
    reset,
    run,
)

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PLAIN = UpstreamOptions()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate(tmp_path_factory.mktemp("tls"))


def post(server: Peer, body: bytes = b"{}") -> HttpCall:
    return HttpCall("POST", f"{server.url}/path", (("content-type", "a/b"),), body)


async def drained(upstream: CurlUpstream, call: HttpCall, *, first_byte_s: float = 5) -> bytes:
    transfer = await upstream.open(call, first_byte_s=first_byte_s)
    return await transfer.read_all(1 << 30)


async def collect(transfer: CurlTransfer, into: bytearray) -> None:
    while data := await transfer.read():
        into += data


async def until(condition: asyncio.Event, limit_s: float = 5) -> None:
    async with asyncio.timeout(limit_s):
        await condition.wait()


def test_a_call_goes_out_as_it_is_and_nothing_is_added() -> None:
    heads: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await request(reader))
        writer.write(reply())

    async def work() -> None:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            headers = (("X-Amz-Target", "a.b"), ("x-empty", ""), ("x-ümlaut", "ü"))
            await upstream.fetch(
                HttpCall("POST", f"{server.url}/p?q=1", headers, b"body"), total_s=5
            )
            await upstream.close()
            heads.append((f"127.0.0.1:{server.port}".encode(), b""))

    run(work())

    (head, body), (host, _) = heads
    assert body == b"body"
    assert head.split(b"\r\n") == [
        b"POST /p?q=1 HTTP/1.1",
        b"Host: " + host,
        b"X-Amz-Target: a.b",
        b"x-empty:",
        "x-ümlaut: ü".encode(),
        b"Content-Length: 4",
        b"",
        b"",
    ]


def test_calls_of_different_methods_do_not_leak_into_each_other() -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await request(reader)
            seen.append((head.split()[0], body))
            writer.write(reply(b"" if head.startswith(b"HEAD") else b"hello"))

    async def work() -> None:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            for method, body in (("POST", b"one"), ("GET", b""), ("PUT", b"two"), ("HEAD", b"")):
                await upstream.fetch(HttpCall(method, server.url, (), body), total_s=5)
            await upstream.fetch(HttpCall("POST", server.url, ()), total_s=5)
            await upstream.close()

    run(work())

    assert seen == [
        (b"POST", b"one"),
        (b"GET", b""),
        (b"PUT", b"two"),
        (b"HEAD", b""),
        (b"POST", b""),
    ]


def test_an_answer_has_status_lower_case_headers_and_the_whole_body() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    headers = b"X-Amzn-RequestId: abc\r\nx-two: 1\r\nX-Two: 2\r\n"

    async def work() -> tuple[int, dict[str, str], bytes]:
        script = answers(early + reply(b"no", "418 Teapot", headers))
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            answer = await upstream.fetch(post(server), total_s=5)
            await upstream.close()
            return answer.status, dict(answer.headers), answer.body

    assert run(work()) == (
        418,
        {"content-length": "2", "x-amzn-requestid": "abc", "x-two": "1, 2"},
        b"no",
    )


def test_a_connection_is_used_again() -> None:
    async def work() -> int:
        async with peer(answers(reply())) as server:
            upstream = CurlUpstream(PLAIN)
            for _ in range(3):
                assert await drained(upstream, post(server)) == b"hello"
            await upstream.close()
            return server.connections

    assert run(work()) == 1


def test_each_piece_can_be_read_before_the_next_is_sent() -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED)
        for letter in (b"a", b"b", b"c"):
            writer.write(b"1\r\n" + letter + b"\r\n")
            await go_on.wait()
            go_on.clear()
        writer.write(b"0\r\n\r\n")

    async def work() -> list[bytes]:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            pieces = []
            while data := await transfer.read():
                pieces.append(data)
                go_on.set()
            pieces.append(await transfer.read())
            await upstream.close()
            return pieces

    assert run(work()) == [b"a", b"b", b"c", b""]


def test_one_read_returns_all_that_has_come() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED)
        for _ in range(10):
            writer.write(b"3\r\nabc\r\n")
            await asyncio.sleep(0.01)
        await asyncio.sleep(10)

    async def work() -> bytes:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            await asyncio.sleep(0.5)
            data = await transfer.read()
            await upstream.close()
            return data

    assert run(work()) == b"abc" * 10


def test_redirects_are_not_followed() -> None:
    async def work() -> tuple[int, int]:
        redirect = reply(b"", "307 Temporary Redirect", b"location: /elsewhere\r\n")
        async with peer(answers(redirect, reply())) as server:
            upstream = CurlUpstream(PLAIN)
            answer = await upstream.fetch(post(server), total_s=5)
            await upstream.close()
            return answer.status, server.connections

    assert run(work()) == (307, 1)


# ------------------------------------------------------------------------------------- limits


def test_a_silent_server_is_given_up_after_the_first_byte_limit() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nhalf-a-he")
        await asyncio.sleep(30)

    async def work() -> tuple[TransferError, float]:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(TransferError) as caught:
                await upstream.open(post(server), first_byte_s=0.5)
            took_s = loop.time() - began
            await upstream.close()
            return caught.value, took_s

    error, took_s = run(work())
    assert error.timed_out
    assert "no answer within 0.5 s" in error.message
    assert 0.5 <= took_s < 1.5


def test_the_first_byte_limit_does_not_cut_the_body() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED)
        await asyncio.sleep(1.2)
        writer.write(b"1\r\na\r\n0\r\n\r\n")

    async def work() -> bytes:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            body = await drained(upstream, post(server), first_byte_s=0.5)
            await upstream.close()
            return body

    assert run(work()) == b"a"


def test_silence_inside_the_body_ends_at_the_idle_limit_after_what_came() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED + b"1\r\na\r\n")
        await asyncio.sleep(30)

    async def work() -> tuple[bytes, TransferError]:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            transfer.idle_limit_s = 0.5
            data = await transfer.read()
            with pytest.raises(TransferError) as caught:
                await transfer.read()
            await upstream.close()
            return data, caught.value

    data, error = run(work())
    assert data == b"a"
    assert error.timed_out
    assert "nothing came for 0.5 s" in error.message


def test_drips_below_the_idle_limit_are_no_silence() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED)
        for _ in range(8):
            writer.write(b"1\r\na\r\n")
            await asyncio.sleep(0.25)
        writer.write(b"0\r\n\r\n")

    async def work() -> bytes:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            transfer.idle_limit_s = 1.0
            body = await transfer.read_all(100)
            await upstream.close()
            return body

    assert run(work()) == b"a" * 8


def test_a_reader_that_takes_its_time_does_not_make_the_upstream_silent() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED + b"1\r\na\r\n")
        await asyncio.sleep(1.2)
        writer.write(b"1\r\nb\r\n0\r\n\r\n")

    async def work() -> bytes:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            transfer.idle_limit_s = 0.7
            data = await transfer.read()
            await asyncio.sleep(1)
            data += await transfer.read_all(10)
            await upstream.close()
            return data

    assert run(work()) == b"ab"


def test_fetch_has_one_limit_for_all_of_the_answer() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED)
        while True:
            writer.write(b"1\r\na\r\n")
            await asyncio.sleep(0.1)

    async def work() -> TransferError:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            with pytest.raises(TransferError) as caught:
                await upstream.fetch(post(server), total_s=0.6)
            await upstream.close()
            return caught.value

    assert run(work()).timed_out


# ------------------------------------------------------------------------------- cancellation


def held(gone: asyncio.Event) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED + b"1\r\na\r\n")
        try:
            await reader.read()
        finally:
            gone.set()

    return script


def test_the_peer_sees_a_cancel_at_once() -> None:
    async def work() -> float:
        gone = asyncio.Event()
        async with peer(held(gone)) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            await transfer.read()
            loop = asyncio.get_running_loop()
            began = loop.time()
            transfer.cancel()
            transfer.cancel()
            await until(gone)
            took_s = loop.time() - began
            with pytest.raises(TransferError, match="cancelled"):
                await transfer.read()
            await upstream.close()
            return took_s

    assert run(work()) < 0.5


def test_a_cancelled_reader_loses_no_bytes() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED)
        for letter in b"abcdefgh":
            writer.write(b"1\r\n%c\r\n" % letter)
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")

    async def work() -> bytes:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            out = b""
            while True:
                try:
                    data = await asyncio.wait_for(transfer.read(), 0.007)
                except TimeoutError:
                    continue
                if not data:
                    break
                out += data
            await upstream.close()
            return out

    assert run(work()) == b"abcdefgh"


def test_a_caller_that_is_cancelled_while_opening_cancels_the_transfer() -> None:
    async def work() -> None:
        gone = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            try:
                await reader.read()
            finally:
                gone.set()

        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await upstream.open(post(server), first_byte_s=30)
            await until(gone, 1)
            await upstream.close()

    run(work())


def test_cancelling_a_transfer_that_has_ended_leaves_the_next_one_alone() -> None:
    async def work() -> bytes:
        async with peer(answers(reply())) as server:
            upstream = CurlUpstream(PLAIN)
            first = await upstream.open(post(server), first_byte_s=5)
            await first.read_all(100)
            second = await upstream.open(post(server), first_byte_s=5)
            first.cancel()
            await asyncio.sleep(0.05)
            body = await second.read_all(100)
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_closing_ends_what_is_under_way_and_refuses_new_calls() -> None:
    async def work() -> None:
        gone = asyncio.Event()
        async with peer(held(gone)) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            await transfer.read()
            await upstream.close()
            await upstream.close()
            with pytest.raises(TransferError, match="ending"):
                await transfer.read()
            with pytest.raises(TransferError, match="ending"):
                await upstream.open(post(server), first_byte_s=5)
            await until(gone)

    run(work())


# ------------------------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nx-half: ", ""),
        (b"SSH-2.0-nothing\r\n", "not HTTP"),
    ],
    ids=["nothing", "half a head", "another protocol"],
)
def test_a_close_before_the_end_of_the_head_is_an_error(answer: bytes, words: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)

    async def work() -> TransferError:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            with pytest.raises(TransferError) as caught:
                await upstream.open(post(server), first_byte_s=5)
            await upstream.close()
            return caught.value

    error = run(work())
    assert words in error.message
    assert not error.timed_out


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n5\r\nab",
        CHUNKED + b"3\r\nabc\r\nZZ\r\n",
    ],
    ids=["content-length", "between chunks", "inside a chunk", "no chunk"],
)
def test_a_body_cut_by_its_own_framing_is_an_error_after_what_came(answer: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(answer)

    async def work() -> bytes:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            got = bytearray()
            with pytest.raises(TransferError):
                await collect(transfer, got)
            await upstream.close()
            return bytes(got)

    assert run(work())[:3] == b"abc"


def test_a_reset_inside_the_body_is_an_error() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nabc")
        await writer.drain()
        await asyncio.sleep(0.2)
        reset(writer)

    async def work() -> bytes:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            data = await transfer.read()
            with pytest.raises(TransferError, match="reset"):
                await transfer.read()
            await upstream.close()
            return data

    assert run(work()) == b"abc"


@pytest.mark.parametrize("before", [0, 1], ids=["a new connection", "a kept-alive one"])
def test_a_reset_before_the_answer_is_told_and_not_repeated_in_silence(before: int) -> None:
    async def work() -> tuple[int, TransferError]:
        seen = 0

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal seen
            while True:
                await request(reader)
                seen += 1
                if seen > before:
                    reset(writer)
                    return
                writer.write(reply())

        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            for _ in range(before):
                await upstream.fetch(post(server), total_s=5)
            with pytest.raises(TransferError) as caught:
                await upstream.fetch(post(server), total_s=5)
            await upstream.close()
            return seen, caught.value

    seen, error = run(work())
    assert seen == before + 1
    assert "reset" in error.message
    assert not error.timed_out


def test_a_connection_that_was_closed_while_idle_costs_nothing() -> None:
    async def work() -> tuple[list[bytes], int]:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await request(reader)
            writer.write(reply())

        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            bodies = []
            for _ in range(2):
                bodies.append((await upstream.fetch(post(server), total_s=5)).body)
                # libcurl looks for connections that have been closed once a second.
                await asyncio.sleep(1.1)
            await upstream.close()
            return bodies, server.connections

    assert run(work()) == ([b"hello"] * 2, 2)


def test_a_refused_connection_says_so_without_the_path() -> None:
    async def work() -> TransferError:
        async with peer(answers(reply())) as server:
            url = server.url
        upstream = CurlUpstream(PLAIN)
        with pytest.raises(TransferError) as caught:
            await upstream.open(HttpCall("GET", f"{url}/p?key=secret", ()), first_byte_s=5)
        await upstream.close()
        return caught.value

    error = run(work())
    assert "could not connect" in error.message
    assert "secret" not in error.message


def test_a_header_with_a_line_break_never_leaves() -> None:
    async def work() -> int:
        async with peer(answers(reply())) as server:
            upstream = CurlUpstream(PLAIN)
            call = HttpCall("GET", server.url, (("a", "b\r\nc: d"),))
            with pytest.raises(TransferError, match="line break"):
                await upstream.open(call, first_byte_s=5)
            await upstream.close()
            return server.connections

    assert run(work()) == 0


# -------------------------------------------------------------------------- pressure and size


def test_a_slow_reader_holds_the_upstream_back_and_loses_nothing() -> None:
    total = 40 * 1024 * 1024
    sent = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        block = bytes(range(256)) * 256
        while sent < total:
            writer.write(block)
            sent += len(block)
            await writer.drain()

    async def work() -> tuple[int, int, int]:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            transfer = await upstream.open(post(server), first_byte_s=5)
            await asyncio.sleep(0.5)
            sent_at_pause = sent
            await asyncio.sleep(0.5)
            assert sent == sent_at_pause
            first = await transfer.read()
            rest = 0
            while data := await transfer.read():
                assert data[:1] == bytes([(len(first) + rest) % 256])
                rest += len(data)
            await upstream.close()
            return sent_at_pause, len(first), len(first) + rest

    sent_at_pause, held_bytes, received = run(work())
    assert received == total
    assert held_bytes <= 128 * 1024
    assert sent_at_pause < total // 2


def test_a_big_upload_does_not_hold_the_loop() -> None:
    size = 32 * 1024 * 1024

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        left = size
        while left:
            left -= len(await reader.read(256 * 1024))
            await asyncio.sleep(0)
        writer.write(reply())

    async def work() -> float:
        async with peer(script) as server:
            upstream = CurlUpstream(PLAIN)
            loop = asyncio.get_running_loop()
            worst_s = 0.0

            async def watch() -> None:
                nonlocal worst_s
                while True:
                    began = loop.time()
                    await asyncio.sleep(0.005)
                    worst_s = max(worst_s, loop.time() - began)

            watcher = asyncio.create_task(watch())
            answer = await upstream.fetch(post(server, b"x" * size), total_s=30)
            watcher.cancel()
            assert answer.body == b"hello"
            await upstream.close()
            return worst_s

    assert run(work()) < 0.5


# ------------------------------------------------------------------------------- TLS and HTTP/2


def trusting(
    certificate: Certificate, *, http_version: HttpVersion = "auto", proxy_url: str = ""
) -> UpstreamOptions:
    return UpstreamOptions(
        ca_file=str(certificate.ca_file), http_version=http_version, proxy_url=proxy_url
    )


def test_a_server_with_a_trusted_certificate_is_talked_to(certificate: Certificate) -> None:
    async def work() -> bytes:
        async with peer(answers(reply()), tls=certificate.context("http/1.1")) as server:
            upstream = CurlUpstream(trusting(certificate))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_an_unknown_certificate_is_refused(certificate: Certificate) -> None:
    async def work() -> TransferError:
        async with peer(answers(reply()), tls=certificate.context()) as server:
            upstream = CurlUpstream(PLAIN)
            with pytest.raises(TransferError) as caught:
                await upstream.open(post(server), first_byte_s=5)
            await upstream.close()
            return caught.value

    assert "TLS: " in run(work()).message


def test_a_certificate_of_another_host_is_refused(certificate: Certificate) -> None:
    async def work() -> TransferError:
        async with peer(answers(reply()), tls=certificate.context()) as server:
            upstream = CurlUpstream(trusting(certificate))
            call = HttpCall("GET", server.url.replace("127.0.0.1", "localhost"), ())
            with pytest.raises(TransferError) as caught:
                await upstream.open(call, first_byte_s=5)
            await upstream.close()
            return caught.value

    assert "TLS: " in run(work()).message


def test_a_missing_bundle_of_authorities_is_told(certificate: Certificate, tmp_path: Path) -> None:
    async def work() -> TransferError:
        async with peer(answers(reply()), tls=certificate.context()) as server:
            upstream = CurlUpstream(UpstreamOptions(ca_file=str(tmp_path / "missing.pem")))
            with pytest.raises(TransferError) as caught:
                await upstream.open(post(server), first_byte_s=5)
            await upstream.close()
            return caught.value

    assert "TLS: " in run(work()).message


def test_streams_share_a_connection_where_http2_is_offered(certificate: Certificate) -> None:
    async def work() -> tuple[int, list[bytes]]:
        far = Http2Peer()
        async with peer(far.serve, tls=certificate.context("h2", "http/1.1")) as server:
            upstream = CurlUpstream(trusting(certificate))
            bodies = await asyncio.gather(*[drained(upstream, post(server)) for _ in range(20)])
            await upstream.close()
            return server.connections, bodies

    assert run(work()) == (1, [b"hello"] * 20)


def test_further_connections_are_opened_when_the_servers_limit_of_streams_is_met(
    certificate: Certificate,
) -> None:
    async def work() -> tuple[int, int]:
        far = Http2Peer(max_streams=8, hold=True)
        async with peer(far.serve, tls=certificate.context("h2")) as server:
            upstream = CurlUpstream(trusting(certificate))
            calls = [upstream.open(post(server), first_byte_s=10) for _ in range(20)]
            await asyncio.gather(*calls)
            await upstream.close()
            return far.most_streams_on_one, server.connections

    most, connections = run(work())
    assert most <= 8
    assert connections >= 3


def test_a_reset_of_a_shared_connection_fails_all_its_streams_and_repeats_none(
    certificate: Certificate,
) -> None:
    async def work() -> tuple[int, list[object]]:
        far = Http2Peer()
        async with peer(far.serve, tls=certificate.context("h2")) as server:
            upstream = CurlUpstream(trusting(certificate))
            await drained(upstream, post(server))
            far.reset_after = 5
            calls = [upstream.open(post(server), first_byte_s=5) for _ in range(4)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            await upstream.close()
            return far.requests, [type(outcome) for outcome in outcomes]

    assert run(work()) == (5, [TransferError] * 4)


def test_http1_can_be_forced(certificate: Certificate) -> None:
    async def work() -> bytes:
        async with peer(answers(reply()), tls=certificate.context("h2", "http/1.1")) as server:
            upstream = CurlUpstream(trusting(certificate, http_version="1.1"))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_http2_over_a_plain_connection_only_when_forced() -> None:
    async def work() -> bytes:
        async with peer(Http2Peer().serve) as server:
            upstream = CurlUpstream(UpstreamOptions(http_version="2"))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_a_server_of_http1_is_not_waited_for_connection_by_connection(
    certificate: Certificate,
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            await asyncio.sleep(0.5)
            writer.write(reply())

    async def work() -> float:
        async with peer(script, tls=certificate.context("http/1.1")) as server:
            upstream = CurlUpstream(trusting(certificate))
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.gather(*[drained(upstream, post(server)) for _ in range(20)])
            took_s = loop.time() - began
            await upstream.close()
            return took_s

    assert run(work()) < 3


def test_a_cancel_resets_the_stream_and_leaves_the_others(certificate: Certificate) -> None:
    async def work() -> tuple[list[int], int]:
        far = Http2Peer(hold=True)
        async with peer(far.serve, tls=certificate.context("h2")) as server:
            upstream = CurlUpstream(trusting(certificate))
            first = await upstream.open(post(server), first_byte_s=5)
            second = await upstream.open(post(server), first_byte_s=5)
            assert await first.read() + await second.read() == b"hellohello"
            first.cancel()
            async with asyncio.timeout(1):
                while not far.resets:
                    await asyncio.sleep(0.01)
            resets = list(far.resets)
            await upstream.close()
            return resets, server.connections

    assert run(work()) == ([1], 1)


def test_a_slow_reader_on_http2_is_held_back_too(certificate: Certificate) -> None:
    total = 8 * 1024 * 1024

    async def work() -> tuple[int, int]:
        far = Http2Peer(body=b"x" * total)
        async with peer(far.serve, tls=certificate.context("h2")) as server:
            upstream = CurlUpstream(trusting(certificate))
            slow = await upstream.open(post(server), first_byte_s=5)
            await asyncio.sleep(0.5)
            held_bytes = len(await slow.read())
            received = held_bytes
            while data := await slow.read():
                received += len(data)
            await upstream.close()
            return held_bytes, received

    held_bytes, received = run(work())
    assert received == total
    assert held_bytes <= 128 * 1024


# ------------------------------------------------------------------------------------- proxies


def tunnel(seen: list[bytes], status: bytes = b"200 Connection established") -> Script:
    """Return the script of an HTTP proxy that opens tunnels and forwards nothing else."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if not head.startswith(b"CONNECT "):
            writer.write(reply(b"by proxy"))
            return
        writer.write(b"HTTP/1.1 " + status + b"\r\nx-proxy: yes\r\n\r\n")
        if not status.startswith(b"200"):
            return
        host, _, port = head.split()[1].decode().partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    return script


def test_the_environments_proxies_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def work() -> bytes:
        async with peer(answers(reply())) as server:
            upstream = CurlUpstream(PLAIN)
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_a_proxy_that_was_asked_for_is_used_for_every_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    seen: list[bytes] = []

    async def work() -> bytes:
        async with peer(tunnel(seen)) as proxy, peer(answers(reply())) as server:
            upstream = CurlUpstream(UpstreamOptions(proxy_url=proxy.url))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"by proxy"
    assert seen[0].startswith(b"POST http://127.0.0.1:")


def test_what_the_proxy_says_is_not_taken_for_the_answer(certificate: Certificate) -> None:
    seen: list[bytes] = []

    async def work() -> tuple[int, dict[str, str], bytes]:
        async with (
            peer(tunnel(seen)) as proxy,
            peer(answers(reply(b"no", "500 Broken")), tls=certificate.context()) as server,
        ):
            upstream = CurlUpstream(trusting(certificate, proxy_url=proxy.url))
            answer = await upstream.fetch(post(server), total_s=5)
            await upstream.close()
            return answer.status, dict(answer.headers), answer.body

    assert run(work()) == (500, {"content-length": "2"}, b"no")
    assert seen[0].startswith(b"CONNECT 127.0.0.1:")


def test_a_proxy_that_refuses_is_told_without_its_password(certificate: Certificate) -> None:
    async def work() -> TransferError:
        async with (
            peer(tunnel([], b"407 Proxy Authentication Required")) as proxy,
            peer(answers(reply()), tls=certificate.context()) as server,
        ):
            proxy_url = proxy.url.replace("http://", "http://me:hunter2@")
            upstream = CurlUpstream(trusting(certificate, proxy_url=proxy_url))
            with pytest.raises(TransferError) as caught:
                await upstream.open(post(server), first_byte_s=5)
            await upstream.close()
            return caught.value

    error = run(work())
    assert "proxy refused the tunnel" in error.message
    assert "hunter2" not in error.message


def test_a_socks_proxy_is_used() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = (await reader.readexactly(2))[1]
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        await reader.readexactly(4 + 4 + 2)
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await request(reader)
        writer.write(reply(b"by socks"))

    async def work() -> bytes:
        async with peer(script) as proxy, peer(answers(reply())) as server:
            upstream = CurlUpstream(UpstreamOptions(proxy_url=f"socks5://127.0.0.1:{proxy.port}"))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"by socks"
