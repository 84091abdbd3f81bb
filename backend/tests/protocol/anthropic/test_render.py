"""Anthropic answers, judged by the vendor's own types: the stream tells what the whole tells."""

from typing import Any

import msgspec
import pytest
from anthropic.types import Message, MessageTokensCount, RawMessageStreamEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from kiro2api.errors import FaultKind
from kiro2api.protocol.anthropic.render import StreamRenderer, render_count, render_reply
from kiro2api.protocol.chat import events as ev
from kiro2api.protocol.chat.answer import ReplyHead
from kiro2api.protocol.chat.fold import Reply, fold
from kiro2api.protocol.chat.grammar import Grammar
from kiro2api.protocol.chat.request import ChatRequest
from tests.support.replies import events_of, replies
from tests.support.sse import SseEvent, parse_sse

Json = Any  # what a client reads
REQUEST = ChatRequest(model="claude-sonnet-4.5", turns=())
HEAD = ReplyHead("01abc", "claude-sonnet-4.5", 1_700_000_000, 7)
USAGE = ev.Usage(input_tokens=10, output_tokens=4, cache_read_tokens=3, cache_write_tokens=2)
FINISH = ev.Finish(ev.StopReason.END_TURN, USAGE)
EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def stream(events: list[ev.StreamEvent]) -> list[SseEvent]:
    """The events that a client reads when `events` happen."""
    grammar = Grammar()
    for event in events:
        grammar.check(event)
    return parse_sse(StreamRenderer(REQUEST, HEAD).render(events))


def whole(events: list[ev.StreamEvent]) -> Json:
    reply = fold(events)
    assert isinstance(reply, Reply)
    return msgspec.json.decode(render_reply(REQUEST, HEAD, reply))


def accumulate(sent: list[SseEvent]) -> Json:
    """The message that a client puts together from a stream, in the way of the vendor's helper."""
    message = sent[0].data["message"]
    for data in (one.data for one in sent[1:]):
        match data["type"]:
            case "content_block_start":
                assert data["index"] == len(message["content"])
                message["content"].append(data["content_block"])
            case "content_block_delta":
                grow(message["content"][data["index"]], data["delta"])
            case "content_block_stop":
                close(message["content"][data["index"]])
            case "message_delta":
                message |= data["delta"]
                message["usage"] = data["usage"]
    return message


def grow(block: Json, delta: Json) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] += delta["signature"]
        case "input_json_delta":
            block["partial"] = block.get("partial", "") + delta["partial_json"]


def close(block: Json) -> None:
    if "input" in block:
        assert block["input"] == {}
        block["input"] = msgspec.json.decode(block.pop("partial") or "{}")


# ------------------------------------------------------------------------------------ properties


@given(replies())
def test_the_stream_tells_what_the_whole_reply_tells(events: list[ev.StreamEvent]) -> None:
    assert accumulate(stream(events)) == whole(events)


@given(replies(), st.data())
def test_any_cut_of_the_events_into_calls_gives_the_same_bytes(
    events: list[ev.StreamEvent], data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=5)))
    renderer = StreamRenderer(REQUEST, HEAD)
    edges = zip([0, *cuts], [*cuts, len(events)], strict=True)

    pieces = [renderer.render(events[start:end]) for start, end in edges]

    assert b"".join(pieces) == StreamRenderer(REQUEST, HEAD).render(events)


@given(replies())
def test_every_event_is_one_of_the_vendors(events: list[ev.StreamEvent]) -> None:
    for one in stream(events):
        assert one.name == one.data["type"]
        EVENT.validate_json(msgspec.json.encode(one.data), strict=True)


@given(replies())
def test_every_whole_reply_is_one_of_the_vendors(events: list[ev.StreamEvent]) -> None:
    Message.model_validate_json(msgspec.json.encode(whole(events)), strict=True)


@given(replies())
def test_a_stream_starts_once_and_ends_in_the_fixed_order(events: list[ev.StreamEvent]) -> None:
    names = [one.name for one in stream(events)]

    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    assert names.count("message_start") == names.count("message_delta") == 1


@given(replies())
def test_blocks_open_grow_and_stop_one_after_the_other(events: list[ev.StreamEvent]) -> None:
    opened = stopped = 0
    for one in stream(events):
        match one.name:
            case "content_block_start":
                assert one.data["index"] == opened == stopped
                opened += 1
            case "content_block_delta":
                assert one.data["index"] == opened - 1 == stopped
            case "content_block_stop":
                assert one.data["index"] == stopped
                stopped += 1

    assert opened == stopped


@given(replies(), st.sampled_from(FaultKind))
def test_a_failure_anywhere_ends_the_stream_with_an_error(
    events: list[ev.StreamEvent], kind: FaultKind
) -> None:
    for cut in range(len(events)):
        last = stream([*events[:cut], ev.Failure(kind, "It broke.")])[-1]

        assert last.name == last.data["type"] == "error"
        assert last.data["error"]["message"] == "It broke."


# ------------------------------------------------------------------------------------ exact bytes


def test_a_text_reply_is_exactly_this() -> None:
    events = events_of([ev.TextStart(0), ev.TextDelta(0, 'A "b"\n')], finish=FINISH)

    assert StreamRenderer(REQUEST, HEAD).render(events).decode() == (
        "event: message_start\n"
        'data: {"type":"message_start","message":{"id":"msg_01abc","type":"message",'
        '"role":"assistant","model":"claude-sonnet-4.5","content":[],"stop_reason":null,'
        '"stop_sequence":null,"usage":{"input_tokens":7,"cache_creation_input_tokens":0,'
        '"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
        "event: content_block_start\n"
        'data: {"type":"content_block_start","index":0,'
        '"content_block":{"type":"text","text":""}}\n\n'
        "event: content_block_delta\n"
        'data: {"type":"content_block_delta","index":0,'
        '"delta":{"type":"text_delta","text":"A \\"b\\"\\n"}}\n\n'
        "event: content_block_stop\n"
        'data: {"type":"content_block_stop","index":0}\n\n'
        "event: message_delta\n"
        'data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
        '"usage":{"input_tokens":10,"cache_creation_input_tokens":2,'
        '"cache_read_input_tokens":3,"output_tokens":4}}\n\n'
        "event: message_stop\n"
        'data: {"type":"message_stop"}\n\n'
    )


def test_a_whole_reply_is_exactly_this() -> None:
    events = events_of([ev.TextStart(0), ev.TextDelta(0, "hi")], finish=FINISH)

    assert whole(events) == {
        "id": "msg_01abc",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4.5",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 2,
            "cache_read_input_tokens": 3,
            "output_tokens": 4,
        },
    }


def deltas(*block: ev.StreamEvent) -> list[Json]:
    sent = stream(events_of(list(block), finish=FINISH))
    return [one.data["delta"] for one in sent if one.name == "content_block_delta"]


def first_block(*block: ev.StreamEvent) -> Json:
    sent = stream(events_of(list(block), finish=FINISH))
    return next(one.data["content_block"] for one in sent if one.name == "content_block_start")


def test_a_tool_call_starts_empty_and_grows_by_pieces_of_json() -> None:
    call = (
        ev.ToolUseStart(0, "toolu_1", "read"),
        ev.ToolInputDelta(0, '{"a":'),
        ev.ToolInputDelta(0, "1}"),
    )

    assert first_block(*call) == {"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}}
    assert deltas(*call) == [
        {"type": "input_json_delta", "partial_json": '{"a":'},
        {"type": "input_json_delta", "partial_json": "1}"},
    ]


def test_a_tool_call_without_arguments_sends_one_empty_piece() -> None:
    assert deltas(ev.ToolUseStart(0, "t", "now")) == [
        {"type": "input_json_delta", "partial_json": ""}
    ]


def test_the_empty_piece_belongs_to_its_call_only() -> None:
    events = events_of(
        [ev.ToolUseStart(0, "t", "now")], [ev.TextStart(1), ev.TextDelta(1, "x")], finish=FINISH
    )

    assert sum(one.name == "content_block_delta" for one in stream(events)) == 2


def test_the_input_of_a_server_tool_comes_as_a_piece_of_json() -> None:
    call = ev.ServerToolUse(0, "srvtoolu_1", "web_search", msgspec.Raw(b'{"query":"tea"}'))

    assert first_block(call)["input"] == {}
    assert deltas(call) == [{"type": "input_json_delta", "partial_json": '{"query":"tea"}'}]


def test_the_answer_of_a_search_comes_whole() -> None:
    hits = b'[{"type":"web_search_result","title":"T","url":"u","encrypted_content":"e"}]'

    assert first_block(ev.ServerToolResult(0, "srvtoolu_1", msgspec.Raw(hits))) == {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": msgspec.json.decode(hits),
    }


def test_reasoning_is_signed_at_its_end() -> None:
    block = ev.ThinkingStart(0), ev.ThinkingDelta(0, "hm"), ev.SignatureDelta(0, "sig")

    assert first_block(*block) == {"type": "thinking", "thinking": "", "signature": ""}
    assert deltas(*block) == [
        {"type": "thinking_delta", "thinking": "hm"},
        {"type": "signature_delta", "signature": "sig"},
    ]


@pytest.mark.parametrize("signature", [[], [ev.SignatureDelta(0, "")]])
def test_no_signature_is_invented(signature: list[ev.StreamEvent]) -> None:
    assert deltas(ev.ThinkingStart(0), ev.ThinkingDelta(0, "hm"), *signature) == [
        {"type": "thinking_delta", "thinking": "hm"}
    ]


# --------------------------------------------------------------------------------- how it ended


def ending(finish: ev.Finish) -> Json:
    events = events_of([ev.TextStart(0), ev.TextDelta(0, "x")], finish=finish)
    streamed = next(one.data["delta"] for one in stream(events) if one.name == "message_delta")
    reply = whole(events)
    assert streamed == {name: reply[name] for name in streamed}
    return streamed


@pytest.mark.parametrize("reason", ev.StopReason)
def test_every_stop_reason_keeps_its_name(reason: ev.StopReason) -> None:
    assert ending(ev.Finish(reason, USAGE))["stop_reason"] == reason.value


def test_the_stop_sequence_that_matched_is_told() -> None:
    finish = ev.Finish(ev.StopReason.STOP_SEQUENCE, USAGE, stop_sequence="END")

    assert ending(finish)["stop_sequence"] == "END"


def test_an_ordinary_end_has_no_details() -> None:
    assert "stop_details" not in ending(FINISH)


@pytest.mark.parametrize(
    ("refusal", "category", "explanation"),
    [
        (ev.Refusal("CYBER", "No."), "cyber", "No."),
        (ev.Refusal("FRONTIER_LLM"), "frontier_llm", None),
        (ev.Refusal("UNKNOWN", "No."), None, "No."),
        (None, None, None),
    ],
)
def test_a_refusal_tells_its_details(
    refusal: ev.Refusal | None, category: str | None, explanation: str | None
) -> None:
    finish = ev.Finish(ev.StopReason.REFUSAL, USAGE, refusal=refusal)

    assert ending(finish)["stop_details"] == {
        "type": "refusal",
        "category": category,
        "explanation": explanation,
    }


# ---------------------------------------------------------------------------------------- the rest


def test_a_ping_means_nothing_and_says_so() -> None:
    assert parse_sse(StreamRenderer(REQUEST, HEAD).ping()) == [SseEvent("ping", {"type": "ping"})]


def test_nothing_happened_is_nothing_sent() -> None:
    assert StreamRenderer(REQUEST, HEAD).render([]) == b""


def test_every_event_of_the_hub_is_rendered() -> None:
    # A reply of each kind of event is drawn above; this one holds the list complete.
    rendered = {type(event) for event in everything()}

    assert rendered >= ev.CONTENT_EVENTS


def everything() -> list[ev.StreamEvent]:
    events = events_of(
        [ev.TextStart(0), ev.TextDelta(0, "a")],
        [ev.ThinkingStart(1), ev.ThinkingDelta(1, "b"), ev.SignatureDelta(1, "c")],
        [ev.RedactedThinking(2, "d")],
        [ev.ToolUseStart(3, "e", "f"), ev.ToolInputDelta(3, "{}")],
        [ev.ServerToolUse(4, "g", "web_search", msgspec.Raw(b"{}"))],
        [ev.ServerToolResult(5, "g", msgspec.Raw(b"[]"))],
        finish=FINISH,
    )
    assert stream(events)
    return events


def test_a_count_is_one_of_the_vendors() -> None:
    assert MessageTokensCount.model_validate_json(render_count(42), strict=True).input_tokens == 42
