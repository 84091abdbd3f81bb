"""The steps of a scripted stream: what tests queue as JSON, and what the scripted model returns."""

from enum import StrEnum
from typing import Any

import msgspec


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", forbid_unknown_fields=True):
    """What all steps share: the member `do` of their JSON names the class."""


class Text(_Step, frozen=True, kw_only=True, tag="text"):
    """Text of the answer, in one frame or in frames of `size` characters, said `times` times."""

    text: str
    size: int = 0
    times: int = 1


class Reasoning(_Step, frozen=True, kw_only=True, tag="reasoning"):
    """Reasoning: text frames, then one frame with the signature, or one opaque frame.

    `signature`: "" for none, "auto" for one that the emulator will know again, else as it stands.
    """

    text: str = ""
    size: int = 0
    signature: str = "auto"
    # Base64: an opaque frame instead of text and signature.
    redacted: str = ""


class Tool(_Step, frozen=True, kw_only=True, tag="tool"):
    """One tool call, in as many frames as asked.

    `input` is any JSON value, and `raw_input` (what the fragments spell) wins over it; with
    neither there are no fragments at all, as for a tool without arguments.
    """

    name: str
    id: str = ""
    input: Any = None  # any JSON: the model may write anything
    raw_input: str | None = None
    # Characters per fragment; 0: one fragment.
    size: int = 0
    # Any JSON value for the member `stop` of the last frame; null: the call stays open.
    stop: Any = True  # a wrong type is one of the faults
    # Everything in one frame, as older hosts do.
    whole: bool = False
    # The last fragment and `stop` travel together.
    stop_with_last: bool = False
    # Only the first frame names the tool.
    named_once: bool = False


class Event(_Step, frozen=True, kw_only=True, tag="event"):
    """One frame with any event type and any payload."""

    type: str
    payload: Any = msgspec.field(default_factory=dict)  # any JSON value
    # The payload inside an object whose only member is the event type.
    wrapped: bool = False
    # Headers of all ten value types before the usual ones.
    extra_headers: bool = False


class InStreamException(_Step, frozen=True, kw_only=True, tag="exception"):
    """One exception frame."""

    type: str
    payload: Any = msgspec.field(default_factory=dict)  # any JSON value


class ErrorFrame(_Step, frozen=True, kw_only=True, tag="error"):
    """One frame of the message type `error`."""

    code: str
    message: str = ""


class Tail(_Step, frozen=True, kw_only=True, tag="tail"):
    """The closing events, in the order given; `usage` null leaves the token counts out."""

    order: list[str] = msgspec.field(default_factory=lambda: ["metadata", "context", "metering"])
    stop_reason: str | None = "END_TURN"
    stop_details: dict[str, Any] | None = None  # any JSON object
    usage: dict[str, Any] | None = None  # any JSON object
    percentage: float = 1.0
    credits: float = 0.0123


class Flaw(StrEnum):
    """The ways in which a frame can be wrong."""

    PRELUDE_CRC = "prelude_crc"
    MESSAGE_CRC = "message_crc"
    LENGTH_0 = "length_0"
    LENGTH_15 = "length_15"
    LENGTH_2G = "length_2g"
    LENGTH_4G = "length_4g"
    LONG_HEADERS = "long_headers"
    DUPLICATE_HEADER = "duplicate_header"
    UNKNOWN_HEADER_TYPE = "unknown_header_type"
    NOT_JSON = "not_json"
    EMPTY_PAYLOAD = "empty_payload"
    HALF_SURROGATE = "half_surrogate"
    CUT_PRELUDE = "cut_prelude"
    CUT_HEADERS = "cut_headers"
    CUT_PAYLOAD = "cut_payload"
    CUT_CRC = "cut_crc"


class Broken(_Step, frozen=True, kw_only=True, tag="broken"):
    """A text frame with one flaw."""

    flaw: Flaw
    text: str = "broken"


class Raw(_Step, frozen=True, kw_only=True, tag="raw"):
    """Bytes as they stand, in hexadecimal."""

    hex: str


class Wait(_Step, frozen=True, kw_only=True, tag="wait"):
    """Silence for that many real seconds."""

    s: float


class Gate(_Step, frozen=True, kw_only=True, tag="gate"):
    """Silence until the test opens the gate of that name."""

    name: str


class How(StrEnum):
    """The ways in which an answer can end."""

    CLEAN = "clean"
    CLOSE = "close"
    RESET = "reset"
    STALL = "stall"


class End(_Step, frozen=True, kw_only=True, tag="end"):
    """The end: clean HTTP, TCP closed, TCP (or the HTTP/2 stream) reset, or silence for ever."""

    how: How = How.CLEAN


Step = (
    Text
    | Reasoning
    | Tool
    | Event
    | InStreamException
    | ErrorFrame
    | Tail
    | Broken
    | Raw
    | Wait
    | Gate
    | End
)


class CutHow(StrEnum):
    """How the bytes of frames become writes."""

    FRAMES = "frames"  # one write for each frame
    BYTES = "bytes"  # writes of `size` bytes
    MERGED = "merged"  # all frames between two pauses in one write
    INSIDE = "inside"  # each frame is cut in its prelude, headers, payload and CRC


class Cut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way in which a stream is cut into writes, with a pause after each."""

    how: CutHow = CutHow.FRAMES
    size: int = 1
    pause_s: float = 0.0
