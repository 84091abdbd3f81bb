"""Sending scripts: silences, gates, ends, and many paced streams by one timer."""

import http.client
import time

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.emulator_calls import bearer, body, generate

TEXT = {"do": "text", "text": "a"}


@pytest.fixture
def account(emulator: RunningEmulator) -> EmulatedAccount:
    return emulator.add_account("a", access_token="tok")


def start(emulator: RunningEmulator, account: EmulatedAccount) -> http.client.HTTPConnection:
    """Send a call and return its connection, the answer unread."""
    connection = emulator.connect()
    sent = json.encode(body(arn=account.profile_arn))
    connection.request("POST", "/generateAssistantResponse", sent, bearer("tok"))
    return connection


def test_a_silence_lasts_as_long_as_asked(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue_stream(TEXT, {"do": "wait", "s": 0.2}, {"do": "tail"})
    began = time.monotonic()
    reply = generate(emulator, account)

    assert time.monotonic() - began >= 0.2
    assert reply.text == "a"


def test_a_gate_holds_the_stream_until_it_is_opened(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue_stream(TEXT, {"do": "gate", "name": "g"}, {"do": "tail"})
    connection = start(emulator, account)
    response = connection.getresponse()
    first = response.read1()
    held = emulator.counters().in_flight
    emulator.open_gate("g")
    rest = response.read()
    connection.close()

    assert held == 1
    assert b'"content":"a"' in first
    assert b"metadataEvent" in rest
    assert b"metadataEvent" not in first


def test_a_stalled_stream_ends_when_its_client_leaves(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(scenario="stall_after_text")
    connection = start(emulator, account)
    response = connection.getresponse()
    response.read1()
    # The response holds the socket too.
    response.close()
    connection.close()
    emulator.wait_for(lambda: emulator.generations()[0].closed_early, what="the client left")

    record = emulator.generations()[0]
    assert record.ended_at_monotonic_s is not None
    assert emulator.counters().in_flight == 0


@pytest.mark.parametrize("scenario", ["reset_after_text", "close_after_text"])
def test_a_broken_off_stream_is_no_whole_http_answer(
    emulator: RunningEmulator, account: EmulatedAccount, scenario: str
) -> None:
    emulator.queue(scenario=scenario)

    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        generate(emulator, account)


def test_a_reset_is_a_reset_and_not_an_orderly_end(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(scenario="reset_after_text")

    with pytest.raises(ConnectionResetError):
        generate(emulator, account)


def test_what_the_emulator_broke_off_is_not_blamed_on_the_client(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(scenario="reset_after_text")
    with pytest.raises(ConnectionResetError):
        generate(emulator, account)

    assert [record.closed_early for record in emulator.generations()] == [False]


def test_paced_streams_have_all_their_frames_and_take_their_time(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(paced={"events": 5, "every_s": 0.05, "text": "x"}, times=0)
    began = time.monotonic()
    connections = [start(emulator, account) for _ in range(8)]
    answers = [connection.getresponse().read() for connection in connections]
    took = time.monotonic() - began
    for connection in connections:
        connection.close()

    assert {answer.count(b"assistantResponseEvent") for answer in answers} == {5}
    assert all(answer.count(b"meteringEvent") == 1 for answer in answers)
    # One after the other they would take more than 2 s.
    assert 0.25 <= took < 2.0


@pytest.mark.parametrize(
    ("cut", "largest"), [({"how": "bytes", "size": 7}, 7), ({"how": "merged"}, 10_000)]
)
def test_each_write_leaves_on_its_own(
    tls_emulator: RunningEmulator, cut: dict[str, object], largest: int
) -> None:
    account = tls_emulator.add_account("a", access_token="tok")
    tls_emulator.queue(scenario="text_by_character", cut=cut)
    connection = start(tls_emulator, account)
    # A TLS record is read alone, so what one read brings is what one write sent.
    reads = read_records(connection)
    connection.close()

    sizes = [int(read.partition(b"\r\n")[0], 16) for read in reads if read[:1] != b"0"]
    assert max(sizes) <= largest
    assert len(sizes) == -(-sum(sizes) // largest)


def read_records(connection: http.client.HTTPConnection) -> list[bytes]:
    """Return what each read brings after the head, up to the last chunk."""
    reads: list[bytes] = []
    while not reads or not reads[-1].endswith(b"0\r\n\r\n"):
        reads.append(connection.sock.recv(65536))
    return reads[1:]


def test_a_burst_comes_at_once(emulator: RunningEmulator, account: EmulatedAccount) -> None:
    emulator.queue(paced={"events": 1000, "text": "x"})

    assert generate(emulator, account).text == "x" * 1000


def test_a_paced_stream_survives_that_another_one_is_left(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(paced={"events": 10, "every_s": 0.02}, times=2)
    leaver, stayer = start(emulator, account), start(emulator, account)
    gone = leaver.getresponse()
    gone.close()
    leaver.close()
    answer = stayer.getresponse().read()
    stayer.close()

    assert answer.count(b"assistantResponseEvent") == 10


def test_a_client_that_reads_nothing_stops_the_stream(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue_stream({"do": "text", "text": "x" * 1000, "times": 50_000}, {"do": "tail"})
    connection = start(emulator, account)
    response = connection.getresponse()
    sent_bytes = [-1, 0]
    while sent_bytes[-1] != sent_bytes[-2] or not sent_bytes[-1]:
        time.sleep(0.1)
        sent_bytes.append(emulator.generations()[0].sent_bytes)
    stopped = emulator.counters().in_flight
    response.close()
    connection.close()

    assert stopped == 1
    # 50 MB were to be sent; what is out waits in the buffers of the operating system.
    assert sent_bytes[-1] < 20_000_000
