"""Usage is the upstream's where it tells, and an honest estimate elsewhere."""

import pytest

from kiro2api.protocol.chat.events import Usage
from kiro2api.protocol.codewhisperer.usage import Meter, Tally, TokenUsage
from kiro2api.protocol.tokens import estimate_text

SPOKEN = "The quick brown fox jumps over the lazy dog. "


def meter(*, window_tokens: int = 200_000) -> Meter:
    return Meter(input_tokens=77, window_tokens=window_tokens)


def test_the_upstreams_own_numbers_are_taken_as_they_are() -> None:
    one = meter()
    one.spoken.add(SPOKEN)
    one.told = TokenUsage(812, 10240, 5, 96, 5.574)
    one.charge(0.25)

    assert one.usage() == Usage(812, 96, 10240, 5, 0, 0.25, False)


def test_input_that_came_wholly_from_the_cache_counts_as_told() -> None:
    one = meter()
    one.told = TokenUsage(0, 500, 0, 9)

    assert one.usage() == Usage(0, 9, 500, 0, 0, None, False)


def test_without_numbers_the_local_estimates_serve() -> None:
    one = meter()
    one.spoken.add(SPOKEN)
    usage = one.usage()

    assert (usage.input_tokens, usage.output_tokens) == (77, estimate_text(SPOKEN))
    assert usage.estimated


def test_numbers_that_are_all_zero_count_as_none() -> None:
    one = meter()
    one.spoken.add(SPOKEN)
    one.told = TokenUsage(0, 0, 0, 0)

    assert one.usage().input_tokens == 77
    assert one.usage().output_tokens == estimate_text(SPOKEN)


def test_the_share_of_the_window_gives_the_input_without_the_output() -> None:
    one = meter()
    one.spoken.add(SPOKEN)
    one.percentage = 12.5
    usage = one.usage()

    assert usage.input_tokens == 25_000 - estimate_text(SPOKEN)
    assert usage.estimated


def test_the_share_inside_the_token_usage_serves_as_well() -> None:
    one = meter()
    one.told = TokenUsage(context_usage_percentage=10.0)

    assert one.usage().input_tokens == 20_000


def test_the_derived_input_is_never_below_zero() -> None:
    one = meter()
    one.spoken.add(SPOKEN * 100)
    one.percentage = 0.01

    assert one.usage().input_tokens == 0


def test_a_share_of_an_unknown_window_says_nothing() -> None:
    one = meter(window_tokens=0)
    one.percentage = 50.0

    assert one.usage().input_tokens == 77


def test_reasoning_is_a_part_of_the_output() -> None:
    one = meter()
    one.spoken.add(SPOKEN)
    one.thought.add(SPOKEN)
    usage = one.usage()

    assert usage.reasoning_tokens == estimate_text(SPOKEN)
    assert usage.output_tokens == 2 * estimate_text(SPOKEN)


def test_reasoning_is_never_more_than_the_output_that_was_told() -> None:
    one = meter()
    one.thought.add(SPOKEN * 10)
    one.told = TokenUsage(5, 0, 0, 3)

    assert one.usage().reasoning_tokens == 3
    assert one.usage().estimated


def test_credits_add_up() -> None:
    one = meter()
    one.charge(0.25)
    one.charge(0.5)

    assert one.usage().credits == 0.75


def test_numbers_below_zero_are_no_numbers() -> None:
    one = meter()
    one.told = TokenUsage(-5, None, None, -1)

    assert one.usage().input_tokens == 77


@pytest.mark.parametrize("count", [1, 63, 64, 65, 1000])
def test_a_tally_of_pieces_is_near_the_estimate_of_the_whole(count: int) -> None:
    tally = Tally()
    for _ in range(count):
        tally.add("word ")

    assert tally.total() == pytest.approx(estimate_text("word " * count), rel=0.05, abs=count / 64)


def test_asking_for_the_total_twice_counts_nothing_twice() -> None:
    tally = Tally()
    tally.add(SPOKEN)

    assert tally.total() == tally.total() == estimate_text(SPOKEN)


def test_a_tally_keeps_little_of_the_text_that_it_counts() -> None:
    tally = Tally()
    kept = 0
    for size in (1, 10, 1023, 1024, 100_000, 5):
        for _ in range(200):
            tally.add("x" * size)
            kept = max(kept, sum(map(len, tally._pieces)))

    assert kept <= 64 * 1024
