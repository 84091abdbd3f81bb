"""What a client gets while the upstream takes its time: the status, and signs of life."""

import time
from contextlib import closing
from typing import Any

import pytest

from tests.support.gateway import RunningGateway, anthropic_body, chat_body
from tests.support.hasty import COMMIT_S, SWEEP_S
from tests.support.sse import SseParser
from tests.support.talk import STREAMS, WHOLE, Way, name_of, read

# Later than the moment at which the status goes out anyhow.
LATE_S = COMMIT_S + SWEEP_S + 0.05


def pings_in(body: bytes) -> int:
    parser = SseParser()
    events = parser.feed(body)
    return parser.comments + sum(1 for event in events if event.name == "ping")


def streamed(way: Way) -> dict[str, Any]:
    """Return the body of a request that streams in this way."""
    body = anthropic_body() if way.dialect == "anthropic" else chat_body()
    return body | {"stream": True}


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_the_status_and_a_ping_go_out_when_the_first_event_takes_its_time(
    hasty: RunningGateway, way: Way
) -> None:
    hasty.emulator.queue(delay_s=LATE_S)
    started = time.monotonic()
    with closing(hasty.open_stream(way.path, streamed(way))) as stream:
        head_after_s = time.monotonic() - started
        stream.rest()

    assert stream.status == 200
    assert COMMIT_S <= head_after_s < LATE_S
    assert pings_in(stream.raw) >= 1
    assert stream.raw.startswith((b"event: ping\n", b": ping\n"))


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_quick_reply_has_no_pings(hasty: RunningGateway, way: Way) -> None:
    assert pings_in(way.ask(hasty).body) == 0


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_failure_after_the_status_follows_as_the_error_of_the_dialect(
    hasty: RunningGateway, way: Way
) -> None:
    hasty.emulator.queue(delay_s=LATE_S, error="bad_request")
    answer = way.ask(hasty)
    told = read(answer)

    assert answer.status == 200
    assert pings_in(answer.body) >= 1
    assert told.error["type"] == "invalid_request_error"
    assert "Improperly formed request" in told.error["message"]


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_failure_before_the_status_keeps_its_own(hasty: RunningGateway, way: Way) -> None:
    hasty.emulator.queue(delay_s=COMMIT_S / 2, error="bad_request")
    answer = way.ask(hasty)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("way", WHOLE[:1], ids=name_of)
def test_a_whole_reply_keeps_its_status_however_late(hasty: RunningGateway, way: Way) -> None:
    hasty.emulator.queue(delay_s=LATE_S, error="bad_request")

    assert way.ask(hasty).status == 400


@pytest.mark.parametrize("way", STREAMS[:1], ids=name_of)
def test_another_account_may_still_answer_after_the_status(hasty: RunningGateway, way: Way) -> None:
    hasty.emulator.queue(delay_s=LATE_S, error="internal")
    answer = way.ask(hasty)

    assert pings_in(answer.body) >= 1
    assert read(answer).text
    assert [record.account for record in hasty.emulator.generations()] == ["alpha", "beta"]


@pytest.mark.parametrize("way", STREAMS[:1], ids=name_of)
def test_pings_flow_while_a_tool_call_is_held(hasty: RunningGateway, way: Way) -> None:
    call = {"do": "tool", "name": "ls", "input": {"path": "a" * 20}, "size": 8}
    tail = {"do": "tail", "stop_reason": "TOOL_USE"}
    cut = {"how": "frames", "pause_s": 0.2}
    hasty.emulator.queue_stream({"do": "text", "text": "I look."}, call, tail, cut=cut)
    answer = way.ask(hasty)

    assert [call.input for call in read(answer).calls] == [{"path": "a" * 20}]
    assert pings_in(answer.body) >= 1
