"""Tests of images and documents on their way up."""

import base64
from time import process_time

import pytest

from kiro2api.protocol.chat.request import Document, Image, Text
from kiro2api.protocol.codewhisperer.media import (
    MAX_DOCUMENT_BYTES,
    MAX_IMAGE_BYTES,
    as_document,
    as_image,
    is_base64,
)
from kiro2api.protocol.codewhisperer.schema import Bytes, DocumentBlock, ImageBlock

HEADS = {
    "png": b"\x89PNG\r\n\x1a\n" + b"\x01" * 30,
    "jpeg": b"\xff\xd8\xff\xe0" + b"\x01" * 30,
    "gif": b"GIF89a" + b"\x01" * 30,
    "webp": b"RIFF\x10\x00\x00\x00WEBPVP8 " + b"\x01" * 30,
}
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("format", HEADS)
def test_the_format_of_an_image_comes_from_its_bytes(format: str) -> None:
    data = b64(HEADS[format])

    assert as_image(Image("image/wrong", data)) == ImageBlock(format, Bytes(data))


@pytest.mark.parametrize(
    "spell",
    [
        lambda data: data.rstrip("="),
        lambda data: "\n".join(data[at : at + 16] for at in range(0, len(data), 16)),
        lambda data: "data:image/png;base64," + data,
        lambda data: data.replace("+", "-").replace("/", "_"),
    ],
)
def test_loose_base64_is_spelled_anew(spell) -> None:  # type: ignore[no-untyped-def]
    data = b64(HEADS["png"] + bytes(range(255)))

    assert as_image(Image("image/png", spell(data))) == ImageBlock("png", Bytes(data))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "base64"),
        ("not base64!", "base64"),
        ("数据", "base64"),
        ("data:image/png;base64,", "base64"),
        (b64(b"BM" + b"\x00" * 40), "PNG"),
        (b64(HEADS["png"] + b"\x00" * MAX_IMAGE_BYTES), "3,750,000"),
    ],
)
def test_an_image_that_the_upstream_refuses_says_why(data: str, why: str) -> None:
    found = as_image(Image("image/png", data))

    assert isinstance(found, str)
    assert why in found


def test_an_image_at_the_limit_passes() -> None:
    head = HEADS["png"]

    assert isinstance(
        as_image(Image("", b64(head + b"\x00" * (MAX_IMAGE_BYTES - len(head))))), ImageBlock
    )


# ------------------------------------------------------------------------------- documents


def test_a_document_of_text_becomes_text_with_its_name() -> None:
    found = as_document(Document("a.md", "text/markdown", text="# Title"), {})

    assert found == Text("(document a.md)\n# Title\n(end of the document a.md)")


@pytest.mark.parametrize(
    "media_type", ["text/csv; charset=utf-8", "application/json", "TEXT/plain"]
)
def test_text_in_base64_becomes_text_too(media_type: str) -> None:
    found = as_document(Document("", media_type, data=b64("a,b\n你,好".encode("utf-8-sig"))), {})

    assert found == Text("(document document)\na,b\n你,好\n(end of the document document)")


def test_an_empty_document_says_so() -> None:
    found = as_document(Document("a.txt", "text/plain"), {})

    assert found == Text("(document a.txt)\n(it is empty)\n(end of the document a.txt)")


@pytest.mark.parametrize(
    ("name", "media_type", "format"),
    [
        ("a.pdf", "application/pdf", "pdf"),
        ("a.pdf", "application/octet-stream", "pdf"),
        ("a.doc", "application/msword", "doc"),
        ("a", DOCX, "docx"),
        ("a.xls", "application/vnd.ms-excel", "xls"),
        ("a.xlsx", XLSX, "xlsx"),
        ("a.csv", "text/csv", "csv"),
        ("a.HTM", "", "html"),
        ("a.markdown", "text/x-unknown", "md"),
        ("a.txt", "text/plain", "txt"),
        ("a.html", "text/html", "html"),
    ],
)
def test_a_file_that_is_no_text_goes_up_as_it_is(name: str, media_type: str, format: str) -> None:
    data = b64(b"\xff\xfe\x00binary")

    found = as_document(Document(name, media_type, data=data), {})
    assert found == DocumentBlock("a", format, Bytes(data))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("Report (final) [2].pdf", "Report (final) [2]"),
        ("../etc/pass_wd\n.pdf", "etc pass wd"),
        ("v1.2 notes", "v1 2 notes"),
        ("报告.pdf", "document"),
        ("", "document"),
        ("x" * 500, "x" * 100),
    ],
)
def test_the_name_of_a_document_has_only_allowed_characters(name: str, plain: str) -> None:
    found = as_document(Document(name, "application/pdf", data=b64(b"%PDF")), {})

    assert isinstance(found, DocumentBlock)
    assert found.name == plain


def test_documents_of_one_request_have_names_of_their_own() -> None:
    taken: dict[str, int] = {}
    document = Document("a.pdf", "application/pdf", data=b64(b"%PDF"))
    found = [as_document(document, taken) for _ in range(3)]

    assert [d.name for d in found if isinstance(d, DocumentBlock)] == ["a", "a (2)", "a (3)"]


def test_a_document_sent_ever_again_costs_no_more_each_time() -> None:
    taken: dict[str, int] = {}
    document = Document("a.pdf", "application/pdf", data=b64(b"%PDF"))
    started = process_time()

    found = [as_document(document, taken) for _ in range(20_000)]

    assert process_time() - started < 2
    assert len({d.name for d in found if isinstance(d, DocumentBlock)}) == 20_000


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (Document("a.zip", "application/zip", data=b64(b"PK")), "application/zip"),
        (Document("a", "", data=b64(b"\xff")), "unknown"),
        (Document("a.pdf", "application/pdf", data="!"), "base64"),
        (
            Document("a.pdf", "application/pdf", data=b64(b"\xff" * (MAX_DOCUMENT_BYTES + 1))),
            "4,500,000",
        ),
    ],
)
def test_a_document_that_the_upstream_refuses_says_why(document: Document, why: str) -> None:
    found = as_document(document, {})

    assert isinstance(found, str)
    assert why in found


def test_base64_is_judged_to_the_letter() -> None:
    assert is_base64("c2VhbGVk")
    assert not is_base64("c2VhbGVk!")
    assert not is_base64("")
