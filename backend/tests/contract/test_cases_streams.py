"""What the model wrote arrives byte for byte, and what it did not finish never looks finished.

Cases 1 and 25 of the field.
"""

from typing import Any

import pytest

from kiro2api.emulator.scenarios import SCENARIOS
from kiro2api.emulator.steps import Text, Tool
from tests.support.gateway import RunningGateway
from tests.support.pairs import Pair
from tests.support.talk import STREAMS, WAYS, WHOLE, Way, name_of, read

CUTS: dict[str, dict[str, Any]] = {
    "frames": {"how": "frames"},
    "merged": {"how": "merged"},
    "inside": {"how": "inside"},
    "bytes-1": {"how": "bytes", "size": 1},
    "bytes-7": {"how": "bytes", "size": 7},
}
# Said nowhere else, so that a lost or added byte shows.
MIXED = 'Grüße, 世界! 👩‍👩‍👧 e\u0301 🇨🇭 "q" \\n \\u0041 <a> &amp;\n\n\tend \u2028 \U0001f600'
ODD_INPUT = '{"p\\u0061th":"\\ud83d\\ude00 \\u00e9","q\\"d":"a\\\\b\\/c","n":[1,2.5e3,null,true]}'
STEPS: list[dict[str, Any]] = [
    {"do": "reasoning", "text": "I think: 世界 👋", "size": 1},
    {"do": "text", "text": MIXED, "size": 1},
    {"do": "text", "text": "ha", "times": 3},
    {"do": "tool", "name": "ls", "id": "tooluse_1", "raw_input": ODD_INPUT, "size": 1},
    {"do": "text", "text": " again \n", "size": 2},
    {"do": "tool", "name": "now", "id": "tooluse_2"},
    {"do": "tail"},
]


# -------------------------------------------------------------------------------- byte for byte


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_reply_arrives_byte_for_byte_however_it_is_cut(
    gateway: RunningGateway, way: Way, cut: dict[str, Any]
) -> None:
    gateway.emulator.queue_stream(*STEPS, cut=cut)
    told = way.hear(gateway)

    assert told.reasoning == "I think: 世界 👋"
    assert told.text == f"{MIXED}hahaha\n again \n"
    assert [(call.id, call.name) for call in told.calls] == [
        ("tooluse_1", "ls"),
        ("tooluse_2", "now"),
    ]
    assert told.calls[0].input == {"path": "😀 é", 'q"d': "a\\b/c", "n": [1, 2500.0, None, True]}
    assert told.calls[1].input == {}


@pytest.mark.parametrize(
    "way", [way for way in WAYS if way != Way("anthropic", False)], ids=name_of
)
def test_tool_input_that_travels_as_text_is_not_spelled_anew(
    gateway: RunningGateway, way: Way
) -> None:
    gateway.emulator.queue_stream(*STEPS)

    assert way.hear(gateway).calls[0].spelled == ODD_INPUT


def test_tool_input_in_a_whole_answer_keeps_its_spelling_too(gateway: RunningGateway) -> None:
    gateway.emulator.queue_stream(*STEPS)

    assert ODD_INPUT.encode() in gateway.messages().body


TALKATIVE = [
    name
    for name, steps in SCENARIOS.items()
    if name.startswith(("text", "tool", "initial", "unknown", "wrapped", "extra", "reasoning"))
    and not name.startswith(("tool_not_", "tool_stop_string", "tool_open", "tool_whole_then"))
]


@pytest.mark.parametrize("scenario", TALKATIVE)
@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_each_scripted_reply_survives_the_hardest_cut(
    gateway: RunningGateway, way: Way, scenario: str
) -> None:
    size = 997 if scenario == "tool_long" else 1
    gateway.emulator.queue(scenario=scenario, cut={"how": "bytes", "size": size})
    cut = way.hear(gateway)
    gateway.emulator.queue(scenario=scenario, cut={"how": "merged"})
    at_once = way.hear(gateway)

    assert cut.content == at_once.content
    assert [call.spelled for call in cut.calls] == [call.spelled for call in at_once.calls]
    if all(isinstance(step, Text) for step in SCENARIOS[scenario][:-1]):
        said = (step for step in SCENARIOS[scenario] if isinstance(step, Text))
        assert cut.text == "".join(step.text * step.times for step in said)


def test_a_hundred_kilobytes_of_input_arrive_whole(gateway: RunningGateway) -> None:
    [tool, *_] = SCENARIOS["tool_long"]
    assert isinstance(tool, Tool)
    gateway.emulator.queue(scenario="tool_long")

    assert [call.input for call in WAYS[1].hear(gateway).calls] == [tool.input]


# ------------------------------------------------------------------------- half a call (case 1)

BROKEN = ["tool_open_with_tail", "tool_not_json", "tool_not_object", "tool_stop_string"]


@pytest.mark.parametrize("scenario", [*BROKEN, "tool_open"])
@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_broken_call_is_asked_for_once_more_before_anything_was_said(
    gateway: RunningGateway, way: Way, scenario: str
) -> None:
    gateway.emulator.queue(scenario=scenario)
    gateway.emulator.queue(scenario="tool")
    told = way.hear(gateway)

    assert len(told.calls) == 1
    assert len(gateway.emulator.generations()) == 2


@pytest.mark.parametrize("scenario", BROKEN)
@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_stream_that_has_said_nothing_asks_once_more_too(
    gateway: RunningGateway, way: Way, scenario: str
) -> None:
    gateway.emulator.queue(scenario=scenario)
    gateway.emulator.queue(scenario="tool")
    told = way.hear(gateway)

    assert len(told.calls) == 1
    assert len(gateway.emulator.generations()) == 2


@pytest.mark.parametrize("scenario", BROKEN)
@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_call_that_is_broken_again_is_dropped_and_the_reply_is_cut(
    gateway: RunningGateway, way: Way, scenario: str
) -> None:
    gateway.emulator.queue(scenario=scenario, times=3)
    told = way.hear(gateway)

    assert told.calls == []
    assert told.stop in ("max_tokens", "length")
    assert len(gateway.emulator.generations()) == 2


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
@pytest.mark.parametrize(
    "broken",
    [{"raw_input": '{"path": "a'}, {"raw_input": "[1]"}, {"stop": None}, {"stop": "true"}],
    ids=["not-json", "not-object", "open", "stop-is-a-string"],
)
def test_a_call_that_breaks_after_text_is_dropped_and_the_text_kept(
    gateway: RunningGateway, way: Way, broken: dict[str, Any]
) -> None:
    call = {"do": "tool", "name": "ls", "id": "t1", "input": {"path": "a"}} | broken
    said = {"do": "text", "text": "I look."}
    gateway.emulator.queue_stream(said, {"do": "wait", "s": 0.05}, call, {"do": "tail"})
    told = way.hear(gateway)

    assert (told.text, told.calls) == ("I look.", [])
    assert told.stop in ("max_tokens", "length")
    assert len(gateway.emulator.generations()) == 1


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_whole_call_stays_when_the_next_one_breaks(gateway: RunningGateway, way: Way) -> None:
    whole = {"do": "tool", "name": "ls", "id": "t1", "input": {"path": "a"}}
    half = {"do": "tool", "name": "ls", "id": "t2", "raw_input": '{"pa', "stop": None}
    gateway.emulator.queue_stream(whole, {"do": "wait", "s": 0.05}, half)
    told = way.hear(gateway)

    assert [call.id for call in told.calls] == ["t1"]
    assert told.stop in ("max_tokens", "length")


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_nothing_of_a_call_is_sent_before_it_is_whole(gateway: RunningGateway, way: Way) -> None:
    gate = f"rest of {name_of(way)}"
    payload = {"toolUseId": "t1", "name": "unlikely"}
    gateway.emulator.queue_stream(
        {"do": "text", "text": "I look."},
        {"do": "event", "type": "toolUseEvent", "payload": payload | {"input": '{"a":1}'}},
        {"do": "gate", "name": gate},
        {"do": "event", "type": "toolUseEvent", "payload": payload | {"stop": True}},
        {"do": "tail"},
    )
    body = {"model": "claude-sonnet-4-20250514", "max_tokens": 9, "stream": True}
    stream = gateway.open_stream(way.path, body | {"messages": [{"role": "user", "content": "x"}]})
    while b"I look." not in stream.raw:
        assert stream.read()
    assert b"unlikely" not in stream.raw
    gateway.emulator.open_gate(gate)
    stream.rest()
    stream.close()

    assert b'"unlikely"' in stream.raw


# -------------------------------------------------------- exceptions and silences (case 25)

FAILED_FIRST = ["exception_throttling", "exception_internal", "exception_unavailable"]
FAILED_FIRST += ["exception_unheard_of", "error_frame", "invalid_state", "empty", "eof_cut_payload"]
FAILED_FIRST += ["flaw_prelude_crc_first", "flaw_message_crc_first", "flaw_not_json_first"]


@pytest.mark.parametrize("scenario", FAILED_FIRST)
@pytest.mark.parametrize("way", [Way("anthropic", True), Way("chat", False)], ids=name_of)
def test_a_stream_that_fails_before_it_says_anything_is_served_anew(
    pair: Pair, way: Way, scenario: str
) -> None:
    if scenario == "eof_cut_payload":
        pair.queue(pair.first, steps=[{"do": "broken", "flaw": "cut_payload"}])
    else:
        pair.queue(pair.first, scenario=scenario)
    told = read(pair.ask(way))

    assert told.text == "You said: Hello"
    assert pair.calls() == [pair.first, pair.second]


@pytest.mark.parametrize("scenario", ["validation", "overflow", "content_length", "denied"])
@pytest.mark.parametrize("way", [Way("anthropic", True), Way("chat", False)], ids=name_of)
def test_an_exception_that_another_attempt_cannot_mend_gets_its_status(
    pair: Pair, way: Way, scenario: str
) -> None:
    pair.queue_for_both(scenario=f"exception_{scenario}")
    told = read(pair.ask(way))

    assert told.status == (403 if scenario == "denied" else 400)
    assert told.error["message"]


FAILED_LATER: dict[str, tuple[dict[str, Any], ...]] = {
    "exception": ({"do": "exception", "type": "throttlingError", "payload": {"message": "slow"}},),
    "error frame": ({"do": "error", "code": "InternalFailure"},),
    "message CRC": ({"do": "broken", "flaw": "message_crc"}, {"do": "tail"}),
    "prelude CRC": ({"do": "broken", "flaw": "prelude_crc"}, {"do": "tail"}),
    "not JSON": ({"do": "broken", "flaw": "not_json"}, {"do": "tail"}),
    "end inside a frame": ({"do": "broken", "flaw": "cut_payload"},),
    "reset": ({"do": "end", "how": "reset"},),
}


@pytest.mark.parametrize("rest", FAILED_LATER.values(), ids=FAILED_LATER)
@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_stream_that_fails_after_it_said_something_never_ends_well(
    pair: Pair, way: Way, rest: tuple[dict[str, Any], ...]
) -> None:
    said = {"do": "text", "text": "Half a sen"}
    pair.queue(pair.first, steps=[said, {"do": "wait", "s": 0.05}, *rest])
    told = read(pair.ask(way))

    assert told.text == "Half a sen"
    assert told.stop is None
    assert told.error["message"]
    assert pair.calls() == [pair.first]


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_silence_after_words_is_a_cut_and_not_an_end(gateway: RunningGateway, way: Way) -> None:
    gateway.emulator.queue(scenario="no_tail")
    told = way.hear(gateway)

    assert told.text == "Half a sen"
    assert told.stop in ("max_tokens", "length")


OUTGREW = {"do": "exception", "type": "ContentLengthExceededException"}


@pytest.mark.parametrize(
    "rest", [[], [{"do": "end", "how": "reset"}], [{"do": "end", "how": "stall"}]]
)
@pytest.mark.parametrize("pause_s", [0.0, 0.05], ids=["in one read", "later"])
@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_an_output_that_outgrew_its_limit_is_an_end_whatever_follows(
    gateway: RunningGateway, way: Way, pause_s: float, rest: list[dict[str, Any]]
) -> None:
    before = gateway.lines_until_now()
    said = {"do": "text", "text": "Half a sen"}
    gateway.emulator.queue_stream(said, {"do": "wait", "s": pause_s}, OUTGREW, *rest)
    told = way.hear(gateway)

    assert told.text == "Half a sen"
    assert told.stop in ("max_tokens", "length")
    line = gateway.finished(before + 1)[-1]
    assert (line["outcome"], line["stop_reason"]) == ("complete", "max_tokens")
    assert line["output_tokens"] > 0


def test_words_that_quote_an_error_are_words(gateway: RunningGateway) -> None:
    gateway.emulator.queue(scenario="text_quotes_overflow")
    told = Way("anthropic", stream=True).hear(gateway)

    assert "CONTENT_LENGTH_EXCEEDS_THRESHOLD" in told.text
    assert told.stop == "end_turn"
