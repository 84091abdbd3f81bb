"""Errors on their way out."""

import asyncio

import pytest

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.gateway.ledger import RequestRecord
from kiro2api.protocol.chat.answer import ErrorAnswer
from kiro2api.protocol.dialect import ANTHROPIC, OPENAI_CHAT, Dialect
from kiro2api.server.errors import UNAUTHORIZED, send_error
from tests.support.asgi import REQUEST_ID, Caller


def told(
    error: ErrorAnswer | Exception, dialect: Dialect = ANTHROPIC, outcome: str = ""
) -> tuple[Caller, RequestRecord]:
    caller, record = Caller(), RequestRecord(REQUEST_ID, started_s=0.0)
    record.outcome = outcome
    asyncio.run(send_error(caller.exchange(), dialect, error, record))
    return caller, record


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI_CHAT], ids=lambda d: d.name)
def test_an_error_names_the_request(dialect: Dialect) -> None:
    caller, _ = told(RequestError("Wrong."), dialect)

    assert caller.status == 400
    assert caller.json["request_id"] == caller.headers["request-id"] == REQUEST_ID


@pytest.mark.parametrize("dialect", [ANTHROPIC, OPENAI_CHAT], ids=lambda d: d.name)
def test_a_wrong_key_is_not_worth_a_retry(dialect: Dialect) -> None:
    caller, _ = told(UNAUTHORIZED, dialect)

    assert caller.status == 401
    assert caller.headers["x-should-retry"] == "false"


def test_a_bug_is_not_told_to_the_client() -> None:
    caller, _ = told(RuntimeError("a secret"))

    assert caller.status == 500
    assert b"a secret" not in caller.body


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (UpstreamError(FaultKind.RATE_LIMITED, "no", code="WORD"), "rate_limited"),
        (RequestError("no", code="unknown_path", status=404), "unknown_path"),
        (RequestError("no", status=413), "413"),
    ],
)
def test_the_outcome_is_the_kind_of_fault_else_the_code_else_the_status(
    error: Exception, outcome: str
) -> None:
    assert told(error)[1].outcome == outcome


def test_an_outcome_that_is_known_stays() -> None:
    assert told(RequestError("no"), outcome="stopping")[1].outcome == "stopping"


def test_nothing_is_sent_when_the_status_is_out() -> None:
    caller, record = Caller(), RequestRecord(REQUEST_ID, started_s=0.0)

    async def late() -> None:
        exchange = caller.exchange()
        await exchange.start(200, ())
        await send_error(exchange, ANTHROPIC, RequestError("no"), record)

    asyncio.run(late())
    assert len(caller.sent) == 1
