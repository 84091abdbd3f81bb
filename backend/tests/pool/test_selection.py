"""Tests of the choice of an account."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import FaultKind
from kiro2api.pool.account import Account, Condition, ModelRefusal, Standing
from kiro2api.pool.selection import (
    Availability,
    Chosen,
    Need,
    NoneLeft,
    Wait,
    availability,
    choose,
    in_force,
)
from kiro2api.pool.strategy import Strategy

NOW = 1000.0
MODEL = "claude-sonnet-4.5"
NEED = Need("default", MODEL)
READY = Condition()
COOLING = Condition(standing=Standing.COOLING, reason="too many requests", until=NOW + 30)
DRAINED = Condition(standing=Standing.DRAINED, reason="month used up", until=NOW + 900)
SUSPENDED = Condition(standing=Standing.SUSPENDED, reason="suspended by the upstream")
RESTING = Condition(soft_strikes=2, soft_until=NOW + 5)
REFUSED = Condition(models={MODEL: ModelRefusal(NOW + 600, "unknown model")})


def account(position: int, condition: Condition = READY, *, group: str = "default") -> Account:
    return Account(f"a{position}", f"account {position}", group, position, condition=condition)


def chosen_id(accounts: list[Account], need: Need = NEED, now: float = NOW) -> str:
    choice = choose(accounts, need, now=now)
    assert isinstance(choice, Chosen), choice
    return choice.account.id


def test_healthy_accounts_are_used_in_configured_order() -> None:
    assert chosen_id([account(2), account(0), account(1)]) == "a0"


def test_a_tried_account_is_skipped() -> None:
    need = Need("default", MODEL, tried=frozenset({"a0"}))

    assert chosen_id([account(0), account(1)], need) == "a1"


@pytest.mark.parametrize("condition", [COOLING, DRAINED, SUSPENDED, RESTING, REFUSED])
def test_an_account_that_is_out_is_skipped(condition: Condition) -> None:
    assert chosen_id([account(0, condition), account(1)]) == "a1"


def test_a_disabled_account_is_never_chosen() -> None:
    disabled = msgspec.structs.replace(account(0), enabled=False)

    assert chosen_id([disabled, account(1)]) == "a1"
    assert choose([disabled], NEED, now=NOW) == NoneLeft(
        "no account of group 'default' is left to try", None, 1
    )


@pytest.mark.parametrize("condition", [COOLING, DRAINED, RESTING, REFUSED])
def test_an_account_whose_time_has_come_is_used_again(condition: Condition) -> None:
    assert chosen_id([account(0, condition), account(1)], now=NOW + 901) == "a0"


def test_an_account_of_another_group_is_never_used() -> None:
    assert choose([account(0, group="pro")], NEED, now=NOW) == NoneLeft(
        "no account is configured in group 'default'", None, 0
    )


def test_a_model_refused_by_an_account_leaves_its_other_models() -> None:
    assert chosen_id([account(0, REFUSED)], Need("default", "claude-haiku-4.5")) == "a0"


def test_with_all_accounts_out_the_soonest_return_is_told() -> None:
    choice = choose([account(0, DRAINED), account(1, COOLING)], NEED, now=NOW)

    assert choice == Wait(NOW + 30, "too many requests")


def test_an_account_that_returns_is_waited_for_though_another_is_suspended() -> None:
    choice = choose([account(0, SUSPENDED), account(1, DRAINED)], NEED, now=NOW)

    assert choice == Wait(NOW + 900, "month used up")


def test_the_return_of_an_account_that_this_request_tried_counts() -> None:
    need = Need("default", MODEL, tried=frozenset({"a0"}))

    choice = choose([account(0, COOLING), account(1, DRAINED)], need, now=NOW)

    assert choice == Wait(NOW + 30, "too many requests")


def test_a_model_that_every_account_refuses_is_not_waited_for() -> None:
    choice = choose([account(0, REFUSED), account(1, SUSPENDED)], NEED, now=NOW)

    assert choice == NoneLeft("unknown model", FaultKind.MODEL_UNAVAILABLE, 2)


@pytest.mark.parametrize(
    ("standing", "kind"),
    [
        (Standing.SUSPENDED, FaultKind.SUSPENDED),
        (Standing.NEEDS_LOGIN, FaultKind.TOKEN_REJECTED),
        (Standing.NOT_ENTITLED, FaultKind.NOT_ENTITLED),
    ],
)
def test_an_account_that_never_returns_by_itself_tells_why(
    standing: Standing, kind: FaultKind
) -> None:
    choice = choose([account(0, Condition(standing=standing, reason="why"))], NEED, now=NOW)

    assert choice == NoneLeft("why", kind, 1)


def test_when_all_were_tried_and_none_rests_no_kind_is_told() -> None:
    need = Need("default", MODEL, tried=frozenset({"a0", "a1"}))

    choice = choose([account(0), account(1)], need, now=NOW)

    assert choice == NoneLeft("no account of group 'default' is left to try", None, 2)


def test_the_last_account_that_rests_softly_makes_a_trial() -> None:
    choice = choose([account(0, COOLING), account(1, RESTING)], NEED, now=NOW)

    assert choice == Chosen(account(1, RESTING), trial=True)


def test_of_several_that_rest_softly_the_soonest_makes_the_trial() -> None:
    sooner = Condition(soft_strikes=2, soft_until=NOW + 1)

    choice = choose([account(0, RESTING), account(1, sooner)], NEED, now=NOW)

    assert choice == Chosen(account(1, sooner), trial=True)


def test_a_second_trial_of_one_account_waits() -> None:
    need = Need("default", MODEL, trials_under_way=frozenset({"a0"}))

    choice = choose([account(0, RESTING)], need, now=NOW)

    assert isinstance(choice, Wait)
    assert choice.until == NOW + 5


def test_a_tried_account_that_rests_softly_makes_no_second_trial() -> None:
    need = Need("default", MODEL, tried=frozenset({"a0"}))

    assert isinstance(choose([account(0, RESTING)], need, now=NOW), NoneLeft)


def test_an_account_without_marks_is_usable() -> None:
    assert availability(account(0), model=MODEL, now=NOW) == Availability(usable=True)


def test_a_standing_without_a_reason_is_its_own_reason() -> None:
    state = availability(
        account(0, Condition(standing=Standing.COOLING, since=NOW - 9, until=NOW + 1)),
        model="",
        now=NOW,
    )

    assert state == Availability(
        False, "cooling", NOW + 1, kind=FaultKind.RATE_LIMITED, since=NOW - 9
    )


def test_a_soft_rest_is_told_apart_from_a_hard_one() -> None:
    state = availability(account(0, RESTING), model="", now=NOW)

    assert (state.usable, state.soft, state.until) == (False, True, NOW + 5)


def test_a_refused_model_does_not_count_when_no_model_is_asked_for() -> None:
    assert availability(account(0, REFUSED), model="", now=NOW).usable


@pytest.mark.parametrize(("condition", "seconds"), [(REFUSED, 600), (RESTING, 5), (COOLING, 30)])
def test_an_account_is_usable_from_the_moment_that_was_told(
    condition: Condition, seconds: float
) -> None:
    before = availability(account(0, condition), model=MODEL, now=NOW + seconds - 0.5)
    at_once = availability(account(0, condition), model=MODEL, now=NOW + seconds)

    assert (before.usable, at_once.usable) == (False, True)


def test_a_standing_ends_at_its_time() -> None:
    assert in_force(COOLING, now=NOW + 29)
    assert not in_force(COOLING, now=NOW + 30)
    assert in_force(SUSPENDED, now=NOW + 1e9)
    assert not in_force(Condition(until=NOW + 5), now=NOW)


def test_round_robin_takes_turns_among_those_that_can_serve() -> None:
    accounts = [account(0), account(1, COOLING), account(2)]

    chosen = [
        chosen_id(accounts, Need("default", MODEL, strategy=Strategy.ROUND_ROBIN, turn=turn))
        for turn in range(4)
    ]

    assert chosen == ["a0", "a2", "a0", "a2"]


def test_a_conversation_comes_back_to_its_account_when_that_is_back() -> None:
    need = Need("default", MODEL, key="conversation", strategy=Strategy.LEAST_IN_FLIGHT)
    places = range(4)
    home = int(chosen_id([account(place) for place in places], need)[1:])
    pool = [account(place, COOLING if place == home else READY) for place in places]

    meanwhile = chosen_id(pool, need)
    afterwards = chosen_id(pool, need, now=NOW + 30)

    assert meanwhile != f"a{home}"
    assert afterwards == f"a{home}"


@pytest.mark.parametrize("strategy", Strategy)
def test_no_strategy_prefers_an_account_that_is_out(strategy: Strategy) -> None:
    rich = msgspec.structs.replace(account(0, COOLING), credits=100.0)

    assert chosen_id([rich, account(1)], Need("default", MODEL, strategy=strategy)) == "a1"


CONDITIONS = st.sampled_from([Condition(), COOLING, DRAINED, SUSPENDED, RESTING, REFUSED])


@given(
    st.lists(CONDITIONS, min_size=1, max_size=6),
    st.sets(st.integers(0, 5)),
    st.sampled_from(Strategy),
    st.sampled_from(["", "conversation"]),
    st.integers(0, 9),
)
def test_a_choice_agrees_with_the_one_predicate(
    conditions: list[Condition], tried: set[int], strategy: Strategy, key: str, turn: int
) -> None:
    accounts = [account(place, condition) for place, condition in enumerate(conditions)]
    need = Need(
        "default",
        MODEL,
        tried=frozenset(f"a{place}" for place in tried),
        key=key,
        strategy=strategy,
        turn=turn,
    )
    states = {
        a.id: availability(a, model=MODEL, now=NOW) for a in accounts if a.id not in need.tried
    }

    choice = choose(accounts, need, now=NOW)

    usable = [name for name, state in states.items() if state.usable]
    soft = [name for name, state in states.items() if state.soft]
    if isinstance(choice, Chosen):
        assert choice.account.id in (usable or soft)
        assert choice.trial is not bool(usable)
    else:
        assert not usable
        assert not soft
