"""Tests of what a person is told about the choice of an account."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import FaultKind
from kiro2api.pool.account import Account, Condition, ModelRefusal, Standing
from kiro2api.pool.explain import Candidate, explain, next_step
from kiro2api.pool.selection import Availability, Chosen, Need, choose
from kiro2api.pool.strategy import Strategy

NOW = 1000.0
MODEL = "claude-sonnet-4.5"
NEED = Need("default", MODEL)
READY = Condition()
COOLING = Condition(Standing.COOLING, "too many requests", NOW - 5, NOW + 30)
SUSPENDED = Condition(Standing.SUSPENDED, "locked", NOW - 50)
RESTING = Condition(soft_strikes=2, soft_until=NOW + 5)
REFUSED = Condition(models={MODEL: ModelRefusal(NOW + 600, "unknown model", since=NOW - 1)})


def account(position: int, condition: Condition = READY, *, group: str = "default") -> Account:
    return Account(f"a{position}", f"account {position}", group, position, condition=condition)


def places(accounts: list[Account], need: Need = NEED) -> dict[str, int | None]:
    return {one.account_id: one.place for one in explain(accounts, need, now=NOW)}


def test_those_that_are_asked_come_first_and_in_their_order() -> None:
    told = places([account(0, COOLING), account(2), account(1), account(3, SUSPENDED)])

    assert list(told.items()) == [("a1", 1), ("a2", 2), ("a0", None), ("a3", None)]


def test_an_account_that_is_asked_is_told_what_speaks_for_it() -> None:
    assert explain([account(0)], NEED, now=NOW) == (
        Candidate("a0", 1, True, "in the configured order"),
    )


def test_an_account_that_is_out_is_told_why_since_when_until_when_and_what_next() -> None:
    assert explain([account(0, COOLING)], NEED, now=NOW) == (
        Candidate(
            "a0", None, False, "too many requests", NOW - 5, NOW + 30, "it returns by itself"
        ),
    )


def test_a_refused_model_keeps_an_account_out_of_that_model_alone() -> None:
    (refused,) = explain([account(0, REFUSED)], NEED, now=NOW)
    (other,) = explain([account(0, REFUSED)], Need("default", "other"), now=NOW)

    assert (refused.place, refused.since, refused.until) == (None, NOW - 1, NOW + 600)
    assert other.place == 1


def test_an_account_that_rests_softly_has_its_place_after_all_others() -> None:
    first, second = explain([account(0, RESTING), account(1)], NEED, now=NOW)

    assert (first.account_id, first.usable) == ("a1", True)
    assert (second.account_id, second.place, second.usable) == ("a0", 2, False)


def test_an_account_that_this_request_has_used_up_is_not_asked_again() -> None:
    need = Need("default", MODEL, tried=frozenset({"a0"}))

    (told,) = explain([account(0)], need, now=NOW)

    assert (told.place, told.reason) == (None, "asked already for this request")


def test_accounts_of_other_groups_are_not_told_of() -> None:
    assert places([account(0), account(1, group="pro")]) == {"a0": 1}


def test_the_key_of_the_conversation_gives_the_places() -> None:
    accounts = [account(place) for place in range(5)]
    orders = {
        tuple(places(accounts, Need("default", MODEL, key=key, strategy=Strategy.ROUND_ROBIN)))
        for key in ("one", "two", "three", "four")
    }

    assert len(orders) > 1


def test_a_usable_account_has_no_next_step() -> None:
    assert next_step(Availability(usable=True)) == ""


def test_a_disabled_account_waits_for_a_person() -> None:
    disabled = msgspec.structs.replace(account(0), enabled=False)

    (told,) = explain([disabled], NEED, now=NOW)

    assert (told.reason, told.next_step) == ("disabled by a person", "a person enables it")


@pytest.mark.parametrize("standing", [s for s in Standing if s is not Standing.READY])
def test_every_standing_has_a_next_step(standing: Standing) -> None:
    (told,) = explain([account(0, Condition(standing, "why"))], NEED, now=NOW)

    assert told.next_step


def test_a_model_outside_the_subscription_does_not_send_a_person_to_the_account() -> None:
    state = Availability(False, "no such model", NOW + 600, kind=FaultKind.NOT_ENTITLED)

    assert next_step(state) == "it is asked for this model again; its other models are served"


CONDITIONS = st.sampled_from([READY, COOLING, SUSPENDED, RESTING, REFUSED])


@given(
    st.lists(CONDITIONS, max_size=6),
    st.sampled_from(Strategy),
    st.sampled_from(["", "conversation"]),
    st.integers(0, 9),
)
def test_the_first_place_is_the_choice_and_every_account_is_told_of_once(
    conditions: list[Condition], strategy: Strategy, key: str, turn: int
) -> None:
    accounts = [account(place, condition) for place, condition in enumerate(conditions)]
    need = Need("default", MODEL, key=key, strategy=strategy, turn=turn)

    told = explain(accounts, need, now=NOW)

    choice = choose(accounts, need, now=NOW)
    first = choice.account.id if isinstance(choice, Chosen) else None
    assert next((one.account_id for one in told if one.place == 1), None) == first
    assert sorted(one.account_id for one in told) == [one.id for one in accounts]
