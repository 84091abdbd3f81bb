"""When quotas renew."""

from datetime import UTC, datetime

import pytest

from kiro2api.gateway.calendar import (
    next_midnight_utc,
    next_monday_utc,
    next_month_utc,
    quota_reset,
)


def at(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc] # plain numbers


@pytest.mark.parametrize(
    ("now", "renewal"),
    [
        (at(2026, 11, 25, 13), at(2026, 12, 1)),
        (at(2026, 12, 31, 23, 59, 59), at(2027, 1, 1)),
        (at(2028, 1, 31), at(2028, 2, 1)),
        (at(2026, 2, 1), at(2026, 3, 1)),
    ],
)
def test_a_monthly_quota_renews_on_the_first_of_the_next_month(now: float, renewal: float) -> None:
    assert next_month_utc(now) == renewal


def test_a_daily_quota_renews_at_midnight() -> None:
    assert next_midnight_utc(at(2026, 12, 31, 5)) == at(2027, 1, 1)


@pytest.mark.parametrize("day", [23, 24, 25, 29])
def test_a_weekly_quota_renews_on_monday(day: int) -> None:
    assert next_monday_utc(at(2026, 11, day, 1)) == at(2026, 11, 30)


@pytest.mark.parametrize(
    ("code", "days"), [("DAILY_REQUEST_COUNT", 1), ("WEEKLY_REQUEST_COUNT", 7), ("", 31)]
)
def test_a_quota_renews_with_its_period(code: str, days: int) -> None:
    wall = at(2026, 11, 25, 13)

    assert 0 < quota_reset(code, wall) - wall <= days * 86_400


def test_a_monthly_quota_renews_when_the_upstream_says() -> None:
    wall = at(2026, 11, 25, 13)

    assert quota_reset("MONTHLY_REQUEST_COUNT", wall, told=wall + 100.0) == wall + 100.0


@pytest.mark.parametrize("code", ["DAILY_REQUEST_COUNT", "WEEKLY_REQUEST_COUNT"])
def test_what_is_told_of_the_month_says_nothing_of_shorter_quotas(code: str) -> None:
    wall = at(2026, 11, 25, 13)

    assert quota_reset(code, wall, told=wall + 100.0) == quota_reset(code, wall)


def test_a_reset_that_was_told_and_is_past_is_not_believed() -> None:
    wall = at(2026, 11, 25, 13)

    assert quota_reset("", wall, told=wall - 1.0) == next_month_utc(wall)
