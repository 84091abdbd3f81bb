"""Replies on their way to clients, and the sweep that keeps streams alive."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat.answer import ReplyHead
from kiro2api.protocol.chat.events import (
    Begin,
    BlockStop,
    Failure,
    Finish,
    StopReason,
    StreamEvent,
    TextDelta,
    TextStart,
    Usage,
)
from kiro2api.protocol.chat.request import ChatRequest, Role, Text, Turn
from kiro2api.protocol.dialect import ANTHROPIC, OPENAI_CHAT, Dialect
from kiro2api.server.streams import FoldSink, OpenStreams, StreamLimits, StreamSink
from tests.support.asgi import Caller
from tests.support.fakes import FakeClock
from tests.support.sse import check_anthropic_stream, check_chat_stream, parse_sse

LIMITS = StreamLimits(status_commit_s=10.0, ping_s=15.0)
ASKED = ChatRequest("claude-sonnet-4-20250514", (Turn(Role.USER, (Text("Hello"),)),), stream=True)
HEAD = ReplyHead("1", ASKED.model, 1_780_000_000, 7)
BEGIN: list[StreamEvent] = [Begin(7)]
CONTENT: list[StreamEvent] = [TextStart(0), TextDelta(0, "Hi")]
END: list[StreamEvent] = [BlockStop(0), Finish(StopReason.END_TURN, Usage(7, 1))]


class Stream:
    """One streamed reply whose client and clock are the test's."""

    def __init__(self, dialect: Dialect = ANTHROPIC) -> None:
        self.clock = FakeClock()
        self.caller = Caller("POST", "/v1/messages")
        self.exchange = self.caller.exchange()
        self.sink = StreamSink(self.exchange, dialect, ASKED, HEAD, self.clock)

    def do(self, *works: Awaitable[None]) -> None:
        async def one_after_the_other() -> None:
            for work in works:
                await work

        asyncio.run(one_after_the_other())

    def deliver(self, *turns: Sequence[StreamEvent]) -> None:
        self.do(*(self.sink.deliver(events) for events in turns))

    def sweep_after(self, silence_s: float) -> None:
        self.clock.advance(silence_s)
        self.do(self.sink.keep_alive(LIMITS))

    @property
    def names(self) -> list[str]:
        return [event.name for event in parse_sse(self.caller.body)]


# -------------------------------------------------------------------------------- what is sent


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI_CHAT], ids=lambda d: d.name)
def test_a_whole_stream_keeps_the_law_of_its_dialect(dialect: Dialect) -> None:
    stream = Stream(dialect)
    stream.deliver(BEGIN, CONTENT, END)
    stream.do(stream.sink.finish())
    events = parse_sse(stream.caller.body)

    assert stream.caller.has_ended
    if dialect is ANTHROPIC:
        check_anthropic_stream(events)
    else:
        check_chat_stream(events, includes_usage=False)


def test_a_stream_is_sent_as_events_that_nobody_may_keep() -> None:
    stream = Stream()
    stream.deliver(BEGIN)

    assert stream.caller.status == 200
    assert stream.caller.headers["content-type"].startswith("text/event-stream")
    assert stream.caller.headers["cache-control"] == "no-cache"


def test_what_is_delivered_together_leaves_in_one_write() -> None:
    stream = Stream()
    stream.deliver([*BEGIN, *CONTENT])

    assert len(stream.caller.sent) == 2, "the head and one piece of the body"


def test_the_beginning_is_no_content_and_the_first_block_is() -> None:
    stream = Stream()
    stream.deliver(BEGIN)
    begun = stream.sink.content_committed
    stream.deliver(CONTENT)

    assert (begun, stream.sink.content_committed) == (False, True)


def test_a_second_attempt_does_not_begin_again() -> None:
    stream = Stream()
    stream.deliver(BEGIN)
    stream.sink.restart()
    stream.deliver(BEGIN, [*BEGIN, *CONTENT], END)
    stream.do(stream.sink.finish())

    assert stream.names.count("message_start") == 1
    check_anthropic_stream(parse_sse(stream.caller.body))


def test_the_end_is_sent_once() -> None:
    stream = Stream()
    stream.deliver(BEGIN)
    stream.do(stream.sink.finish(), stream.sink.finish())

    assert [message.get("more_body") for message in stream.caller.sent[1:]] == [True, None]


def test_the_last_events_leave_with_the_end_of_the_body() -> None:
    stream = Stream()
    stream.deliver([*BEGIN, *CONTENT], END)
    stream.do(stream.sink.finish())

    last = stream.caller.sent[-1]
    assert parse_sse(last["body"])[-1].name == "message_stop"
    assert not last.get("more_body")
    assert stream.exchange.bytes_out == len(stream.caller.body)


def test_nothing_follows_the_finish_of_a_reply() -> None:
    stream = Stream()
    stream.deliver([*BEGIN, *CONTENT], END, [Failure(FaultKind.UNKNOWN, "too late")])
    stream.do(stream.sink.finish())

    check_anthropic_stream(parse_sse(stream.caller.body))
    assert "error" not in stream.names


# ------------------------------------------------------------------------------- signs of life


def test_a_stream_that_waits_is_not_started_before_its_time() -> None:
    stream = Stream()
    stream.sweep_after(LIMITS.status_commit_s - 0.1)

    assert stream.caller.sent == []


def test_a_stream_that_waits_too_long_starts_with_a_ping() -> None:
    stream = Stream()
    stream.sweep_after(LIMITS.status_commit_s)

    assert stream.caller.status == 200
    assert stream.names == ["ping"]
    assert not stream.sink.content_committed


def test_the_reply_follows_the_ping_in_the_same_stream() -> None:
    stream = Stream()
    stream.sweep_after(LIMITS.status_commit_s)
    stream.deliver([*BEGIN, *CONTENT], END)

    assert stream.names[:2] == ["ping", "message_start"]


def test_a_silent_stream_is_pinged_once_in_each_interval() -> None:
    stream = Stream()
    stream.deliver([*BEGIN, *CONTENT])
    for silence_s in (LIMITS.ping_s - 0.1, 0.1, LIMITS.ping_s - 0.1, 0.1):
        stream.sweep_after(silence_s)

    assert stream.names.count("ping") == 2


def test_a_stream_that_speaks_is_not_pinged() -> None:
    stream = Stream()
    stream.deliver([*BEGIN, *CONTENT])
    for _ in range(5):
        stream.sweep_after(LIMITS.ping_s - 1)
        stream.deliver([TextDelta(0, "more")])

    assert "ping" not in stream.names


def test_a_stream_that_has_ended_is_left_alone() -> None:
    stream = Stream()
    stream.deliver(BEGIN)
    stream.do(stream.sink.finish())
    sent = len(stream.caller.sent)
    stream.sweep_after(LIMITS.ping_s)

    assert len(stream.caller.sent) == sent


def test_a_client_that_does_not_read_is_not_pinged() -> None:
    stream = Stream()
    stream.deliver([*BEGIN, *CONTENT])
    stream.caller.connection.write_paused = True
    stream.sweep_after(LIMITS.ping_s)

    assert "ping" not in stream.names


def test_nothing_is_written_beside_a_write_that_waits() -> None:
    stream = Stream()
    stream.deliver([*BEGIN, *CONTENT])
    stream.sink.is_writing = True
    stream.sweep_after(LIMITS.ping_s)

    assert "ping" not in stream.names


def test_a_write_that_waits_is_known_to_the_sweep_until_it_is_done() -> None:
    stream = Stream()
    seen: list[bool] = []
    send = stream.caller.send

    async def watch(message: Any) -> None:
        seen.append(stream.sink.is_writing)
        await send(message)

    stream.caller.send = watch  # type: ignore[method-assign]
    exchange = stream.caller.exchange()
    stream.sink = StreamSink(exchange, ANTHROPIC, ASKED, HEAD, stream.clock)
    stream.deliver(BEGIN)

    assert seen == [False, True]
    assert not stream.sink.is_writing


# ------------------------------------------------------------------------------------ the sweep


class Deaf:
    """A sink whose client's connection fails at every sign of life."""

    async def keep_alive(self, limits: StreamLimits) -> None:
        raise RuntimeError("the connection is in no state for that")


def sweep_once(streams: OpenStreams, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiro2api.server.streams.SWEEP_S", 0.001)

    async def for_a_moment() -> None:
        async with asyncio.timeout(0.05):
            await streams.sweep_forever()

    with pytest.raises(TimeoutError):
        asyncio.run(for_a_moment())


def test_one_broken_stream_does_not_end_the_sweep_of_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors: list[BaseException] = []
    streams = OpenStreams(LIMITS, errors.append)
    good = Stream()
    good.clock.advance(LIMITS.status_commit_s)
    for sink in (Deaf(), good.sink, Deaf()):
        streams.add(sink)  # type: ignore[arg-type]
    sweep_once(streams, monkeypatch)

    assert good.names == ["ping"]
    assert len(errors) >= 2


def test_a_stream_that_is_done_is_swept_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = OpenStreams(LIMITS, lambda error: None)
    stream = Stream()
    stream.clock.advance(LIMITS.status_commit_s)
    streams.add(stream.sink)
    streams.discard(stream.sink)
    sweep_once(streams, monkeypatch)

    assert len(streams) == 0
    assert stream.caller.sent == []


# --------------------------------------------------------------------------------- whole replies


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI_CHAT], ids=lambda d: d.name)
def test_a_whole_reply_is_the_fold_of_its_events(dialect: Dialect) -> None:
    caller = Caller("POST", "/v1/messages")
    sink = FoldSink(caller.exchange(), dialect, ASKED, HEAD)

    async def reply() -> None:
        for events in (BEGIN, CONTENT, END):
            await sink.deliver(events)
        await sink.finish()

    asyncio.run(reply())
    assert caller.status == 200
    assert b'"Hi"' in caller.body


def test_a_whole_reply_has_nothing_of_an_attempt_that_failed() -> None:
    caller = Caller("POST", "/v1/messages")
    sink = FoldSink(caller.exchange(), ANTHROPIC, ASKED, HEAD)

    async def reply() -> None:
        await sink.deliver([*BEGIN, TextStart(0), TextDelta(0, "Half")])
        sink.restart()
        await sink.deliver([*BEGIN, *CONTENT, *END])
        await sink.finish()

    asyncio.run(reply())
    assert b"Half" not in caller.body


def test_whole_replies_are_never_committed() -> None:
    assert FoldSink(Caller().exchange(), ANTHROPIC, ASKED, HEAD).content_committed is False


def test_a_failure_never_becomes_a_whole_reply() -> None:
    sink = FoldSink(Caller().exchange(), ANTHROPIC, ASKED, HEAD)

    async def reply() -> None:
        await sink.deliver([*BEGIN, Failure(FaultKind.NETWORK, "broke")])
        await sink.finish()

    with pytest.raises(AssertionError):
        asyncio.run(reply())
