"""The format and the size in pixels of a picture, read from its first bytes."""

import msgspec


class Picture(msgspec.Struct, frozen=True):
    """What the bytes of a picture say about it."""

    format: str
    width: int
    height: int


def sniff(data: bytes) -> Picture | None:
    """Return what `data` is a picture of; None when it is none that the service takes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        return Picture("png", int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        width, height = data[6:8], data[8:10]
        return Picture("gif", int.from_bytes(width, "little"), int.from_bytes(height, "little"))
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: bytes) -> Picture | None:
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        # The start-of-frame markers hold the size; 0xC4, 0xC8 and 0xCC are other things.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = data[at + 5 : at + 7], data[at + 7 : at + 9]
            return Picture("jpeg", int.from_bytes(width), int.from_bytes(height))
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _webp(data: bytes) -> Picture | None:
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        width = 1 + int.from_bytes(data[24:27], "little")
        return Picture("webp", width, 1 + int.from_bytes(data[27:30], "little"))
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return Picture("webp", 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 " and len(data) >= 30:
        width = int.from_bytes(data[26:28], "little") & 0x3FFF
        return Picture("webp", width, int.from_bytes(data[28:30], "little") & 0x3FFF)
    return None
