"""What the first bytes of a picture tell: its true media type and its size in pixels."""

import binascii

import msgspec

# Enough base64 for every header but that of a JPEG, whose size follows metadata of any length.
_HEADER_CHARS = 64
_JPEG_CHARS = 1 << 20
_BLANK = b" \t\r\n"
_NOT_A_SIZE = frozenset((0xC4, 0xC8, 0xCC))
_NO_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))


class ImageFacts(msgspec.Struct, frozen=True, gc=False):
    """A picture's media type and size; the sides are 0 when the header does not tell."""

    media_type: str
    width: int = 0
    height: int = 0


def probe(data: bytes | str) -> ImageFacts | None:
    """Return what `data` is, raw bytes or base64 text; None when it is none of our four formats.

    Formats: PNG, JPEG, GIF, WebP. A cut or odd file is no error: what can be told is told.
    """
    head = data if isinstance(data, bytes) else decode_head(data, _HEADER_CHARS)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _sized("image/png", _big(head, 16, 4), _big(head, 20, 4))
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _sized("image/gif", _little(head, 6, 2), _little(head, 8, 2))
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg(data if isinstance(data, bytes) else decode_head(data, _JPEG_CHARS))
    return None


def decode_head(data: str, chars: int) -> bytes:
    """Return the bytes that the first `chars` characters of base64 spell; b"" when none do."""
    text = data[:chars].encode("ascii", "ignore").translate(None, _BLANK)
    try:
        return binascii.a2b_base64(text[: len(text) // 4 * 4])
    except binascii.Error:
        return b""


def _sized(media_type: str, width: int, height: int) -> ImageFacts:
    return ImageFacts(media_type, width, height) if width and height else ImageFacts(media_type)


def _big(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "big") if len(data) >= start + size else 0


def _little(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(data[start : start + size], "little") if len(data) >= start + size else 0


def _webp(head: bytes) -> ImageFacts:
    width = height = 0
    match head[12:16]:
        case b"VP8 ":
            width, height = _little(head, 26, 2) & 0x3FFF, _little(head, 28, 2) & 0x3FFF
        case b"VP8L" if len(head) >= 25:
            bits = _little(head, 21, 4)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X" if len(head) >= 30:
            width, height = _little(head, 24, 3) + 1, _little(head, 27, 3) + 1
    return _sized("image/webp", width, height)


def _jpeg(data: bytes) -> ImageFacts:
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # any number of fill bytes may stand before a marker
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in _NOT_A_SIZE:
            return _sized("image/jpeg", _big(data, at + 7, 2), _big(data, at + 5, 2))
        else:
            at += 2 + max(2, _big(data, at + 2, 2))
    return ImageFacts("image/jpeg")
