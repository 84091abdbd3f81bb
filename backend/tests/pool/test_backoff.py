"""Tests of the arithmetic of waiting."""

import pytest

from kiro2api.pool import backoff


@pytest.mark.parametrize(
    ("strikes", "seconds"),
    [(0, 30), (1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (9, 3600), (10_000, 3600)],
)
def test_the_rest_doubles_from_thirty_seconds_up_to_an_hour(strikes: int, seconds: float) -> None:
    assert backoff.cooldown_s(strikes, None) == seconds


def test_a_hint_is_taken_as_it_is() -> None:
    assert backoff.cooldown_s(5, 300.0, jitter=1.0) == 300.0
    assert backoff.cooldown_s(1, 7200.0) == 7200.0


def test_a_hint_of_nothing_still_rests_for_a_second() -> None:
    assert backoff.cooldown_s(1, 0.0) == 1.0
    assert backoff.cooldown_s(1, -5.0) == 1.0


def test_jitter_lengthens_a_guess_by_a_tenth_at_most() -> None:
    assert backoff.cooldown_s(1, None, jitter=1.0) == pytest.approx(33.0)


@pytest.mark.parametrize(
    ("soft_strikes", "seconds"),
    [(0, 0), (1, 0), (2, 5), (3, 10), (4, 20), (5, 40), (6, 60), (500, 60)],
)
def test_a_soft_rest_starts_with_the_second_fault_and_ends_at_a_minute(
    soft_strikes: int, seconds: float
) -> None:
    assert backoff.soft_cooldown_s(soft_strikes) == seconds


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.2), (2, 0.4), (3, 0.8), (9, 2.0)])
def test_a_retry_waits_between_half_and_the_whole_of_its_step(attempt: int, longest: float) -> None:
    assert backoff.retry_delay_s(attempt, 0.0) == pytest.approx(longest / 2)
    assert backoff.retry_delay_s(attempt, 1.0) == pytest.approx(longest)
