"""Tests of event stream frames: vectors, bounds, and any cut of a stream."""

from struct import pack
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import FramingError
from kiro2api.protocol.wire.eventstream import (
    MAX_FRAME_BYTES,
    MAX_HEADERS_BYTES,
    Byte,
    Frame,
    FrameDecoder,
    Header,
    Integer,
    Short,
    Timestamp,
    Uuid,
    decode_headers,
    encode_frame,
)
from kiro2api.protocol.wire.eventstream import _remembered_headers as remembered

JSON_TYPE = Header(":content-type", "application/json")


def event(name: str) -> list[Header]:
    return [Header(":message-type", "event"), Header(":event-type", name), JSON_TYPE]


# Computed apart from this program, byte for byte.
VECTORS = [
    ([], b"", "000000100000000005c248eb7d98c8ff"),
    (
        event("assistantResponseEvent"),
        b'{"content":"Hi"}',
        "0000007c0000005c3bddcf780d3a6d6573736167652d747970650700056576656e740b3a6576656e742d"
        "7479706507001661737369737461"
        "6e74526573706f6e73654576656e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f"
        "6a736f6e7b22636f6e74656e74223a224869227d09f66f51",
    ),
    (
        event("toolUseEvent"),
        b'{"name":"f","toolUseId":"t1","stop":true}',
        "0000008b0000005226716e320d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74"
        "79706507000c746f6f6c557365457665"
        "6e740d3a636f6e74656e742d747970650700106170706c69636174696f6e2f6a736f6e7b226e616d65223a22"
        "66222c22746f6f6c5573654964223a227431222c2273746f70223a747275657d622cc724",
    ),
    (
        [
            Header(":message-type", "exception"),
            Header(":exception-type", "throttlingError"),
            JSON_TYPE,
        ],
        b'{"message":"slow down"}',
        "000000840000005d349ee4720d3a6d6573736167652d74797065070009657863657074696f6e0f3a65786365"
        "7074696f6e2d7479706507000f7468726f74746c696e674572726f720d3a636f6e74656e742d747970650700"
        "106170706c69636174696f6e2f6a736f6e7b226d657373616765223a22736c6f7720646f776e227da09a065d",
    ),
]

# Each of the ten types, and its bytes after the name.
TYPES: list[tuple[Any, bytes]] = [
    (True, b"\x00"),
    (False, b"\x01"),
    (Byte(-128), b"\x02\x80"),
    (Short(-2), b"\x03\xff\xfe"),
    (Integer(65536), b"\x04\x00\x01\x00\x00"),
    (-1, b"\x05" + b"\xff" * 8),
    (b"ab", b"\x06\x00\x02ab"),
    ("é", b"\x07\x00\x02\xc3\xa9"),
    (Timestamp(1_700_000_000_000), b"\x08\x00\x00\x01\x8b\xcf\xe5\x68\x00"),
    (Uuid(bytes(range(16))), b"\x09" + bytes(range(16))),
]


def prelude(total: int, headers_bytes: int) -> bytes:
    lengths = pack(">II", total, headers_bytes)
    return lengths + pack(">I", crc32(lengths))


def decode(data: bytes) -> list[Frame]:
    decoder = FrameDecoder()
    frames = decoder.feed(data)
    assert decoder.is_empty
    return frames


def require_lost(data: bytes, words: str) -> None:
    with pytest.raises(FramingError, match=words):
        FrameDecoder().feed(data)


@pytest.mark.parametrize(("headers", "payload", "hexadecimal"), VECTORS)
def test_a_known_frame_is_read_and_written(
    headers: list[Header], payload: bytes, hexadecimal: str
) -> None:
    raw = bytes.fromhex(hexadecimal)

    assert decode(raw) == [Frame({header.name: header.value for header in headers}, payload)]
    assert encode_frame(headers, payload) == raw


@pytest.mark.parametrize(("value", "raw"), TYPES, ids=lambda value: type(value).__name__)
def test_each_header_type_is_read_and_written(value: Any, raw: bytes) -> None:
    frame = encode_frame([Header("n", value)], b"")

    assert frame[12:-4] == b"\x01n" + raw
    (read,) = decode(frame)
    assert read.headers == {"n": value}
    assert type(read.headers["n"]) is type(value)


def test_all_types_stand_side_by_side() -> None:
    headers = [Header(f"h{place}", value) for place, (value, _) in enumerate(TYPES)]

    (read,) = decode(encode_frame(headers, b"p"))

    assert list(read.headers.values()) == [value for value, _ in TYPES]


def test_a_text_header_is_read_by_name() -> None:
    frame = Frame({"a": "x", "b": 5}, b"")

    assert (frame.text("a"), frame.text("b"), frame.text("c")) == ("x", "", "")


def test_several_frames_in_one_read_come_in_order() -> None:
    frames = [encode_frame(event("e"), b"%d" % number) for number in range(100)]

    assert [frame.payload for frame in decode(b"".join(frames))] == [b"%d" % n for n in range(100)]


def test_one_byte_reads_give_the_same_frames() -> None:
    raw = b"".join(bytes.fromhex(vector[2]) for vector in VECTORS)
    decoder = FrameDecoder()

    frames = [frame for byte in raw for frame in decoder.feed(bytes([byte]))]

    assert frames == decode(raw)
    assert decoder.is_empty


def test_an_empty_read_changes_nothing() -> None:
    decoder = FrameDecoder()

    assert decoder.feed(b"") == []
    assert decoder.is_empty
    decoder.feed(b"\x00")
    assert decoder.feed(b"") == []
    assert not decoder.is_empty


def test_a_cut_frame_is_seen_at_the_end() -> None:
    decoder = FrameDecoder()
    raw = encode_frame([], b"payload")

    assert decoder.feed(raw + raw[:-1]) == [Frame({}, b"payload")]
    assert not decoder.is_empty
    assert decoder.feed(raw[-1:]) == [Frame({}, b"payload")]
    assert decoder.is_empty


@pytest.mark.parametrize("at", range(16))
def test_a_changed_byte_anywhere_loses_the_stream(at: int) -> None:
    raw = bytearray(encode_frame([], b""))
    raw[at] ^= 0x01

    require_lost(bytes(raw), "prelude CRC" if at < 12 else "message CRC")


def test_a_changed_payload_loses_the_stream() -> None:
    raw = encode_frame([], b'{"content":"Hi"}').replace(b"Hi", b"Ho")

    require_lost(raw, "message CRC")


@pytest.mark.parametrize(
    ("total", "headers_bytes"),
    [
        (0, 0),
        (15, 0),
        (0xFFFFFFFF, 0),
        (MAX_FRAME_BYTES + 1, 0),
        (16, 1),
        (100, 85),
        (100, 0xFFFFFFFF),
        (MAX_FRAME_BYTES, MAX_HEADERS_BYTES + 1),
    ],
)
def test_impossible_lengths_are_refused_from_the_prelude(total: int, headers_bytes: int) -> None:
    require_lost(prelude(total, headers_bytes), "impossible lengths")


@pytest.mark.parametrize(
    ("total", "headers_bytes"),
    [(16, 0), (100, 84), (MAX_FRAME_BYTES, MAX_HEADERS_BYTES)],
)
def test_lengths_at_the_bounds_are_waited_for(total: int, headers_bytes: int) -> None:
    assert FrameDecoder().feed(prelude(total, headers_bytes)) == []


def test_a_decoder_may_have_a_lower_bound() -> None:
    decoder = FrameDecoder(max_frame_bytes=20)

    assert decoder.feed(encode_frame([], b"1234")) == [Frame({}, b"1234")]
    with pytest.raises(FramingError):
        decoder.feed(prelude(21, 0))


def test_a_lost_stream_is_never_searched_for_a_next_frame() -> None:
    good = encode_frame([], b"good")
    decoder = FrameDecoder()
    with pytest.raises(FramingError):
        decoder.feed(b"\x00" * 12 + good)

    assert decoder.lost is not None
    assert not decoder.is_empty
    with pytest.raises(FramingError):
        decoder.feed(good)


def test_frames_before_a_broken_one_are_not_lost() -> None:
    good, decoder = encode_frame([], b"good"), FrameDecoder()

    frames = decoder.feed(good + good + b"\xff" * 12 + good)

    assert [frame.payload for frame in frames] == [b"good", b"good"]
    assert isinstance(decoder.lost, FramingError)
    with pytest.raises(FramingError, match="prelude CRC"):
        decoder.feed(b"")


class CountingDecoder(FrameDecoder):
    """Counts how often it looks at the bytes it has."""

    looks = 0

    def _read_frames(self, data: bytes, frames: list[Frame]) -> int:
        self.looks += 1
        return super()._read_frames(data, frames)


def test_a_big_frame_in_small_pieces_is_looked_at_twice() -> None:
    payload = bytes(2_000_000)
    raw, decoder = encode_frame([], payload), CountingDecoder()

    frames = [f for at in range(0, len(raw), 100) for f in decoder.feed(raw[at : at + 100])]

    assert frames == [Frame({}, payload)]
    # At the prelude, then when the whole frame is there: the time grows with its size only.
    assert decoder.looks == 2


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (b"\x00\x00", "empty or cut"),
        (b"\x01", "empty or cut"),
        (b"\x01n", "empty or cut"),
        (b"\x09n\x00", "empty or cut"),
        (b"\x01\xff\x00", "not UTF-8"),
        (b"\x01n\x07\x00\x01\xff", "not UTF-8"),
        (b"\x01n\x0a", "unknown header type 10"),
        (b"\x01n\xff", "unknown header type 255"),
        (b"\x01n\x00\x01n\x01", "twice"),
        (b"\x01n\x02", "value is cut"),
        (b"\x01n\x05\x00\x00", "value is cut"),
        (b"\x01n\x09" + bytes(15), "value is cut"),
        (b"\x01n\x07", "value is cut"),
        (b"\x01n\x07\x00", "value is cut"),
        (b"\x01n\x07\x00\x05abcd", "value is cut"),
        (b"\x01n\x06\xff\xff", "value is cut"),
    ],
)
def test_a_broken_header_block_loses_the_stream(block: bytes, words: str) -> None:
    body = prelude(16 + len(block), len(block)) + block

    require_lost(body + pack(">I", crc32(body)), words)


def test_header_blocks_are_read_once_for_all_streams() -> None:
    (first,) = FrameDecoder().feed(encode_frame(event("e"), b"1"))
    (second,) = FrameDecoder().feed(encode_frame(event("e"), b"2"))

    assert first.headers is second.headers


def test_the_memory_of_header_blocks_is_bounded() -> None:
    decoder = FrameDecoder()
    for number in range(1_000):
        decoder.feed(encode_frame(event(f"e{number}"), b""))

    assert remembered.cache_info().currsize == 64
    (frame,) = decoder.feed(encode_frame(event("e999"), b""))
    assert frame.text(":event-type") == "e999"


def test_a_big_header_block_is_not_remembered() -> None:
    frame = encode_frame([*event("e"), Header("padding", "x" * 512)], b"")
    first, second = FrameDecoder().feed(frame * 2)

    assert first.headers == second.headers
    assert first.headers is not second.headers


def test_an_empty_block_has_no_headers() -> None:
    assert decode_headers(b"") == {}


@pytest.mark.parametrize("name", ["", "n" * 256])
def test_a_header_name_that_does_not_fit_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        encode_frame([Header(name, "v")], b"")


@pytest.mark.parametrize("value", ["v" * 65_536, b"v" * 65_536])
def test_a_header_value_that_does_not_fit_is_not_written(value: str | bytes) -> None:
    with pytest.raises(ValueError, match="65,535"):
        encode_frame([Header("n", value)], b"")


def test_a_uuid_of_another_length_is_not_written() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        encode_frame([Header("n", Uuid(b"short"))], b"")


def test_a_frame_over_the_limit_is_not_written() -> None:
    with pytest.raises(ValueError, match="over the limit"):
        encode_frame([], bytes(MAX_FRAME_BYTES))


def test_headers_over_the_limit_are_not_written() -> None:
    headers = [Header(f"{number:03}", "v" * 65_000) for number in range(3)]

    with pytest.raises(ValueError, match="over the limit"):
        encode_frame(headers, b"")


SIGNED = {bits: st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.one_of(
    st.booleans(),
    SIGNED[8].map(Byte),
    SIGNED[16].map(Short),
    SIGNED[32].map(Integer),
    SIGNED[64],
    st.binary(max_size=20),
    TEXT,
    SIGNED[64].map(Timestamp),
    st.binary(min_size=16, max_size=16).map(Uuid),
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
FRAMES = st.builds(Frame, st.dictionaries(NAMES, VALUES, max_size=4), st.binary(max_size=60))


def written(frames: list[Frame]) -> bytes:
    return b"".join(
        encode_frame([Header(*item) for item in frame.headers.items()], frame.payload)
        for frame in frames
    )


@given(st.lists(FRAMES, max_size=4), st.lists(st.integers(1, 50), max_size=40))
def test_any_cut_gives_the_frames_that_were_written(frames: list[Frame], cuts: list[int]) -> None:
    raw, decoder, read = written(frames), FrameDecoder(), []
    for size in cuts:
        read += decoder.feed(raw[:size])
        raw = raw[size:]
    read += decoder.feed(raw)

    assert read == frames
    assert decoder.is_empty


@given(st.lists(FRAMES, min_size=1, max_size=3), st.data())
def test_a_flipped_bit_never_changes_a_frame_in_silence(
    frames: list[Frame], data: st.DataObject
) -> None:
    raw = bytearray(written(frames))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    decoder, read = FrameDecoder(), []

    try:
        read = decoder.feed(bytes(raw))
    except FramingError:
        pass

    assert read == frames[: len(read)]
    assert len(read) < len(frames)
    assert not decoder.is_empty


@given(st.binary(max_size=80), st.integers(0, 80))
def test_garbage_is_refused_alike_at_any_cut(raw: bytes, cut: int) -> None:
    def outcome(pieces: list[bytes]) -> tuple[list[Frame], bool, bool]:
        decoder, read = FrameDecoder(), []
        for piece in pieces:
            try:
                read += decoder.feed(piece)
            except FramingError:
                break
        return read, decoder.lost is not None, decoder.is_empty

    assert outcome([raw]) == outcome([raw[:cut], raw[cut:]])
