"""Content blocks, each turned into what the hub knows: nothing that was said is lost."""

import base64
from typing import Any

import msgspec
import pytest

from kiro2api.errors import RequestError
from kiro2api.protocol.anthropic.blocks import read_content
from kiro2api.protocol.chat import request as hub

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8) + b"\0\0\0\2\0\0\0\3" + bytes(9)).decode()
Json = Any  # what a client may send


def read(*blocks: Json) -> list[hub.Block]:
    return read_content(msgspec.Raw(msgspec.json.encode(list(blocks))), "messages.0.content")


def texts(*blocks: Json) -> list[str]:
    found = read(*blocks)
    assert all(isinstance(block, hub.Text) for block in found)
    return [block.text for block in found if isinstance(block, hub.Text)]


def refusal(*blocks: Json) -> RequestError:
    with pytest.raises(RequestError) as raised:
        read(*blocks)
    return raised.value


def image(**source: Json) -> Json:
    return {"type": "image", "source": source}


def document(source: Json, **members: Json) -> Json:
    return {"type": "document", "source": source, **members}


# ---------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'"hi"', [hub.Text("hi")]),
        (
            b'[{"type":"text","text":"a"},{"type":"text","text":"b"}]',
            [hub.Text("a"), hub.Text("b")],
        ),
        (b'{"type":"text","text":"alone"}', [hub.Text("alone")]),
        (b'["plain",null,{"type":"text","text":"b"}]', [hub.Text("plain"), hub.Text("b")]),
        (b"null", []),
        (b"", []),
        (b'""', []),
        (b"[]", []),
        (b'[{"type":"text","text":""}]', []),
        (b'[{"type":"text"}]', []),
        (b'[{"type":"text","text":12}]', [hub.Text("12")]),
        (
            b'[{"type":"text","text":"kept","cache_control":{"type":"ephemeral"}}]',
            [hub.Text("kept")],
        ),
        (b'[{"type":"text","text":"\\ud83d half"}]', [hub.Text("� half")]),
    ],
)
def test_content_comes_in_many_forms(content: bytes, expected: list[hub.Block]) -> None:
    assert read_content(msgspec.Raw(content), "p") == expected


@pytest.mark.parametrize("content", [b"7", b"true"])
def test_content_that_can_mean_nothing_is_refused(content: bytes) -> None:
    with pytest.raises(RequestError) as raised:
        read_content(msgspec.Raw(content), "messages.2.content")

    assert raised.value.path == "messages.2.content"


def test_a_block_that_is_no_object_is_refused_with_its_place() -> None:
    assert refusal({"type": "text", "text": "a"}, 7).path == "messages.0.content.1"


# -------------------------------------------------------------------------- images and documents


def test_an_image_keeps_its_bytes() -> None:
    block = image(type="base64", media_type="image/png", data=PNG)

    assert read(block) == [hub.Image("image/png", PNG)]


def test_the_bytes_of_an_image_know_its_type_better_than_the_client() -> None:
    assert read(image(type="base64", media_type="image/jpeg", data=PNG)) == [
        hub.Image("image/png", PNG)
    ]


def test_an_image_of_unknown_bytes_keeps_the_type_that_the_client_gave() -> None:
    assert read(image(type="base64", media_type="image/heic", data="AAAA")) == [
        hub.Image("image/heic", "AAAA")
    ]


def test_an_image_of_which_nothing_is_known_is_still_carried() -> None:
    assert read(image(type="base64", data="AAAA")) == [
        hub.Image("application/octet-stream", "AAAA")
    ]


def test_a_data_url_in_place_of_base64_is_understood() -> None:
    assert read(image(type="base64", data=f"data:image/png;base64,{PNG}")) == [
        hub.Image("image/png", PNG)
    ]


@pytest.mark.parametrize(
    "make", [image, lambda **source: document(source)], ids=["image", "document"]
)
@pytest.mark.parametrize(
    ("source", "code"),
    [
        ({"type": "url", "url": "https://example.com/a"}, "remote_url_unsupported"),
        ({"url": "https://example.com/a"}, "remote_url_unsupported"),
        ({"type": "file", "file_id": "file_1"}, "file_id_unsupported"),
        ({"file_id": "file_1"}, "file_id_unsupported"),
    ],
)
def test_bytes_that_are_elsewhere_are_refused_by_name(make: Any, source: Json, code: str) -> None:
    error = refusal({"type": "text", "text": "look"}, make(**source))

    assert (error.code, error.path, error.status) == (code, "messages.0.content.1.source", 400)
    assert "base64" in error.message


@pytest.mark.parametrize(
    "block", [image(type="base64", media_type="image/png"), document({"type": "base64"})]
)
def test_bytes_that_are_missing_are_refused(block: Json) -> None:
    assert refusal(block).path == "messages.0.content.0.source.data"


def test_an_image_without_a_source_is_refused() -> None:
    assert refusal({"type": "image"}).path == "messages.0.content.0.source"


def test_a_file_in_a_container_is_refused() -> None:
    assert refusal({"type": "container_upload", "file_id": "f"}).code == "file_id_unsupported"


def test_a_document_keeps_its_bytes_and_its_title() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}

    assert read(document(source, title="Report")) == [
        hub.Document("Report", "application/pdf", data="JVBERg==")
    ]


def test_a_document_as_a_data_url_is_understood() -> None:
    source = {"type": "base64", "data": "data:text/csv;base64,YSxi"}

    assert read(document(source)) == [hub.Document("document", "text/csv", data="YSxi")]


def test_a_document_of_plain_text_keeps_its_text() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "Once upon a time"}

    assert read(document(source)) == [
        hub.Document("document", "text/plain", text="Once upon a time")
    ]


def test_the_context_of_a_document_comes_before_it() -> None:
    source = {"type": "text", "data": "body"}

    assert read(document(source, context="from 1987"))[0] == hub.Text("from 1987")


def test_a_document_made_of_blocks_keeps_text_and_pictures() -> None:
    source = {
        "type": "content",
        "content": [
            {"type": "text", "text": "one"},
            {"type": "image", "source": {"type": "base64", "data": PNG}},
            {"type": "text", "text": "two"},
        ],
    }

    assert read(document(source)) == [
        hub.Document("document", "text/plain", text="one\ntwo"),
        hub.Image("image/png", PNG),
    ]


def test_a_document_made_of_pictures_alone_is_those_pictures() -> None:
    inner = {"type": "image", "source": {"type": "base64", "data": PNG}}

    assert read(document({"type": "content", "content": [inner]})) == [hub.Image("image/png", PNG)]


# --------------------------------------------------------------------------------------- tools


def tool_input(value: bytes) -> bytes:
    raw = b'[{"type":"tool_use","id":"t1","name":"read","input":' + value + b"}]"
    (block,) = read_content(msgspec.Raw(raw), "p")
    assert isinstance(block, hub.ToolUse)
    assert (block.id, block.name) == ("t1", "read")
    return bytes(block.input)


@pytest.mark.parametrize(
    ("given", "carried"),
    [
        (b'{"a": 1.0, "b":"\\u00e9"}', b'{"a": 1.0, "b":"\\u00e9"}'),
        (b"null", b"{}"),
        (b'""', b"{}"),
        (b'"{\\"a\\":1}"', b'{"a":1}'),
        (b'"{broken"', b'{"input":"{broken"}'),
        (b'"words"', b'{"input":"words"}'),
        (b"[1,2]", b'{"input":[1,2]}'),
    ],
)
def test_tool_input_is_carried_as_an_object(given: bytes, carried: bytes) -> None:
    assert tool_input(given) == carried


def test_a_tool_call_without_input_has_an_empty_one() -> None:
    (block,) = read({"type": "tool_use", "id": "t", "name": "now"})

    assert isinstance(block, hub.ToolUse)
    assert bytes(block.input) == b"{}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"content": "done"}, (hub.Text("done"),)),
        ({"content": [{"type": "text", "text": "a"}, "b"]}, (hub.Text("a"), hub.Text("b"))),
        ({"content": None}, ()),
        ({"content": ""}, ()),
        ({}, ()),
        (
            {"content": [image(type="base64", data=PNG)]},
            (hub.Image("image/png", PNG),),
        ),
        (
            {"content": [{"type": "text", "text": "t"}, document({"type": "text", "data": "d"})]},
            (hub.Text("t"), hub.Document("document", "text/plain", text="d")),
        ),
        (
            {"content": [{"type": "tool_reference", "tool_name": "WebFetch"}]},
            (hub.Text("Tool available: WebFetch"),),
        ),
        ({"content": [{"type": "novel", "x": 1}]}, (hub.Text('{"type":"novel","x":1}'),)),
        (
            {"content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]},
            (hub.Text('{"type":"thinking","text":"hm","signature":"s"}'),),
        ),
    ],
)
def test_a_tool_result_keeps_what_the_tool_said(content: Json, expected: tuple[Any, ...]) -> None:
    assert read({"type": "tool_result", "tool_use_id": "t1", **content}) == [
        hub.ToolResult("t1", expected)
    ]


@pytest.mark.parametrize(("given", "is_error"), [(True, True), (False, False), (None, False)])
def test_a_failed_tool_is_told_apart(given: Json, is_error: bool) -> None:
    (block,) = read({"type": "tool_result", "tool_use_id": "t", "content": "x", "is_error": given})

    assert isinstance(block, hub.ToolResult)
    assert block.is_error is is_error


def test_a_remote_image_inside_a_tool_result_is_refused_with_its_place() -> None:
    inner = image(type="url", url="https://example.com/a.png")

    assert refusal({"type": "tool_result", "tool_use_id": "t", "content": [inner]}).path == (
        "messages.0.content.0.content.0.source"
    )


# ----------------------------------------------------------------------------------- reasoning


def test_reasoning_keeps_its_signature() -> None:
    assert read({"type": "thinking", "thinking": "hm", "signature": "s=="}) == [
        hub.Thinking("hm", "s==")
    ]


@pytest.mark.parametrize("signature", [{}, {"signature": None}, {"signature": ""}])
def test_reasoning_may_lack_a_signature(signature: Json) -> None:
    assert read({"type": "thinking", "thinking": "hm", **signature}) == [hub.Thinking("hm", "")]


def test_reasoning_of_which_only_the_signature_was_shown_is_kept() -> None:
    assert read({"type": "thinking", "thinking": "", "signature": "s"}) == [hub.Thinking("", "s")]


def test_sealed_reasoning_is_kept() -> None:
    assert read({"type": "redacted_thinking", "data": "x"}) == [hub.RedactedThinking("x")]


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking"])
def test_empty_reasoning_is_nothing(kind: str) -> None:
    assert read({"type": kind}) == []


# ----------------------------------------------------------------------- what has no own place


def test_a_call_of_a_server_tool_becomes_text() -> None:
    block = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "tea"}}

    assert texts(block) == ['[web_search was called: {"query":"tea"}]']


def test_a_call_of_a_nameless_server_tool_becomes_text() -> None:
    assert texts({"type": "mcp_tool_use"}) == ["[server tool was called: ]"]


def test_the_hits_of_a_search_become_a_list_of_links() -> None:
    hit = {"type": "web_search_result", "title": "Tea", "url": "https://example.com/tea"}
    block = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [hit, {"x": 1}]}

    assert texts(block) == ["[web_search found:\n- Tea https://example.com/tea\n]"]


@pytest.mark.parametrize("content", [{"error_code": "max_uses_exceeded"}, [], "text", [7]])
def test_a_search_without_hits_becomes_its_json(content: Json) -> None:
    block = {"type": "web_search_tool_result", "content": content}

    assert texts(block) == [msgspec.json.encode(block).decode()]


def test_a_search_result_of_the_client_becomes_heading_and_text() -> None:
    block = {
        "type": "search_result",
        "title": "Manual",
        "source": "https://example.com/m",
        "content": [{"type": "text", "text": "Press the button."}],
    }

    assert texts(block) == ["Manual — https://example.com/m", "Press the button."]


def test_a_search_result_without_a_source_keeps_its_text() -> None:
    block = {"type": "search_result", "content": [{"type": "text", "text": "x"}]}

    assert texts(block) == ["x"]


def test_a_compacted_conversation_keeps_its_summary() -> None:
    assert texts({"type": "compaction", "content": "We spoke of tea."}) == ["We spoke of tea."]


@pytest.mark.parametrize("kind", ["from_tomorrow", None, 7])
def test_a_block_of_unknown_type_becomes_its_json(kind: Json) -> None:
    block = {"type": kind, "words": "kept"}

    assert texts(block) == [msgspec.json.encode(block).decode()]
