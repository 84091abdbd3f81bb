"""Who would serve, from what the store knows."""

import msgspec
import pytest

from kiro2api.gateway.explain import ExplainedAccount, Explanation, Question, explain_choice
from kiro2api.gateway.ports import GroupSettings, StoredAccount
from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.pool.strategy import Strategy
from kiro2api.protocol.codewhisperer.models import ModelMap, UpstreamModel, write_models
from kiro2api.protocol.codewhisperer.quota import Quota, write_quota
from tests.support.fakes import FakeClock, stored_account

NOW = FakeClock().wall()
MODEL = "claude-sonnet-4-20250514"
PINNED = "CLAUDE_SONNET_4_20250514_V1_0"
SUSPENDED = Condition(Standing.SUSPENDED, "locked", NOW - 60)


def explained(
    *stored: StoredAccount,
    group: str = "default",
    model: str = MODEL,
    key: str = "",
    settings: GroupSettings | None = None,
) -> Explanation:
    return explain_choice(
        stored,
        {} if settings is None else {group: settings},
        Question(group=group, model=model, key=key),
        models=ModelMap(),
        now=NOW,
    )


def order(explanation: Explanation) -> list[str]:
    return [one.id for one in explanation.accounts if one.place is not None]


def with_credits(name: str, left: float, **changes: object) -> StoredAccount:
    quota = Quota(used=0.0, limit=left, remaining=left, resets_at=None)
    return stored_account(name, quota=write_quota(quota), **changes)


def with_models(name: str, *ids: str) -> StoredAccount:
    return stored_account(name, models=write_models([UpstreamModel(one, one) for one in ids]))


def test_the_first_of_the_configured_order_serves() -> None:
    told = explained(stored_account("b", position=1), stored_account("a", position=0))

    assert told == Explanation(
        group="default",
        strategy="sequential",
        model=MODEL,
        key="",
        accounts=tuple(
            ExplainedAccount(
                id=name,
                name=name,
                place=place,
                usable=True,
                reason="in the configured order",
                since=None,
                until=None,
                next_step="",
                model=PINNED,
            )
            for place, name in [(1, "a"), (2, "b")]
        ),
    )


def test_a_kept_verdict_keeps_an_account_out_and_is_told_in_wall_time() -> None:
    (told,) = explained(stored_account(condition=SUSPENDED)).accounts

    assert (told.place, told.reason, told.since, told.until) == (None, "locked", NOW - 60, None)
    assert told.next_step


def test_a_verdict_whose_time_has_come_keeps_nobody_out() -> None:
    over = Condition(Standing.COOLING, "too many requests", NOW - 60, NOW)

    assert order(explained(stored_account(condition=over))) == ["a"]


def test_a_refused_model_is_told_since_when() -> None:
    refused = Condition(models={MODEL: ModelRefusal(NOW + 9, "unknown model", since=NOW - 5)})

    (told,) = explained(stored_account(condition=refused)).accounts

    assert (told.place, told.reason, told.since) == (None, "unknown model", NOW - 5)


def test_an_account_whose_list_lacks_the_model_is_not_asked() -> None:
    told = explained(
        with_models("a", "claude-haiku-4.5"),
        with_models("b", "claude-opus-4.6"),
        model="claude-opus-4.6",
    )

    assert order(told) == ["b"]
    assert "The model 'claude-opus-4.6' is not available" in told.accounts[1].reason
    assert (told.accounts[0].model, told.accounts[1].model) == ("claude-opus-4.6", "")


def test_a_verdict_is_told_rather_than_that_the_list_lacks_the_model() -> None:
    stored = msgspec.structs.replace(with_models("a", "auto"), condition=SUSPENDED)

    (told,) = explained(stored, model="claude-opus-4.6").accounts

    assert told.reason == "locked"


def test_without_a_model_no_list_is_looked_at() -> None:
    told = explained(with_models("a", "claude-haiku-4.5"), model="")

    assert [(one.place, one.model) for one in told.accounts] == [(1, "")]


def test_a_group_goes_by_its_own_strategy_and_the_credits_that_are_known() -> None:
    told = explained(
        stored_account("unknown"),
        with_credits("poor", 3.0),
        with_credits("rich", 30.0),
        settings=GroupSettings(strategy=Strategy.MOST_CREDITS.value),
    )

    assert order(told) == ["rich", "poor", "unknown"]
    assert (told.strategy, told.accounts[0].reason) == ("most_credits", "30 credits")


def test_the_key_of_the_conversation_decides_where_the_group_sticks_to_it() -> None:
    stored = [stored_account(name) for name in "abcde"]
    settings = GroupSettings(strategy=Strategy.ROUND_ROBIN.value)

    firsts = {
        order(explained(*stored, key=f"conversation {number}", settings=settings))[0]
        for number in range(40)
    }

    assert firsts == set("abcde")


@pytest.mark.parametrize("removed", ["", "removed from configuration"])
def test_accounts_of_other_groups_and_removed_ones_are_not_told_of(removed: str) -> None:
    stored = stored_account(removed=removed, group="default" if removed else "pro")

    assert explained(stored).accounts == ()


def test_a_person_s_mark_keeps_an_account_out() -> None:
    told = explained(stored_account(enabled=False))

    assert not told.serves
    assert told.accounts[0].reason == "disabled by a person"


def test_a_secret_in_a_reason_stays_secret() -> None:
    leaky = Condition(Standing.SUSPENDED, "account of jane@example.com is locked", NOW)

    (told,) = explained(stored_account(condition=leaky)).accounts

    assert "jane@example.com" not in told.reason
