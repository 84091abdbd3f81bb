"""Images and documents as the upstream takes them: the true format, whole base64, a lawful name."""

import binascii
import re

from kiro2api.protocol.chat.image import probe
from kiro2api.protocol.chat.request import Document, Image, Text
from kiro2api.protocol.chat.text import clean, is_blank
from kiro2api.protocol.codewhisperer.schema import Bytes, DocumentBlock, ImageBlock

MAX_IMAGES = 10
MAX_IMAGE_BYTES = 3_750_000
MAX_DOCUMENTS = 5
MAX_DOCUMENT_BYTES = 4_500_000

_FORMATS = {
    "application/pdf": "pdf",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
}
_EXTENSIONS = {**{name: name for name in _FORMATS.values()}, "htm": "html", "markdown": "md"}
_TEXT_TYPES = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
)
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9 ()\[\]-]+|\s+")
_MAX_NAME = 100
_UNNAMED = "document"
_URL_SAFE = str.maketrans("-_", "+/")


def as_image(image: Image) -> ImageBlock | str:
    """Return the upstream's block for `image`, or why it takes none.

    The format comes from the bytes: what clients say of it is often wrong, and then refused.
    """
    whole = _whole(image.data)
    if whole is None:
        return "it is not valid base64"
    data, content = whole
    if len(content) > MAX_IMAGE_BYTES:
        return f"it has {len(content):,} bytes, and the limit is {MAX_IMAGE_BYTES:,}"
    facts = probe(content)
    if facts is None:
        return "it is not a PNG, JPEG, GIF or WebP picture"
    return ImageBlock(facts.media_type.removeprefix("image/"), Bytes(data))


def as_document(document: Document, taken: dict[str, int]) -> DocumentBlock | Text | str:
    """Return the upstream's block for `document`, its text where it has one, or why neither.

    `taken` are the names that documents of the request already have, each with the number of its
    last copy; the new one joins them.
    """
    if document.text or not document.data:
        return _as_text(document, document.text)
    whole = _whole(document.data)
    if whole is None:
        return "it is not valid base64"
    data, content = whole
    media_type = document.media_type.partition(";")[0].strip().lower()
    if media_type.startswith("text/") or media_type in _TEXT_TYPES:
        try:
            return _as_text(document, content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            pass
    stem, _, extension = document.name.rpartition(".")
    format = _FORMATS.get(media_type) or _EXTENSIONS.get(extension.lower(), "")
    if not format:
        return f"files of the type {media_type or 'unknown'} are not supported"
    if len(content) > MAX_DOCUMENT_BYTES:
        return f"it has {len(content):,} bytes, and the limit is {MAX_DOCUMENT_BYTES:,}"
    has_known_extension = extension.lower() in _EXTENSIONS
    name = _free_name(stem if has_known_extension else document.name, taken)
    return DocumentBlock(name, format, Bytes(data))


def _as_text(document: Document, text: str) -> Text:
    name = clean(document.name) or _UNNAMED
    told = "(it is empty)" if is_blank(text) else text
    return Text(f"(document {name})\n{told}\n(end of the document {name})")


def _free_name(name: str, taken: dict[str, int]) -> str:
    """Return a name of the allowed characters that is not `taken`, and take it."""
    plain = " ".join(_NOT_IN_NAME.sub(" ", name).split())[:_MAX_NAME].strip() or _UNNAMED
    copy = taken.get(plain.casefold(), 0) + 1
    free = plain if copy == 1 else f"{plain} ({copy})"
    while free.casefold() in taken:
        copy += 1
        free = f"{plain} ({copy})"
    taken[free.casefold()] = 1
    # Where to look for the next one: an agent may send the same file with each of its turns.
    taken[plain.casefold()] = copy
    return free


def _whole(data: str) -> tuple[str, bytes] | None:
    """Return base64 as the upstream wants it and what it spells; None when it spells nothing.

    Line breaks, a missing end, the URL alphabet and a data URL's head are forgiven.
    """
    try:
        return data, _decoded(data)
    except ValueError:
        pass
    if data.startswith("data:"):
        data = data.partition(",")[2]
    data = "".join(data.split()).translate(_URL_SAFE).rstrip("=")
    data += "=" * (-len(data) % 4)
    try:
        return data, _decoded(data)
    except ValueError:
        return None


def _decoded(data: str) -> bytes:
    content = binascii.a2b_base64(data, strict_mode=True)
    if not content:
        raise ValueError("nothing is spelled")
    return content


def is_base64(data: str) -> bool:
    """Return whether `data` is base64 of something, to the letter."""
    try:
        return bool(_decoded(data))
    except ValueError:
        return False
