"""Outbound HTTP against small real servers: calls and answers, limits, cancellation."""

import asyncio

import pytest

from kiro2api.errors import TransferError
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.upstream.client import CurlUpstream
from tests.upstream.calls import CHUNKED, PLAIN, drained, held, post, until
from tests.upstream.peers import (
    answers,
    peer,
    reply,
    request,
    run,
)


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
