"""From steps to bytes: frames, flaws, and how they are cut into writes."""

import base64
import hmac
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from zlib import crc32

import msgspec

from kiro2api.emulator.steps import (
    Broken,
    Cut,
    CutHow,
    End,
    ErrorFrame,
    Event,
    Flaw,
    Gate,
    How,
    InStreamException,
    Raw,
    Reasoning,
    Step,
    Tail,
    Text,
    Tool,
    Wait,
)
from kiro2api.protocol.wire import json
from kiro2api.protocol.wire.eventstream import (
    Byte,
    Header,
    Integer,
    Short,
    Timestamp,
    Uuid,
    encode_frame,
)


class Write(msgspec.Struct, frozen=True):
    """Bytes that leave in one write."""

    data: bytes


Op = Write | Wait | Gate | End


class Voice(msgspec.Struct, frozen=True):
    """What the emulator adds to a script by itself: the model's name, the key of its signatures."""

    model: str
    seed: int
    make_id: Callable[[], str]


_JSON_TYPE = Header(":content-type", "application/json")
# One header of each of the ten value types.
_EXTRA_HEADERS = (
    Header("x-true", True),
    Header("x-false", False),
    Header("x-byte", Byte(-7)),
    Header("x-short", Short(-300)),
    Header("x-integer", Integer(70_000)),
    Header("x-long", 5_000_000_000),
    Header("x-bytes", b"\x00\x01\xfe\xff"),
    Header("x-string", "a string: é"),
    Header("x-timestamp", Timestamp(1_790_000_000_000)),
    Header("x-uuid", Uuid(bytes(range(16)))),
)


def event_frame(event_type: str, payload: object) -> bytes:
    """Return one event frame as the service writes it."""
    headers = (Header(":message-type", "event"), Header(":event-type", event_type), _JSON_TYPE)
    return encode_frame(headers, json.encode(payload))


def text_frame(text: str, *, model: str) -> bytes:
    """Return one frame with a piece of the answer's text."""
    return event_frame("assistantResponseEvent", {"content": text, "modelId": model})


def sign(text: str, *, model: str, seed: int) -> str:
    """Return the signature that the emulator puts under `text` of `model`."""
    mark = hmac.digest(f"signatures {seed}".encode(), f"{model}\n{text}".encode(), sha256)
    return base64.b64encode(b"emulated" + mark).decode()


def compile_steps(steps: tuple[Step, ...] | list[Step], voice: Voice, cut: Cut) -> list[Op]:
    """Return what the player does, in order; a script without an end ends cleanly."""
    ops: list[Op] = []
    for step in steps:
        ops += _compile(step, voice)
    if not ops or not isinstance(ops[-1], End):
        ops.append(End(how=How.CLEAN))
    return _cut(ops, cut)


def _compile(step: Step, voice: Voice) -> Iterator[Op]:
    match step:
        case Wait() | Gate() | End():
            yield step
        case Raw():
            yield Write(bytes.fromhex(step.hex))
        case Broken():
            yield Write(broken_frame(step.flaw, step.text, model=voice.model))
        case _:
            for data in _frames(step, voice):
                yield Write(data)


def _frames(
    step: Text | Reasoning | Tool | Event | InStreamException | ErrorFrame | Tail, voice: Voice
) -> Iterator[bytes]:
    match step:
        case Text():
            frames = [
                text_frame(piece, model=voice.model) for piece in pieces(step.text, step.size)
            ]
            for _ in range(step.times):
                yield from frames
        case Reasoning():
            for payload in _reasoning_payloads(step, voice):
                yield event_frame("reasoningContentEvent", payload)
        case Tool():
            for payload in _tool_payloads(step, step.id or voice.make_id()):
                yield event_frame("toolUseEvent", payload)
        case Event():
            yield _any_event(step)
        case InStreamException():
            kinds = (Header(":message-type", "exception"), Header(":exception-type", step.type))
            yield encode_frame((*kinds, _JSON_TYPE), json.encode(step.payload))
        case ErrorFrame():
            yield encode_frame(
                (
                    Header(":message-type", "error"),
                    Header(":error-code", step.code),
                    Header(":error-message", step.message),
                ),
                b"",
            )
        case Tail():
            for name in step.order:
                yield event_frame(*_tail_event(name, step))


def pieces(text: str, size: int) -> list[str]:
    """Return `text` in pieces of `size` characters; in one piece when `size` is 0."""
    if size <= 0:
        return [text]
    return [text[at : at + size] for at in range(0, len(text), size)]


def _reasoning_payloads(step: Reasoning, voice: Voice) -> Iterator[Mapping[str, object]]:
    if step.redacted:
        yield {"redactedContent": step.redacted}
        return
    if step.text:
        for piece in pieces(step.text, step.size):
            yield {"text": piece}
    if step.signature == "auto":
        yield {"signature": sign(step.text, model=voice.model, seed=voice.seed)}
    elif step.signature:
        yield {"signature": step.signature}


def _tool_payloads(step: Tool, tool_use_id: str) -> Iterator[dict[str, object]]:
    spelled = step.raw_input
    if spelled is None and step.input is not None:
        spelled = json.encode(step.input).decode()
    first: dict[str, object] = {"toolUseId": tool_use_id, "name": step.name}
    later: dict[str, object] = {"toolUseId": tool_use_id} if step.named_once else first
    if step.whole:
        yield {**first, "input": spelled or "", "stop": step.stop}
        return
    yield first
    fragments = pieces(spelled, step.size) if spelled else []
    joined = fragments.pop() if fragments and step.stop_with_last else None
    for fragment in fragments:
        yield {**later, "input": fragment}
    if step.stop is not None:
        last = {**later, "stop": step.stop}
        yield last if joined is None else {**last, "input": joined}


def _any_event(step: Event) -> bytes:
    payload = {step.type: step.payload} if step.wrapped else step.payload
    headers = (Header(":message-type", "event"), Header(":event-type", step.type), _JSON_TYPE)
    before = _EXTRA_HEADERS if step.extra_headers else ()
    return encode_frame((*before, *headers), json.encode(payload))


def _tail_event(name: str, step: Tail) -> tuple[str, dict[str, object]]:
    match name:
        case "metadata":
            payload: dict[str, object] = {}
            if step.usage is not None:
                payload["tokenUsage"] = step.usage
            if step.stop_reason is not None:
                payload["stopReason"] = step.stop_reason
            if step.stop_details is not None:
                payload["stopDetails"] = step.stop_details
            return "metadataEvent", payload
        case "context":
            return "contextUsageEvent", {"contextUsagePercentage": step.percentage}
        case _:
            unit = {"unit": "credit", "unitPlural": "credits"}
            return "meteringEvent", {**unit, "usage": step.credits}


def broken_frame(flaw: Flaw, text: str, *, model: str) -> bytes:
    """Return a text frame with one flaw, its checksums right wherever the flaw is not in them."""
    good = text_frame(text, model=model)
    headers_end = 12 + int.from_bytes(good[4:8])
    match flaw:
        case Flaw.PRELUDE_CRC:
            return good[:8] + bytes([good[8] ^ 0xFF]) + good[9:]
        case Flaw.MESSAGE_CRC:
            return good[:-1] + bytes([good[-1] ^ 0xFF])
        case Flaw.LENGTH_0 | Flaw.LENGTH_15 | Flaw.LENGTH_2G | Flaw.LENGTH_4G:
            total = {"length_0": 0, "length_15": 15, "length_2g": 2**31}.get(flaw, 2**32 - 1)
            return _sealed(total, int.from_bytes(good[4:8]), good[12:-4])
        case Flaw.LONG_HEADERS:
            return _sealed(len(good), len(good) - 15, good[12:-4])
        case Flaw.DUPLICATE_HEADER:
            block = good[12:headers_end]
            return _rebuilt(block + block, good[headers_end:-4])
        case Flaw.UNKNOWN_HEADER_TYPE:
            return _rebuilt(good[12:headers_end] + b"\x01x\x0a", good[headers_end:-4])
        case Flaw.NOT_JSON:
            return _rebuilt(good[12:headers_end], b'{"content":"' + text.encode())
        case Flaw.EMPTY_PAYLOAD:
            return _rebuilt(good[12:headers_end], b"")
        case Flaw.HALF_SURROGATE:
            spelled = json.encode(text)[1:-1]
            return _rebuilt(good[12:headers_end], b'{"content":"' + spelled + b'\\ud83d"}')
        case Flaw.CUT_PRELUDE:
            return good[:6]
        case Flaw.CUT_HEADERS:
            return good[: (12 + headers_end) // 2]
        case Flaw.CUT_PAYLOAD:
            return good[: (headers_end + len(good) - 4) // 2]
        case Flaw.CUT_CRC:
            return good[:-2]


def _rebuilt(block: bytes, payload: bytes) -> bytes:
    return _sealed(16 + len(block) + len(payload), len(block), block + payload)


def _sealed(total: int, headers_length: int, rest: bytes) -> bytes:
    prelude = total.to_bytes(4) + headers_length.to_bytes(4)
    body = prelude + crc32(prelude).to_bytes(4) + rest
    return body + crc32(body).to_bytes(4)


def _cut(ops: list[Op], cut: Cut) -> list[Op]:
    match cut.how:
        case CutHow.FRAMES:
            resliced = ops
        case CutHow.MERGED:
            resliced = _resliced(ops, lambda run: [b"".join(run)])
        case CutHow.BYTES:
            size = max(1, cut.size)
            resliced = _resliced(ops, lambda run: _every(run, size))
        case CutHow.INSIDE:
            resliced = _resliced(ops, _inside)
    return list(_with_pauses(resliced, cut.pause_s)) if cut.pause_s > 0 else resliced


def _with_pauses(ops: list[Op], pause_s: float) -> Iterator[Op]:
    for op in ops:
        yield op
        if isinstance(op, Write):
            yield Wait(s=pause_s)


def _resliced(ops: list[Op], slice_run: Callable[[list[bytes]], list[bytes]]) -> list[Op]:
    """Return `ops` with each run of neighbouring writes cut anew."""
    result: list[Op] = []
    run: list[bytes] = []
    for op in ops:
        if isinstance(op, Write):
            run.append(op.data)
            continue
        result += [Write(data) for data in slice_run(run) if data]
        run = []
        result.append(op)
    return result + [Write(data) for data in slice_run(run) if data]


def _every(run: list[bytes], size: int) -> list[bytes]:
    whole = b"".join(run)
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def _inside(run: list[bytes]) -> list[bytes]:
    """Cut each frame in its four places; what remains travels with the start of the next one."""
    writes: list[bytes] = []
    carried = b""
    for frame in run:
        headers_end = 12 + int.from_bytes(frame[4:8])
        places = (6, (12 + headers_end) // 2, (headers_end + len(frame) - 4) // 2, len(frame) - 2)
        start = 0
        for place in sorted(p for p in places if 0 < p < len(frame)):
            writes.append(carried + frame[start:place])
            carried, start = b"", place
        carried += frame[start:]
    return [*writes, carried]
