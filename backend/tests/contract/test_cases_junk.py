"""Bodies with anything anywhere: served or refused, never a failure of the gateway's own.

And schemas with anything in them: the strict upstream takes what the normaliser makes of them.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.gateway import CHAT, MESSAGES, MODEL, RunningGateway
from tests.support.strict_body import violations

COUNT = f"{MESSAGES}/count_tokens"
FUZZ = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

WORDS = ["type", "text", "id", "name", "input", "content", "role", "source", "data", "function", ""]
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "x", "user", "tool", "text", "ls", "object", "base64", "\ud83d", "\0"]),
)
junk = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=6,
)
OPTIONS = ["tool_choice", "metadata", "stop_sequences", "stop", "thinking", "output_config"]
OPTIONS += ["response_format", "stream_options", "temperature", "max_tokens", "reasoning_effort"]
OPTIONS += ["user", "n", "functions", "function_call", "prompt_cache_key", "top_p", "stream"]
options = st.dictionaries(st.sampled_from(OPTIONS), junk, max_size=4)

ANTHROPIC: dict[str, Any] = {
    "model": MODEL,
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                {"type": "tool_use", "id": "t1", "name": "ls", "input": {"path": "."}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "a.txt"}],
        },
    ],
    "tools": [{"name": "ls", "description": "List.", "input_schema": {"type": "object"}}],
}
CHAT_BODY: dict[str, Any] = {
    "model": MODEL,
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Look."}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "a.txt"},
    ],
    "tools": [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to everything inside a JSON value."""
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in children:
        yield (*path, name)
        if isinstance(child, dict | list):
            yield from places(child, (*path, name))


def spoiled(body: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """Return a copy of `body` with something missing or replaced by junk, up to three times."""
    copy: dict[str, Any] = json.loads(json.dumps(body))
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, name = data.draw(st.sampled_from(list(places(copy))))
        holder: Any = copy
        for parent in parents:
            holder = holder[parent]
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[name]
        else:
            holder[name] = data.draw(junk)
    return copy


@pytest.mark.parametrize(
    ("path", "body"),
    [(MESSAGES, ANTHROPIC), (COUNT, ANTHROPIC), (CHAT, CHAT_BODY)],
    ids=["messages", "count", "chat"],
)
@FUZZ
@given(more=options, data=st.data())
def test_no_body_makes_the_gateway_fail(
    gateway: RunningGateway,
    path: str,
    body: dict[str, Any],
    more: dict[str, Any],
    data: st.DataObject,
) -> None:
    judge(gateway, path, spoiled(body | more, data))


schemas = st.recursive(
    st.sampled_from(
        [{}, True, None, 7, [], {"type": "string"}, {"type": "object"}, {"type": "array"}]
        + [{"$ref": at} for at in ("#", "#/$defs/a", "#/properties/a", "#/nowhere", "other.json")]
        + [{"const": None}, {"enum": []}, {"type": ["string", "null"]}]
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", "string", ["object", "null"], None, 7]),
            "properties": st.none()
            | st.dictionaries(
                st.sampled_from(["a", "b c", "", "日本", "x" * 90]), inner, max_size=3
            ),
            "required": st.sampled_from([None, [], ["a"], ["b c", "none"], True, [7]]),
            "items": inner | st.lists(inner, max_size=2),
            "anyOf": st.none() | st.lists(inner, max_size=3),
            "oneOf": st.lists(inner, max_size=3),
            "allOf": st.lists(inner, max_size=3),
            "not": inner,
            "if": inner,
            "$defs": st.none() | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(st.just("^a b"), inner, max_size=1),
            "description": st.sampled_from([None, "\0d\ud83d", 7]),
            "$schema": st.just("x"),
        },
    ),
    max_leaves=12,
)


@FUZZ
@given(schema=schemas)
def test_no_schema_breaks_a_rule_of_the_upstream(gateway: RunningGateway, schema: Any) -> None:
    tool = {"name": "t", "description": "A tool.", "input_schema": schema}
    messages = [{"role": "user", "content": "Hello"}]
    judge(gateway, MESSAGES, {"model": MODEL, "messages": messages, "tools": [tool]})


def judge(gateway: RunningGateway, path: str, body: dict[str, Any]) -> None:
    """Require an answer that is not a failure, and that all that was sent is welcome upstream."""
    emulator = gateway.emulator
    emulator.forget_records()
    answer = gateway.post(path, json.dumps(body).encode())

    assert answer.status in (200, 400, 404), answer.body
    assert emulator.violations() == []
    for call in emulator.generations():
        assert violations(json.dumps(call.body).encode()) == []
