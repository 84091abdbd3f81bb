"""From steps to bytes."""

import base64

import pytest

from kiro2api.emulator.generation import (
    Op,
    Voice,
    Write,
    broken_frame,
    compile_steps,
    event_frame,
    pieces,
    sign,
    text_frame,
)
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
from kiro2api.errors import FramingError
from kiro2api.protocol.wire import json
from kiro2api.protocol.wire.eventstream import Frame, FrameDecoder

VOICE = Voice("m", 1, lambda: "tooluse_made")


def compiled(*steps: Step, cut: Cut | None = None) -> list[Op]:
    return compile_steps(list(steps), VOICE, cut or Cut())


def written(ops: list[Op]) -> list[bytes]:
    return [op.data for op in ops if isinstance(op, Write)]


def frames(*steps: Step) -> list[Frame]:
    return FrameDecoder().feed(b"".join(written(compiled(*steps))))


def payloads(*steps: Step) -> list[object]:
    return [json.decode(frame.payload) for frame in frames(*steps)]


def test_a_frame_is_the_known_one() -> None:
    known = (
        "0000007c0000005c3bddcf780d3a6d6573736167652d747970650700056576656e740b3a6576656e742d7479"
        "7065070016617373697374616e74526573706f6e73654576656e740d3a636f6e74656e742d74797065070010"
        "6170706c69636174696f6e2f6a736f6e7b22636f6e74656e74223a224869227d09f66f51"
    )

    assert event_frame("assistantResponseEvent", {"content": "Hi"}).hex() == known


def test_text_is_cut_between_characters_never_inside() -> None:
    text = "é世👋a"

    assert payloads(Text(text=text, size=1)) == [
        {"content": character, "modelId": "m"} for character in text
    ]


def test_text_can_be_said_several_times() -> None:
    assert payloads(Text(text="ha", times=3)) == [{"content": "ha", "modelId": "m"}] * 3


@pytest.mark.parametrize(("size", "cut"), [(0, ["abcde"]), (2, ["ab", "cd", "e"])])
def test_pieces_keep_every_character(size: int, cut: list[str]) -> None:
    assert pieces("abcde", size) == cut


def test_reasoning_ends_with_a_signature_that_depends_on_text_and_model() -> None:
    *thoughts, last = payloads(Reasoning(text="abc", size=2))

    assert thoughts == [{"text": "ab"}, {"text": "c"}]
    assert last == {"signature": sign("abc", model="m", seed=1)}
    assert len({sign("a", model=m, seed=s) for m in "mn" for s in (1, 2)}) == 4


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Reasoning(redacted="QUJD"), [{"redactedContent": "QUJD"}]),
        (Reasoning(text="a", signature=""), [{"text": "a"}]),
        (Reasoning(signature="mine"), [{"signature": "mine"}]),
    ],
)
def test_reasoning_can_be_opaque_or_unsigned(step: Reasoning, expected: list[object]) -> None:
    assert payloads(step) == expected


CALL = {"toolUseId": "tooluse_made", "name": "f"}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Tool(name="f"), [CALL, {**CALL, "stop": True}]),
        (
            Tool(name="f", input={"a": 1}, size=4),
            [CALL, {**CALL, "input": '{"a"'}, {**CALL, "input": ":1}"}, {**CALL, "stop": True}],
        ),
        (
            Tool(name="f", input={"a": 1}, size=4, stop_with_last=True),
            [CALL, {**CALL, "input": '{"a"'}, {**CALL, "stop": True, "input": ":1}"}],
        ),
        (
            Tool(name="f", raw_input="{", whole=True),
            [{**CALL, "input": "{", "stop": True}],
        ),
        (
            Tool(name="f", input={}, named_once=True, id="x", stop="true"),
            [
                {"toolUseId": "x", "name": "f"},
                {"toolUseId": "x", "input": "{}"},
                {"toolUseId": "x", "stop": "true"},
            ],
        ),
        (Tool(name="f", raw_input='{"a', stop=None), [CALL, {**CALL, "input": '{"a'}]),
    ],
    ids=["no arguments", "fragments", "stop with the last", "whole", "named once", "open"],
)
def test_a_tool_call_has_the_frames_that_were_asked_for(step: Tool, expected: list[object]) -> None:
    assert payloads(step) == expected


def test_a_wrapped_event_has_its_type_as_only_member() -> None:
    assert payloads(Event(type="x", payload={"a": 1}, wrapped=True)) == [{"x": {"a": 1}}]


def test_extra_headers_are_of_all_ten_types() -> None:
    (frame,) = frames(Event(type="x", extra_headers=True))

    assert len(frame.headers) == 13
    assert frame.headers["x-long"] == 5_000_000_000


def test_an_exception_frame_names_its_type() -> None:
    (frame,) = frames(InStreamException(type="throttlingError", payload={"message": "m"}))

    assert (frame.text(":message-type"), frame.text(":exception-type")) == (
        "exception",
        "throttlingError",
    )


def test_an_error_frame_has_code_and_message() -> None:
    (frame,) = frames(ErrorFrame(code="c", message="m"))

    assert (
        frame.text(":message-type"),
        frame.text(":error-code"),
        frame.text(":error-message"),
    ) == (
        "error",
        "c",
        "m",
    )


def test_the_tail_comes_in_the_order_asked_for() -> None:
    kinds = [frame.text(":event-type") for frame in frames(Tail(order=["metering", "metadata"]))]

    assert kinds == ["meteringEvent", "metadataEvent"]


def test_the_tail_tells_what_it_was_given() -> None:
    tail = Tail(stop_reason="X", usage={"a": 1}, stop_details={"b": 2}, percentage=3.5, credits=0.1)

    assert payloads(tail) == [
        {"tokenUsage": {"a": 1}, "stopReason": "X", "stopDetails": {"b": 2}},
        {"contextUsagePercentage": 3.5},
        {"unit": "credit", "unitPlural": "credits", "usage": 0.1},
    ]


def test_a_tail_can_be_silent_about_everything() -> None:
    assert payloads(Tail(order=["metadata"], stop_reason=None)) == [{}]


def test_a_script_ends_cleanly_unless_it_says_otherwise() -> None:
    assert compiled(Text(text="a"))[-1] == End(how=How.CLEAN)
    assert compiled(Text(text="a"), End(how=How.RESET))[-1] == End(how=How.RESET)


def test_raw_bytes_and_silences_stand_as_they_are() -> None:
    ops = compiled(Raw(hex="00ff"), Wait(s=1.0), Gate(name="g"))

    assert ops[:3] == [Write(b"\x00\xff"), Wait(s=1.0), Gate(name="g")]


# -------------------------------------------------------------------------------------- flaws

FRAMING = [
    Flaw.PRELUDE_CRC,
    Flaw.MESSAGE_CRC,
    Flaw.LENGTH_0,
    Flaw.LENGTH_15,
    Flaw.LENGTH_2G,
    Flaw.LENGTH_4G,
    Flaw.LONG_HEADERS,
    Flaw.DUPLICATE_HEADER,
    Flaw.UNKNOWN_HEADER_TYPE,
]
CUTS = [Flaw.CUT_PRELUDE, Flaw.CUT_HEADERS, Flaw.CUT_PAYLOAD, Flaw.CUT_CRC]


@pytest.mark.parametrize("flaw", FRAMING)
def test_a_frame_with_a_framing_flaw_is_refused_by_the_decoder(flaw: Flaw) -> None:
    with pytest.raises(FramingError):
        FrameDecoder().feed(broken_frame(flaw, "x", model="m"))


@pytest.mark.parametrize("flaw", CUTS)
def test_a_cut_frame_leaves_the_decoder_waiting(flaw: Flaw) -> None:
    decoder = FrameDecoder()

    assert decoder.feed(broken_frame(flaw, "x", model="m")) == []
    assert not decoder.is_empty


@pytest.mark.parametrize(
    ("flaw", "payload"),
    [
        (Flaw.NOT_JSON, b'{"content":"x'),
        (Flaw.EMPTY_PAYLOAD, b""),
        (Flaw.HALF_SURROGATE, b'{"content":"x\\ud83d"}'),
    ],
)
def test_a_frame_can_be_whole_and_its_payload_bad(flaw: Flaw, payload: bytes) -> None:
    (frame,) = FrameDecoder().feed(broken_frame(flaw, "x", model="m"))

    assert frame.payload == payload


def test_every_flaw_is_covered_here() -> None:
    payload_flaws = [Flaw.NOT_JSON, Flaw.EMPTY_PAYLOAD, Flaw.HALF_SURROGATE]

    assert set(FRAMING + CUTS + payload_flaws) == set(Flaw)


def test_a_flawed_frame_stands_in_a_script() -> None:
    assert written(compiled(Broken(flaw=Flaw.CUT_CRC, text="x"))) == [
        text_frame("x", model="m")[:-2]
    ]


# --------------------------------------------------------------------------------------- cuts


@pytest.mark.parametrize("how", list(CutHow))
def test_however_it_is_cut_the_bytes_are_the_same(how: CutHow) -> None:
    steps = (Text(text="héllo", size=1), Wait(s=0.0), Tail())

    assert b"".join(written(compiled(*steps, cut=Cut(how=how)))) == b"".join(
        written(compiled(*steps))
    )


def test_one_byte_at_a_time() -> None:
    assert {len(data) for data in written(compiled(Tail(), cut=Cut(how=CutHow.BYTES)))} == {1}


def test_frames_between_two_silences_are_merged() -> None:
    steps = (Text(text="ab", size=1), Wait(s=0.1), Text(text="cd", size=1))
    ops = compiled(*steps, cut=Cut(how=CutHow.MERGED, pause_s=0.0))

    assert len(written(ops)) == 2


def test_cuts_inside_frames_never_fall_on_a_boundary() -> None:
    frame = text_frame("a", model="m")
    writes = written(compiled(Text(text="aa", size=1), cut=Cut(how=CutHow.INSIDE)))

    ends = [sum(map(len, writes[: n + 1])) for n in range(len(writes) - 1)]
    assert len(ends) == 8
    assert len(frame) not in ends


def test_a_pause_can_follow_each_write() -> None:
    ops = compiled(Text(text="ab", size=1), cut=Cut(pause_s=0.5))

    assert [op for op in ops if isinstance(op, Wait)] == [Wait(s=0.5)] * 2


def test_opaque_signatures_are_base64() -> None:
    assert base64.b64decode(sign("a", model="m", seed=1), validate=True)
