"""One upstream response, from its bytes to the client."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import FaultKind, FramingError, TransferError, UpstreamError
from kiro2api.gateway.relay import relay
from kiro2api.protocol.chat.events import Finish, StreamEvent, TextDelta
from kiro2api.protocol.codewhisperer.read import Ending, Flaw, Reader
from kiro2api.protocol.wire.eventstream import Header, encode_frame
from kiro2api.protocol.wire.json import encode
from tests.support.fakes import FakeSink, FakeTransfer, Piece, payload_event, text_reply
from tests.support.upstream_reply import Names

ONE = payload_event("assistantResponseEvent", {"content": "one "})
TWO = payload_event("assistantResponseEvent", {"content": "two"})
TAIL = payload_event("metadataEvent", {"stopReason": "END_TURN"})
STRANGE = payload_event("brandNewEvent", {})
CORRUPT = ONE[:-1] + bytes([ONE[-1] ^ 0xFF])
EXCEPTION = encode_frame(
    [Header(":message-type", "exception"), Header(":exception-type", "error")],
    encode({"message": "broke"}),
)


class Scene:
    """A relay, and what it did in order."""

    def __init__(self, *pieces: Piece, commits: bool = True) -> None:
        self.transfer = FakeTransfer(200, *pieces)
        self.sink = FakeSink(commits=commits)
        self.deliveries: list[str] = []
        self.first_events = 0

    def run(self) -> Ending:
        reader = Reader(names=Names(), input_tokens=7, window_tokens=200_000)
        deliver = self.sink.deliver

        async def watched(events: list[StreamEvent]) -> None:
            self.deliveries.append(text_of(events))
            await deliver(events)

        self.sink.deliver = watched  # type: ignore[method-assign, assignment]
        return asyncio.run(relay(self.transfer, reader, self.sink, self._first_event))

    def fail(self) -> UpstreamError:
        with pytest.raises(UpstreamError) as caught:
            self.run()
        return caught.value

    def _first_event(self) -> None:
        assert self.deliveries == []
        self.first_events += 1

    @property
    def text(self) -> str:
        return text_of(self.sink.events)


def text_of(events: list[StreamEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_what_one_read_brings_leaves_in_one_delivery() -> None:
    scene = Scene(ONE + TWO, TWO, TAIL)
    scene.run()

    assert scene.deliveries[:2] == ["one two", "two"]


def test_a_frame_in_two_reads_is_delivered_when_it_is_whole() -> None:
    scene = Scene(ONE[:20], ONE[20:], TAIL)
    scene.run()

    assert scene.deliveries[0] == "one "


@given(st.lists(st.integers(1, 40), min_size=1, max_size=40))
def test_any_cut_brings_the_same_text_and_the_same_end(sizes: list[int]) -> None:
    whole = text_reply("one ", "two", "三")
    pieces: list[Piece] = []
    while whole:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(whole[:size])
        whole = whole[size:]
    scene = Scene(*pieces)
    ending = scene.run()

    assert scene.text == "one two三"
    assert (ending.flaw, ending.is_cut) == (None, False)


def test_the_first_event_is_told_once_and_before_its_delivery() -> None:
    scene = Scene(ONE, TWO, TAIL)
    scene.run()

    assert scene.first_events == 1


def test_frames_without_meaning_are_no_first_event() -> None:
    scene = Scene(STRANGE, TransferError("nothing came", timed_out=True))
    scene.fail()

    assert scene.first_events == 0


def test_an_end_inside_a_frame_is_a_broken_stream() -> None:
    assert Scene(ONE, TWO[:-3]).fail().kind is FaultKind.BROKEN_STREAM


def test_an_end_without_a_tail_is_told_by_the_ending() -> None:
    assert Scene(ONE).run().is_cut


def test_an_empty_body_is_told_by_the_ending() -> None:
    assert Scene().run().flaw is Flaw.EMPTY


def test_frames_before_corrupt_bytes_are_delivered_and_none_after() -> None:
    scene = Scene(ONE + CORRUPT + TWO)
    with pytest.raises(FramingError):
        scene.run()

    assert scene.text == "one "


def test_a_connection_that_breaks_is_a_broken_stream() -> None:
    scene = Scene(ONE, TransferError("connection reset"))
    fault = scene.fail()

    assert (fault.kind, fault.message) == (FaultKind.BROKEN_STREAM, "connection reset")
    assert scene.text == "one "


def test_an_orderly_close_is_an_end_once_the_client_has_begun_to_read() -> None:
    scene = Scene(ONE, TransferError("the body ended early", closed=True))

    assert scene.run().is_cut


def test_an_orderly_close_is_a_broken_stream_while_another_attempt_may_follow() -> None:
    scene = Scene(ONE, TransferError("the body ended early", closed=True), commits=False)

    assert scene.fail().kind is FaultKind.BROKEN_STREAM


def test_an_orderly_close_inside_a_frame_is_a_broken_stream() -> None:
    scene = Scene(ONE, TWO[:-3], TransferError("the body ended early", closed=True))

    assert scene.fail().kind is FaultKind.BROKEN_STREAM


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize(
    "error", [TransferError("connection reset"), TransferError("silence", timed_out=True)], ids=str
)
def test_a_reply_with_its_tail_is_whole_however_the_connection_ends(
    error: TransferError, commits: bool
) -> None:
    scene = Scene(ONE + TAIL, error, commits=commits)
    ending = scene.run()

    assert (scene.text, ending.flaw, ending.is_cut) == ("one ", None, False)


def test_a_silence_is_a_fault_of_the_network_and_a_gateway_timeout() -> None:
    fault = Scene(ONE, TransferError("nothing came for 120 s", timed_out=True)).fail()

    assert (fault.kind, fault.status) == (FaultKind.NETWORK, 504)


def test_what_came_with_an_exception_is_the_clients_once_it_has_begun_to_read() -> None:
    scene = Scene(ONE, TWO + EXCEPTION)
    scene.fail()

    assert scene.text == "one two"


def test_what_came_with_an_exception_is_dropped_while_another_attempt_may_follow() -> None:
    scene = Scene(ONE + EXCEPTION)
    scene.fail()

    assert scene.text == ""


def test_nothing_is_read_after_the_reply_is_over() -> None:
    overflow = encode_frame(
        [
            Header(":message-type", "exception"),
            Header(":exception-type", "ContentLengthExceededException"),
        ],
        encode({"message": "full"}),
    )
    scene = Scene(ONE, overflow + CORRUPT, TransferError("reset"))
    ending = scene.run()

    assert scene.text == "one "
    assert isinstance(ending.events[-1], Finish)
