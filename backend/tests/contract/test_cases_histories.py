"""Whatever conversation a client sends, the strict upstream takes it, and nothing in it is lost.

Two judges: the emulator's own checks, and a second reading of the same rules. Cases 3 to 5.
"""

import base64
import json
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.gateway import MODEL, RunningGateway
from tests.support.strict_body import violations
from tests.support.talk import Way

PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (8).to_bytes(4) * 2 + b"\x08\x02\0\0\0" + b"\0" * 8
).decode()
GIF = base64.b64encode(b"GIF89a" + (8).to_bytes(2, "little") * 2 + b"\0" * 24).decode()
# Few ids and names, so that they meet; odd ones among them.
IDS = ["a", "b", "toolu_01", "call:x/y", "", "x" * 80, "id\ud83d"]
NAMES = ["Read", "read", "Write", "a name", "mcp__" + "server" * 20 + "__tool", "", "1st", "工具"]

# Refusals of the gateway itself: then nothing is sent at all.
REFUSALS = re.compile(
    r"empty|blank|no content|cannot be sent|Only text is possible"
    r"|A tool (needs|has) a name|Two tools have the name"
)
FUZZ = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

odd_texts = st.one_of(
    st.sampled_from(
        ["", " \n", "\x00", "one", "你好 👋", "half \ud83d", "\udc4b", "\x1b[0m", "\u2028"]
    ),
    st.text(st.characters(codec=None), max_size=8),
)
# What must come through: a word that is nowhere else.
marked = st.builds("{}mark{}q{}".format, odd_texts, st.integers(0, 10**9), odd_texts)
texts = marked | odd_texts
inputs: st.SearchStrategy[Any] = st.one_of(
    st.dictionaries(texts, st.integers() | texts | st.lists(texts, max_size=2), max_size=3),
    st.dictionaries(odd_texts, st.none(), max_size=2),
)


def an_object(kind: str, **members: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(kind), **members})


# ------------------------------------------------------------------------------------ Anthropic

pictures = st.sampled_from(
    [
        {"type": "base64", "media_type": kind, "data": data}
        for kind, data in (("image/png", PNG), ("image/jpeg", GIF), ("image/gif", "bm9uZQ=="))
    ]
)
plain = an_object("text", text=texts)
image = an_object("image", source=pictures)
document = an_object(
    "document",
    title=texts,
    source=st.fixed_dictionaries(
        {"type": st.just("text"), "media_type": st.just("text/plain"), "data": marked}
    ),
)
use = an_object(
    "tool_use",
    id=st.sampled_from(IDS),
    name=st.sampled_from(NAMES),
    input=st.one_of(inputs, texts, st.none(), st.lists(texts, max_size=2)),
)
result = an_object(
    "tool_result",
    tool_use_id=st.sampled_from(IDS),
    content=st.one_of(texts, st.none(), st.lists(plain | image, max_size=3)),
    is_error=st.sampled_from([True, False, None]),
)
thought = an_object("thinking", thinking=odd_texts, signature=st.sampled_from(["", "c2ln"]))
sealed = an_object("redacted_thinking", data=st.sampled_from(["", "c2VhbGVk", "no base64!"]))
strange = an_object("brand_new", said=marked)
blocks = st.one_of(plain, use, result, image, document, thought, sealed, strange, texts)
contents = st.one_of(texts, st.none(), st.lists(blocks, max_size=5))
roles = st.sampled_from(["user", "assistant"] * 4 + ["system", "developer", "critic", "", None])
messages = st.fixed_dictionaries({"role": roles, "content": contents})
tools = an_object(
    "custom",
    name=st.sampled_from(NAMES),
    description=st.just(""),
    input_schema=st.just({"type": "object", "properties": {"odd name": {"$ref": "#/none"}}}),
)
anthropic_bodies = st.fixed_dictionaries(
    {
        "model": st.just(MODEL),
        "max_tokens": st.just(100),
        "system": st.one_of(texts, st.none(), st.lists(plain, max_size=2)),
        "messages": st.lists(messages, max_size=10),
        "tools": st.lists(tools, max_size=3),
        "stream": st.booleans(),
    }
)

# ------------------------------------------------------------------------------ Chat Completions

urls = st.sampled_from([f"data:image/png;base64,{PNG}", f"data:image/jpeg;base64,{GIF}"])
part = st.one_of(
    plain,
    an_object("image_url", image_url=st.fixed_dictionaries({"url": urls})),
    an_object("refusal", refusal=texts),
)
chat_contents = st.one_of(texts, st.none(), st.lists(part, max_size=4))
arguments = st.one_of(inputs.map(json.dumps), st.sampled_from(["", "{broken", "[1]", '"text"']))
function = st.fixed_dictionaries({"name": st.sampled_from(NAMES), "arguments": arguments})
calls = st.lists(an_object("function", id=st.sampled_from(IDS), function=function), max_size=3)
chat_messages = st.one_of(
    st.fixed_dictionaries({"role": roles, "content": chat_contents}),
    st.fixed_dictionaries(
        {"role": st.just("assistant"), "content": chat_contents, "tool_calls": calls}
    ),
    st.fixed_dictionaries(
        {
            "role": st.just("tool"),
            "tool_call_id": st.sampled_from(IDS),
            "content": texts | st.lists(plain, max_size=2),
        }
    ),
)
functions = an_object(
    "function",
    function=st.fixed_dictionaries(
        {
            "name": st.sampled_from(NAMES),
            "parameters": st.just({"type": "object", "required": None, "anyOf": [{}]}),
        }
    ),
)
chat_bodies = st.fixed_dictionaries(
    {
        "model": st.just(MODEL),
        "messages": st.lists(chat_messages, min_size=1, max_size=10),
        "tools": st.lists(functions, max_size=3),
        "stream": st.booleans(),
    }
)


@FUZZ
@given(body=anthropic_bodies)
def test_no_conversation_of_the_anthropic_dialect_breaks_a_rule_of_the_upstream(
    gateway: RunningGateway, body: dict[str, Any]
) -> None:
    judge(gateway, Way("anthropic", stream=False), body)


@FUZZ
@given(body=chat_bodies)
def test_no_conversation_of_the_chat_dialect_breaks_a_rule_of_the_upstream(
    gateway: RunningGateway, body: dict[str, Any]
) -> None:
    judge(gateway, Way("chat", stream=False), body)


# A good agent's conversation, to be cut anywhere.
AGENT: list[dict[str, Any]] = [
    {"role": "user", "content": "mark0q"},
    *(
        message
        for n in range(1, 5)
        for message in (
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": f"mark{n}1q"},
                    {"type": "tool_use", "id": f"t{n}", "name": "ls", "input": {"a": f"mark{n}2q"}},
                    {"type": "tool_use", "id": f"u{n}", "name": "cat", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": f"u{n}", "content": f"mark{n}3q"},
                    {"type": "tool_result", "tool_use_id": f"t{n}", "content": f"mark{n}4q"},
                ],
            },
        )
    ),
]


@FUZZ
@given(keep=st.lists(st.booleans(), min_size=len(AGENT), max_size=len(AGENT)), data=st.data())
def test_a_conversation_that_was_cut_anywhere_is_mended(
    gateway: RunningGateway, keep: list[bool], data: st.DataObject
) -> None:
    """Whole messages are missing, and of what is left single blocks."""
    cut = []
    for message in (m for m, kept in zip(AGENT, keep, strict=True) if kept):
        content = message["content"]
        if isinstance(content, list):
            content = data.draw(st.lists(st.sampled_from(content), unique_by=id, max_size=3))
        cut.append(message | {"content": content})
    judge(gateway, Way("anthropic", stream=False), {"model": MODEL, "messages": cut})


def judge(gateway: RunningGateway, way: Way, body: dict[str, Any]) -> None:
    """Require that the upstream takes what the gateway makes of `body`, and gets all of it."""
    emulator = gateway.emulator
    emulator.forget_records()
    answer = gateway.post(way.path, json.dumps(body).encode())
    calls = emulator.generations()
    if answer.status == 400:
        assert REFUSALS.search(answer.json["error"]["message"]), answer.json
        assert calls == []
        return
    assert answer.status == 200, answer.body
    assert emulator.violations() == []
    [call] = calls
    arrived = json.dumps(call.body)
    assert violations(arrived.encode()) == []
    said = re.findall(r"mark\d+q", json.dumps(body["messages"]))
    assert [word for word in said if word not in arrived] == []
