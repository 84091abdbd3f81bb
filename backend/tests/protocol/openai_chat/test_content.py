"""Tests of reading a message's content."""

import pytest

from kiro2api.errors import RequestError
from kiro2api.protocol.chat.request import Document, Image, Text, Thinking
from kiro2api.protocol.openai_chat.content import as_text, read_content, text_of

PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "JVBERi0xLjQ="


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, []),
        ("", []),
        ("hello", [Text("hello")]),
        ("  ", [Text("  ")]),
        ([], []),
        ([None, "", "a"], [Text("a")]),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], [Text("a"), Text("b")]),
        ([{"type": "text", "text": ""}, {"type": "text"}], []),
        ([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}], [Text("a")]),
        ([{"type": "input_text", "text": "a"}], [Text("a")]),
        ([{"type": "output_text", "text": "a"}], [Text("a")]),
        ([{"type": "refusal", "refusal": "no"}], [Text("no")]),
        ([{"text": "untyped"}], [Text("untyped")]),
        ([{"type": "something_new", "text": "words"}], [Text("words")]),
        ({"type": "text", "text": "alone"}, [Text("alone")]),
        ({"type": "text", "text": ""}, []),
        ([{"type": "thinking", "thinking": "hm", "signature": "s"}], [Thinking("hm", "s")]),
        ([{"type": "thinking", "thinking": "hm"}], [Thinking("hm", "")]),
        ([{"type": "thinking"}], []),
    ],
)
def test_text_is_read_in_every_shape_that_clients_send(content: object, parts: list[Text]) -> None:
    assert read_content(content, "c") == parts


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": PNG, "detail": "high"}},
        {"type": "image_url", "image_url": PNG},
        {"type": "input_image", "image_url": PNG},
        {"type": "image_url", "image_url": {"url": "DATA:image/PNG;base64,iVBO Rw0K\nGgo="}},
    ],
)
def test_an_image_comes_as_a_data_url(part: dict[str, object]) -> None:
    assert read_content([part], "c") == [Image("image/png", "iVBORw0KGgo=")]


def test_an_image_without_a_media_type_is_left_to_its_bytes() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:;base64,iVBORw0KGgo="}}

    assert read_content([part], "c") == [Image("application/octet-stream", "iVBORw0KGgo=")]


def test_a_document_in_an_image_url_is_a_document() -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:application/pdf;base64,{PDF}"}}

    assert read_content([part], "c") == [Document("document", "application/pdf", PDF)]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"file": {"filename": "a.pdf", "file_data": PDF}},
            Document("a.pdf", "application/pdf", PDF),
        ),
        (
            {"file": {"filename": "x", "file_data": f"data:text/csv;charset=utf-8;base64,{PDF}"}},
            Document("x", "text/csv", PDF),
        ),
        (
            {"file": {"filename": "a.md", "file_data": f"data:;base64,{PDF}"}},
            Document("a.md", "text/markdown", PDF),
        ),
        (
            {"file": {"file_data": PDF}},
            Document("document", "application/octet-stream", PDF),
        ),
        ({"filename": "a.txt", "file_data": PDF}, Document("a.txt", "text/plain", PDF)),
        ({"file": {"filename": "a.png", "file_data": PNG}}, Image("image/png", "iVBORw0KGgo=")),
    ],
)
def test_a_file_is_read_with_its_type(part: dict[str, object], expected: Document) -> None:
    assert read_content([{"type": "file", **part}], "c") == [expected]


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (5, "c"),
        ([5], "c[0]"),
        (["a", {"type": "video_url", "video_url": {}}], "c[1]"),
        ([{"type": 7}], "c[0]"),
        ([{"type": "text", "text": 5}], "c[0].text"),
        ([{"type": "image_url"}], "c[0].image_url"),
        ([{"type": "image_url", "image_url": {"url": ""}}], "c[0].image_url.url"),
        ([{"type": "image_url", "image_url": {"url": "data:image/png,raw"}}], "c[0].image_url.url"),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}],
            "c[0].image_url.url",
        ),
        (
            ["a", {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}],
            "c[1].image_url.url",
        ),
        ([{"type": "input_image", "image_url": "http://example.com/a.png"}], "c[0].image_url"),
        ([{"type": "file", "file": {"file_id": "file-1"}}], "c[0].file.file_id"),
        ([{"type": "file", "file": {}}], "c[0].file.file_data"),
        ([{"type": "file", "file": {"file_data": "https://example.com/a"}}], "c[0].file.file_data"),
        (
            [{"type": "file", "file": {"file_data": "data:text/plain,abc"}}],
            "c[0].file.file_data",
        ),
        ([{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}], "c[0]"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_its_path(content: object, path: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_content(content, "c")

    assert (refused.value.status, refused.value.path) == (400, path)


def test_a_remote_image_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="Remote images") as refused:
        read_content([{"type": "image_url", "image_url": {"url": "https://example.com/a"}}], "c")

    assert refused.value.code == "remote_image_url"


def test_an_audio_part_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="input_audio"):
        read_content([{"type": "input_audio"}], "c")


def test_text_blocks_are_joined_by_a_line_break() -> None:
    assert text_of(["a", {"type": "text", "text": "b"}], "c") == "a\nb"


def test_an_image_where_only_text_is_possible_is_refused() -> None:
    with pytest.raises(RequestError) as refused:
        text_of([{"type": "image_url", "image_url": PNG}], "c")

    assert refused.value.path == "c"


def test_a_value_that_is_no_string_is_told_as_json() -> None:
    assert as_text("a") == "a"
    assert as_text({"a": [1, None]}) == '{"a":[1,null]}'
