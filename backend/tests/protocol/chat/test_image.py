"""What the first bytes of a picture tell."""

import base64
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kiro2api.protocol.chat.image import ImageFacts, decode_head, probe


def picture(kind: str, **options: Any) -> bytes:  # whatever the library's encoder takes
    out = io.BytesIO()
    Image.new("RGB", (321, 123), (9, 99, 199)).save(out, kind, **options)
    return out.getvalue()


PICTURES = {
    "png": ("image/png", picture("PNG")),
    "gif": ("image/gif", picture("GIF")),
    "jpeg": ("image/jpeg", picture("JPEG")),
    "progressive jpeg": ("image/jpeg", picture("JPEG", progressive=True)),
    "jpeg after 60 KB of metadata": ("image/jpeg", picture("JPEG", icc_profile=b"x" * 60_000)),
    "webp": ("image/webp", picture("WEBP")),
    "lossless webp": ("image/webp", picture("WEBP", lossless=True)),
    "extended webp": ("image/webp", picture("WEBP", icc_profile=b"x" * 128)),
}


@pytest.mark.parametrize(("media_type", "data"), PICTURES.values(), ids=PICTURES)
def test_type_and_size_come_from_the_bytes(media_type: str, data: bytes) -> None:
    assert probe(data) == ImageFacts(media_type, 321, 123)


@pytest.mark.parametrize(("media_type", "data"), PICTURES.values(), ids=PICTURES)
def test_base64_tells_the_same(media_type: str, data: bytes) -> None:
    assert probe(base64.b64encode(data).decode()) == ImageFacts(media_type, 321, 123)


@pytest.mark.parametrize(("media_type", "data"), PICTURES.values(), ids=PICTURES)
def test_a_cut_picture_tells_its_type_and_no_wrong_size(media_type: str, data: bytes) -> None:
    facts = {probe(data[:length]) for length in range(min(len(data), 120))}

    assert facts <= {None, ImageFacts(media_type), ImageFacts(media_type, 321, 123)}


def test_base64_may_be_wrapped_in_lines() -> None:
    wrapped = base64.encodebytes(PICTURES["png"][1]).decode()

    assert probe(f"\r\n {wrapped}") == ImageFacts("image/png", 321, 123)


def test_base64_may_lack_its_padding() -> None:
    tiny = base64.b64encode(PICTURES["gif"][1][:14]).decode().rstrip("=")

    assert probe(tiny) == ImageFacts("image/gif", 321, 123)


def test_fill_bytes_before_a_marker_of_a_jpeg_are_skipped() -> None:
    data = PICTURES["jpeg"][1]

    assert probe(data[:2] + b"\xff\xff\xff" + data[2:]) == ImageFacts("image/jpeg", 321, 123)


def test_markers_of_a_jpeg_without_a_length_are_skipped() -> None:
    data = PICTURES["jpeg"][1]

    assert probe(data[:2] + b"\xff\xd0\xff\x01" + data[2:]) == ImageFacts("image/jpeg", 321, 123)


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", "", "~~~", "Zm9v", "你好"])
def test_anything_else_is_nothing(data: bytes | str) -> None:
    assert probe(data) is None


def test_an_unknown_kind_of_webp_has_no_size() -> None:
    assert probe(b"RIFF\0\0\0\0WEBPVP9 " + b"\1" * 40) == ImageFacts("image/webp")


@given(st.binary(max_size=200))
def test_no_bytes_make_it_stumble(tail: bytes) -> None:
    for head in (b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X", b"\xff\xd8\xff"):
        probe(head + tail)
        probe(base64.b64encode(head + tail).decode())


@given(st.text(max_size=100))
def test_no_text_makes_it_stumble(text: str) -> None:
    assert isinstance(decode_head(text, 64), bytes)
