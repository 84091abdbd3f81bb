"""Tests of replies in the API's shape, judged by the types of the official library."""

import json
from collections.abc import Sequence
from typing import Any

import httpx2
import msgspec
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat import events as ev
from kiro2api.protocol.chat.answer import PublicModel, ReplyHead
from kiro2api.protocol.chat.fold import Reply, fold
from kiro2api.protocol.chat.grammar import Grammar
from kiro2api.protocol.chat.request import ChatRequest
from kiro2api.protocol.openai_chat.render import (
    FINISH_REASONS,
    StreamRenderer,
    render_model,
    render_models,
    render_reply,
)
from tests.support.replies import events_of, replies
from tests.support.sse import SseParser, check_chat_stream, parse_sse

HEAD = ReplyHead("abc", "claude-sonnet-4-5", 1_700_000_000, 7)
PLAIN = ChatRequest("claude-sonnet-4-5", ())
WITH_USAGE = ChatRequest("claude-sonnet-4-5", (), include_usage=True)
USAGE = ev.Usage(
    input_tokens=10,
    output_tokens=5,
    cache_read_tokens=100,
    cache_write_tokens=20,
    reasoning_tokens=3,
)
END = ev.Finish(ev.StopReason.END_TURN, USAGE)
TOOLS = ev.Finish(ev.StopReason.TOOL_USE, USAGE)
SAYS_HI: list[ev.StreamEvent] = [ev.TextStart(0), ev.TextDelta(0, "h"), ev.TextDelta(0, "i")]


def stream(events: Sequence[ev.StreamEvent], request: ChatRequest = PLAIN) -> list[Any]:
    Grammar().check_all(events)
    body = StreamRenderer(request, HEAD).render(events)
    check_chat_stream(parse_sse(body), includes_usage=request.include_usage)
    return chunks(body)


def chunks(body: bytes) -> list[Any]:
    """Return the chunks, each valid by the official types; the end as a plain string."""
    found: list[Any] = []
    for sent in parse_sse(body):
        chunk = "[DONE]" if sent.is_done else sent.data
        if not sent.is_done and "error" not in chunk:
            require_exact(ChatCompletionChunk.model_validate(chunk, strict=True))
        found.append(chunk)
    return found


def require_exact(value: Any) -> None:
    """Require that a model of the library knows every member, but for the one that all add."""
    if isinstance(value, list):
        for item in value:
            require_exact(item)
    elif isinstance(value, openai.BaseModel):
        assert set(value.model_extra or {}) <= {"reasoning_content"}
        for field in type(value).model_fields:
            require_exact(getattr(value, field))


def reply_body(events: Sequence[ev.StreamEvent]) -> dict[str, Any]:
    reply = fold(events)
    assert isinstance(reply, Reply)
    body = json.loads(render_reply(PLAIN, HEAD, reply))
    require_exact(ChatCompletion.model_validate(body, strict=True))
    return dict(body)


def deltas(found: list[Any]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in found[:-1] if chunk["choices"]]


def test_a_text_reply_streams_role_text_finish_and_end() -> None:
    found = stream(events_of(SAYS_HI, finish=END))

    assert deltas(found) == [
        {"role": "assistant", "content": ""},
        {"content": "h"},
        {"content": "i"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in found[:-1]] == [None] * 3 + ["stop"]
    assert found[-1] == "[DONE]"


def test_every_chunk_carries_the_same_name_and_the_model_as_asked() -> None:
    found = stream(events_of(SAYS_HI, finish=END), WITH_USAGE)

    heads = [{key: c[key] for key in ("id", "object", "created", "model")} for c in found[:-1]]
    assert heads == [
        {
            "id": "chatcmpl-abc",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "claude-sonnet-4-5",
        }
    ] * len(heads)


def test_usage_comes_last_and_only_when_asked_for() -> None:
    events = events_of(SAYS_HI, finish=END)

    assert all("usage" not in chunk for chunk in stream(events)[:-1])
    asked = stream(events, WITH_USAGE)
    assert [("usage" in chunk) for chunk in asked[:-1]] == [False] * 4 + [True]
    assert asked[-2]["choices"] == []
    assert asked[-2]["usage"] == {
        "prompt_tokens": 130,
        "completion_tokens": 5,
        "total_tokens": 135,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_tool_calls_stream_with_index_id_and_pieces_of_text() -> None:
    found = stream(
        events_of(
            SAYS_HI,
            [
                ev.ToolUseStart(1, "t1", "ls"),
                ev.ToolInputDelta(1, '{"p":'),
                ev.ToolInputDelta(1, '"."}'),
            ],
            [ev.ToolUseStart(2, "t2", "cat"), ev.ToolInputDelta(2, "{}")],
            finish=TOOLS,
        )
    )

    calls = [delta["tool_calls"][0] for delta in deltas(found) if "tool_calls" in delta]
    assert calls == [
        {"index": 0, "id": "t1", "type": "function", "function": {"name": "ls", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"p":'}},
        {"index": 0, "function": {"arguments": '"."}'}},
        {"index": 1, "id": "t2", "type": "function", "function": {"name": "cat", "arguments": ""}},
        {"index": 1, "function": {"arguments": "{}"}},
    ]
    assert found[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_a_call_without_input_has_an_empty_object_as_arguments() -> None:
    call: list[ev.StreamEvent] = [ev.ToolUseStart(0, "t1", "ls"), ev.ToolInputDelta(0, "")]
    events = events_of(call, finish=TOOLS)

    pieces = [d["tool_calls"][0]["function"]["arguments"] for d in deltas(stream(events))[1:-1]]
    assert "".join(pieces) == "{}"
    assert reply_body(events)["choices"][0]["message"]["tool_calls"][0]["function"] == {
        "name": "ls",
        "arguments": "{}",
    }


def test_reasoning_streams_apart_from_the_answer() -> None:
    thinking: list[ev.StreamEvent] = [
        ev.ThinkingStart(0),
        ev.ThinkingDelta(0, "hm"),
        ev.SignatureDelta(0, "sig"),
    ]
    text: list[ev.StreamEvent] = [ev.TextStart(1), ev.TextDelta(1, "4")]
    events = events_of(thinking, text, finish=END)

    assert deltas(stream(events))[1:-1] == [{"reasoning_content": "hm"}, {"content": "4"}]
    message = reply_body(events)["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == ("hm", "4")


def test_blocks_of_text_are_joined_by_a_line_break() -> None:
    events = events_of(
        [ev.TextStart(0), ev.TextDelta(0, "a")],
        [ev.TextStart(1), ev.TextDelta(1, ""), ev.TextDelta(1, "b"), ev.TextDelta(1, "c")],
        finish=END,
    )

    assert deltas(stream(events))[1:-1] == [{"content": "a"}, {"content": "\nb"}, {"content": "c"}]
    assert reply_body(events)["choices"][0]["message"]["content"] == "a\nbc"


def test_events_without_a_place_in_the_api_leave_no_trace() -> None:
    events = events_of(
        [ev.RedactedThinking(0, "x")],
        [ev.ServerToolUse(1, "s1", "web_search", msgspec.Raw(b"{}"))],
        [ev.ServerToolResult(2, "s1", msgspec.Raw(b"[]"))],
        [ev.TextStart(3), ev.TextDelta(3, "a")],
        finish=END,
    )

    assert deltas(stream(events))[1:-1] == [{"content": "a"}]
    assert reply_body(events)["choices"][0]["message"]["content"] == "a"


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("end_turn", "stop"),
        ("tool_use", "tool_calls"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "stop"),
    ],
)
def test_each_end_has_its_word(reason: str, word: str) -> None:
    events = events_of(SAYS_HI, finish=ev.Finish(ev.StopReason(reason), USAGE))

    assert stream(events)[-2]["choices"][0]["finish_reason"] == word
    assert reply_body(events)["choices"][0]["finish_reason"] == word


def test_every_stop_reason_has_a_word() -> None:
    assert set(FINISH_REASONS) == set(ev.StopReason)


def test_a_refusal_says_why() -> None:
    finish = ev.Finish(ev.StopReason.REFUSAL, USAGE, refusal=ev.Refusal("CYBER", "Not this."))
    events = events_of(SAYS_HI, finish=finish)

    assert deltas(stream(events))[-2:] == [{"refusal": "Not this."}, {}]
    assert reply_body(events)["choices"][0]["message"]["refusal"] == "Not this."


def test_a_refusal_without_words_has_none() -> None:
    finish = ev.Finish(ev.StopReason.REFUSAL, USAGE, refusal=ev.Refusal())
    events = events_of(SAYS_HI, finish=finish)

    assert len(stream(events)) == 5
    assert reply_body(events)["choices"][0]["message"]["refusal"] is None


def test_a_ping_is_a_comment() -> None:
    parser = SseParser()

    assert parser.feed(StreamRenderer(PLAIN, HEAD).ping()) == []
    assert (parser.comments, parser.rest) == (1, b"")


def test_special_characters_survive() -> None:
    text = 'a\nb\r\n"c"\\ \u2028 你好 \N{GRINNING FACE}'
    found = stream(events_of([ev.TextStart(0), ev.TextDelta(0, text)], finish=END))

    assert deltas(found)[1] == {"content": text}


def test_a_failure_ends_the_stream_without_a_finish() -> None:
    found = stream([ev.Begin(7), *SAYS_HI, ev.Failure(FaultKind.BROKEN_STREAM, "cut")], WITH_USAGE)

    assert found[-1] == {
        "error": {"message": "cut", "type": "server_error", "param": None, "code": "broken_stream"}
    }
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in found[:-1])


def test_a_failure_may_come_before_anything_else() -> None:
    found = stream([ev.Failure(FaultKind.RATE_LIMITED, "later")])

    assert [chunk["error"]["code"] for chunk in found] == ["rate_limit_exceeded"]


def client_for(body: bytes, content_type: str = "text/event-stream") -> openai.OpenAI:
    """Return the official client, talking to a stand-in that answers `body`."""

    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": content_type})

    transport = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://stand-in/v1", http_client=transport)


def test_the_official_client_raises_on_a_failure_inside_a_stream() -> None:
    events = [ev.Begin(7), *SAYS_HI, ev.Failure(FaultKind.BROKEN_STREAM, "cut")]
    client = client_for(StreamRenderer(PLAIN, HEAD).render(events))
    reply = client.chat.completions.create(model="m", messages=[], stream=True)

    text = "".join(next(reply).choices[0].delta.content or "" for _ in range(3))
    with pytest.raises(openai.APIError, match="cut") as raised:
        next(reply)

    assert text == "hi"
    assert raised.value.code == "broken_stream"


def test_the_official_client_assembles_a_stream() -> None:
    call: list[ev.StreamEvent] = [
        ev.ToolUseStart(1, "t1", "ls"),
        ev.ToolInputDelta(1, '{"p":'),
        ev.ToolInputDelta(1, '"."}'),
    ]
    body = StreamRenderer(WITH_USAGE, HEAD).render(events_of(SAYS_HI, call, finish=TOOLS))

    with client_for(body).chat.completions.stream(model="m", messages=[]) as reply:
        completion = reply.get_final_completion()

    message = completion.choices[0].message
    assert message.content == "hi"
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"p":"."}'
    assert completion.usage is not None
    assert completion.usage.total_tokens == 135


def test_a_whole_reply_has_every_member_that_clients_read() -> None:
    call: list[ev.StreamEvent] = [ev.ToolUseStart(0, "t1", "ls"), ev.ToolInputDelta(0, "{}")]

    assert reply_body(events_of(call, finish=TOOLS)) == {
        "id": "chatcmpl-abc",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "claude-sonnet-4-5",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None,
                    "refusal": None,
                    "tool_calls": [
                        {
                            "id": "t1",
                            "type": "function",
                            "function": {"name": "ls", "arguments": "{}"},
                        }
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 130,
            "completion_tokens": 5,
            "total_tokens": 135,
            "prompt_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    }


def test_a_reply_that_says_nothing_has_empty_content() -> None:
    assert reply_body(events_of(finish=END))["choices"][0]["message"]["content"] == ""


def test_models_are_listed_as_the_library_reads_them() -> None:
    body = json.loads(
        render_models([PublicModel("claude-sonnet-4-5", "Claude Sonnet 4.5", 1_700_000_000)])
    )

    assert body["object"] == "list"
    (model,) = [Model.model_validate(entry, strict=True) for entry in body["data"]]
    require_exact(model)
    assert (model.id, model.created) == ("claude-sonnet-4-5", 1_700_000_000)


def test_one_model_is_shown_alone() -> None:
    model = Model.model_validate(json.loads(render_model(PublicModel("m", "M", 5))), strict=True)

    assert (model.id, model.object, model.created) == ("m", "model", 5)


@given(replies(), st.lists(st.integers(1, 4), max_size=12))
def test_any_split_into_calls_gives_the_same_bytes(
    events: list[ev.StreamEvent], sizes: list[int]
) -> None:
    whole = StreamRenderer(WITH_USAGE, HEAD).render(events)
    renderer, parts, rest = StreamRenderer(WITH_USAGE, HEAD), [], events
    for size in sizes:
        parts.append(renderer.render(rest[:size]))
        rest = rest[size:]
    parts.append(renderer.render(rest))

    assert b"".join(parts) == whole


@given(replies())
def test_a_stream_and_a_whole_reply_say_the_same(events: list[ev.StreamEvent]) -> None:
    found = stream(events, WITH_USAGE)
    body = reply_body(events)
    message = body["choices"][0]["message"]
    streamed = deltas(found)

    def joined(member: str) -> str:
        return "".join(delta.get(member) or "" for delta in streamed)

    calls: list[dict[str, str]] = []
    for delta in streamed:
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                calls.append({"id": call["id"], "name": call["function"]["name"], "arguments": ""})
            calls[call["index"]]["arguments"] += call["function"]["arguments"]
    assert joined("content") == (message["content"] or "")
    assert joined("reasoning_content") == message.get("reasoning_content", "")
    assert joined("refusal") == (message["refusal"] or "")
    assert calls == [
        {"id": call["id"], **call["function"]} for call in message.get("tool_calls", ())
    ]
    assert found[-2]["usage"] == body["usage"]
    assert found[-3]["choices"][0]["finish_reason"] == body["choices"][0]["finish_reason"]
