"""What must not harm accounts, and what must: logins, storms of 429, wrong requests, long ones.

Cases 8, 9, 11, 12, 13 and 14 of the field.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.emulator import RunningEmulator
from tests.support.gateway import MODEL, RunningGateway, StartGateway
from tests.support.pairs import Pair
from tests.support.talk import WAYS, WHOLE, Told, Way, name_of, read

ASK = Way("anthropic", stream=False)
AN_HOUR_S = 3600.0


def together(*jobs: Callable[[], object]) -> None:
    """Run jobs at once, each in a thread, and return when all have ended."""
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def told(pair: Pair, way: Way = ASK, **more: Any) -> Told:
    return read(pair.ask(way, **more))


# ------------------------------------------------------------------- access tokens (case 8)


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize("error", ["bearer_invalid", "token_expired", "unauthorized"])
def test_a_rejected_bearer_is_renewed_once_and_the_request_served(
    pair: Pair, way: Way, error: str
) -> None:
    told(pair)
    pair.gateway.emulator.forget_records()
    pair.queue(pair.first, error=error)

    assert told(pair, way).text == "You said: Hello"
    assert pair.calls() == [pair.first, pair.first]
    assert len(pair.gateway.emulator.refreshes(account=pair.first)) == 1


def test_after_an_idle_night_the_first_request_is_served(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway(emulator.add_account("one"))
    assert gateway.messages().status == 200
    emulator.advance_clock(9 * AN_HOUR_S)

    assert gateway.messages().status == 200
    assert emulator.violations() == []


def test_a_token_is_renewed_before_it_ends_though_nobody_asks(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    """Ten minutes ahead."""
    start_gateway(emulator.add_account("one", access_lifetime_s=602.0))
    emulator.wait_for(lambda: len(emulator.refreshes()) >= 2, what="a second refresh")

    assert emulator.generations() == []


REFRESH_FAULTS: dict[str, dict[str, Any]] = {
    "500": {"error": "server_error"},
    "429": {"status": 429, "body": {"message": "Too many"}},
    "503": {"status": 503, "body_text": "<html></html>"},
    "reset": {"fault": "reset"},
    "slow down": {"error": "slow_down"},
}


@pytest.mark.parametrize("fault", REFRESH_FAULTS.values(), ids=REFRESH_FAULTS)
def test_a_refresh_that_fails_once_is_tried_again_inside_the_request(
    pair: Pair, fault: dict[str, Any]
) -> None:
    told(pair)
    pair.gateway.emulator.forget_records()
    pair.queue(pair.first, error="bearer_invalid")
    pair.queue(pair.first, operation="refresh", **fault)

    assert told(pair).error is None
    assert pair.calls() == [pair.first, pair.first]
    assert len(pair.gateway.emulator.refreshes(account=pair.first)) == 2


def test_a_refresh_that_fails_on_keeps_the_account_out_for_a_second_at_most(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    """Each request needs a new token here; the second account serves meanwhile."""
    short = emulator.add_account("one", access_lifetime_s=1.0)
    gateway = start_gateway([short, emulator.add_account("two")])
    assert gateway.messages().status == 200
    emulator.queue(operation="refresh", account="one", times=0, error="server_error")
    time.sleep(1.0)
    assert gateway.messages().status == 200
    assert emulator.generations()[-1].account == "two"
    emulator.clear_queue()
    time.sleep(1.1)

    assert gateway.messages().status == 200
    assert emulator.generations()[-1].account == "one"


# --------------------------------------------------------------------- one refresh (case 9)


def test_many_requests_with_an_expired_token_make_one_refresh(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway(emulator.add_account("one", refresh_latency_s=0.1))
    assert gateway.messages().status == 200
    emulator.advance_clock(2 * AN_HOUR_S)
    emulator.forget_records()
    statuses: list[int] = []
    together(*[lambda: statuses.append(gateway.messages().status)] * 8)

    assert statuses == [200] * 8
    assert len(emulator.refreshes()) == 1
    assert emulator.account("one").max_parallel_refreshes == 1
    assert emulator.account("one").dead_token_uses == 0


def test_two_processes_with_one_database_do_not_burn_a_login(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("one", rotation="strict")
    first, second = start_gateway(account), start_gateway(account)
    for _ in range(2):
        for gateway in (first, second):
            assert gateway.messages().status == 200
        emulator.advance_clock(2 * AN_HOUR_S)

    assert emulator.account("one").dead_token_uses == 0


def test_only_a_login_that_the_service_refuses_needs_a_person(pair: Pair) -> None:
    pair.queue(pair.first, error="bearer_invalid", times=0)
    pair.queue(pair.first, operation="refresh", error="invalid_grant", times=0)

    assert told(pair).text == "You said: Hello"
    assert pair.calls()[-1] == pair.second
    assert pair.account(pair.first)["standing"] == "needs_login"


def test_an_account_that_needs_a_login_is_left_alone(pair: Pair) -> None:
    pair.queue(pair.first, error="bearer_invalid", times=0)
    pair.queue(pair.first, operation="refresh", error="invalid_grant", times=0)
    told(pair)
    pair.gateway.emulator.forget_records()
    told(pair)

    assert pair.calls() == [pair.second]
    assert pair.gateway.emulator.refreshes(account=pair.first) == []


# ------------------------------------------------------------------- storms of 429 (case 11)


def rest_s(pair: Pair) -> float:
    """Return for how long the first account is still out."""
    until = pair.account(pair.first)["until"]
    assert until is not None
    return float(until - time.time())


@pytest.mark.parametrize(
    ("error", "hint_s"), [("user_rate", 2), ("user_rate_header", 2), ("credit_rate", 300)]
)
def test_the_hint_of_a_429_is_honoured(pair: Pair, error: str, hint_s: float) -> None:
    pair.queue(pair.first, error=error)
    told(pair)

    assert hint_s - 2 < rest_s(pair) <= hint_s + 1


def test_a_longer_rest_is_not_shortened_by_a_shorter_one(pair: Pair) -> None:
    """Two requests are under way; the one with the short hint ends last."""
    emulator = pair.gateway.emulator
    long, short = f"{pair.group} long", f"{pair.group} short"
    pair.queue(pair.first, gate=long, error="credit_rate")
    pair.queue(pair.first, gate=short, error="user_rate")

    def open_in_turn() -> None:
        emulator.wait_for(lambda: len(emulator.generations()) == 2, what="two calls")
        emulator.open_gate(long)
        emulator.wait_for(lambda: len(emulator.generations()) == 3, what="a failover")
        emulator.open_gate(short)

    together(lambda: told(pair), lambda: told(pair), open_in_turn)

    assert pair.calls() == [pair.first, pair.first, pair.second, pair.second]
    assert rest_s(pair) > 250


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_in_a_storm_each_account_is_asked_once_and_then_nobody(pair: Pair, way: Way) -> None:
    pair.queue_for_both(error="rate_plain")
    answers = [pair.ask(way) for _ in range(4)]

    assert [answer.status for answer in answers] == [429] * 4
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    assert pair.calls() == [pair.first, pair.second]


def test_a_sick_host_is_called_three_times_at_most(pair: Pair) -> None:
    pair.queue_for_both(error="internal")

    assert told(pair).status == 500
    assert len(pair.calls()) == 3


# ------------------------------------------------------------ the client's own fault (case 12)


@pytest.mark.parametrize("way", WAYS, ids=name_of)
@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("bad_request", "Improperly formed request."),
        ("bad_request_old", "Improperly formed request."),
        ("tool_use_mismatch", "`tool_use` ids were found without `tool_result`"),
        ("image_too_large", "Image is too large."),
        ("unprocessable", "Unprocessable content."),
    ],
)
def test_a_bad_request_is_told_with_its_reason_and_harms_no_account(
    pair: Pair, way: Way, error: str, words: str
) -> None:
    pair.queue_for_both(error=error)
    refused = told(pair, way)
    pair.gateway.emulator.clear_queue()

    assert refused.status == 400
    assert refused.error["type"] == "invalid_request_error"
    assert words in refused.error["message"]
    assert told(pair, way).error is None
    assert pair.calls() == [pair.first, pair.first]


def test_a_model_that_one_account_lacks_is_had_from_another_and_that_is_remembered(
    pair: Pair,
) -> None:
    pair.queue(pair.first, error="invalid_model", model="claude-opus-4.5")
    for model in ("claude-opus-4-5-20251101", "claude-opus-4-5-20251101", MODEL):
        assert told(pair, model=model).error is None

    assert pair.calls() == [pair.first, pair.second, pair.second, pair.first]
    assert pair.account(pair.first)["standing"] == "ready"


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_model_that_no_account_has_is_a_404(pair: Pair, way: Way) -> None:
    pair.queue_for_both(error="invalid_model")
    answer = told(pair, way)

    assert answer.status == 404
    assert answer.error["type"] == "not_found_error"
    assert pair.calls() == [pair.first, pair.second]


# ------------------------------------------------------------------ native shapes (case 13)

SHAPES = {
    "rate_plain": (429, "rate_limit_error", 429, "rate_limit_error"),
    "quota_monthly": (429, "rate_limit_error", 429, "insufficient_quota"),
    "model_capacity": (529, "overloaded_error", 503, "server_error"),
    "bad_request": (400, "invalid_request_error", 400, "invalid_request_error"),
    "call_not_authorized": (403, "permission_error", 403, "permission_error"),
    "suspended": (503, "api_error", 503, "server_error"),
    "bad_gateway": (502, "overloaded_error", 502, "server_error"),
    "internal_empty": (500, "api_error", 500, "server_error"),
}


@pytest.mark.parametrize("error", SHAPES)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_failure_has_the_shape_of_the_anthropic_dialect(
    pair: Pair, error: str, stream: bool
) -> None:
    pair.queue_for_both(error=error)
    answer = pair.ask(Way("anthropic", stream))
    status, type, *_ = SHAPES[error]

    assert answer.status == status
    assert answer.json["type"] == "error"
    assert answer.json["error"]["type"] == type
    assert answer.json["request_id"] == answer.headers["request-id"]
    assert_plain(answer.json["error"]["message"])


@pytest.mark.parametrize("error", SHAPES)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_failure_has_the_shape_of_the_chat_dialect(pair: Pair, error: str, stream: bool) -> None:
    pair.queue_for_both(error=error)
    answer = pair.ask(Way("chat", stream))
    *_, status, type = SHAPES[error]

    assert answer.status == status
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    assert answer.json["error"]["type"] == type
    assert_plain(answer.json["error"]["message"])


def assert_plain(message: str) -> None:
    """Nothing of the upstream's envelope is in a message for a client."""
    assert message
    assert not [word for word in ("<html", "__type", "amazon", "{") if word in message]


# ---------------------------------------------------------------------- too long (case 14)

LONG_TEXT = "The quick brown fox jumps over the lazy dog. " * 22_000


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_prompt_beyond_the_window_makes_agents_compact(
    gateway: RunningGateway, stream: bool
) -> None:
    answer = read(Way("anthropic", stream).ask(gateway, LONG_TEXT))

    assert answer.status == 400
    assert answer.error["type"] == "invalid_request_error"
    words = answer.error["message"].split()
    assert words[:5] == ["prompt", "is", "too", "long:", words[4]]
    assert words[5:7] == ["tokens", ">"]
    assert int(words[4]) > int(words[7]) == 200_000
    assert len(gateway.emulator.generations()) == 1


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_a_prompt_beyond_the_window_has_the_code_of_the_chat_dialect(
    gateway: RunningGateway, stream: bool
) -> None:
    answer = read(Way("chat", stream).ask(gateway, LONG_TEXT))

    assert answer.status == 400
    assert answer.error["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    "behaviour",
    [
        *({"error": e} for e in ("context_too_long", "prompt_too_long", "length_limit")),
        {"error": "body_too_large"},
        {"scenario": "exception_overflow"},
        {"scenario": "exception_content_length"},
    ],
    ids=lambda behaviour: str(*behaviour.values()),
)
@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_every_word_of_the_upstream_for_too_long_means_the_same(
    gateway: RunningGateway, way: Way, behaviour: dict[str, str]
) -> None:
    """Once only, and no account is the worse for it."""
    gateway.emulator.queue(**behaviour)
    answer = read(way.ask(gateway))

    assert answer.status == 400
    assert "prompt is too long" in answer.error["message"]
    assert way.dialect == "anthropic" or answer.error["code"] == "context_length_exceeded"
    assert len(gateway.emulator.generations()) == 1
    assert gateway.account("alpha")["standing"] == "ready"


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_body_over_the_limit_is_told_its_size(
    way: Way, start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = start_gateway(emulator.add_account("one"), KIRO_MAX_BODY_BYTES="50000")
    answer = read(way.ask(gateway, "x" * 60_000))

    assert answer.status == 413
    assert "60" in answer.error["message"]
    assert "50000" in answer.error["message"]
