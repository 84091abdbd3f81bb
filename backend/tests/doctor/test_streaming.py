"""How a stream arrives, and what that says of what it came through."""

import asyncio
import time
from http.server import BaseHTTPRequestHandler

import msgspec
import pytest

from kiro2api.doctor.finding import Finding, Verdict
from kiro2api.doctor.streaming import (
    Arrivals,
    check_stream,
    judge_answer,
    judge_flow,
    stream_call,
    watch,
)
from kiro2api.protocol.wire.json import decode
from kiro2api.upstream.client import CurlUpstream
from kiro2api.upstream.easy import UpstreamOptions
from tests.support.patient import fake_host, stream

SMOOTH = Arrivals(
    status=200,
    content_type="text/event-stream; charset=utf-8",
    encoding="",
    first_s=0.5,
    last_s=3.0,
    moments=60,
    events=64,
)
HELD = msgspec.structs.replace(SMOOTH, first_s=3.0, moments=1)
LUMPS = msgspec.structs.replace(SMOOTH, moments=3)
SHORT = msgspec.structs.replace(SMOOTH, first_s=0.01, last_s=0.02)


def checked(url: str, local: str = "", *, key: str = "k") -> Finding:
    async def check() -> Finding:
        upstream = CurlUpstream(UpstreamOptions())
        try:
            return await check_stream(
                url, local, upstream, key=key, model="m", monotonic=time.monotonic
            )
        finally:
            await upstream.close()

    return asyncio.run(check())


def test_the_call_shows_the_key_in_a_header_alone() -> None:
    call = stream_call("https://host/", "the key", "a model")

    assert call.url == "https://host/v1/messages"
    assert ("x-api-key", "the key") in call.headers
    assert decode(call.body)["model"] == "a model"
    assert decode(call.body)["stream"] is True


def test_arrivals_are_timed_and_counted() -> None:
    async def look(url: str) -> Arrivals:
        upstream = CurlUpstream(UpstreamOptions())
        try:
            return await watch(upstream, stream_call(url, "k", "m"), time.monotonic)
        finally:
            await upstream.close()

    with fake_host(stream(pause_s=0.05, events=4, wait_s=0.1)) as url:
        seen = asyncio.run(look(url))

    assert (seen.status, seen.content_type, seen.events) == (200, "text/event-stream", 4)
    assert 0.1 <= seen.first_s < seen.last_s
    assert 2 <= seen.moments <= 4


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (SMOOTH, Verdict.OK),
        (HELD, Verdict.FAULT),
        (LUMPS, Verdict.FAULT),
        (SHORT, Verdict.NOTE),
    ],
    ids=["smooth", "all at once", "in lumps", "too short to tell"],
)
def test_the_flow_is_judged(seen: Arrivals, verdict: Verdict) -> None:
    assert judge_flow("https://host", seen).verdict is verdict


def test_what_does_not_flow_without_the_proxy_is_not_the_proxys_fault() -> None:
    assert judge_flow("https://host", HELD, HELD).verdict is Verdict.NOTE
    assert judge_flow("https://host", HELD, SMOOTH).verdict is Verdict.FAULT
    assert judge_flow("https://host", HELD, SHORT).verdict is Verdict.FAULT


def test_a_good_stream_is_not_judged_by_its_head() -> None:
    assert judge_answer("https://host", SMOOTH) is None


@pytest.mark.parametrize(
    ("status", "cure"),
    [(401, "show a key"), (502, "front proxy"), (404, "log of the gateway")],
)
def test_a_refusal_has_its_cure(status: int, cure: str) -> None:
    found = judge_answer(
        "https://host", msgspec.structs.replace(SMOOTH, status=status, content_type="text/html")
    )

    assert found is not None
    assert cure in found.cure


def test_without_a_key_nothing_is_sent() -> None:
    found = checked("http://127.0.0.1:1", key="")

    assert (found.verdict, "not tried" in found.what) == (Verdict.NOTE, True)


def test_the_upstream_that_answers_in_one_go_is_told_from_the_proxy() -> None:
    with fake_host(stream(pause_s=0.0, wait_s=0.9)) as url:
        assert checked(url, local=url).verdict is Verdict.NOTE


def test_a_stream_that_breaks_off_is_a_fault() -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response_only(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("content-length", "1000")
        handler.end_headers()
        handler.wfile.write(b"data: {}\n\n")
        handler.close_connection = True

    with fake_host(cut) as url:
        found = checked(url)

    assert (found.verdict, "ended early" in found.what) == (Verdict.FAULT, True)
