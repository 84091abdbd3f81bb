"""What the upstream does wrong after the client has begun to read: F2 to F10."""

import time
from typing import Any

import pytest

from tests.support.gateway import Response, RunningGateway
from tests.support.hasty import IDLE_S, SWEEP_S
from tests.support.talk import MIXED, STREAMS, WAYS, Told, Way, name_of, read

HALF = "Half a sen"
AFTER = {"do": "text", "text": "What no client may see."}
TAIL = {"do": "tail"}

FLAWS = (
    "prelude_crc",
    "message_crc",
    "length_0",
    "length_15",
    "length_2g",
    "length_4g",
    "long_headers",
    "duplicate_header",
    "unknown_header_type",
    "not_json",
    "empty_payload",
)
PAUSE = {"do": "wait", "s": 0.05}
# How a stream breaks, by the steps after its text.
BREAKS: dict[str, dict[str, Any]] = {
    "a reset": {"do": "end", "how": "reset"},
    "an end inside the lengths of a frame": {"do": "broken", "flaw": "cut_prelude"},
    "an end inside the headers of a frame": {"do": "broken", "flaw": "cut_headers"},
    "an end inside the payload of a frame": {"do": "broken", "flaw": "cut_payload"},
    "an end inside the checksum of a frame": {"do": "broken", "flaw": "cut_crc"},
    "an exception": {"do": "exception", "type": "error", "payload": {"message": "Broke."}},
    "an exception of the request": {"do": "exception", "type": "validationError"},
    "an error frame": {"do": "error", "code": "InternalFailure", "message": "Broke."},
    "an invalid state": {"do": "event", "type": "invalidStateEvent"},
}


def tell(gateway: RunningGateway, way: Way, *steps: dict[str, Any], **behaviour: Any) -> Told:
    """Return what the client learns from a stream of these steps."""
    gateway.emulator.queue_stream(*steps, **behaviour)
    return read(way.ask(gateway))


def text(content: str) -> dict[str, Any]:
    return {"do": "text", "text": content}


def end_of(way: Way, *, anthropic: str, chat: str) -> str:
    return anthropic if way.dialect == "anthropic" else chat


# ------------------------------------------------------------------- breaks and broken frames


@pytest.mark.parametrize("broken", BREAKS.values(), ids=list(BREAKS))
@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_stream_that_breaks_ends_at_once_with_the_error_of_the_dialect(
    hasty: RunningGateway, way: Way, broken: dict[str, Any]
) -> None:
    started = time.monotonic()
    told = tell(hasty, way, text(HALF), PAUSE, broken)

    assert told.error is not None
    assert told.text == HALF
    assert told.stop is None
    assert time.monotonic() - started < IDLE_S
    assert len(hasty.emulator.generations()) == 1, "no second attempt after content"


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_reset_in_the_middle_of_a_frame_ends_with_the_error_of_the_dialect(
    hasty: RunningGateway, way: Way
) -> None:
    half_a_frame = {"do": "broken", "flaw": "cut_payload"}
    told = tell(hasty, way, text(HALF), PAUSE, half_a_frame, PAUSE, BREAKS["a reset"])

    assert told.error is not None
    assert told.text == HALF


@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_nothing_after_a_broken_frame_is_believed(
    hasty: RunningGateway, way: Way, flaw: str
) -> None:
    broken = {"do": "broken", "flaw": flaw}
    told = tell(hasty, way, text(HALF), PAUSE, broken, AFTER, TAIL)

    assert told.error is not None
    assert told.text == HALF


def test_a_broken_frame_ends_a_stream_at_once_though_its_connection_lives_on(
    hasty: RunningGateway,
) -> None:
    broken, silence = {"do": "broken", "flaw": "message_crc"}, {"do": "end", "how": "stall"}
    started = time.monotonic()
    together = (text("nce."), broken, silence)
    told = tell(hasty, STREAMS[0], text(HALF), PAUSE, *together, cut={"how": "merged"})

    assert told.error is not None
    assert told.text == f"{HALF}nce."
    assert time.monotonic() - started < IDLE_S


@pytest.mark.parametrize("broken", BREAKS.values(), ids=list(BREAKS))
@pytest.mark.parametrize("way", STREAMS[:1], ids=name_of)
def test_what_came_in_one_read_with_the_break_and_before_it_is_kept(
    hasty: RunningGateway, way: Way, broken: dict[str, Any]
) -> None:
    together = (text("two, "), text("three"), broken)
    told = tell(hasty, way, text("One, "), PAUSE, *together, cut={"how": "merged"})

    assert told.error is not None
    assert told.text == "One, two, three"


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_text_that_came_in_one_read_with_a_failure_was_not_begun(
    hasty: RunningGateway, way: Way
) -> None:
    told = tell(hasty, way, text(HALF), BREAKS["an exception"], cut={"how": "merged"})

    assert told.error is None
    assert HALF not in told.text


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_reply_that_broke_is_logged_as_partial_with_its_cause(
    hasty: RunningGateway, way: Way
) -> None:
    hasty.emulator.queue_stream(text(HALF), PAUSE, BREAKS["a reset"])
    answer = way.ask(hasty)
    line = line_of(hasty, answer)

    assert line["partial"] is True
    assert line["outcome"] == "broken_stream"
    assert line["status"] == 200


# ---------------------------------------------------------------------------------- silences


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_silence_after_content_ends_with_an_error_and_pings_flow_until_then(
    hasty: RunningGateway, way: Way
) -> None:
    hasty.emulator.queue(scenario="stall_after_text")
    started = time.monotonic()
    answer = way.ask(hasty)
    told = read(answer)

    assert told.error is not None
    assert told.text == HALF
    assert IDLE_S <= time.monotonic() - started < IDLE_S + 2 * SWEEP_S
    assert pings_in(answer.body) >= 1
    assert len(hasty.emulator.generations()) == 1


@pytest.mark.parametrize("way", STREAMS[1:], ids=name_of)
def test_reasoning_counts_as_content(hasty: RunningGateway, way: Way) -> None:
    hasty.emulator.queue(scenario="stall_after_reasoning")
    told = read(way.ask(hasty))

    assert told.error is not None
    assert len(hasty.emulator.generations()) == 1


@pytest.mark.parametrize("way", STREAMS[:1], ids=name_of)
def test_silences_shorter_than_the_limit_cost_nothing(hasty: RunningGateway, way: Way) -> None:
    silence = {"do": "wait", "s": IDLE_S * 0.7}
    told = tell(hasty, way, text("One, "), silence, text("two, "), silence, text("three."), TAIL)

    assert told.text == "One, two, three."
    assert told.error is None


def line_of(gateway: RunningGateway, answer: Response) -> dict[str, Any]:
    """Return the log line about the request of `answer`."""
    request_id = answer.headers["request-id"]

    def lines() -> list[dict[str, Any]]:
        return [line for line in gateway.finished() if line["request_id"] == request_id]

    gateway.wait_for(lines, "the log line of the request")
    return lines()[0]


def pings_in(body: bytes) -> int:
    return body.count(b"event: ping\n") + body.count(b": ping\n\n")


# -------------------------------------------------------------------------- ends without a tail


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_close_that_http_does_not_expect_is_told_as_a_cut(
    hasty: RunningGateway, way: Way
) -> None:
    told = tell(hasty, way, text(HALF), PAUSE, {"do": "end", "how": "close"})

    assert (told.text, told.error) == (HALF, None)
    assert told.stop == end_of(way, anthropic="max_tokens", chat="length")


@pytest.mark.parametrize("how", ["close", "reset", "stall"])
@pytest.mark.parametrize("way", MIXED, ids=name_of)
def test_a_reply_with_its_tail_is_whole_however_the_connection_ends(
    hasty: RunningGateway, way: Way, how: str
) -> None:
    told = tell(hasty, way, text("Done."), TAIL, PAUSE, {"do": "end", "how": how})

    assert (told.text, told.error) == ("Done.", None)
    assert told.stop == end_of(way, anthropic="end_turn", chat="stop")
    assert len(hasty.emulator.generations()) == 1


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_an_end_without_a_tail_is_told_as_a_cut(hasty: RunningGateway, way: Way) -> None:
    hasty.emulator.queue(scenario="no_tail")
    told = way.hear(hasty)

    assert told.text == HALF
    assert told.stop == end_of(way, anthropic="max_tokens", chat="length")


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_whole_tool_call_may_run_though_the_tail_is_missing(
    hasty: RunningGateway, way: Way
) -> None:
    hasty.emulator.queue(scenario="tool_without_tail")
    told = way.hear(hasty)

    assert len(told.calls) == 1
    assert told.stop == end_of(way, anthropic="tool_use", chat="tool_calls")


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize("order", [["metadata"], ["context"], ["metering"]], ids=str)
def test_one_event_of_the_tail_makes_a_reply_whole(
    hasty: RunningGateway, way: Way, order: list[str]
) -> None:
    told = tell(hasty, way, text("Done."), {"do": "tail", "order": order})

    assert told.stop == end_of(way, anthropic="end_turn", chat="stop")


# ------------------------------------------------------------------------------- odd but good


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_unknown_events_are_skipped_and_counted(hasty: RunningGateway, way: Way) -> None:
    hasty.emulator.queue(scenario="unknown_event")
    answer = way.ask(hasty)
    line = line_of(hasty, answer)

    assert read(answer).text == "before"
    assert line["skipped_events"] == 1


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_half_a_surrogate_pair_is_repaired_and_no_garbage(hasty: RunningGateway, way: Way) -> None:
    hasty.emulator.queue(scenario="half_surrogate")

    assert way.hear(hasty).text == "half \N{REPLACEMENT CHARACTER}"


CUTS: dict[str, dict[str, Any]] = {
    "single bytes": {"how": "bytes", "size": 1},
    "seven bytes": {"how": "bytes", "size": 7},
    "all in one": {"how": "merged"},
    "inside every frame": {"how": "inside"},
    "single bytes with pauses": {"how": "bytes", "size": 29, "pause_s": 0.001},
}


@pytest.mark.parametrize("scenario", ["text_by_character", "tool_by_character", "reasoning"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=list(CUTS))
@pytest.mark.parametrize("way", STREAMS[:1], ids=name_of)
def test_how_the_bytes_are_cut_makes_no_difference(
    hasty: RunningGateway, way: Way, cut: dict[str, Any], scenario: str
) -> None:
    hasty.emulator.queue(scenario=scenario)
    hasty.emulator.queue(scenario=scenario, cut=cut)
    whole, cut_up = way.hear(hasty), way.hear(hasty)

    assert cut_up.content == whole.content


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_hundred_frames_in_one_read_arrive_in_order(hasty: RunningGateway, way: Way) -> None:
    numbers = [text(f"{number} ") for number in range(100)]
    told = tell(hasty, way, *numbers, TAIL, cut={"how": "merged"})

    assert told.text == "".join(f"{number} " for number in range(100))
