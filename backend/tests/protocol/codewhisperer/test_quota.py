"""Quota: the arithmetic of credits, trial, bonuses and overage, and what stays unknown."""

import json
from typing import Any

import pytest

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.codewhisperer.quota import (
    Quota,
    read_usage,
    restore_quota,
    write_quota,
)

NOW = 1_764_000_000.0
RESET = 1_764_547_200
PLAN: dict[str, Any] = {
    "resourceType": "CREDIT",
    "currentUsage": 12,
    "currentUsageWithPrecision": 12.25,
    "usageLimit": 50,
    "usageLimitWithPrecision": 50.0,
    "currentOverages": 0,
    "overageCap": 10_000,
    "nextDateReset": RESET,
}
TRIAL = {
    "freeTrialStatus": "ACTIVE",
    "freeTrialExpiry": RESET,
    "currentUsage": 100,
    "usageLimit": 500,
}
BONUS = {"status": "ACTIVE", "expiresAt": RESET, "currentUsage": 5, "usageLimit": 30}
ANSWER = {
    "nextDateReset": RESET,
    "limits": [],
    "subscriptionInfo": {"type": "Q_DEVELOPER_STANDALONE_FREE", "subscriptionTitle": "KIRO FREE"},
    "overageConfiguration": {"overageStatus": "DISABLED"},
    "userInfo": {"userId": "d-0000000000.user-1", "email": "user@example.com"},
}


def usage(*entries: dict[str, Any], **members: object) -> Quota:
    body = ANSWER | {"usageBreakdownList": list(entries)} | members
    return read_usage(json.dumps(body).encode(), now=NOW)


def test_a_whole_answer_is_read() -> None:
    assert usage(PLAN) == Quota(
        used=12.25,
        limit=50.0,
        remaining=37.75,
        resets_at=RESET,
        plan="KIRO FREE",
        user_id="d-0000000000.user-1",
        email="user@example.com",
    )


def test_numbers_without_a_fraction_serve_where_there_are_no_others() -> None:
    plain = {name: value for name, value in PLAN.items() if "Precision" not in name}

    assert usage(plain).remaining == 38.0


def test_only_credits_count_and_every_entry_of_them() -> None:
    quota = usage(PLAN, PLAN | {"currentUsageWithPrecision": 50.0}, PLAN | {"resourceType": "VIBE"})

    assert (quota.used, quota.limit, quota.remaining) == (62.25, 100.0, 37.75)


def test_what_is_overspent_takes_nothing_from_the_rest() -> None:
    quota = usage(PLAN | {"currentUsageWithPrecision": 80.0, "freeTrialInfo": TRIAL})

    assert quota.remaining == 400.0


def test_an_active_trial_adds_what_is_left_of_it() -> None:
    quota = usage(PLAN | {"freeTrialInfo": TRIAL})

    assert (quota.trial_remaining, quota.remaining) == (400.0, 437.75)


@pytest.mark.parametrize(
    "change",
    [
        {"freeTrialStatus": "EXPIRED"},
        {"freeTrialStatus": None},
        {"freeTrialExpiry": NOW - 1},
        {"freeTrialExpiry": NOW},
        {"usageLimit": None},
        {"currentUsage": 500},
    ],
)
def test_a_trial_that_is_over_or_unknown_adds_nothing(change: dict[str, object]) -> None:
    quota = usage(PLAN | {"freeTrialInfo": TRIAL | change})

    assert (quota.trial_remaining, quota.remaining) == (0.0, 37.75)


def test_a_trial_without_an_end_is_in_force() -> None:
    assert usage(PLAN | {"freeTrialInfo": TRIAL | {"freeTrialExpiry": None}}).remaining == 437.75


def test_active_bonuses_add_what_is_left_of_them() -> None:
    gone = [BONUS | {"status": "EXHAUSTED"}, BONUS | {"expiresAt": NOW - 1}]
    quota = usage(PLAN | {"bonuses": [BONUS, *gone, BONUS]})

    assert (quota.bonus_remaining, quota.remaining) == (50.0, 87.75)


@pytest.mark.parametrize(
    ("change", "beyond"),
    [
        ({}, 10_000.0),
        ({"currentOverages": 2_500, "currentOveragesWithPrecision": 2_500.5}, 7_499.5),
        ({"currentOverages": None}, 10_000.0),
        ({"currentOverages": 20_000}, 0.0),
        ({"overageCap": None}, 0.0),
    ],
)
def test_overage_that_is_on_adds_what_its_cap_leaves(
    change: dict[str, object], beyond: float
) -> None:
    quota = usage(PLAN | change, overageConfiguration={"overageStatus": "ENABLED"})

    assert (quota.overage, quota.overage_remaining) == (True, beyond)
    assert quota.remaining == 37.75 + beyond


@pytest.mark.parametrize("configuration", [None, {}, {"overageStatus": "DISABLED"}])
def test_overage_that_is_off_adds_nothing(configuration: object) -> None:
    quota = usage(PLAN, overageConfiguration=configuration)

    assert (quota.overage, quota.overage_remaining, quota.remaining) == (False, 0.0, 37.75)


def test_an_account_that_has_spent_everything_has_nothing_left() -> None:
    assert usage(PLAN | {"currentUsageWithPrecision": 50.0}).remaining == 0.0


def test_the_single_entry_of_older_answers_serves() -> None:
    body = {"usageBreakdown": PLAN | {"resourceType": "AGENTIC_REQUEST"}}

    assert read_usage(json.dumps(body).encode(), now=NOW).remaining == 37.75


@pytest.mark.parametrize(
    ("entry", "top", "expected"),
    [
        (RESET + 60, RESET, RESET + 60),
        (None, RESET, RESET),
        (NOW - 60, RESET, RESET),
        (None, None, None),
        (None, NOW - 60, None),
        (None, "soon", None),
        (RESET + 0.5, None, RESET + 0.5),
        (RESET * 1000, None, RESET),
    ],
)
def test_the_renewal_is_the_one_ahead_and_best_that_of_the_credits(
    entry: object, top: object, expected: float | None
) -> None:
    assert usage(PLAN | {"nextDateReset": entry}, nextDateReset=top).resets_at == expected


def test_of_several_renewals_the_first_counts() -> None:
    assert usage(PLAN | {"nextDateReset": RESET + 9}, PLAN).resets_at == RESET


def test_a_plan_without_a_title_has_its_type() -> None:
    quota = usage(PLAN, subscriptionInfo={"type": "Q_DEVELOPER_STANDALONE_PRO"})

    assert quota.plan == "Q_DEVELOPER_STANDALONE_PRO"


def test_who_it_is_may_stay_unsaid() -> None:
    quota = usage(PLAN, userInfo=None, subscriptionInfo=None)

    assert (quota.plan, quota.user_id, quota.email) == ("", "", "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"usageBreakdownList":[]}',
        b'{"usageBreakdownList":[{"resourceType":"VIBE","currentUsage":1,"usageLimit":2}]}',
        b'{"usageBreakdownList":[{"resourceType":"CREDIT","currentUsage":1}]}',
        b'{"usageBreakdownList":[{"resourceType":"CREDIT","usageLimit":50}]}',
        b'{"usageBreakdownList":[{"resourceType":"CREDIT","currentUsage":1,"usageLimit":"50"}]}',
        b'{"usageBreakdownList":[{"resourceType":"CREDIT","currentUsage":1,"usageLimit":2},'
        b'{"resourceType":"CREDIT","currentUsage":1}]}',
    ],
)
def test_credits_that_are_not_told_are_unknown_and_never_zero(body: bytes) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_usage(body, now=NOW)

    assert caught.value.kind is FaultKind.OVERLOADED


def test_what_is_kept_comes_back_without_the_person() -> None:
    quota = usage(PLAN | {"freeTrialInfo": TRIAL, "bonuses": [BONUS]})
    kept = write_quota(quota)
    restored = restore_quota(kept)

    assert restored is not None
    assert (restored.user_id, restored.email) == ("", "u***@example.com")
    assert (restored.remaining, restored.resets_at, restored.plan) == (462.75, RESET, "KIRO FREE")
    assert b"user-1" not in kept
    assert b"user@" not in kept


@pytest.mark.parametrize("kept", [b"", b"{}", b"null", b'{"used":1}', b"\xff"])
def test_what_cannot_be_read_back_is_none(kept: bytes) -> None:
    assert restore_quota(kept) is None


def test_a_quota_shows_nobody() -> None:
    assert repr(usage(PLAN)) == "Quota(37.75 left, 12.25 of 50 used)"
