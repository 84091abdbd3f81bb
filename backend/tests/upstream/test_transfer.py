"""One response as libcurl's callbacks deliver it, without a socket."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pycurl
import pytest

from kiro2api.errors import TransferError
from kiro2api.upstream.easy import HandleKind
from kiro2api.upstream.transfer import CurlTransfer
from tests.upstream.peers import run


class Resumable:
    """Stands for an easy handle: `pause` delivers what libcurl has kept, in place."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.deliver: Callable[[bytes], object] = lambda data: None
        self.fails = False

    def pause(self, bitmask: int) -> None:
        assert bitmask == pycurl.PAUSE_CONT
        if self.fails:
            raise pycurl.error(23, "no")
        while self.kept:
            if self.deliver(self.kept[0]) is not None:
                return
            self.kept.pop(0)


class Scene:
    """A transfer and its handle."""

    def __init__(self, *, max_buffered_bytes: int = 10) -> None:
        self.curl = Resumable()
        self.ended: list[CurlTransfer] = []
        self.transfer = CurlTransfer(
            self.curl,
            HandleKind("GET", "http://a.example", shares=False),
            limit_s=5,
            max_buffered_bytes=max_buffered_bytes,
            loop=asyncio.get_running_loop(),
            on_end=self.ended.append,
        )
        self.curl.deliver = self.transfer.on_body

    def begin(self, *lines: bytes) -> None:
        self.transfer.on_request()
        for line in (b"HTTP/1.1 200 OK\r\n", *lines, b"\r\n"):
            self.transfer.on_header(line)


def in_loop(work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def test() -> None:
        run(work())

    return test


@in_loop
async def test_pieces_are_joined_in_order() -> None:
    scene = Scene()
    scene.begin()
    for piece in (b"ab", b"c", b"def"):
        scene.transfer.on_body(piece)

    assert await scene.transfer.read() == b"abcdef"


@in_loop
async def test_a_piece_above_the_mark_stays_with_libcurl_until_the_reader_has_come() -> None:
    scene = Scene(max_buffered_bytes=4)
    scene.begin()
    assert scene.transfer.on_body(b"1234") is None
    assert scene.transfer.on_body(b"56") == pycurl.WRITEFUNC_PAUSE
    scene.curl.kept = [b"56"]

    assert await scene.transfer.read() == b"1234"
    assert await scene.transfer.read() == b"56"


@in_loop
async def test_a_transfer_may_pause_again_while_it_resumes() -> None:
    scene = Scene(max_buffered_bytes=1)
    scene.begin()
    scene.transfer.on_body(b"1")
    assert scene.transfer.on_body(b"2") == pycurl.WRITEFUNC_PAUSE
    scene.curl.kept = [b"2", b"3", b"4"]

    assert [await scene.transfer.read() for _ in range(4)] == [b"1", b"2", b"3", b"4"]


@in_loop
async def test_a_transfer_that_cannot_go_on_fails_after_what_came() -> None:
    scene = Scene(max_buffered_bytes=1)
    scene.begin()
    scene.transfer.on_body(b"1")
    scene.transfer.on_body(b"2")
    scene.curl.fails = True

    assert await scene.transfer.read() == b"1"
    with pytest.raises(TransferError, match="could not go on"):
        await scene.transfer.read()


@in_loop
async def test_a_paused_transfer_whose_handle_is_gone_does_not_call_it() -> None:
    scene = Scene(max_buffered_bytes=1)
    scene.begin()
    scene.transfer.on_body(b"1")
    scene.transfer.on_body(b"2")
    scene.transfer.curl = None
    scene.curl.fails = True
    scene.transfer.finish()

    assert await scene.transfer.read() == b"1"
    assert await scene.transfer.read() == b""


@in_loop
async def test_what_a_proxy_says_before_the_request_is_skipped() -> None:
    scene = Scene()
    for line in (b"HTTP/1.1 200 Connection established\r\n", b"x-proxy: yes\r\n", b"\r\n"):
        scene.transfer.on_header(line)
    scene.begin(b"x-a: b\r\n")
    await scene.transfer.headers_arrived()

    assert scene.transfer.headers == {"x-a": "b"}


@in_loop
async def test_folded_and_repeated_headers_are_joined_and_trailers_skipped() -> None:
    scene = Scene()
    scene.begin(b"X-A: one\r\n", b"  two\r\n", b"x-a: three\r\n", b"X-B : c:d\r\n")
    scene.transfer.on_header(b"x-trailer: late\r\n")
    await scene.transfer.headers_arrived()

    assert scene.transfer.headers == {"x-a": "one two, three", "x-b": "c:d"}


@in_loop
async def test_the_version_of_the_answer_tells_whether_the_connection_is_shared() -> None:
    scene = Scene()
    scene.transfer.on_request()
    scene.transfer.on_header(b"HTTP/2 200 \r\n")
    scene.transfer.on_header(b"\r\n")

    assert scene.transfer.multiplexed
    assert scene.transfer.status == 200


@in_loop
async def test_a_second_request_of_one_transfer_is_forbidden() -> None:
    scene = Scene()

    assert scene.transfer.on_request() == pycurl.PREREQFUNC_OK
    assert scene.transfer.on_request() == pycurl.PREREQFUNC_ABORT


@in_loop
async def test_a_cancelled_transfer_keeps_no_bytes_and_says_so_once() -> None:
    scene = Scene()
    scene.begin()
    scene.transfer.on_body(b"abc")
    scene.transfer.cancel()
    scene.transfer.cancel()

    with pytest.raises(TransferError, match="cancelled"):
        await scene.transfer.read()
    assert scene.ended == [scene.transfer]


@in_loop
async def test_a_failure_comes_after_the_bytes_that_came_before_it() -> None:
    scene = Scene()
    scene.begin()
    scene.transfer.on_body(b"abc")
    scene.transfer.fail(TransferError("broken"))

    assert await scene.transfer.read() == b"abc"
    with pytest.raises(TransferError, match="broken"):
        await scene.transfer.read()


@in_loop
async def test_the_end_stays_the_end() -> None:
    scene = Scene()
    scene.begin()
    scene.transfer.finish()
    scene.transfer.fail(TransferError("too late"))

    assert await scene.transfer.read() == b""
    assert await scene.transfer.read() == b""


@in_loop
async def test_an_end_without_a_head_is_a_failure() -> None:
    scene = Scene()
    scene.transfer.on_request()
    scene.transfer.on_header(b"HTTP/1.1 200 OK\r\n")
    scene.transfer.finish()

    with pytest.raises(TransferError, match="without an answer"):
        await scene.transfer.headers_arrived()


@in_loop
async def test_all_of_a_body_may_be_asked_for_up_to_a_size() -> None:
    scene = Scene(max_buffered_bytes=100)
    scene.begin()
    scene.transfer.on_body(b"0123456789")

    assert await scene.transfer.read_all(4) == b"0123"
    assert scene.ended == [scene.transfer]


@in_loop
async def test_time_is_up_when_nobody_lifts_the_limit() -> None:
    scene = Scene()
    now = asyncio.get_running_loop().time()
    scene.transfer.check_time(now + 4.9)
    assert scene.ended == []
    scene.transfer.check_time(now + 5.1)

    assert scene.ended == [scene.transfer]


@in_loop
async def test_silence_counts_only_while_somebody_waits() -> None:
    scene = Scene()
    scene.begin()
    scene.transfer.lift_limit()
    scene.transfer.idle_limit_s = 10
    for now in (0, 100, 200):
        scene.transfer.check_time(now)
    reader = asyncio.create_task(scene.transfer.read())
    await asyncio.sleep(0)
    for now in (201, 209):
        scene.transfer.check_time(now)
    assert scene.ended == []
    scene.transfer.check_time(211.5)

    with pytest.raises(TransferError, match="nothing came for 10 s"):
        await reader
