"""The checks that concern images and documents."""

import base64
from io import BytesIO

import pytest
from PIL import Image

from kiro2api.emulator import checks_media
from kiro2api.emulator.accounts import Account, AccountSpec
from kiro2api.emulator.call import Call, make_call
from kiro2api.emulator.rejection import Rejection
from tests.support.emulator_calls import Json, body, user


def png(width: int = 2, height: int = 2) -> bytes:
    buffer = BytesIO()
    Image.new("1", (width, height)).save(buffer, "png")
    return buffer.getvalue()


def media(data: bytes, form: str = "png", **more: object) -> Json:
    return {"format": form, "source": {"bytes": base64.b64encode(data).decode()}, **more}


def call_of(*, history: tuple[Json, ...] = (), **current: object) -> Call:
    sent = body(user("look", **current), history=history)
    return make_call(sent, Account(AccountSpec(name="a"), now=0.0), "m", {})


def reason(rejection: Rejection | None) -> str | None:
    return rejection.reason if rejection else None


def test_ten_good_pictures_pass() -> None:
    assert checks_media.images(call_of(images=[media(png())] * 10)) is None


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([media(png())] * 11, "IMAGE_COUNT_EXCEEDED"),
        ([media(png() + bytes(3_932_160))], "IMAGE_SIZE_EXCEEDED"),
        ([media(b"no picture at all")], "IMAGE_FORMAT_UNSUPPORTED"),
        ([media(png(), "jpeg")], "IMAGE_MIME_MISMATCH"),
        ([media(png(8001, 1))], "IMAGE_DIMENSION_EXCEEDED"),
        ([{"format": "png", "source": {"bytes": "%%%"}}], "REQUEST_BODY_INVALID"),
    ],
)
def test_bad_pictures_are_refused(images: list[Json], expected: str) -> None:
    assert reason(checks_media.images(call_of(images=images))) == expected


def test_pictures_of_the_history_count_too() -> None:
    call = call_of(history=(user("a", images=[media(b"x")]),))

    assert reason(checks_media.images(call)) == "IMAGE_FORMAT_UNSUPPORTED"


@pytest.mark.parametrize(("turns", "refused"), [(2, False), (3, True)])
def test_many_pictures_must_be_smaller(turns: int, refused: bool) -> None:
    history = tuple(user("a", images=[media(png(2001, 1))] * 10) for _ in range(turns))

    assert (checks_media.images(call_of(history=history)) is not None) is refused


def test_a_good_document_passes() -> None:
    call = call_of(documents=[media(b"text", "txt", name="report (2) [a]-b")])

    assert checks_media.documents(call) is None


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([media(b"a", "txt", name=f"d{n}") for n in range(6)], "DOCUMENT_COUNT_EXCEEDED"),
        ([media(b"a", "txt", name="d")] * 2, "DOCUMENT_DUPLICATE_NAME"),
        ([media(b"a", "txt", name="a.txt")], "INVALID_DOCUMENT_NAME"),
        ([media(b"a", "txt", name="")], "INVALID_DOCUMENT_NAME"),
        ([media(bytes(4_718_593), "txt", name="d")], "DOCUMENT_SIZE_EXCEEDED"),
        ([media(b"", "txt", name="d")], "REQUEST_BODY_INVALID"),
    ],
)
def test_bad_documents_are_refused(documents: list[Json], expected: str) -> None:
    assert reason(checks_media.documents(call_of(documents=documents))) == expected
