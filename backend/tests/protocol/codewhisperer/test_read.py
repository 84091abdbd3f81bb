"""The upstream's reply becomes hub events: nothing lost, nothing invented, one honest end."""

import itertools
import json
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.chat.events import (
    Begin,
    BlockStop,
    Finish,
    RedactedThinking,
    Refusal,
    SignatureDelta,
    StopReason,
    StreamEvent,
    TextDelta,
    TextStart,
    ThinkingDelta,
    ThinkingStart,
    ToolInputDelta,
    ToolUseStart,
)
from kiro2api.protocol.chat.fold import Reply, fold
from kiro2api.protocol.chat.grammar import Grammar
from kiro2api.protocol.chat.request import Text, Thinking, ToolUse
from kiro2api.protocol.codewhisperer.read import Ending, Flaw, Reader
from kiro2api.protocol.tokens import estimate_text
from kiro2api.protocol.wire.eventstream import Byte, Frame, FrameDecoder, HeaderValue


class Names:
    """Gives every tool the client's name in capitals, and one property its own name."""

    def to_client(self, name: str) -> str:
        return name.upper()

    def input_to_client(self, name: str, text: str) -> str:
        return text.replace("odd_1234", "odd name") if name == "ODD" else text


def frame(kind: str, payload: object) -> Frame:
    headers: dict[str, HeaderValue] = {
        ":message-type": "event",
        ":event-type": kind,
        ":content-type": "application/json",
    }
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Frame(headers, raw)


def text(content: str) -> Frame:
    return frame("assistantResponseEvent", {"content": content})


def thinking(**members: str) -> Frame:
    return frame("reasoningContentEvent", members)


def tool(call_id: str = "t1", name: str = "ls", **members: object) -> Frame:
    return frame("toolUseEvent", {"toolUseId": call_id, "name": name, **members})


def metadata(stop_reason: str | None = "END_TURN", **members: object) -> Frame:
    return frame("metadataEvent", {"stopReason": stop_reason, **members})


def context(percentage: float) -> Frame:
    return frame("contextUsageEvent", {"contextUsagePercentage": percentage})


def metering(usage: float) -> Frame:
    return frame("meteringEvent", {"unit": "credit", "unitPlural": "credits", "usage": usage})


def exception(name: str, payload: object = None) -> Frame:
    raw = json.dumps(payload or {"message": "told"}).encode()
    return Frame({":message-type": "exception", ":exception-type": name}, raw)


TAIL = (metadata(), context(1.0), metering(0.1))


def reader() -> Reader:
    return Reader(names=Names(), input_tokens=77, window_tokens=200_000)


def run(*frames: Frame) -> tuple[list[StreamEvent], Ending]:
    """Return all events of a reply, checked against the law, and its ending."""
    one = reader()
    events = one.read(frames)
    ending = one.end()
    events += ending.events
    if ending.flaw is not Flaw.EMPTY:
        Grammar().check_all(events)
    return events, ending


def finish_of(*frames: Frame) -> Finish:
    event = run(*frames)[0][-1]
    assert isinstance(event, Finish)
    return event


def reply_of(*frames: Frame) -> Reply:
    reply = fold(run(*frames)[0])
    assert isinstance(reply, Reply)
    return reply


# ---------------------------------------------------------------------- text


def test_the_first_event_is_the_beginning_with_the_estimate_of_the_input() -> None:
    assert reader().read([text("Hi")]) == [Begin(77), TextStart(0), TextDelta(0, "Hi")]


def test_frames_without_content_begin_nothing() -> None:
    one = reader()

    assert one.read([frame("initial-response", {}), frame("messageMetadataEvent", {})]) == []
    assert one.read([text(""), *TAIL]) == []
    assert not one.saw_content


def test_equal_neighbours_are_both_kept() -> None:
    assert reply_of(text("ha"), text("ha"), text("\n"), text("\n"), *TAIL).blocks == (
        Text("haha\n\n"),
    )


def test_each_frame_is_a_delta_of_its_own() -> None:
    events = reader().read([text("a"), text("b")])

    assert events[2:] == [TextDelta(0, "a"), TextDelta(0, "b")]


def test_code_is_text() -> None:
    assert reply_of(frame("codeEvent", {"content": "x = 1"}), *TAIL).blocks == (Text("x = 1"),)


def test_suggestions_of_the_service_are_no_text() -> None:
    follow_up = frame("followupPromptEvent", {"followupPrompt": {"content": "And then?"}})
    one = reader()
    one.read([text("Done."), follow_up, frame("citationEvent", {"citationText": "x"})])

    assert one.skipped == 0
    assert reply_of(text("Done."), follow_up, *TAIL).blocks == (Text("Done."),)


def test_unknown_events_are_skipped_and_counted() -> None:
    one = reader()
    events = one.read([frame("newEvent", b"\xff"), text("a"), frame("", {}), text("b")])

    assert one.skipped == 2
    assert [type(event) for event in events] == [Begin, TextStart, TextDelta, TextDelta]


def test_unknown_kinds_of_messages_are_skipped_and_counted() -> None:
    one = reader()
    odd = Frame({":message-type": "weather", ":event-type": "assistantResponseEvent"}, b"{}")
    odder = Frame({":message-type": Byte(1)}, b"{}")

    assert one.read([odd, odder]) == []
    assert one.skipped == 2


def test_a_frame_without_a_message_type_is_an_event() -> None:
    bare = Frame({":event-type": "assistantResponseEvent"}, b'{"content":"Hi"}')

    assert reply_of(bare, *TAIL).blocks == (Text("Hi"),)


def test_unknown_members_of_known_events_are_ignored() -> None:
    odd = frame("assistantResponseEvent", {"content": "Hi", "modelTag": {"x": [1]}, "new": 1})

    assert reply_of(odd, *TAIL).blocks == (Text("Hi"),)


def test_payloads_wrapped_in_their_own_name_are_unwrapped() -> None:
    inner: dict[str, object] = {
        "assistantResponseEvent": {"content": "Hi"},
        "reasoningContentEvent": {"text": "Hm"},
        "toolUseEvent": {"toolUseId": "t1", "name": "ls", "stop": True},
        "metadataEvent": {"stopReason": "PAUSE_TURN"},
        "contextUsageEvent": {"contextUsagePercentage": 10.0},
        "meteringEvent": {"usage": 0.5},
    }
    reply = reply_of(*(frame(kind, {kind: payload}) for kind, payload in inner.items()))

    assert [type(block) for block in reply.blocks] == [Text, Thinking, ToolUse]
    assert reply.finish.usage.credits == 0.5
    assert 19_000 < reply.finish.usage.input_tokens <= 20_000


def test_a_pause_told_in_a_wrapped_payload_counts() -> None:
    wrapped = frame("metadataEvent", {"metadataEvent": {"stopReason": "PAUSE_TURN"}})

    assert finish_of(text("a"), wrapped).stop_reason is StopReason.PAUSE_TURN


@pytest.mark.parametrize("payload", [{"other": {"content": "x"}}, {}, {"a": 1, "b": 2}])
def test_what_is_no_wrapping_is_not_taken_for_one(payload: object) -> None:
    assert reader().read([frame("assistantResponseEvent", payload)]) == []


@pytest.mark.parametrize(
    "payload", [b"not json", b"", b"[]", b'"text"', b'{"content":5}', b'{"content":"\xff"}']
)
def test_garbage_in_a_known_event_breaks_the_stream(payload: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        reader().read([frame("assistantResponseEvent", payload)])

    assert caught.value.kind is FaultKind.BROKEN_STREAM


@pytest.mark.parametrize(
    "kind",
    [
        "reasoningContentEvent",
        "toolUseEvent",
        "metadataEvent",
        "contextUsageEvent",
        "meteringEvent",
    ],
)
def test_garbage_in_any_known_event_breaks_the_stream(kind: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        reader().read([frame(kind, b"{")])

    assert caught.value.kind is FaultKind.BROKEN_STREAM


# ---------------------------------------------------------------------- half characters


def test_half_a_character_is_repaired_and_not_garbage() -> None:
    lone = frame("assistantResponseEvent", b'{"content":"a\\ud83d b"}')

    assert reply_of(lone, *TAIL).blocks == (Text("a\ufffd b"),)


def halves(first: bytes, second: bytes, *between: Frame) -> Sequence[Frame]:
    return [
        frame("assistantResponseEvent", b'{"content":"%s"}' % first),
        *between,
        frame("assistantResponseEvent", b'{"content":"%s"}' % second),
        *TAIL,
    ]


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        (b"a\\ud83d", b"\\ude00b", "a😀b"),
        (b"\\ud83d", b"\\ude00", "😀"),
        (b"\\uD83D\\ude00\\ud83d", b"\\ude01", "😀😁"),
        (b"a\\ud83d", b"b", "a\ufffdb"),
        (b"a\\ud83d", b"\\ud83d", "a\ufffd\ufffd"),
        (b"a", b"\\ude00b", "a\ufffdb"),
        (b"a\xef\xbf\xbd", b"\\ude00b", "a\ufffd\ufffdb"),
        (b"\\ud83d", b"\\ude00\\ud83d", "😀\ufffd"),
    ],
)
def test_halves_in_neighbouring_events_meet(first: bytes, second: bytes, whole: str) -> None:
    assert reply_of(*halves(first, second)).blocks == (Text(whole),)


def test_halves_with_another_block_between_do_not_meet() -> None:
    frames = halves(b"a\\ud83d", b"\\ude00b", tool(stop=True))

    assert [block for block in reply_of(*frames).blocks if isinstance(block, Text)] == [
        Text("a\ufffd"),
        Text("\ufffdb"),
    ]


def test_a_half_at_the_end_of_the_reply_is_told() -> None:
    assert reply_of(frame("assistantResponseEvent", b'{"content":"a\\ud83d"}')).blocks == (
        Text("a\ufffd"),
    )


# ---------------------------------------------------------------------- reasoning


def test_reasoning_is_a_block_that_its_signature_ends() -> None:
    events = reader().read([thinking(text="Hm"), thinking(text="m."), thinking(signature="EqQB")])

    assert events == [
        Begin(77),
        ThinkingStart(0),
        ThinkingDelta(0, "Hm"),
        ThinkingDelta(0, "m."),
        SignatureDelta(0, "EqQB"),
        BlockStop(0),
    ]


def test_text_after_unsigned_reasoning_is_a_block_of_its_own() -> None:
    assert reply_of(thinking(text="Hm"), text("Hi"), *TAIL).blocks == (
        Thinking("Hm", ""),
        Text("Hi"),
    )


def test_a_signature_alone_is_a_block_without_text() -> None:
    assert reply_of(thinking(signature="EqQB"), text("Hi"), *TAIL).blocks[0] == Thinking("", "EqQB")


def test_reasoning_after_a_signature_is_another_block() -> None:
    frames = (thinking(text="a", signature="S1"), thinking(text="b"), thinking(signature="S2"))

    assert reply_of(*frames, *TAIL).blocks == (Thinking("a", "S1"), Thinking("b", "S2"))


def test_opaque_reasoning_after_tools_is_passed_on() -> None:
    events = reader().read([tool(stop=True), thinking(redactedContent="b3BhcXVl")])

    assert events[-2:] == [RedactedThinking(1, "b3BhcXVl"), BlockStop(1)]


@pytest.mark.parametrize("members", [{}, {"text": ""}, {"signature": ""}, {"text": None}])
def test_reasoning_that_says_nothing_opens_nothing(members: dict[str, str]) -> None:
    assert reader().read([frame("reasoningContentEvent", members)]) == []


def test_reasoning_alone_is_no_empty_reply() -> None:
    events, ending = run(thinking(redactedContent="b3BhcXVl"), metadata())

    assert ending.flaw is None
    assert finish_of(thinking(text="Hm"), metadata()).stop_reason is StopReason.END_TURN
    assert len(events) == 4


# ---------------------------------------------------------------------- tools


def test_a_tool_call_is_held_until_it_is_whole() -> None:
    one = reader()

    assert one.read([tool(), tool(input='{"pa'), tool(input='th":"."}')]) == []
    assert one.saw_content
    assert one.read([tool(stop=True)]) == [
        Begin(77),
        ToolUseStart(0, "t1", "LS"),
        ToolInputDelta(0, '{"path":"."}'),
        BlockStop(0),
    ]


def test_the_properties_of_an_input_get_the_clients_names_back() -> None:
    events = reader().read([tool(name="odd", input='{"odd_1234":1}', stop=True)])

    assert ToolInputDelta(0, '{"odd name":1}') in events


def test_text_flows_while_a_tool_call_is_held() -> None:
    one = reader()
    one.read([tool(input="{")])

    assert one.read([text("meanwhile")])[-1] == TextDelta(0, "meanwhile")


def test_text_before_between_and_after_calls_keeps_its_place() -> None:
    reply = reply_of(
        text("a"),
        tool("t1", stop=True),
        text("b"),
        tool("t2", input="{}", stop=True),
        text("c"),
        *TAIL,
    )

    assert [type(block) for block in reply.blocks] == [Text, ToolUse, Text, ToolUse, Text]


def test_interleaved_calls_come_in_the_order_of_their_stops() -> None:
    reply = reply_of(
        tool("t1", input='{"a":'),
        tool("t2", input='{"b":'),
        tool("t2", input="2}", stop=True),
        tool("t1", input="1}", stop=True),
        metadata("TOOL_USE"),
    )

    assert [block.id for block in reply.blocks if isinstance(block, ToolUse)] == ["t2", "t1"]


def test_a_long_input_in_small_pieces_is_whole_and_quick() -> None:
    value = json.dumps({"content": "x" * 100_000})
    pieces = [value[at : at + 20] for at in range(0, len(value), 20)]
    started = time.perf_counter()
    reply = reply_of(*(tool(input=piece) for piece in pieces), tool(stop=True), *TAIL)

    assert isinstance(reply.blocks[0], ToolUse)
    assert bytes(reply.blocks[0].input) == value.encode()
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize(
    "broken",
    [
        (tool(input='{"a":'),),
        (tool(),),
        (tool(input='{"a":', stop=True),),
        (tool(input="{}", stop="true"),),
        (tool(input="{}", stop=True), tool(input="{}", stop=True)),
        (tool(input="{}"), tool(name="other", stop=True)),
        (frame("toolUseEvent", {"name": "ls", "stop": True}),),
    ],
)
@pytest.mark.parametrize("tail", [(), TAIL, (metadata("TOOL_USE"),), (metadata("MAX_TOKENS"),)])
def test_a_broken_call_is_dropped_and_told(
    broken: tuple[Frame, ...], tail: tuple[Frame, ...]
) -> None:
    events, ending = run(text("Writing"), *broken, *tail)
    finish = events[-1]

    assert ending.flaw is Flaw.BROKEN_TOOL_CALL
    assert isinstance(finish, Finish)
    assert finish.stop_reason is StopReason.MAX_TOKENS
    assert ToolInputDelta(1, '{"a":') not in events


def test_whole_calls_beside_a_broken_one_are_kept() -> None:
    events, ending = run(tool("t1", input="{}", stop=True), tool("t2", input='{"a"'), *TAIL)

    assert ending.flaw is Flaw.BROKEN_TOOL_CALL
    assert ToolUseStart(0, "t1", "LS") in events
    assert [event.id for event in events if isinstance(event, ToolUseStart)] == ["t1"]


def test_a_broken_call_alone_still_has_a_beginning_and_an_end() -> None:
    events, ending = run(tool(input="{"))

    assert [type(event) for event in events] == [Begin, Finish]
    assert ending.is_cut


# ---------------------------------------------------------------------- stop reasons


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ((text("a"), metadata("END_TURN")), StopReason.END_TURN),
        ((text("a"), metadata("UNKNOWN")), StopReason.END_TURN),
        ((text("a"), metadata("SOMETHING_NEW")), StopReason.END_TURN),
        ((text("a"), metadata(None)), StopReason.END_TURN),
        ((text("a"), metadata("TOOL_USE")), StopReason.END_TURN),
        ((text("a"), metadata("MAX_TOKENS")), StopReason.MAX_TOKENS),
        ((text("a"), metadata("PAUSE_TURN")), StopReason.PAUSE_TURN),
        ((text("a"), metadata("CONTENT_FILTERED")), StopReason.REFUSAL),
        ((text("a"), metadata("MODEL_CONTEXT_WINDOW_EXCEEDED")), StopReason.CONTEXT_WINDOW),
        ((text("a"), metadata("END_TURN"), context(100.0)), StopReason.CONTEXT_WINDOW),
        ((text("a"), metadata("END_TURN"), context(112.5)), StopReason.CONTEXT_WINDOW),
        ((text("a"), metadata("END_TURN"), context(99.9)), StopReason.END_TURN),
        ((tool(stop=True), metadata("END_TURN")), StopReason.TOOL_USE),
        ((tool(stop=True), metadata("TOOL_USE")), StopReason.TOOL_USE),
        ((tool(stop=True), metadata("MAX_TOKENS")), StopReason.TOOL_USE),
        ((tool(stop=True), metadata("PAUSE_TURN")), StopReason.TOOL_USE),
        ((tool(stop=True), text("done"), metadata("END_TURN")), StopReason.TOOL_USE),
        ((tool(stop=True), metadata("CONTENT_FILTERED")), StopReason.REFUSAL),
        ((tool(stop=True), context(100.0)), StopReason.CONTEXT_WINDOW),
        ((tool(stop=True),), StopReason.TOOL_USE),
        ((text("a"),), StopReason.MAX_TOKENS),
        ((thinking(text="a"),), StopReason.MAX_TOKENS),
        ((text("a"), context(5.0)), StopReason.END_TURN),
        ((text("a"), metering(0.1)), StopReason.END_TURN),
    ],
)
def test_the_stop_reason_follows_what_happened(
    frames: tuple[Frame, ...], expected: StopReason
) -> None:
    assert finish_of(*frames).stop_reason is expected


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_tail_may_come_in_any_order(order: tuple[int, int, int]) -> None:
    tail = (metadata("PAUSE_TURN"), context(10.0), metering(0.25))
    finish = finish_of(text("a"), *(tail[at] for at in order))

    assert finish.stop_reason is StopReason.PAUSE_TURN
    assert finish.usage.credits == 0.25
    assert finish.usage.input_tokens == 20_000 - estimate_text("a")


def test_content_after_the_metadata_is_still_read() -> None:
    assert reply_of(metadata(), text("late"), metering(0.1)).blocks == (Text("late"),)


@pytest.mark.parametrize(
    ("frames", "is_cut"),
    [
        ((text("a"),), True),
        ((tool(stop=True),), True),
        ((text("a"), metadata()), False),
        ((text("a"), context(1.0)), False),
        ((text("a"), metering(0.1)), False),
    ],
)
def test_content_without_any_tail_is_a_cut(frames: tuple[Frame, ...], is_cut: bool) -> None:
    assert run(*frames)[1].is_cut is is_cut


def test_a_refusal_says_why() -> None:
    details = {"refusal": {"category": "CYBER", "explanation": "No.", "recommendedModel": "x"}}
    finish = finish_of(text("a"), metadata("CONTENT_FILTERED", stopDetails=details))

    assert finish.refusal == Refusal("cyber", "No.")


@pytest.mark.parametrize("details", [None, {}, {"refusal": None}, {"refusal": {}}])
def test_a_refusal_without_details_is_a_refusal(details: object) -> None:
    finish = finish_of(metadata("CONTENT_FILTERED", stopDetails=details))

    assert (finish.stop_reason, finish.refusal) == (StopReason.REFUSAL, Refusal())


def test_no_other_end_has_a_refusal() -> None:
    assert finish_of(text("a"), metadata("END_TURN")).refusal is None


# ---------------------------------------------------------------------- empty replies


@pytest.mark.parametrize(
    "frames",
    [
        (),
        TAIL,
        (metadata(None), metering(0.1)),
        (text(""), *TAIL),
        (context(100.0),),
        (frame("newEvent", {}),),
    ],
)
def test_a_reply_without_content_is_empty(frames: tuple[Frame, ...]) -> None:
    events, ending = run(*frames)

    assert events == []
    assert ending == Ending((), Flaw.EMPTY)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("CONTENT_FILTERED", StopReason.REFUSAL),
        ("MODEL_CONTEXT_WINDOW_EXCEEDED", StopReason.CONTEXT_WINDOW),
        ("MAX_TOKENS", StopReason.MAX_TOKENS),
    ],
)
def test_an_empty_reply_that_explains_itself_is_a_reply(told: str, reason: StopReason) -> None:
    events, ending = run(metadata(told), metering(0.1))

    assert [type(event) for event in events] == [Begin, Finish]
    assert finish_of(metadata(told)).stop_reason is reason
    assert (ending.flaw, ending.is_cut) == (None, False)


@pytest.mark.parametrize("told", ["CONTENT_FILTERED", "MODEL_CONTEXT_WINDOW_EXCEEDED"])
def test_a_call_broken_by_a_filter_or_a_full_window_deserves_no_other_attempt(told: str) -> None:
    assert run(tool(input="{"), metadata(told))[1].flaw is None


# ---------------------------------------------------------------------- failures


def test_an_exception_in_the_stream_is_raised_as_what_it_means() -> None:
    payload = {"message": "slow", "reason": "INSUFFICIENT_MODEL_CAPACITY"}
    with pytest.raises(UpstreamError) as caught:
        reader().read([exception("throttlingError", payload)])

    assert caught.value.kind is FaultKind.MODEL_CAPACITY


def test_what_came_before_an_exception_in_the_same_read_can_be_salvaged() -> None:
    one = reader()
    with pytest.raises(UpstreamError):
        one.read([text("Hi"), exception("error")])

    assert one.salvage() == [Begin(77), TextStart(0), TextDelta(0, "Hi")]


def test_what_an_earlier_read_returned_is_not_salvaged_again() -> None:
    one = reader()
    one.read([text("Hi")])
    with pytest.raises(UpstreamError):
        one.read([exception("error")])

    assert one.salvage() == []


def test_an_error_message_is_raised_by_its_code() -> None:
    odd = Frame(
        {":message-type": "error", ":error-code": "ThrottlingException", ":error-message": "slow"},
        b"",
    )
    with pytest.raises(UpstreamError) as caught:
        reader().read([odd])

    assert (caught.value.kind, caught.value.message) == (FaultKind.RATE_LIMITED, "slow")


def test_an_invalid_state_is_a_failure() -> None:
    odd = frame("invalidStateEvent", {"reason": "INVALID_TASK_ASSIST_PLAN", "message": "bad"})
    with pytest.raises(UpstreamError) as caught:
        reader().read([odd])

    assert caught.value.kind is FaultKind.OVERLOADED
    assert caught.value.code == "INVALID_TASK_ASSIST_PLAN"


def test_an_overflow_before_any_content_is_a_prompt_that_is_too_long() -> None:
    with pytest.raises(UpstreamError) as caught:
        reader().read([exception("ContentLengthExceededException")])

    assert caught.value.kind is FaultKind.CONTEXT_TOO_LONG


def test_an_overflow_after_content_is_an_end_by_the_limit() -> None:
    one = reader()
    events = one.read([text("Hi"), exception("ContentLengthExceededException"), text("late")])
    Grammar().check_all(events)

    assert isinstance(events[-1], Finish)
    assert events[-1].stop_reason is StopReason.MAX_TOKENS
    assert one.read([text("later")]) == []
    assert one.end() == Ending((), None)


def test_an_answer_that_quotes_the_words_of_an_error_is_an_answer() -> None:
    words = 'Input is too long. {"reason":"CONTENT_LENGTH_EXCEEDS_THRESHOLD"}'

    assert reply_of(text(words), *TAIL).blocks == (Text(words),)


# ---------------------------------------------------------------------- usage


def test_the_upstreams_numbers_reach_the_finish() -> None:
    told = {
        "uncachedInputTokens": 812,
        "cacheReadInputTokens": 10240,
        "cacheWriteInputTokens": 3,
        "outputTokens": 96,
        "totalTokens": 11151,
        "contextUsagePercentage": 5.574,
    }
    usage = finish_of(text("a"), metadata("END_TURN", tokenUsage=told), metering(0.5)).usage

    assert (usage.input_tokens, usage.output_tokens) == (812, 96)
    assert (usage.cache_read_tokens, usage.cache_write_tokens) == (10240, 3)
    assert (usage.credits, usage.estimated) == (0.5, False)


def test_text_reasoning_and_tool_input_count_as_output() -> None:
    usage = finish_of(
        thinking(text="Let me think."), text("Hello."), tool(input='{"a":"b"}', stop=True)
    ).usage

    assert usage.output_tokens == pytest.approx(
        estimate_text("Let me think.") + estimate_text('Hello.{"a":"b"}'), abs=1
    )
    assert usage.reasoning_tokens == estimate_text("Let me think.")
    assert usage.input_tokens == 77
    assert usage.credits is None


def test_a_charge_without_a_number_is_lost_bookkeeping_and_no_error() -> None:
    finish = finish_of(text("a"), frame("meteringEvent", {"unit": "credit"}))

    assert (finish.stop_reason, finish.usage.credits) == (StopReason.END_TURN, None)


# ---------------------------------------------------------------------- properties

FRAMES = st.one_of(
    st.text(max_size=5).map(text),
    st.sampled_from([b"\\ud83d", b"\\ude00", b"\\ude00x\\ud83d"]).map(
        lambda half: frame("assistantResponseEvent", b'{"content":"%s"}' % half)
    ),
    st.text(max_size=5).map(lambda one: thinking(text=one)),
    st.sampled_from(["", "EqQB"]).map(lambda one: thinking(signature=one)),
    st.just(thinking(redactedContent="b3BhcXVl")),
    st.builds(
        tool,
        st.sampled_from(["t1", "t2", "t3"]),
        st.sampled_from(["f", "g"]),
        input=st.sampled_from(["", "{}", '{"a":', "1}", None]),
        stop=st.sampled_from([None, True, "true"]),
    ),
    st.sampled_from(["END_TURN", "TOOL_USE", "MAX_TOKENS", "CONTENT_FILTERED", None]).map(metadata),
    st.sampled_from([0.0, 5.0, 100.0]).map(context),
    st.sampled_from([0.1, 0.0]).map(metering),
    st.just(frame("newEvent", b"?")),
    st.just(exception("ContentLengthExceededException")),
    st.just(exception("throttlingError")),
)


@given(frames=st.lists(FRAMES, max_size=12), cuts=st.lists(st.integers(0, 12)))
def test_any_reply_obeys_the_law_and_is_the_same_at_every_cut(
    frames: list[Frame], cuts: list[int]
) -> None:
    at_once = outcome(frames, [0, len(frames)])
    cut = outcome(frames, [0, *sorted(cut for cut in cuts if cut < len(frames)), len(frames)])
    one_by_one = outcome(frames, list(range(len(frames) + 1)))

    assert at_once == cut == one_by_one


def outcome(frames: list[Frame], edges: list[int]) -> tuple[list[StreamEvent], object]:
    """Return the events that `frames` tell when read from edge to edge, and how that ended."""
    one, law = reader(), Grammar()
    events: list[StreamEvent] = []
    ended: object
    try:
        for start, stop in itertools.pairwise(edges):
            events += one.read(frames[start:stop])
        ending = one.end()
        events += ending.events
        ended = (ending.flaw, ending.is_cut)
    except UpstreamError as error:
        events += one.salvage()
        ended = error.kind
    for event in events:
        law.check(event)
    return events, ended


def test_frames_from_the_wire_are_read_byte_by_byte_as_at_once() -> None:
    wire = bytes.fromhex(
        "0000007c0000005c3bddcf780d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74"
        "797065070016617373697374616e74526573706f6e73654576656e740d3a636f6e74656e742d7479706507"
        "00106170706c69636174696f6e2f6a736f6e7b22636f6e74656e74223a224869227d09f66f51"
        "0000008b0000005226716e320d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74"
        "79706507000c746f6f6c5573654576656e740d3a636f6e74656e742d747970650700106170706c69636174"
        "696f6e2f6a736f6e7b226e616d65223a2266222c22746f6f6c5573654964223a227431222c2273746f7022"
        "3a747275657d622cc724"
    )
    decoder, one = FrameDecoder(), reader()
    events: list[StreamEvent] = []
    for at in range(len(wire)):
        events += one.read(decoder.feed(wire[at : at + 1]))

    assert events == reader().read(FrameDecoder().feed(wire))
    assert events[-3:] == [ToolUseStart(1, "t1", "F"), ToolInputDelta(1, "{}"), BlockStop(1)]
