"""Event stream frames: an incremental decoder and an encoder, exact to the byte.

Source: Smithy event stream specification; limits: docs/reference/upstream.md, frames.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from struct import Struct as Layout
from zlib import crc32

import msgspec

from kiro2api.errors import FramingError

MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_HEADERS_BYTES = 128 * 1024
_OVERHEAD_BYTES = 16
_PRELUDE_BYTES = 12

_PRELUDE = Layout(">III")
_U16 = Layout(">H")
_I8, _I16, _I32, _I64 = Layout(">b"), Layout(">h"), Layout(">i"), Layout(">q")
_U32 = Layout(">I")
# All streams repeat the same handful of header blocks, of about 90 bytes. The bounds keep a hostile
# one from filling the memory.
_REMEMBERED_BLOCKS = 64
_REMEMBERED_BYTES = 512


class Byte(msgspec.Struct, frozen=True, gc=False):
    """An 8-bit header value, −128 … 127."""

    value: int


class Short(msgspec.Struct, frozen=True, gc=False):
    """A 16-bit header value."""

    value: int


class Integer(msgspec.Struct, frozen=True, gc=False):
    """A 32-bit header value."""

    value: int


class Timestamp(msgspec.Struct, frozen=True, gc=False):
    """A point in time, milliseconds since the epoch."""

    value_ms: int


class Uuid(msgspec.Struct, frozen=True, gc=False):
    """Sixteen raw bytes."""

    value: bytes


# A plain int is a 64-bit value: the ten types of the format are told apart by Python's.
HeaderValue = bool | Byte | Short | Integer | int | bytes | str | Timestamp | Uuid


class Header(msgspec.Struct, frozen=True, gc=False):
    """One header of a frame, name and typed value."""

    name: str
    value: HeaderValue


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One whole frame: its headers by name, and its payload bytes."""

    headers: Mapping[str, HeaderValue]
    payload: bytes

    def text(self, name: str) -> str:
        """Return the string header `name`; "" when it is absent or of another type."""
        value = self.headers.get(name, "")
        return value if isinstance(value, str) else ""


class FrameDecoder:
    """Turns one response body into frames; lives as long as the transfer and belongs to it.

    `lost` is the error that ended the stream, None while it is sound.
    """

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self.lost: FramingError | None = None
        # The cut frame at the end, and how many bytes it takes before looking at it is worth while.
        self._rest = bytearray()
        self._wanted_bytes = 0
        self._max_frame_bytes = max_frame_bytes

    @property
    def is_empty(self) -> bool:
        """Tell whether the stream stands on a frame boundary."""
        return not self._rest and self.lost is None

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames completed by `data`, in order.

        Any cut of the stream is fine: half a prelude, three frames, nothing. Sizes are checked
        from the prelude, before anything is kept for a frame. Whole frames before a broken one
        are returned; the error is then in `lost`, and raised by the next call.

        Raises:
            FramingError: a CRC differs or a length is impossible; the stream is lost. It is never
                searched for a next frame: what follows a broken one cannot be trusted.
        """
        if self.lost is not None:
            raise self.lost
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted_bytes:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        frames: list[Frame] = []
        try:
            at = self._read_frames(data, frames)
        except FramingError as error:
            self.lost = error
            if not frames:
                raise
            return frames
        if at < len(data):
            self._rest += data[at:]
        return frames

    def _read_frames(self, data: bytes, frames: list[Frame]) -> int:
        """Append the whole frames that `data` starts with; return where the rest begins."""
        at, end = 0, len(data)
        while end - at >= _PRELUDE_BYTES:
            total, headers_bytes, prelude_crc = _PRELUDE.unpack_from(data, at)
            if (
                crc32(data[at : at + 8]) != prelude_crc
                or not _OVERHEAD_BYTES <= total <= self._max_frame_bytes
                or headers_bytes > total - _OVERHEAD_BYTES
                or headers_bytes > MAX_HEADERS_BYTES
            ):
                raise _broken_prelude(data[at : at + _PRELUDE_BYTES])
            if end - at < total:
                self._wanted_bytes = total
                return at
            stop = at + total - 4
            if crc32(data[at:stop]) != _U32.unpack_from(data, stop)[0]:
                raise FramingError("message CRC differs")
            headers_end = at + _PRELUDE_BYTES + headers_bytes
            block = data[at + _PRELUDE_BYTES : headers_end]
            if headers_bytes <= _REMEMBERED_BYTES:
                headers = _remembered_headers(block)
            else:
                headers = decode_headers(block)
            frames.append(Frame(headers, data[headers_end:stop]))
            at += total
        self._wanted_bytes = _PRELUDE_BYTES
        return at


def _broken_prelude(prelude: bytes) -> FramingError:
    """Return what is wrong with a prelude that was found to be wrong."""
    total, headers_bytes, prelude_crc = _PRELUDE.unpack(prelude)
    if crc32(prelude[:8]) != prelude_crc:
        return FramingError("prelude CRC differs")
    return FramingError(f"impossible lengths: a frame of {total} with headers of {headers_bytes}")


def decode_headers(block: bytes) -> Mapping[str, HeaderValue]:
    """Return the headers that `block` holds.

    Raises:
        FramingError: a name is empty, twice there or no UTF-8, a value is cut, a type is unknown.
    """
    headers: dict[str, HeaderValue] = {}
    at, end = 0, len(block)
    while at < end:
        name_end = at + 1 + block[at]
        if name_end == at + 1 or name_end >= end:
            raise FramingError("header name is empty or cut")
        name = _utf8(block[at + 1 : name_end])
        if name in headers:
            raise FramingError(f"header {name!r} is there twice")
        headers[name], at = _decode_value(block, name_end)
    return headers


# What is remembered is shared by all frames that had it: nobody may change it.
_remembered_headers = lru_cache(maxsize=_REMEMBERED_BLOCKS)(decode_headers)


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FramingError("header text is not UTF-8") from None


def _decode_value(block: bytes, at: int) -> tuple[HeaderValue, int]:
    """Return the value whose type byte stands at `at`, and where the next header starts."""
    kind = block[at]
    at += 1
    if kind in (6, 7):
        start = at + 2
        stop = start + (_U16.unpack_from(block, at)[0] if start <= len(block) else 0)
        raw = _slice(block, start, stop)
        return (_utf8(raw) if kind == 7 else raw), stop
    width = _WIDTHS.get(kind)
    if width is None:
        raise FramingError(f"unknown header type {kind}")
    raw = _slice(block, at, at + width)
    return _fixed_value(kind, raw), at + width


_WIDTHS = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}


def _slice(block: bytes, start: int, stop: int) -> bytes:
    if stop > len(block):
        raise FramingError("header value is cut")
    return block[start:stop]


def _fixed_value(kind: int, raw: bytes) -> HeaderValue:
    match kind:
        case 0 | 1:
            return kind == 0
        case 2:
            return Byte(_I8.unpack(raw)[0])
        case 3:
            return Short(_I16.unpack(raw)[0])
        case 4:
            return Integer(_I32.unpack(raw)[0])
        case 5:
            return int(_I64.unpack(raw)[0])
        case 8:
            return Timestamp(_I64.unpack(raw)[0])
        case _:
            return Uuid(raw)


def encode_frame(headers: Sequence[Header], payload: bytes) -> bytes:
    """Return one frame with both CRCs.

    Raises:
        ValueError: a name or a value does not fit the format.
    """
    block = b"".join(_encode_header(header) for header in headers)
    total = _OVERHEAD_BYTES + len(block) + len(payload)
    if len(block) > MAX_HEADERS_BYTES or total > MAX_FRAME_BYTES:
        raise ValueError(f"a frame of {total} bytes is over the limit of the format")
    prelude = total.to_bytes(4) + len(block).to_bytes(4)
    body = prelude + crc32(prelude).to_bytes(4) + block + payload
    return body + crc32(body).to_bytes(4)


def _encode_header(header: Header) -> bytes:
    name = header.name.encode()
    if not 1 <= len(name) <= 255:
        raise ValueError(f"a header name has 1 to 255 bytes, not {len(name)}")
    return bytes([len(name)]) + name + _encode_value(header.value)


def _encode_value(value: HeaderValue) -> bytes:
    match value:
        case bool():
            return b"\x00" if value else b"\x01"
        case int():
            return b"\x05" + _I64.pack(value)
        case Byte():
            return b"\x02" + _I8.pack(value.value)
        case Short():
            return b"\x03" + _I16.pack(value.value)
        case Integer():
            return b"\x04" + _I32.pack(value.value)
        case bytes():
            return b"\x06" + _length(value) + value
        case str():
            raw = value.encode()
            return b"\x07" + _length(raw) + raw
        case Timestamp():
            return b"\x08" + _I64.pack(value.value_ms)
        case _:
            if len(value.value) != 16:
                raise ValueError("a UUID has 16 bytes")
            return b"\x09" + value.value


def _length(raw: bytes) -> bytes:
    if len(raw) > 0xFFFF:
        raise ValueError("a header value has at most 65,535 bytes")
    return _U16.pack(len(raw))
