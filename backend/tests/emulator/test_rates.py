"""Limits of rate."""

import pytest

from kiro2api.emulator.errors_table import REFUSALS
from kiro2api.emulator.rates import Hint, RateLimit, Rates, with_hint


def test_calls_beyond_the_limit_wait_until_the_oldest_is_out_of_the_window() -> None:
    rates, limit = Rates(), RateLimit(calls=2, per_s=10.0)
    waits = [rates.admit("a", limit, now=now) for now in (0.0, 4.0, 5.0, 10.0, 11.0)]

    assert waits == [0.0, 0.0, 5.0, 0.0, 3.0]


def test_a_refused_call_does_not_count() -> None:
    rates, limit = Rates(), RateLimit(calls=1, per_s=10.0)
    waits = [rates.admit("a", limit, now=now) for now in (0.0, 9.0, 10.0)]

    assert waits == [0.0, 1.0, 0.0]


def test_each_bucket_counts_alone() -> None:
    rates, limit = Rates(), RateLimit(calls=1, per_s=10.0)

    assert [rates.admit(bucket, limit, now=0.0) for bucket in ("a", "b")] == [0.0, 0.0]


def test_calls_at_one_time_can_be_limited() -> None:
    rates, limit = Rates(), RateLimit(in_flight=1)
    first = rates.admit("a", limit, now=0.0)
    second = rates.admit("a", limit, now=100.0)
    rates.leave("a")
    third = rates.admit("a", limit, now=100.0)

    assert (first, second > 0, third) == (0.0, True, 0.0)


@pytest.mark.parametrize(
    ("hint", "header", "body"),
    [
        (Hint.NONE, None, None),
        (Hint.HEADER, 3, None),
        (Hint.BODY, None, 2300),
        (Hint.BOTH, 3, 2300),
    ],
)
def test_a_refusal_says_how_long_to_wait_where_it_is_asked_to(
    hint: Hint, header: int | None, body: int | None
) -> None:
    told = with_hint(REFUSALS["user_rate"], RateLimit(hint=hint), 2.3)

    assert (told.retry_after_s, told.retry_after_ms) == (header, body)
    assert told.reason == "USER_REQUEST_RATE_EXCEEDED"
