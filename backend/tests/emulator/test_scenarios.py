"""The named streams: each of them compiles, and is what its name says."""

import pytest

from kiro2api.emulator.generation import Voice, Write, compile_steps
from kiro2api.emulator.scenarios import EXCEPTIONS, SCENARIOS
from kiro2api.emulator.steps import Cut
from kiro2api.errors import FramingError
from kiro2api.protocol.wire import json
from kiro2api.protocol.wire.eventstream import Frame, FrameDecoder

VOICE = Voice("m", 1, lambda: "tooluse_made")


def data(name: str) -> bytes:
    ops = compile_steps(SCENARIOS[name], VOICE, Cut())
    return b"".join(op.data for op in ops if isinstance(op, Write))


def frames(name: str) -> list[Frame]:
    return FrameDecoder().feed(data(name))


def read_all(stream: bytes) -> None:
    """Read until the error: what stands before a flaw is returned first."""
    decoder = FrameDecoder()
    while decoder.feed(stream):
        stream = b""
    decoder.feed(b"")


def inputs(name: str) -> dict[str, str]:
    """Return what the fragments of each tool call spell."""
    spelled: dict[str, str] = {}
    for frame in frames(name):
        if frame.text(":event-type") == "toolUseEvent":
            payload = json.decode(frame.payload)
            at = payload["toolUseId"]
            spelled[at] = spelled.get(at, "") + payload.get("input", "")
    return spelled


@pytest.mark.parametrize("name", [n for n in SCENARIOS if not n.startswith("flaw_")])
def test_streams_that_are_not_flawed_are_frames(name: str) -> None:
    decoder = FrameDecoder()
    decoder.feed(data(name))

    assert decoder.is_empty is not (name.startswith("eof_") or name == "reset_inside_frame")


@pytest.mark.parametrize(
    "name",
    [n for n in SCENARIOS if n.startswith("flaw_") and "json" not in n and "payload" not in n],
)
def test_streams_with_a_framing_flaw_are_refused(name: str) -> None:
    with pytest.raises(FramingError):
        read_all(data(name))


def test_the_mixed_text_is_whole_in_either_cut() -> None:
    texts = [
        "".join(
            json.decode(frame.payload)["content"]
            for frame in frames(name)
            if frame.text(":event-type") == "assistantResponseEvent"
        )
        for name in ("text_mixed", "text_by_character")
    ]

    assert texts[0] == texts[1]
    assert "👩‍👩‍👧" in texts[0]


def test_fragments_of_escapes_spell_valid_json() -> None:
    (spelled,) = inputs("tool_by_character").values()

    assert json.decode(spelled)['quote"d'] == "a\\b/c"


def test_interleaved_calls_spell_their_own_input() -> None:
    assert inputs("tool_interleaved") == {
        "tooluse_1": '{"path":"a"}',
        "tooluse_2": '{"path":"b"}',
    }


def test_the_long_input_is_at_least_100_kb() -> None:
    assert len(inputs("tool_long")["tooluse_1"]) > 100_000


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions_come_before_and_after_text(name: str) -> None:
    kinds = [
        [frame.text(":message-type") for frame in frames(scenario)]
        for scenario in (f"exception_{name}", f"exception_{name}_after_text")
    ]

    assert kinds == [["exception"], ["event", "exception"]]


def test_the_tail_is_there_in_all_six_orders() -> None:
    orders = {
        tuple(frame.text(":event-type") for frame in frames(name)[1:])
        for name in SCENARIOS
        if name.startswith("tail_") and name.count("_") == 3 and "no" not in name
    }

    assert len(orders) == 6
