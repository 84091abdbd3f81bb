"""Tests of the moves of an account's condition."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import FaultKind
from kiro2api.pool.account import Account, Condition, ModelRefusal, Standing
from kiro2api.pool.selection import Chosen, Need, availability, choose, in_force
from kiro2api.pool.transitions import (
    Fault,
    after_fault,
    after_login_refused,
    after_recovery,
    after_success,
)

NOW = 1000.0
MODEL = "claude-sonnet-4.5"
READY = Condition()


def moved(kind: FaultKind, *, condition: Condition = READY, now: float = NOW) -> Condition:
    return after_fault(condition, Fault(kind, model=MODEL, reason="why"), now=now)


# The whole table: what the first fault of each kind makes of a healthy account.
TABLE = {
    FaultKind.RATE_LIMITED: Condition(Standing.COOLING, "why", NOW, NOW + 30, strikes=1),
    FaultKind.MODEL_CAPACITY: READY,
    FaultKind.OUT_OF_QUOTA: Condition(Standing.DRAINED, "why", NOW, NOW + 3600),
    FaultKind.TOKEN_REJECTED: Condition(Standing.COOLING, "why", NOW, NOW + 60, strikes=1),
    FaultKind.PROFILE_REQUIRED: READY,
    FaultKind.WRONG_ENDPOINT: READY,
    FaultKind.SUSPENDED: Condition(Standing.SUSPENDED, "why", NOW, None),
    FaultKind.NOT_ENTITLED: Condition(Standing.NOT_ENTITLED, "why", NOW, None),
    FaultKind.MODEL_UNAVAILABLE: Condition(
        models={MODEL: ModelRefusal(NOW + 600, "why", since=NOW)}
    ),
    FaultKind.OVERLOADED: Condition(soft_strikes=1),
    FaultKind.NETWORK: Condition(soft_strikes=1),
    FaultKind.CONTEXT_TOO_LONG: READY,
    FaultKind.BAD_REQUEST: READY,
    FaultKind.CONVERSATION_LIMIT: READY,
    FaultKind.SIGNATURE_INVALID: READY,
    FaultKind.BROKEN_STREAM: Condition(soft_strikes=1),
    FaultKind.UNKNOWN: READY,
}


@pytest.mark.parametrize("kind", FaultKind)
def test_each_fault_moves_a_healthy_account_as_the_table_says(kind: FaultKind) -> None:
    assert moved(kind) == TABLE[kind]


@pytest.mark.parametrize("kind", [kind for kind, after in TABLE.items() if after is READY])
def test_a_fault_that_is_not_the_accounts_returns_the_same_object(kind: FaultKind) -> None:
    assert moved(kind) is READY


def test_a_fault_without_a_reason_is_named_by_its_kind() -> None:
    after = after_fault(READY, Fault(FaultKind.SUSPENDED), now=NOW)

    assert after.reason == "suspended"


def test_the_hint_of_a_rate_limit_is_honoured() -> None:
    after = after_fault(READY, Fault(FaultKind.RATE_LIMITED, retry_after_s=300.0), now=NOW)

    assert after.until == NOW + 300


def test_rate_limits_in_a_row_double_the_rest() -> None:
    condition, rests = READY, []
    now = NOW
    for _ in range(3):
        condition = moved(FaultKind.RATE_LIMITED, condition=condition, now=now)
        assert condition.until is not None
        rests.append(condition.until - now)
        now = condition.until

    assert rests == [30, 60, 120]


def test_refusals_within_one_rest_count_as_one() -> None:
    once = moved(FaultKind.RATE_LIMITED)

    twice = moved(FaultKind.RATE_LIMITED, condition=once, now=NOW + 1)

    assert twice.strikes == 1
    assert twice.until == NOW + 31


def test_a_longer_rest_is_not_shortened_by_a_shorter_hint() -> None:
    long = after_fault(READY, Fault(FaultKind.RATE_LIMITED, retry_after_s=300.0), now=NOW)

    after = after_fault(long, Fault(FaultKind.RATE_LIMITED, retry_after_s=5.0), now=NOW + 1)

    assert after == long


def test_a_longer_rest_brings_its_own_reason() -> None:
    short = after_fault(READY, Fault(FaultKind.RATE_LIMITED, reason="a"), now=NOW)

    after = after_fault(
        short, Fault(FaultKind.RATE_LIMITED, reason="b", retry_after_s=500.0), now=NOW
    )

    assert (after.reason, after.until, after.since) == ("b", NOW + 500, NOW)


def test_jitter_spreads_the_return_of_accounts() -> None:
    after = after_fault(READY, Fault(FaultKind.RATE_LIMITED), now=NOW, jitter=1.0)

    assert after.until == pytest.approx(NOW + 33)


def test_a_drained_account_returns_at_the_reset() -> None:
    fault = Fault(FaultKind.OUT_OF_QUOTA, retry_after_s=90.0, resets_at=NOW + 86_400)

    assert after_fault(READY, fault, now=NOW).until == NOW + 86_400


def test_a_drained_account_without_a_reset_date_follows_the_hint() -> None:
    fault = Fault(FaultKind.OUT_OF_QUOTA, retry_after_s=900.0)

    assert after_fault(READY, fault, now=NOW).until == NOW + 900


def test_a_reset_that_is_past_still_rests_for_a_minute() -> None:
    fault = Fault(FaultKind.OUT_OF_QUOTA, resets_at=NOW - 5)

    assert after_fault(READY, fault, now=NOW).until == NOW + 60


def test_a_drained_account_stays_drained_through_a_longer_rate_limit() -> None:
    drained = after_fault(READY, Fault(FaultKind.OUT_OF_QUOTA, resets_at=NOW + 100), now=NOW)

    after = after_fault(drained, Fault(FaultKind.RATE_LIMITED, retry_after_s=500.0), now=NOW)

    assert after.standing is Standing.DRAINED
    assert after.until == NOW + 500


def test_a_cooling_account_that_is_drained_keeps_the_later_return() -> None:
    cooling = after_fault(READY, Fault(FaultKind.RATE_LIMITED, retry_after_s=500.0), now=NOW)

    after = after_fault(cooling, Fault(FaultKind.OUT_OF_QUOTA, resets_at=NOW + 100), now=NOW + 1)

    assert (after.standing, after.until, after.since) == (Standing.DRAINED, NOW + 500, NOW + 1)


@pytest.mark.parametrize("kind", [FaultKind.RATE_LIMITED, FaultKind.OUT_OF_QUOTA])
def test_a_suspended_account_is_not_made_to_return(kind: FaultKind) -> None:
    suspended = moved(FaultKind.SUSPENDED)

    after = moved(kind, condition=suspended, now=NOW + 1)

    assert after.standing is Standing.SUSPENDED
    assert after.until is None
    assert after.reason == suspended.reason


def test_a_suspension_overrides_a_rest() -> None:
    after = moved(FaultKind.SUSPENDED, condition=moved(FaultKind.RATE_LIMITED))

    assert (after.standing, after.until) == (Standing.SUSPENDED, None)


def test_a_standing_whose_time_has_come_gives_way() -> None:
    drained = after_fault(READY, Fault(FaultKind.OUT_OF_QUOTA, resets_at=NOW + 100), now=NOW)

    after = moved(FaultKind.RATE_LIMITED, condition=drained, now=NOW + 100)

    assert (after.standing, after.until) == (Standing.COOLING, NOW + 130)


def test_a_refused_refresh_asks_for_a_login() -> None:
    after = after_login_refused(READY, "invalid_grant", now=NOW)

    assert after == Condition(Standing.NEEDS_LOGIN, "invalid_grant", NOW, None)


def test_an_entitlement_refused_for_a_model_leaves_the_account() -> None:
    fault = Fault(FaultKind.NOT_ENTITLED, model=MODEL, reason="not authorized for this Model")

    after = after_fault(READY, fault, now=NOW)

    assert after.standing is Standing.READY
    assert after.models[MODEL].kind is FaultKind.NOT_ENTITLED


def test_a_refusal_of_a_model_without_its_name_says_nothing() -> None:
    assert after_fault(READY, Fault(FaultKind.MODEL_UNAVAILABLE), now=NOW) is READY


def test_a_model_that_is_refused_again_is_refused_since_the_first_time() -> None:
    once = moved(FaultKind.MODEL_UNAVAILABLE)

    twice = moved(FaultKind.MODEL_UNAVAILABLE, condition=once, now=NOW + 5)

    assert twice.models[MODEL] == ModelRefusal(NOW + 605, "why", since=NOW)


def test_refused_models_are_forgotten_when_their_time_has_come() -> None:
    old = moved(FaultKind.MODEL_UNAVAILABLE)

    after = after_fault(old, Fault(FaultKind.MODEL_UNAVAILABLE, model="other"), now=NOW + 600)

    assert set(after.models) == {"other"}


def test_the_memory_of_refused_models_is_bounded() -> None:
    condition = READY
    for number in range(150):
        fault = Fault(FaultKind.MODEL_UNAVAILABLE, model=f"m{number}")
        condition = after_fault(condition, fault, now=NOW + number)

    assert len(condition.models) == 100
    assert "m149" in condition.models


@pytest.mark.parametrize("kind", [FaultKind.OVERLOADED, FaultKind.NETWORK, FaultKind.BROKEN_STREAM])
def test_soft_faults_rest_an_account_from_the_second_in_a_row(kind: FaultKind) -> None:
    first = moved(kind)
    second = moved(kind, condition=first)
    third = moved(kind, condition=second, now=NOW + 5)

    assert first.soft_until == 0.0
    assert second.soft_until == NOW + 5
    assert third.soft_until == NOW + 5 + 10
    assert third.standing is Standing.READY


def test_many_soft_faults_of_one_moment_rest_an_account_no_longer_than_two() -> None:
    two = moved(FaultKind.NETWORK, condition=moved(FaultKind.NETWORK))

    assert moved(FaultKind.BROKEN_STREAM, condition=two, now=NOW + 1) is two


def test_a_success_forgives_strikes_and_the_models_refusal() -> None:
    condition = Condition(
        strikes=3,
        soft_strikes=4,
        soft_until=NOW + 40,
        models={MODEL: ModelRefusal(NOW + 9, "a"), "other": ModelRefusal(NOW + 9, "b")},
    )

    after = after_success(condition, model=MODEL, now=NOW)

    assert after == Condition(models={"other": ModelRefusal(NOW + 9, "b")})


def test_a_success_after_the_rest_makes_the_account_ready() -> None:
    cooled = moved(FaultKind.RATE_LIMITED)

    assert after_success(cooled, model=MODEL, now=NOW + 30) == READY


def test_a_success_begun_before_the_rest_does_not_shorten_it() -> None:
    cooled = moved(FaultKind.RATE_LIMITED)

    assert after_success(cooled, model=MODEL, now=NOW + 1) is cooled


def test_a_success_of_a_healthy_account_returns_the_same_object() -> None:
    assert after_success(READY, model=MODEL, now=NOW) is READY


def test_a_recovery_ends_any_standing_and_keeps_refused_models() -> None:
    refused = moved(FaultKind.MODEL_UNAVAILABLE)
    suspended = moved(FaultKind.SUSPENDED, condition=refused)

    after = after_recovery(suspended, now=NOW + 5)

    assert after == Condition(since=NOW + 5, models=refused.models)


SOFT = (FaultKind.OVERLOADED, FaultKind.NETWORK, FaultKind.BROKEN_STREAM)
FAULTS = st.builds(
    Fault,
    st.sampled_from(FaultKind),
    model=st.sampled_from([MODEL, "other"]),
    reason=st.sampled_from(["", "this model"]),
    retry_after_s=st.none() | st.floats(0, 1e5),
    resets_at=st.none() | st.floats(0, 1e6),
)
# A run: seconds that pass, then a fault or (None) a success.
RUNS = st.lists(st.tuples(st.floats(0, 500), st.none() | FAULTS), max_size=30)


@given(RUNS)
def test_whatever_happens_a_rest_is_never_shortened(run: list[tuple[float, Fault | None]]) -> None:
    condition, now = READY, NOW
    for seconds, fault in run:
        now += seconds
        before = condition
        if fault is None:
            condition = after_success(condition, model=MODEL, now=now)
        else:
            condition = after_fault(condition, fault, now=now)
        if in_force(before, now=now):
            assert in_force(condition, now=now)
            assert condition.until is None or (
                before.until is not None and condition.until >= before.until
            )


@given(RUNS)
def test_whatever_happens_to_others_a_healthy_account_serves(
    run: list[tuple[float, Fault | None]],
) -> None:
    failing, now = Account("a", "a", "default", 0), NOW
    healthy = Account("b", "b", "default", 1)
    for seconds, fault in run:
        now += seconds
        choice = choose([failing, healthy], Need("default", MODEL), now=now)
        assert isinstance(choice, Chosen)
        assert not choice.trial
        if choice.account.id == "a":
            assert availability(failing, model=MODEL, now=now).usable
            condition = (
                after_fault(failing.condition, fault, now=now)
                if fault
                else after_success(failing.condition, model=MODEL, now=now)
            )
            failing = msgspec.structs.replace(failing, condition=condition)


@given(st.lists(st.tuples(st.floats(0, 20), st.sampled_from(SOFT)), max_size=40))
def test_soft_faults_never_remove_the_last_account(run: list[tuple[float, FaultKind]]) -> None:
    account, now = Account("a", "a", "default", 0), NOW
    for seconds, kind in run:
        now += seconds
        assert isinstance(choose([account], Need("default", MODEL), now=now), Chosen)
        condition = after_fault(account.condition, Fault(kind), now=now)
        account = msgspec.structs.replace(account, condition=condition)
