"""Tests of the strategies: which of several usable accounts is asked first."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.pool.account import Account
from kiro2api.pool.strategy import Strategy, Turn, preferred, reason_for, strategy_named

STICKY = [Strategy.ROUND_ROBIN, Strategy.LEAST_IN_FLIGHT]
KEYS = [f"conversation {number}" for number in range(300)]


def accounts(number: int) -> list[Account]:
    return [Account(f"a{place}", f"account {place}", "default", place) for place in range(number)]


def changed(account: Account, **members: object) -> Account:
    return msgspec.structs.replace(account, **members)


def busy(*in_flight: int, soft_cap: int = 0) -> list[Account]:
    return [
        changed(account, in_flight=number, soft_cap=soft_cap)
        for account, number in zip(accounts(len(in_flight)), in_flight, strict=True)
    ]


def with_credits(*credits: float | None) -> list[Account]:
    return [
        changed(account, credits=left)
        for account, left in zip(accounts(len(credits)), credits, strict=True)
    ]


@pytest.mark.parametrize("strategy", Strategy)
def test_a_strategy_is_found_by_its_word(strategy: Strategy) -> None:
    assert strategy_named(strategy.value) is strategy


@pytest.mark.parametrize("word", ["", "by_the_moon"])
def test_a_group_without_a_known_word_is_sequential(word: str) -> None:
    assert strategy_named(word) is Strategy.SEQUENTIAL


def test_sequential_asks_the_first_one_whatever_the_key_and_the_turn() -> None:
    chosen = {
        preferred(accounts(3), Strategy.SEQUENTIAL, key=key, turn=turn).id
        for turn, key in enumerate(KEYS)
    }

    assert chosen == {"a0"}


def test_round_robin_gives_each_account_its_turn() -> None:
    chosen = [preferred(accounts(3), Strategy.ROUND_ROBIN, turn=turn).id for turn in range(6)]

    assert chosen == ["a0", "a1", "a2", "a0", "a1", "a2"]


def test_least_in_flight_asks_the_one_with_the_fewest_requests() -> None:
    assert preferred(busy(2, 1, 3), Strategy.LEAST_IN_FLIGHT).id == "a1"


def test_least_in_flight_takes_turns_among_equals() -> None:
    chosen = [preferred(busy(1, 5, 1), Strategy.LEAST_IN_FLIGHT, turn=turn).id for turn in range(4)]

    assert chosen == ["a0", "a2", "a0", "a2"]


def test_most_credits_asks_the_one_with_the_most_left() -> None:
    assert preferred(with_credits(5.0, 70.0, 20.0), Strategy.MOST_CREDITS).id == "a1"


def test_an_account_of_unknown_credits_comes_after_those_that_are_known() -> None:
    assert preferred(with_credits(None, 0.0), Strategy.MOST_CREDITS).id == "a1"


@pytest.mark.parametrize("left", [None, 7.0])
def test_of_accounts_with_equal_credits_the_configured_order_decides(left: float | None) -> None:
    assert preferred(with_credits(left, left), Strategy.MOST_CREDITS, turn=1).id == "a0"


@pytest.mark.parametrize("strategy", STICKY)
def test_a_conversation_stays_on_its_account_whatever_the_turn_and_the_load(
    strategy: Strategy,
) -> None:
    chosen = {
        preferred(busy(turn, 0, 9 - turn), strategy, key="conversation", turn=turn).id
        for turn in range(10)
    }

    assert len(chosen) == 1


@pytest.mark.parametrize("strategy", STICKY)
def test_conversations_spread_over_the_accounts(strategy: Strategy) -> None:
    shares = Counter(preferred(accounts(3), strategy, key=key).id for key in KEYS)

    assert len(shares) == 3
    assert min(shares.values()) > len(KEYS) / 3 * 0.7


def test_a_key_of_odd_characters_is_a_key_too() -> None:
    assert preferred(accounts(2), Strategy.ROUND_ROBIN, key="\ud800") in accounts(2)


@given(
    st.sampled_from(STICKY),
    st.integers(2, 8),
    st.sets(st.integers(0, 7)),
    st.lists(st.text(min_size=1), min_size=1, max_size=20),
)
def test_only_the_conversations_of_an_account_that_goes_out_move(
    strategy: Strategy, number: int, out: set[int], keys: list[str]
) -> None:
    everyone = accounts(number)
    left = [account for account in everyone if account.position not in out] or everyone[:1]
    for key in keys:
        before = preferred(everyone, strategy, key=key)

        after = preferred(left, strategy, key=key)

        assert after == before or before not in left


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("key", ["", "conversation"])
def test_an_account_at_its_soft_cap_comes_after_the_others(strategy: Strategy, key: str) -> None:
    for full in range(3):
        pool = accounts(3)
        pool[full] = changed(pool[full], in_flight=2, soft_cap=2, credits=1e9)
        chosen = {preferred(pool, strategy, key=key, turn=turn).position for turn in range(6)}

        assert full not in chosen


@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("key", ["", "conversation"])
def test_an_account_below_its_soft_cap_keeps_its_place(strategy: Strategy, key: str) -> None:
    chosen = [
        preferred(busy(1, 1, 1, soft_cap=cap), strategy, key=key, turn=1).id for cap in (0, 2)
    ]

    assert chosen[0] == chosen[1]


@pytest.mark.parametrize("strategy", Strategy)
def test_a_soft_cap_never_refuses(strategy: Strategy) -> None:
    assert preferred(busy(50, soft_cap=2), strategy).id == "a0"


@pytest.mark.parametrize("strategy", Strategy)
def test_accounts_above_their_caps_are_filled_evenly(strategy: Strategy) -> None:
    pool = busy(0, 0, 0, soft_cap=2)
    for turn in range(12):
        chosen = preferred(pool, strategy, key="conversation", turn=turn)
        pool[chosen.position] = changed(chosen, in_flight=chosen.in_flight + 1)

    assert [account.in_flight for account in pool] == [4, 4, 4]


def test_the_groups_take_their_turns_apart() -> None:
    turn = Turn()

    taken = [turn.take(group) for group in ("default", "pro", "default", "pro", "default")]

    assert taken == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("strategy", "key", "reason"),
    [
        (Strategy.SEQUENTIAL, "k", "in the configured order"),
        (Strategy.ROUND_ROBIN, "", "in turn"),
        (Strategy.ROUND_ROBIN, "k", "by the key of the conversation"),
        (Strategy.LEAST_IN_FLIGHT, "", "1 requests in flight"),
        (Strategy.LEAST_IN_FLIGHT, "k", "by the key of the conversation"),
        (Strategy.MOST_CREDITS, "k", "credits unknown"),
    ],
)
def test_a_person_is_told_what_gives_an_account_its_place(
    strategy: Strategy, key: str, reason: str
) -> None:
    assert reason_for(busy(1)[0], strategy, key=key) == reason


def test_a_person_is_told_how_many_credits_speak_for_an_account() -> None:
    assert reason_for(with_credits(12.5)[0], Strategy.MOST_CREDITS) == "12.5 credits"


def test_a_person_is_told_that_an_account_has_reached_its_soft_cap() -> None:
    reason = reason_for(busy(3, soft_cap=2)[0], Strategy.SEQUENTIAL)

    assert reason == "3 requests in flight, of 2 that are wanted"
