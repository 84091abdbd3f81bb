"""Outbound HTTP against servers that break off, and readers and bodies that are slow or big."""

import asyncio

import pytest

from kiro2api.errors import TransferError
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.upstream.client import CurlUpstream
from tests.upstream.calls import CHUNKED, PLAIN, collect, post
from tests.upstream.peers import (
    answers,
    peer,
    reply,
    request,
    reset,
    run,
)

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
