"""What an account may still spend."""

import msgspec
import pytest

from kiro2api.emulator.accounts import DAY_S, PERIOD_DAYS, Account, AccountSpec
from kiro2api.emulator.credits import deny_spending, limit_of, overage_of

NOW = 1000.0


def account(**spec: object) -> Account:
    return Account(msgspec.convert({"name": "a", **spec}, AccountSpec), now=NOW)


def reason(one: Account, now: float = NOW) -> object:
    refusal = deny_spending(one, now=now)
    return refusal.reason if refusal else None


@pytest.mark.parametrize(
    ("used", "expected"), [(0.0, None), (9.99, None), (10.0, "MONTHLY_REQUEST_COUNT")]
)
def test_an_account_spends_until_its_limit(used: float, expected: str | None) -> None:
    assert reason(account(credits_limit=10.0, credits_used=used)) == expected


def test_without_a_limit_nobody_counts() -> None:
    one = account(credits_used=1e6)

    assert (reason(one), limit_of(one)) == (None, 50.0)


@pytest.mark.parametrize(
    ("used", "expected"), [(10.0, None), (14.0, None), (15.0, "OVERAGE_REQUEST_LIMIT_EXCEEDED")]
)
def test_with_overage_it_spends_until_the_cap(used: float, expected: str | None) -> None:
    one = account(credits_limit=10.0, credits_used=used, overage=True, overage_cap=5.0)

    assert (reason(one), overage_of(one)) == (expected, used - 10.0)


def test_a_new_period_brings_new_credits() -> None:
    one = account(credits_limit=10.0, credits_used=10.0, resets_in_s=60.0)

    assert (reason(one, NOW + 59.0), reason(one, NOW + 60.0)) == ("MONTHLY_REQUEST_COUNT", None)
    assert (one.credits_used, one.resets_at) == (0.0, NOW + 60.0 + PERIOD_DAYS * DAY_S)
