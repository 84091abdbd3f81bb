"""Checks of a generation request that concern images and documents."""

import base64
import binascii

from kiro2api.emulator.call import Call, Turn
from kiro2api.emulator.pixels import sniff
from kiro2api.emulator.rejection import Rejection
from kiro2api.emulator.untyped import items, members, text

_MAX_IMAGES = 10
_MAX_IMAGE_BYTES = 3_932_160
_MAX_SIDE = 8000
# With very many pictures in a conversation the service takes only smaller ones.
_MANY_IMAGES = 20
_MAX_SIDE_OF_MANY = 2000
_MAX_DOCUMENTS = 5
_MAX_DOCUMENT_BYTES = 4_718_592


def images(call: Call) -> Rejection | None:
    """Refuse images that are too many, too heavy, too large, or not what they claim to be."""
    turns = [*call.history, call.current]
    many = sum(len(items(turn.message.get("images"))) for turn in turns) > _MANY_IMAGES
    max_side = _MAX_SIDE_OF_MANY if many else _MAX_SIDE
    for turn in turns:
        found = items(turn.message.get("images"))
        if len(found) > _MAX_IMAGES:
            return _refused("Too many images in one message.", "IMAGE_COUNT_EXCEEDED")
        for image in found:
            rejection = _image(members(image), max_side=max_side)
            if rejection is not None:
                return rejection
    return None


def _image(image: dict[str, object], *, max_side: int) -> Rejection | None:
    data = _bytes(image)
    if data is None:
        return _refused("The image is not base64.", "REQUEST_BODY_INVALID")
    if len(data) > _MAX_IMAGE_BYTES:
        return _refused("The image is too large.", "IMAGE_SIZE_EXCEEDED")
    picture = sniff(data)
    if picture is None:
        return _refused("The image cannot be read.", "IMAGE_FORMAT_UNSUPPORTED")
    if picture.format != image.get("format"):
        return _refused("The image is of another format.", "IMAGE_MIME_MISMATCH")
    if max(picture.width, picture.height) > max_side:
        return _refused("The image has too many pixels.", "IMAGE_DIMENSION_EXCEEDED")
    return None


def documents(call: Call) -> Rejection | None:
    """Refuse documents that are too many, too heavy, or share a name."""
    for turn in [*call.history, call.current]:
        rejection = _documents_of(turn)
        if rejection is not None:
            return rejection
    return None


def _documents_of(turn: Turn) -> Rejection | None:
    found = [members(document) for document in items(turn.message.get("documents"))]
    if len(found) > _MAX_DOCUMENTS:
        return _refused("Too many documents in one message.", "DOCUMENT_COUNT_EXCEEDED")
    names = [text(document.get("name")) for document in found]
    if not all(_is_document_name(name) for name in names):
        return _refused("The name of a document is not allowed.", "INVALID_DOCUMENT_NAME")
    if len(set(names)) < len(names):
        return _refused("Two documents have one name.", "DOCUMENT_DUPLICATE_NAME")
    for document in found:
        data = _bytes(document)
        if data is None:
            return _refused("The document is not base64.", "REQUEST_BODY_INVALID")
        if len(data) > _MAX_DOCUMENT_BYTES:
            return _refused("The document is too large.", "DOCUMENT_SIZE_EXCEEDED")
    return None


def _is_document_name(name: str) -> bool:
    return bool(name.strip()) and all(c.isalnum() or c in " -()[]" for c in name)


def _bytes(media: dict[str, object]) -> bytes | None:
    spelled = text(members(media.get("source")).get("bytes"))
    try:
        return base64.b64decode(spelled, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def _refused(message: str, reason: str) -> Rejection:
    # Named even by the older service, which is otherwise silent about reasons.
    return Rejection(message=message, reason=reason, structural=reason == "REQUEST_BODY_INVALID")
