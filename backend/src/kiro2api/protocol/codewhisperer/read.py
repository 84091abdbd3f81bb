"""The upstream's reply as hub events: frames in, blocks opened and closed, one honest end.

Source: docs/reference/upstream.md, the response stream.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol, TypeVar

import msgspec

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.protocol.chat import events as ev
from kiro2api.protocol.codewhisperer.fault import classify_exception
from kiro2api.protocol.codewhisperer.tool_calls import HeldCalls, ToolFragment, WholeCall
from kiro2api.protocol.codewhisperer.usage import Meter, TokenUsage
from kiro2api.protocol.wire.eventstream import Frame
from kiro2api.protocol.wire.json import decode, encode

P = TypeVar("P")


class NameMapLike(Protocol):
    """Gives tools and their inputs the names back that the client knows."""

    def to_client(self, name: str) -> str:
        """Return the client's name of the tool that the upstream calls `name`."""
        ...

    def input_to_client(self, name: str, text: str) -> str:
        """Return the JSON `text` of a call to the client's tool `name`, properties renamed back."""
        ...


class Flaw(StrEnum):
    """Why a stream that ended deserves another attempt, as long as nothing was committed."""

    EMPTY = "empty"
    BROKEN_TOOL_CALL = "broken_tool_call"


class Ending(msgspec.Struct, frozen=True):
    """How a reply ended: its last events, and what was wrong with it if anything was.

    `is_cut` tells that content came and the end of the generation did not.
    """

    events: tuple[ev.StreamEvent, ...]
    flaw: Flaw | None
    is_cut: bool = False


class _Text(msgspec.Struct, gc=False):
    content: str | None = None


class _Reasoning(msgspec.Struct, rename="camel", gc=False):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Refused(msgspec.Struct, gc=False):
    category: str | None = None
    explanation: str | None = None


class _StopDetails(msgspec.Struct, gc=False):
    refusal: _Refused | None = None


class _Metadata(msgspec.Struct, rename="camel", gc=False):
    token_usage: TokenUsage | None = None
    stop_reason: str | None = None
    stop_details: _StopDetails | None = None


class _ContextUsage(msgspec.Struct, rename="camel", gc=False):
    context_usage_percentage: float | None = None


class _Metering(msgspec.Struct, gc=False):
    usage: float | None = None


# Ends that the request itself has caused: another attempt would end the same way.
_HOPELESS = frozenset({"CONTENT_FILTERED", "MODEL_CONTEXT_WINDOW_EXCEEDED"})
# ... and these explain why there is no content at all.
_EXPLAINS_EMPTY = _HOPELESS | {"MAX_TOKENS"}

# Kinds that carry nothing a client could be shown.
_SILENT = frozenset(
    {
        "initial-response",
        "messageMetadataEvent",
        "toolResultEvent",
        "codeReferenceEvent",
        "documentCitationEvent",
        "citationEvent",
        "supplementaryWebLinksEvent",
        "followupPromptEvent",
        "intentsEvent",
        "interactionComponentsEvent",
        "dryRunSucceedEvent",
    }
)

# Half an emoji at the end of one text event and its other half at the start of the next.
_HIGH_AT_END = re.compile(rb'\\u([dD][89abAB][0-9a-fA-F]{2})"')
_LOW_AT_START = re.compile(rb':\s*"\\u([dD][c-fC-F][0-9a-fA-F]{2})')
_LOST = "\ufffd"


class _Open(StrEnum):
    """The block that is open. `HALF` is text whose last character waits for its other half."""

    NONE = "none"
    TEXT = "text"
    HALF = "half"
    THINKING = "thinking"


# Looking a member up costs ten times a name, and a short reply asks for a dozen.
_CLOSED, _IN_TEXT, _IN_HALF, _IN_THINKING = _Open


class Reader:
    """Reads one upstream reply; lives as long as its transfer and belongs to it.

    `skipped` counts events of unknown kinds, `saw_content` tells whether anything of an answer has
    come, held tool calls included. `is_over` tells that the reply has ended before the body has:
    what is still to come says nothing.
    """

    def __init__(self, *, names: NameMapLike, input_tokens: int, window_tokens: int) -> None:
        self.skipped = 0
        self.saw_content = False
        self.is_over = False
        self._names = names
        self._input_tokens = input_tokens
        self._out: list[ev.StreamEvent] = []
        self._has_begun = False
        self._index = 0
        self._open = _CLOSED
        self._half = 0
        self._calls = HeldCalls()
        self._meter = Meter(input_tokens=input_tokens, window_tokens=window_tokens)
        self._spoken_add = self._meter.spoken.add
        self.has_tail = False
        self._stop_reason = ""
        self._refusal: _Refused | None = None

    def read(self, frames: Sequence[Frame]) -> list[ev.StreamEvent]:
        """Return the events that `frames` tell; the very first one is `Begin`.

        Raises:
            UpstreamError: the upstream reports a failure, or a known event is no valid JSON. What
                the frames before it told is in `salvage()`.
        """
        out = self._out = []
        if self.is_over:
            return out
        try:
            for frame in frames:
                headers = frame.headers
                if headers.get(":message-type", "event") != "event":
                    if self._take_failure(frame):
                        break
                    continue
                kind = headers.get(":event-type")
                take = _TAKE.get(kind)
                if take is not None:
                    take(self, frame.payload)
                elif kind not in _SILENT:
                    self.skipped += 1
        except RequestError as error:
            raise UpstreamError(
                FaultKind.BROKEN_STREAM,
                f"an event of the reply is no valid JSON: {error.message}",
                code="invalid_event",
            ) from None
        return out

    def salvage(self) -> list[ev.StreamEvent]:
        """Return what the last `read` had gathered before it raised."""
        return self._out

    def end(self) -> Ending:
        """Return how the reply ended: ask when it is over, or at the end of the body."""
        self._out = []
        if not self.saw_content and self._stop_reason not in _EXPLAINS_EMPTY:
            return Ending((), Flaw.EMPTY)
        is_cut = self.saw_content and not self.has_tail
        # Calls that are still open are broken from here on.
        is_broken = self._calls.is_broken or self._calls.has_open
        self._finish(self._final_reason(is_broken))
        deserves_another = is_broken and not self.is_over and self._stop_reason not in _HOPELESS
        flaw = Flaw.BROKEN_TOOL_CALL if deserves_another else None
        return Ending(tuple(self._out), flaw, is_cut)

    # ------------------------------------------------------------------ events

    def _take_text(self, payload: bytes) -> None:
        text = decode(payload, _Text).content
        if not text:
            text = self._unwrapped(payload, _Text, _TEXT_KINDS).content
            if not text:
                return
        if _LOST in text:
            self._take_mended(text, payload)
            return
        if self._open is not _IN_TEXT:
            self._open_text()
        self._out.append(ev.TextDelta(self._index, text))
        self._spoken_add(text)

    def _take_mended(self, text: str, payload: bytes) -> None:
        """Take text that lost characters: what one event lost may begin in the one before."""
        low = _LOW_AT_START.search(payload) if self._half and text[0] == _LOST else None
        if low is not None:
            pair = 0x10000 + ((self._half - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
            text = chr(pair) + text[1:]
            self._open = _IN_TEXT
            self._half = 0
        self._open_text()
        high = _HIGH_AT_END.search(payload) if text[-1] == _LOST else None
        if high is not None:
            text = text[:-1]
        if text:
            self._out.append(ev.TextDelta(self._index, text))
            self._spoken_add(text)
        if high is not None:
            self._half = int(high[1], 16)
            self._open = _IN_HALF

    def _take_reasoning(self, payload: bytes) -> None:
        event = decode(payload, _Reasoning)
        if event.text is None and event.signature is None and event.redacted_content is None:
            event = self._unwrapped(payload, _Reasoning, ("reasoningContentEvent",))
        if event.text:
            self._open_thinking()
            self._out.append(ev.ThinkingDelta(self._index, event.text))
            self._meter.thought.add(event.text)
        if event.signature:
            # It signs the block so far; what follows is another thought.
            self._open_thinking()
            self._out.append(ev.SignatureDelta(self._index, event.signature))
            self._close()
        if event.redacted_content:
            self._begin_block()
            self._out.append(ev.RedactedThinking(self._index, event.redacted_content))
            self._stop_block()

    def _take_tool_use(self, payload: bytes) -> None:
        fragment = decode(payload, ToolFragment)
        if fragment.tool_use_id is None:
            fragment = self._unwrapped(payload, ToolFragment, ("toolUseEvent",))
        self.saw_content = True
        if isinstance(fragment.input, str):
            self._spoken_add(fragment.input)
        call = self._calls.add(fragment)
        if call is not None:
            self._send_call(call)

    def _take_metadata(self, payload: bytes) -> None:
        event = decode(payload, _Metadata)
        if event.stop_reason is None and event.token_usage is None:
            event = self._unwrapped(payload, _Metadata, ("metadataEvent",))
        self.has_tail = True
        self._stop_reason = event.stop_reason or self._stop_reason
        if event.token_usage is not None:
            self._meter.told = event.token_usage
        if event.stop_details is not None:
            self._refusal = event.stop_details.refusal

    def _take_context_usage(self, payload: bytes) -> None:
        event = decode(payload, _ContextUsage)
        if event.context_usage_percentage is None:
            event = self._unwrapped(payload, _ContextUsage, ("contextUsageEvent",))
        self.has_tail = True
        self._meter.percentage = event.context_usage_percentage or self._meter.percentage

    def _take_metering(self, payload: bytes) -> None:
        usage = decode(payload, _Metering).usage
        if usage is None:
            usage = self._unwrapped(payload, _Metering, ("meteringEvent",)).usage
        self.has_tail = True
        if usage is not None:
            self._meter.charge(usage)

    def _take_invalid_state(self, payload: bytes) -> None:
        raise classify_exception("invalidStateEvent", payload)

    def _take_failure(self, frame: Frame) -> bool:
        """Raise what an exception or error frame tells; tell whether the reply has ended instead.

        An output that outgrew its limit is not a failure but an end, once there is output. Other
        kinds of messages are skipped.
        """
        match frame.text(":message-type"):
            case "exception":
                error = classify_exception(frame.text(":exception-type"), frame.payload)
            case "error":
                told = encode({"message": frame.text(":error-message")})
                error = classify_exception(frame.text(":error-code"), frame.payload or told)
            case _:
                self.skipped += 1
                return False
        if self.saw_content and error.code == "ContentLengthExceededException":
            self.has_tail = True
            self._stop_reason = "MAX_TOKENS"
            self.is_over = True
            return True
        raise error

    def _unwrapped(self, payload: bytes, kind: type[P], names: tuple[str, ...]) -> P:
        """Return a payload that had none of its members, in case it is wrapped in its own name."""
        members = decode(payload, dict[str, msgspec.Raw])
        if len(members) == 1:
            for name in names:
                if name in members:
                    return decode(members[name], kind)
        return decode(payload, kind)

    # ------------------------------------------------------------------ blocks

    def _begin(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._out.append(ev.Begin(self._input_tokens))

    def _begin_block(self) -> None:
        self._close()
        self._begin()
        self.saw_content = True

    def _stop_block(self) -> None:
        self._out.append(ev.BlockStop(self._index))
        self._index += 1
        self._open = _CLOSED

    def _close(self) -> None:
        if self._open is _IN_HALF:
            self._give_up_half()
        if self._open is not _CLOSED:
            self._stop_block()

    def _give_up_half(self) -> None:
        """Say that a character was lost: its other half did not come."""
        self._out.append(ev.TextDelta(self._index, _LOST))
        self._half = 0
        self._open = _IN_TEXT

    def _open_text(self) -> None:
        if self._open is _IN_HALF:
            self._give_up_half()
        if self._open is not _IN_TEXT:
            self._begin_block()
            self._out.append(ev.TextStart(self._index))
            self._open = _IN_TEXT

    def _open_thinking(self) -> None:
        if self._open is not _IN_THINKING:
            self._begin_block()
            self._out.append(ev.ThinkingStart(self._index))
            self._open = _IN_THINKING

    def _send_call(self, call: WholeCall) -> None:
        self._begin_block()
        name = self._names.to_client(call.name)
        self._out.append(ev.ToolUseStart(self._index, call.id, name))
        text = self._names.input_to_client(name, call.json)
        self._out.append(ev.ToolInputDelta(self._index, text))
        self._stop_block()

    # ------------------------------------------------------------------ the end

    def _finish(self, reason: ev.StopReason) -> None:
        self._close()
        self._begin()
        refusal = self._refusal
        told = None
        if reason is ev.StopReason.REFUSAL:
            told = ev.Refusal(
                (refusal.category or "").lower() if refusal else "",
                (refusal.explanation or "") if refusal else "",
            )
        self._out.append(ev.Finish(reason, self._meter.usage(), None, told))

    def _final_reason(self, is_broken: bool) -> ev.StopReason:
        """Return why the reply ended: the order of the questions matters.

        The upstream's word alone does not do: it often says END_TURN after tool calls.
        """
        told = self._stop_reason
        if told == "CONTENT_FILTERED":
            return ev.StopReason.REFUSAL
        if told == "MODEL_CONTEXT_WINDOW_EXCEEDED" or self._meter.used_percentage >= 100:
            return ev.StopReason.CONTEXT_WINDOW
        if is_broken or (told == "MAX_TOKENS" and not self._calls.whole):
            return ev.StopReason.MAX_TOKENS
        if self._calls.whole:
            return ev.StopReason.TOOL_USE
        if not self.has_tail:
            return ev.StopReason.MAX_TOKENS
        return ev.StopReason.PAUSE_TURN if told == "PAUSE_TURN" else ev.StopReason.END_TURN


_TEXT_KINDS = ("assistantResponseEvent", "codeEvent")

_TAKE: Mapping[object, Callable[[Reader, bytes], None]] = {
    "assistantResponseEvent": Reader._take_text,
    "codeEvent": Reader._take_text,
    "reasoningContentEvent": Reader._take_reasoning,
    "toolUseEvent": Reader._take_tool_use,
    "metadataEvent": Reader._take_metadata,
    "contextUsageEvent": Reader._take_context_usage,
    "meteringEvent": Reader._take_metering,
    "invalidStateEvent": Reader._take_invalid_state,
}
