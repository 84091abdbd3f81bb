"""How the program ends: what runs is finished, what comes is refused, and the exit code is 0 (F27)."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import pytest

from tests.support.emulator import RunningEmulator
from tests.support.gateway import (
    LiveStream,
    Response,
    RunningGateway,
    StartGateway,
    anthropic_body,
    chat_body,
)
from tests.support.sse import SseEvent
from tests.support.talk import STREAMS, WAYS, WHOLE, Way, name_of, read

FIRST, REST = "First. ", "And the rest."
# Long enough that no test meets it by accident.
LONG_S = "30"


def body_of(way: Way) -> dict[str, object]:
    body = anthropic_body() if way.dialect == "anthropic" else chat_body()
    return body | {"stream": way.stream}


@contextmanager
def stream_at_a_gate(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way, **settings: str
) -> Iterator[tuple[RunningGateway, LiveStream]]:
    """Give a gateway with a stream whose first text has arrived, the rest waits for the gate."""
    emulator.queue_stream(
        {"do": "text", "text": FIRST},
        {"do": "gate", "name": "rest"},
        {"do": "text", "text": REST},
        {"do": "tail"},
    )
    gateway = start_gateway(emulator.add_account("a"), **settings)
    with closing(gateway.open_stream(way.path, body_of(way))) as stream:
        assert FIRST in text_of(stream.read())
        yield gateway, stream


def text_of(events: list[SseEvent]) -> str:
    whole = ""
    for event in events:
        data = event.data or {}
        whole += (data.get("delta") or {}).get("text", "")
        for choice in data.get("choices") or ():
            whole += choice["delta"].get("content") or ""
    return whole


def has_error(events: list[SseEvent]) -> bool:
    return any("error" in (event.data or {}) for event in events)


def is_draining(gateway: RunningGateway) -> bool:
    return bool(gateway.log_lines("drain_started"))


def start_to_stop(gateway: RunningGateway) -> None:
    """Ask the gateway to end, and return when it has heard."""
    gateway.terminate()
    gateway.wait_for(lambda: is_draining(gateway), "the beginning of the end")


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_running_stream_gets_its_rest(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    with stream_at_a_gate(start_gateway, emulator, way) as (gateway, stream):
        start_to_stop(gateway)
        emulator.open_gate("rest")
        rest = stream.rest()

    assert REST in text_of(rest)
    assert not has_error(rest)
    assert gateway.process.wait(timeout=5) == 0


def test_readiness_is_gone_at_once_and_life_is_not(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    with stream_at_a_gate(start_gateway, emulator, STREAMS[0]) as (gateway, _):
        assert gateway.get("/readyz", key=None).status == 200
        start_to_stop(gateway)
        readiness = gateway.get("/readyz", key=None)

        assert (readiness.status, readiness.json["reason"]) == (503, "stopping")
        assert gateway.get("/livez", key=None).status == 200
        emulator.open_gate("rest")


def test_new_work_is_refused_while_old_work_ends(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    with stream_at_a_gate(start_gateway, emulator, STREAMS[0]) as (gateway, _):
        start_to_stop(gateway)
        answers = [way.ask(gateway) for way in WAYS]

        assert {answer.status for answer in answers} == {503}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
        assert all("stopping" in answer.json["error"]["message"] for answer in answers)
        assert len(emulator.generations()) == 1
        emulator.open_gate("rest")


@pytest.mark.parametrize("way", WHOLE[:1], ids=name_of)
def test_a_running_whole_reply_arrives(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    emulator.queue(gate="answer")
    gateway = start_gateway(emulator.add_account("a"))
    answers: list[Response] = []
    asker = threading.Thread(target=lambda: answers.append(way.ask(gateway)))
    asker.start()
    emulator.wait_for(lambda: bool(emulator.generations()), what="the call")
    start_to_stop(gateway)
    emulator.open_gate("answer")
    asker.join(timeout=10)

    assert read(answers[0]).text
    assert gateway.process.wait(timeout=5) == 0


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_at_the_drain_limit_a_stream_ends_with_an_error(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    with stream_at_a_gate(start_gateway, emulator, way, KIRO_DRAIN_TIMEOUT="0.3") as (
        gateway,
        stream,
    ):
        started = time.monotonic()
        gateway.terminate()
        rest = stream.rest()
        took_s = time.monotonic() - started

    assert has_error(rest[-1:])
    assert 0.3 <= took_s < 1.5
    assert gateway.process.wait(timeout=3) == 0
    assert emulator.generations()[0].closed_early


@pytest.mark.parametrize("way", WAYS[1:3], ids=name_of)
def test_at_the_drain_limit_a_request_that_has_no_answer_yet_is_told_to_come_again(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    emulator.queue(fault="hang")
    gateway = start_gateway(emulator.add_account("a"), KIRO_DRAIN_TIMEOUT="0.3")
    answers: list[Response] = []
    asker = threading.Thread(target=lambda: answers.append(way.ask(gateway)))
    asker.start()
    emulator.wait_for(lambda: bool(emulator.generations()), what="the call")
    gateway.terminate()
    asker.join(timeout=10)

    assert answers, "no answer at all"
    assert answers[0].status == 503
    assert "retry-after" in answers[0].headers
    assert gateway.process.wait(timeout=3) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_work_the_program_ends_at_once_though_clients_are_connected(
    start_gateway: StartGateway, emulator: RunningEmulator, number: signal.Signals
) -> None:
    gateway = start_gateway(emulator.add_account("a"), KIRO_DRAIN_TIMEOUT=LONG_S)
    parts = urlsplit(gateway.url)
    with closing(gateway.connect()) as used, socket.create_connection((parts.hostname, parts.port)):
        used.request("GET", "/livez")
        used.getresponse().read()
        gateway.process.send_signal(number)

        assert gateway.process.wait(timeout=3) == 0
    assert gateway.log_lines("server_stopped")


def test_a_second_signal_does_not_wait_for_the_drain_limit(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    with stream_at_a_gate(start_gateway, emulator, STREAMS[0], KIRO_DRAIN_TIMEOUT=LONG_S) as (
        gateway,
        stream,
    ):
        start_to_stop(gateway)
        gateway.terminate()
        rest = stream.rest()

    assert has_error(rest)
    assert gateway.process.wait(timeout=3) == 0
