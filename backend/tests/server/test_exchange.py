"""One HTTP exchange: bodies in, whole answers out."""

import asyncio

import pytest

from kiro2api.errors import RequestError
from kiro2api.server.exchange import ClientGoneError
from tests.support.asgi import REQUEST_ID, Caller


def body_of(caller: Caller, max_bytes: int = 10) -> bytes:
    return asyncio.run(caller.exchange().body(max_bytes))


def refusal_of(caller: Caller, max_bytes: int = 10) -> RequestError:
    with pytest.raises(RequestError) as caught:
        body_of(caller, max_bytes)
    return caught.value


def test_the_pieces_of_a_body_are_joined() -> None:
    assert body_of(Caller("POST", "/", b"one", b"", b"two")) == b"onetwo"


def test_a_body_of_the_limit_is_read() -> None:
    assert body_of(Caller("POST", "/", b"12345", b"67890")) == b"1234567890"


def test_a_body_over_the_limit_is_refused_before_its_end_is_read() -> None:
    caller = Caller("POST", "/", b"12345", b"678901", b"never asked for")
    error = refusal_of(caller)

    assert (error.status, error.code) == (413, "request_too_large")
    assert caller.unread == 1


def test_a_body_that_declares_too_much_is_refused_unread() -> None:
    caller = Caller("POST", "/", b"12345678901", headers={"content-length": "11"})
    error = refusal_of(caller)

    assert error.status == 413
    assert "11 bytes" in error.message
    assert caller.unread == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "GZIP", "gzip, identity"])
def test_a_compressed_body_is_refused_unread(encoding: str) -> None:
    caller = Caller("POST", "/", b"12345", headers={"content-encoding": encoding})

    assert refusal_of(caller).status == 415
    assert caller.unread == 1


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_that_says_that_it_is_not_compressed_is_read(encoding: str) -> None:
    caller = Caller("POST", "/", b"12345", headers={"content-encoding": encoding})

    assert body_of(caller) == b"12345"


def test_a_client_that_leaves_before_the_end_is_gone() -> None:
    caller = Caller("POST", "/")
    caller.leaves = True

    with pytest.raises(ClientGoneError):
        body_of(caller)


def test_every_answer_carries_the_request_id_under_both_names() -> None:
    caller = Caller()
    asyncio.run(caller.exchange().answer(200, b"{}"))

    assert caller.headers["request-id"] == caller.headers["x-request-id"] == REQUEST_ID


def test_an_answer_says_its_type_and_length() -> None:
    caller = Caller()
    asyncio.run(caller.exchange().answer(200, b"{}"))

    assert caller.headers["content-type"] == "application/json"
    assert caller.headers["content-length"] == "2"
    assert caller.body == b"{}"


def test_an_answer_to_head_has_the_head_alone() -> None:
    caller = Caller("HEAD")
    asyncio.run(caller.exchange().answer(200, b"{}"))

    assert caller.headers["content-length"] == "2"
    assert caller.body == b""


def test_an_exchange_knows_whether_it_has_started() -> None:
    exchange = Caller().exchange()
    before = exchange.started
    asyncio.run(exchange.start(204, ()))

    assert (before, exchange.started, exchange.status) == (False, True, 204)


def test_bytes_are_counted_both_ways() -> None:
    caller = Caller("POST", "/", b"123", b"45")
    exchange = caller.exchange()

    async def talk() -> None:
        await exchange.body(10)
        await exchange.answer(200, b"123456")

    asyncio.run(talk())
    assert (exchange.bytes_in, exchange.bytes_out) == (5, 6)
