"""Reading the format and size of pictures, judged by a library that writes them."""

from io import BytesIO

import pytest
from PIL import Image

from kiro2api.emulator.pixels import Picture, sniff


def picture(form: str, **options: object) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (37, 21), "red").save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["png", "gif", "jpeg", "webp"])
def test_the_size_is_read(form: str) -> None:
    assert sniff(picture(form)) == Picture(form, 37, 21)


def test_the_size_of_a_lossless_webp_is_read() -> None:
    assert sniff(picture("webp", lossless=True)) == Picture("webp", 37, 21)


def test_the_size_of_a_webp_with_extras_is_read() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"

    assert sniff(picture("webp", exif=exif)) == Picture("webp", 37, 21)


def test_a_progressive_jpeg_is_read() -> None:
    assert sniff(picture("jpeg", progressive=True)) == Picture("jpeg", 37, 21)


@pytest.mark.parametrize("form", ["png", "gif", "jpeg", "webp"])
def test_a_cut_picture_is_none(form: str) -> None:
    assert sniff(picture(form)[:9]) is None


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"RIFF0000WEBPVP8Q" + bytes(40)])
def test_other_bytes_are_no_picture(data: bytes) -> None:
    assert sniff(data) is None
