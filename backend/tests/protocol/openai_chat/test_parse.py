"""Tests of reading a whole Chat Completions request."""

import json
from typing import Any

import msgspec
import pytest

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import (
    ChatRequest,
    ChoiceMode,
    FormatKind,
    ReasoningMode,
    ReasoningWish,
    ResponseFormat,
    Role,
    Sampling,
    Text,
    Turn,
)
from kiro2api.protocol.openai_chat.parse import parse

HELLO = [{"role": "user", "content": "hello"}]


def asked(*, headers: dict[str, str] | None = None, **members: Any) -> ChatRequest:
    body = {"model": "claude-sonnet-4-5", "messages": HELLO, **members}
    return parse(json.dumps(body).encode(), headers or {})


def refusal(**members: Any) -> RequestError:
    with pytest.raises(RequestError) as refused:
        asked(**members)
    assert refused.value.status == 400
    return refused.value


def test_the_smallest_request_needs_a_model_and_a_message() -> None:
    request = asked()

    assert request == ChatRequest("claude-sonnet-4-5", (Turn(Role.USER, (Text("hello"),)),))


def test_chinese_text_round_trips() -> None:
    request = asked(messages=[{"role": "user", "content": "你好"}])

    assert request.turns[0].blocks == (Text("你好"),)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", ""),
        (b"nonsense", ""),
        (b"[]", ""),
        (b'{"messages":[{"role":"user","content":"a"}]}', "model"),
        (b'{"model":"","messages":[{"role":"user","content":"a"}]}', "model"),
        (b'{"model":5,"messages":[{"role":"user","content":"a"}]}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":"hi"}', "messages"),
    ],
)
def test_what_is_no_request_is_refused(body: bytes, path: str) -> None:
    with pytest.raises(RequestError) as refused:
        parse(body, {})

    assert (refused.value.status, refused.value.path) == (400, path)


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"n": 2}, "n"),
        ({"n": "2"}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": []}, "top_p"),
        ({"stop": 5}, "stop"),
        ({"stop": [5, {}]}, "stop[0]"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
    ],
)
def test_what_cannot_be_given_is_refused_by_its_path(members: dict[str, Any], path: str) -> None:
    assert refusal(**members).path == path


@pytest.mark.parametrize("member", ["n", "logprobs", "top_logprobs", "modalities"])
def test_a_refusal_names_the_member(member: str) -> None:
    values: dict[str, Any] = {
        "n": 3,
        "logprobs": True,
        "top_logprobs": 1,
        "modalities": ["audio"],
    }

    assert f"`{member}`" in refusal(**{member: values[member]}).message


@pytest.mark.parametrize(
    "members",
    [
        {"n": 1},
        {"n": None},
        {"logprobs": False},
        {"top_logprobs": 0},
        {"modalities": ["text"]},
        {"seed": 1, "logit_bias": {}, "frequency_penalty": 0, "presence_penalty": 0},
        {"store": False, "metadata": {"a": "b"}, "service_tier": "auto", "verbosity": "low"},
        {"brand_new_member": {"deep": [1, 2]}, "cache_control": {"type": "ephemeral"}},
        {"stop": None, "temperature": None, "top_p": None, "max_tokens": None, "tools": None},
        {"stream": None, "stream_options": None, "response_format": None, "user": None},
    ],
)
def test_harmless_members_change_nothing(members: dict[str, Any]) -> None:
    assert asked(**members) == asked()


def test_sampling_is_read() -> None:
    request = asked(max_tokens=100.0, temperature=0, top_p=0.95, stop=["END", ""])

    assert request.sampling == Sampling(100, 0.0, 0.95, ("END",))


def test_one_stop_sequence_may_be_a_string() -> None:
    assert asked(stop="END").sampling.stop_sequences == ("END",)


def test_the_newer_name_of_the_limit_wins() -> None:
    request = asked(max_tokens=1, max_completion_tokens=2)

    assert request.sampling.max_tokens == 2


def test_a_stream_and_its_usage_are_wishes_of_their_own() -> None:
    request = asked(stream=True, stream_options={"include_usage": True})

    assert request.stream
    assert request.include_usage
    assert not asked(stream=True).include_usage


@pytest.mark.parametrize(
    ("members", "wish"),
    [
        ({"reasoning_effort": "high"}, ReasoningWish(ReasoningMode.ADAPTIVE, effort="high")),
        ({"reasoning": {"effort": "low"}}, ReasoningWish(ReasoningMode.ADAPTIVE, effort="low")),
        ({"reasoning_effort": "none"}, ReasoningWish(ReasoningMode.DISABLED)),
        ({"reasoning_effort": None}, ReasoningWish()),
        ({"reasoning": "x"}, ReasoningWish()),
    ],
)
def test_the_wish_about_reasoning_is_read(members: dict[str, Any], wish: ReasoningWish) -> None:
    assert asked(**members).reasoning == wish


def test_the_response_format_is_read() -> None:
    told = {"name": "n", "schema": {"type": "object"}, "strict": True}
    request = asked(response_format={"type": "json_schema", "json_schema": told})

    assert request.response_format == ResponseFormat(
        FormatKind.JSON_SCHEMA, "n", msgspec.Raw(b'{"type":"object"}'), True
    )
    assert asked(response_format={"type": "json_object"}).response_format.kind is (
        FormatKind.JSON_OBJECT
    )
    assert asked(response_format={"type": "text"}).response_format.kind is FormatKind.TEXT


def test_a_schema_without_a_name_is_taken() -> None:
    told = {"type": "json_schema", "json_schema": {"schema": {}}}

    assert asked(response_format=told).response_format.name == ""


def test_tools_and_their_choice_reach_the_request() -> None:
    tool = {"type": "function", "function": {"name": "ls"}}
    request = asked(tools=[tool], tool_choice="required", parallel_tool_calls=False)

    assert [spec.name for spec in request.tools] == ["ls"]
    assert request.tool_choice.mode is ChoiceMode.ANY
    assert request.tool_choice.one_at_most


def test_the_session_header_names_the_conversation() -> None:
    headers = {"x-session-id": "s1", "x-session-affinity": "s2"}

    assert asked(headers=headers, prompt_cache_key="k").conversation_key == "s1"


def test_without_a_session_header_the_cache_key_names_the_conversation() -> None:
    assert asked(headers={"x-session-affinity": "s2"}).conversation_key == "s2"
    assert asked(prompt_cache_key="k", user="u").conversation_key == "k"


def test_a_user_names_a_conversation_together_with_its_first_words() -> None:
    longer = [*HELLO, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "more"}]
    other = [{"role": "user", "content": "something else"}]
    key = asked(user="a@example.com").conversation_key

    assert key == asked(user="a@example.com", messages=longer).conversation_key
    assert key != asked(user="a@example.com", messages=other).conversation_key
    assert "example" not in key


def test_a_user_without_words_still_names_a_conversation() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

    assert asked(user="u", messages=[{"role": "user", "content": [image]}]).conversation_key


def test_a_request_that_names_no_conversation_has_no_key() -> None:
    assert asked().conversation_key == ""


def test_half_an_emoji_in_a_message_is_repaired() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d"}]}'

    assert parse(body, {}).turns[0].blocks == (Text("a\N{REPLACEMENT CHARACTER}"),)


@pytest.mark.parametrize("depth", [100, 900, 960, 970, 980, 990, 2_000])
def test_a_schema_nested_to_the_edge_is_refused_and_never_a_crash(depth: int) -> None:
    schema = '{"a":' * depth + "1" + "}" * depth
    head = '{"model":"m","messages":[{"role":"user","content":"a"}],"tools":[{"function":'
    body = f'{head}{{"name":"f","parameters":{schema}}}}}]}}'.encode()

    try:
        outcome = len(parse(body, {}).tools)
    except RequestError as refused:
        outcome = refused.code

    assert outcome in (1, "json_too_deep")
