"""HTTP/1.1 on the wire."""

import socket
from urllib.parse import urlsplit

import pytest

from kiro2api.emulator.http1 import make_request
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.emulator_calls import fetch, generate, read

GET = b"GET /_emulator/counters HTTP/1.1\r\nhost: x\r\n\r\n"


def open_socket(emulator: RunningEmulator) -> socket.socket:
    parts = urlsplit(emulator.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)


def receive_until(connection: socket.socket, mark: bytes) -> bytes:
    got = b""
    while mark not in got and (data := connection.recv(65536)):
        got += data
    return got


def receive_all(connection: socket.socket) -> bytes:
    got = b""
    while data := connection.recv(65536):
        got += data
    return got


def test_a_target_is_taken_apart() -> None:
    request = make_request("GET", "/a%20b?x=1&y=", {}, b"", version="1.1", connection=1)

    assert (request.path, request.query) == ("/a b", {"x": "1", "y": ""})


def test_a_connection_is_used_again(emulator: RunningEmulator) -> None:
    connection = emulator.connect()
    for _ in range(3):
        connection.request("GET", "/nothing/here")
        read(connection)
    connection.close()

    assert len({record.connection for record in emulator.records()}) == 1


def test_requests_in_a_row_are_answered_in_a_row(emulator: RunningEmulator) -> None:
    with open_socket(emulator) as connection:
        connection.sendall(GET + GET.replace(b"host: x", b"host: x\r\nconnection: close"))

        assert receive_all(connection).count(b'"in_flight"') == 2


def test_a_request_may_come_byte_by_byte(emulator: RunningEmulator) -> None:
    with open_socket(emulator) as connection:
        for at in range(len(GET)):
            connection.sendall(GET[at : at + 1])

        assert b'"in_flight"' in receive_until(connection, b"}")


def test_a_client_that_waits_is_told_to_continue(emulator: RunningEmulator) -> None:
    with open_socket(emulator) as connection:
        connection.sendall(
            b"POST /_emulator/clock HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n"
            b"content-length: 15\r\n\r\n"
        )
        told = receive_until(connection, b"\r\n\r\n")
        connection.sendall(b'{"advance_s":0}')

        assert told.startswith(b"HTTP/1.1 100")
        assert b"200" in receive_until(connection, b"}")


def test_what_is_no_http_is_refused(emulator: RunningEmulator) -> None:
    with open_socket(emulator) as connection:
        connection.sendall(b"NOT HTTP\r\n\r\n")

        assert receive_all(connection).startswith(b"HTTP/1.1 400")


def test_each_piece_of_a_stream_is_a_chunk_of_its_own(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok")
    emulator.queue_stream({"do": "raw", "hex": "616263"}, {"do": "raw", "hex": "64"})
    with open_socket(emulator) as connection:
        connection.sendall(head_of_call(account))

        assert receive_until(connection, b"0\r\n\r\n").endswith(
            b"\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
        )


def head_of_call(account: EmulatedAccount) -> bytes:
    state = (
        '{"conversationState":{"chatTriggerType":"MANUAL","currentMessage":{"userInputMessage":'
        f'{{"content":"a"}}}}}},"profileArn":"{account.profile_arn}"}}'
    )
    head = (
        "POST /generateAssistantResponse HTTP/1.1\r\nhost: x\r\nauthorization: Bearer tok\r\n"
        f"content-type: application/json\r\ncontent-length: {len(state)}\r\n\r\n"
    )
    return (head + state).encode()


def test_half_a_request_is_no_request(emulator: RunningEmulator) -> None:
    with open_socket(emulator) as connection:
        connection.sendall(b"POST /refreshToken HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab")
        connection.shutdown(socket.SHUT_WR)
        receive_all(connection)

    assert emulator.records() == []


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_an_answer_is_the_same_in_writes_of_any_size(emulator: RunningEmulator, size: int) -> None:
    account = emulator.add_account("a", access_token="tok")
    texts = []
    for cut in ({"how": "frames"}, {"how": "bytes", "size": size}):
        emulator.queue(scenario="text_by_character", cut=cut)
        texts.append(generate(emulator, account).text)

    assert texts[0] == texts[1]


def test_a_body_of_several_megabytes_arrives(emulator: RunningEmulator) -> None:
    reply = fetch(emulator, "POST", "/elsewhere", b"x" * 5_000_000)

    assert (reply.status, emulator.records()[0].body_bytes) == (404, 5_000_000)
