"""The pool as first described: accounts in order, failover within a request, cooldown (J11-J16)."""

import pytest

from tests.support.gateway import Response
from tests.support.pairs import Pair
from tests.support.talk import STREAMS, WAYS, WHOLE, Way, name_of, read

# A failure of each status that must lead to another account, by the emulator's name of it.
ERRORS = {
    429: "rate_plain",
    500: "internal",
    502: "bad_gateway",
    503: "unavailable",
    504: "gateway_timeout",
}
ANTHROPIC_STREAM, ANTHROPIC_WHOLE = STREAMS[0], WHOLE[0]
CHAT_STREAM, CHAT_WHOLE = STREAMS[1], WHOLE[1]
# Every status in both dialects, streamed in one of them.
ALL_FAIL = [
    (429, ANTHROPIC_STREAM),
    (429, CHAT_WHOLE),
    (500, ANTHROPIC_WHOLE),
    (500, CHAT_STREAM),
    (502, ANTHROPIC_STREAM),
    (502, CHAT_WHOLE),
    (503, ANTHROPIC_WHOLE),
    (503, CHAT_STREAM),
    (504, ANTHROPIC_STREAM),
    (504, CHAT_WHOLE),
]


def shape_of_error(answer: Response) -> str:
    """Return which dialect's error the body is; fail when it is neither."""
    body = answer.json
    assert answer.headers["content-type"] == "application/json"
    assert isinstance(body["error"]["message"], str)
    assert isinstance(body["error"]["type"], str)
    if body.get("type") == "error":
        assert "code" not in body["error"]
        return "anthropic"
    assert {"message", "type", "param", "code"} <= set(body["error"])
    return "chat"


def test_all_traffic_uses_the_first_account_while_it_is_well(pair: Pair) -> None:
    for way in WAYS:
        assert pair.ask(way).status == 200

    assert pair.calls() == [pair.first] * 4


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize("status", ERRORS)
def test_another_account_answers_when_one_fails(pair: Pair, way: Way, status: int) -> None:
    pair.queue(pair.first, error=ERRORS[status])
    told = read(pair.ask(way))

    assert (told.error, told.text) == (None, "You said: Hello")
    assert pair.calls() == [pair.first, pair.second]


@pytest.mark.parametrize("error", ["quota_monthly", "suspended", "subscription_unsupported"])
def test_another_account_answers_when_one_is_used_up_or_refused(pair: Pair, error: str) -> None:
    pair.queue(pair.first, error=error)
    answers = [pair.ask(ANTHROPIC_WHOLE), pair.ask(CHAT_WHOLE)]

    assert [answer.status for answer in answers] == [200, 200]
    assert pair.calls() == [pair.first, pair.second, pair.second]
    assert pair.account(pair.first)["usable"] is False


@pytest.mark.parametrize(
    ("status", "way"), ALL_FAIL, ids=[f"{status}-{name_of(way)}" for status, way in ALL_FAIL]
)
def test_the_status_of_the_failure_is_told_when_every_account_fails(
    pair: Pair, status: int, way: Way
) -> None:
    pair.queue_for_both(error=ERRORS[status])
    answer = pair.ask(way)

    assert answer.status == status
    assert shape_of_error(answer) == way.dialect
    assert set(pair.calls()) == {pair.first, pair.second}


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_of_different_failures_the_last_one_is_told(pair: Pair, way: Way) -> None:
    pair.queue(pair.first, error=ERRORS[429], times=0)
    pair.queue(pair.second, error=ERRORS[503], times=0)

    assert pair.ask(way).status == 503


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_429_says_when_to_come_back(pair: Pair, way: Way) -> None:
    pair.queue_for_both(error=ERRORS[429])

    assert 25 <= int(pair.ask(way).headers["retry-after"]) <= 40


def test_a_failing_group_never_borrows_the_accounts_of_another(pair: Pair) -> None:
    pair.queue_for_both(error="quota_monthly")

    assert pair.ask(ANTHROPIC_WHOLE).status == 429
    assert pair.ask(CHAT_WHOLE).status == 429
    assert pair.calls() == [pair.first, pair.second]


def test_an_account_that_was_told_to_slow_down_rests_and_then_returns(pair: Pair) -> None:
    pair.queue(pair.first, error="rate_plain", headers={"retry-after": "1"})
    pair.ask(CHAT_WHOLE)
    pair.ask(CHAT_WHOLE)

    assert pair.calls() == [pair.first, pair.second, pair.second]
    assert pair.account(pair.first)["standing"] == "cooling"
    pair.gateway.wait_for(lambda: pair.account(pair.first)["usable"], "the account's return")
    pair.ask(CHAT_WHOLE)
    assert pair.calls()[3:] == [pair.first]


def test_a_rest_without_a_hint_lasts_half_a_minute(pair: Pair) -> None:
    pair.queue(pair.first, error="rate_plain")
    pair.ask(ANTHROPIC_WHOLE)
    account = pair.account(pair.first)

    assert 29 <= account["until"] - account["since"] <= 34


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_once_a_client_has_content_no_other_account_is_asked(pair: Pair, way: Way) -> None:
    pair.queue(pair.first, scenario="reset_after_text")
    told = read(pair.ask(way))

    assert (told.text, told.stop) == ("Half a sen", None)
    assert told.error is not None
    assert pair.calls() == [pair.first]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_half_an_answer_that_nobody_has_seen_is_asked_again(pair: Pair, way: Way) -> None:
    pair.queue(pair.first, scenario="reset_after_text")
    told = read(pair.ask(way))

    assert (told.error, told.text) == (None, "You said: Hello")
    assert pair.calls() == [pair.first, pair.second]
