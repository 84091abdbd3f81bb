"""The upstream's reply becomes hub events: nothing lost, nothing invented."""

import json
import time
from collections.abc import Sequence

import pytest

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.chat.events import (
    Begin,
    BlockStop,
    Finish,
    RedactedThinking,
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
from kiro2api.protocol.chat.request import Text, Thinking, ToolUse
from kiro2api.protocol.codewhisperer.read import Flaw
from kiro2api.protocol.wire.eventstream import Byte, Frame, FrameDecoder
from tests.support.upstream_reply import (
    TAIL,
    finish_of,
    frame,
    metadata,
    reader,
    reply_of,
    run,
    text,
    thinking,
    tool,
)

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
    started = time.process_time()
    reply = reply_of(*(tool(input=piece) for piece in pieces), tool(stop=True), *TAIL)

    assert isinstance(reply.blocks[0], ToolUse)
    assert bytes(reply.blocks[0].input) == value.encode()
    assert time.process_time() - started < 1


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
