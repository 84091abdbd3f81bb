"""The accounts in memory."""

import msgspec
import pytest

from kiro2api.errors import FaultKind
from kiro2api.gateway.ports import GroupSettings, StoredAccount
from kiro2api.gateway.roster import (
    Entry,
    Roster,
    is_kept,
    listed_models,
    make_entry,
    refused_everywhere,
    shifted,
)
from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.pool.transitions import Fault
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.models import UpstreamModel
from kiro2api.protocol.codewhisperer.quota import Quota, write_quota
from tests.support.fakes import stored_account

ARN = "arn:aws:codewhisperer:us-east-1:111122223333:profile/ABCDEFGHIJKL"


def entry_of(stored: StoredAccount, *, offset_s: float = 0.0) -> Entry:
    return make_entry(stored, endpoints=Endpoints(), wall_to_monotonic_s=offset_s)


def test_entries_come_in_the_configured_order() -> None:
    roster = Roster(
        [entry_of(stored_account("b", position=1)), entry_of(stored_account("a", position=0))]
    )

    assert [entry.id for entry in roster.entries()] == ["a", "b"]


def test_the_default_group_exists_without_accounts() -> None:
    assert Roster([]).groups() == {"default"}


def test_accounts_of_one_group_are_not_offered_to_another() -> None:
    roster = Roster([entry_of(stored_account("a")), entry_of(stored_account("p", group="pro"))])

    assert [account.id for account in roster.accounts("pro")] == ["p"]


def test_a_kept_verdict_goes_on_after_a_restart_on_the_new_clock() -> None:
    drained = Condition(standing=Standing.DRAINED, reason="month", since=90.0, until=150.0)

    entry = entry_of(stored_account(condition=drained), offset_s=-50.0)

    assert (entry.account.condition.since, entry.account.condition.until) == (40.0, 100.0)


@pytest.mark.parametrize(
    "standing", [Standing.NEEDS_LOGIN, Standing.SUSPENDED, Standing.NOT_ENTITLED]
)
def test_a_verdict_that_only_a_person_ends_outlives_a_restart(standing: Standing) -> None:
    verdict = Condition(standing=standing, reason="why", since=7.0)

    entry = entry_of(stored_account(condition=verdict), offset_s=3.0)

    kept = entry.account.condition
    assert (kept.standing, kept.reason, kept.since, kept.until) == (standing, "why", 10.0, None)


def test_the_refusal_of_a_model_is_worth_a_row() -> None:
    roster = Roster([entry_of(stored_account())])
    fault = Fault(FaultKind.MODEL_UNAVAILABLE, model="m", reason="no")

    roster.record_fault(roster.entry("a"), fault, now=0.0, jitter=0.0)

    assert roster.changed == {"a"}


def test_the_way_that_worked_last_is_the_first_one_after_a_restart() -> None:
    first = entry_of(stored_account()).route.key
    entry = entry_of(stored_account(route="placeholder/rest"))

    assert (first, entry.route.key) == ("none/rest", "placeholder/rest")


def test_a_way_that_is_not_there_any_more_is_forgotten() -> None:
    assert entry_of(stored_account(route="own/rest")).route.key == "none/rest"


def test_a_profile_that_is_found_is_named_from_then_on() -> None:
    entry = entry_of(stored_account())

    entry.use_profile(ARN)

    assert (entry.route.profile_arn, entry.route.key) == (ARN, "own/rest")


def test_the_kept_quota_is_what_the_pool_chooses_by() -> None:
    quota = Quota(used=10.0, limit=50.0, remaining=40.0, resets_at=None)

    entry = entry_of(stored_account(quota=write_quota(quota), quota_fetched_at=5.0))

    assert (entry.account.credits, entry.quota_fetched_at) == (40.0, 5.0)


def test_the_cap_of_a_group_is_that_of_its_accounts_that_have_none() -> None:
    roster = Roster([entry_of(stored_account("a")), entry_of(stored_account("b", soft_cap=9))])
    roster.group_settings = {"default": GroupSettings(soft_cap=3)}

    assert [account.soft_cap for account in roster.accounts("default")] == [3, 9]


def test_an_account_that_leaves_the_pool_is_not_chosen_any_more() -> None:
    roster = Roster([entry_of(stored_account("a"))])

    roster.drop("a")

    assert (roster.accounts("default"), roster.find("a")) == ([], None)


def test_proof_that_a_verdict_is_over_puts_the_account_back() -> None:
    roster = Roster([entry_of(stored_account())])
    roster.record_login_refused(roster.entry("a"), "dead", now=0.0)
    roster.changed.clear()

    roster.record_recovery(roster.entry("a"), now=1.0)

    assert roster.entry("a").account.condition.standing is Standing.READY
    assert roster.changed == {"a"}


def test_a_pause_after_an_expired_cooldown_is_a_pause() -> None:
    roster = Roster([entry_of(stored_account())])
    expired = Condition(standing=Standing.COOLING, until=5.0)
    roster.entry("a").apply(expired)

    roster.record_pause(roster.entry("a"), "login away", now=10.0, for_s=1.0)

    assert roster.entry("a").account.condition.until == 11.0


def test_a_short_cooldown_is_not_worth_a_row() -> None:
    roster = Roster([entry_of(stored_account())])
    fault = Fault(FaultKind.RATE_LIMITED, retry_after_s=5.0)

    roster.record_fault(roster.entry("a"), fault, now=0.0, jitter=0.0)

    assert roster.changed == set()


def test_a_long_cooldown_is_marked_for_the_store() -> None:
    roster = Roster([entry_of(stored_account())])
    fault = Fault(FaultKind.RATE_LIMITED, retry_after_s=300.0)

    roster.record_fault(roster.entry("a"), fault, now=0.0, jitter=0.0)

    assert roster.changed == {"a"}


def test_the_end_of_a_kept_verdict_is_marked_for_the_store_too() -> None:
    roster = Roster([entry_of(stored_account())])
    roster.record_login_refused(roster.entry("a"), "dead", now=0.0)
    roster.changed.clear()

    roster.entry("a").apply(Condition())
    roster.record_success(roster.entry("a"), model="m", now=1.0)
    roster.record_fault(
        roster.entry("a"), Fault(FaultKind.SUSPENDED, reason="locked"), now=2.0, jitter=0.0
    )

    assert roster.changed == {"a"}


def test_a_pause_ends_by_itself_and_adds_no_strike() -> None:
    roster = Roster([entry_of(stored_account())])

    roster.record_pause(roster.entry("a"), "login away", now=10.0, for_s=1.0)

    condition = roster.entry("a").account.condition
    assert (condition.standing, condition.until, condition.strikes) == (Standing.COOLING, 11.0, 0)


def test_a_pause_does_not_replace_a_verdict() -> None:
    roster = Roster([entry_of(stored_account())])
    roster.record_login_refused(roster.entry("a"), "dead", now=0.0)

    roster.record_pause(roster.entry("a"), "login away", now=10.0, for_s=1.0)

    assert roster.entry("a").account.condition.standing is Standing.NEEDS_LOGIN


def test_a_verdict_without_an_end_is_kept() -> None:
    assert is_kept(Condition(standing=Standing.SUSPENDED), now=0.0)


def test_a_ready_account_has_nothing_to_keep() -> None:
    assert not is_kept(Condition(), now=0.0)


def test_times_move_together_when_a_condition_changes_clocks() -> None:
    condition = Condition(
        standing=Standing.COOLING,
        since=1.0,
        until=2.0,
        soft_until=3.0,
        models={"m": ModelRefusal(4.0, "no", FaultKind.MODEL_UNAVAILABLE, since=5.0)},
    )

    moved = shifted(condition, 10.0)

    refusal = moved.models["m"]
    times = (moved.since, moved.until, moved.soft_until, refusal.until, refusal.since)
    assert times == (11.0, 12.0, 13.0, 14.0, 15.0)


def test_the_models_of_a_group_are_those_of_all_its_accounts() -> None:
    entries = [entry_of(stored_account("a")), entry_of(stored_account("b"))]
    entries[0].models = (UpstreamModel("x", "X"),)
    entries[1].models = (UpstreamModel("x", "X"), UpstreamModel("y", "Y"))

    assert set(listed_models(entries, "default")) == {"x", "y"}


def test_a_disabled_account_lists_no_models() -> None:
    entry = entry_of(stored_account("a", enabled=False))
    entry.models = (UpstreamModel("x", "X"),)

    assert listed_models([entry], "default") == {}


def test_a_model_is_refused_everywhere_only_when_every_account_has_said_so() -> None:
    refusing, other = entry_of(stored_account("a")), entry_of(stored_account("b"))
    refusal = ModelRefusal(100.0, "no", FaultKind.MODEL_UNAVAILABLE)
    refusing.apply(Condition(models={"m": refusal}))

    one = refused_everywhere([refusing, other], "default", "m", now=0.0)
    other.apply(msgspec.structs.replace(Condition(), models={"m": refusal}))
    both = refused_everywhere([refusing, other], "default", "m", now=0.0)

    assert (one, both) == (False, True)


def test_a_group_without_accounts_refuses_nothing() -> None:
    assert not refused_everywhere([], "default", "m", now=0.0)


def test_requests_in_flight_are_counted() -> None:
    entry = entry_of(stored_account())

    entry.hold(+1)
    entry.hold(+1)
    entry.hold(-1)

    assert entry.account.in_flight == 1


def test_a_known_list_of_models_is_told_from_an_unknown_one() -> None:
    entry = entry_of(stored_account())
    unknown = entry.listed
    entry.models = ()

    assert (unknown, entry.listed) == (None, frozenset())
