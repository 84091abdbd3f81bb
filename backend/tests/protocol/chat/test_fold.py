"""A whole reply from its events."""

import msgspec
import pytest
from hypothesis import given

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat import events as ev
from kiro2api.protocol.chat.fold import Reply, ServerToolAnswer, ServerToolCall, fold
from kiro2api.protocol.chat.request import RedactedThinking, Text, Thinking, ToolUse
from tests.support.replies import events_of, replies

FINISH = ev.Finish(ev.StopReason.END_TURN, ev.Usage(input_tokens=3, output_tokens=5))


def test_deltas_of_a_block_are_joined_in_order() -> None:
    events = events_of([ev.TextStart(0), ev.TextDelta(0, "a"), ev.TextDelta(0, "b")], finish=FINISH)

    assert fold(events) == Reply((Text("ab"),), FINISH)


def test_every_kind_of_block_keeps_its_place() -> None:
    events = events_of(
        [ev.ThinkingStart(0), ev.ThinkingDelta(0, "hm"), ev.SignatureDelta(0, "sig")],
        [ev.RedactedThinking(1, "sealed")],
        [ev.TextStart(2), ev.TextDelta(2, "hi")],
        [
            ev.ToolUseStart(3, "t1", "read"),
            ev.ToolInputDelta(3, '{"a":'),
            ev.ToolInputDelta(3, "1}"),
        ],
        [ev.ServerToolUse(4, "s1", "web_search", msgspec.Raw(b'{"query":"q"}'))],
        [ev.ServerToolResult(5, "s1", msgspec.Raw(b"[]"))],
        finish=FINISH,
    )

    reply = fold(events)

    assert isinstance(reply, Reply)
    assert msgspec.to_builtins(reply.blocks[:3]) == msgspec.to_builtins(
        (Thinking("hm", "sig"), RedactedThinking("sealed"), Text("hi"))
    )
    assert [type(block) for block in reply.blocks[3:]] == [
        ToolUse,
        ServerToolCall,
        ServerToolAnswer,
    ]
    assert isinstance(reply.blocks[3], ToolUse)
    assert bytes(reply.blocks[3].input) == b'{"a":1}'


def test_a_signature_stays_with_its_own_block() -> None:
    events = events_of(
        [ev.ThinkingStart(0), ev.SignatureDelta(0, "one")], [ev.ThinkingStart(1)], finish=FINISH
    )

    reply = fold(events)

    assert isinstance(reply, Reply)
    assert reply.blocks == (Thinking("", "one"), Thinking("", ""))


def test_a_tool_call_without_input_gets_an_empty_object() -> None:
    reply = fold(events_of([ev.ToolUseStart(0, "t", "now")], finish=FINISH))

    assert isinstance(reply, Reply)
    assert isinstance(reply.blocks[0], ToolUse)
    assert bytes(reply.blocks[0].input) == b"{}"


@given(replies())
def test_a_failure_anywhere_is_the_answer(events: list[ev.StreamEvent]) -> None:
    failure = ev.Failure(FaultKind.BROKEN_STREAM, "cut")

    assert all(fold([*events[:cut], failure]) is failure for cut in range(len(events)))


def test_events_without_an_end_are_a_bug() -> None:
    with pytest.raises(ValueError, match="no end"):
        fold([ev.Begin(1)])


def test_a_block_that_nothing_opened_is_a_bug() -> None:
    with pytest.raises(ValueError, match="opens no block"):
        fold([ev.Begin(1), ev.BlockStop(0)])
