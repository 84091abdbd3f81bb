"""What an account may still spend: credits by period, and beyond them where that is allowed."""

from kiro2api.emulator.accounts import DAY_S, PERIOD_DAYS, Account
from kiro2api.emulator.errors_table import REFUSALS, Refusal

# What is told of an account whose credits nobody counts.
_TOLD_LIMIT = 50.0


def limit_of(account: Account) -> float:
    """Return how many credits the account has in a period."""
    limit = account.spec.credits_limit
    return _TOLD_LIMIT if limit is None else limit


def overage_of(account: Account) -> float:
    """Return how many credits the account has spent beyond its limit."""
    return max(0.0, account.credits_used - limit_of(account)) if account.spec.overage else 0.0


def renew(account: Account, *, now: float) -> None:
    """Give the account its credits anew if its period has ended."""
    while account.resets_at <= now:
        account.credits_used = 0.0
        account.resets_at += PERIOD_DAYS * DAY_S


def deny_spending(account: Account, *, now: float) -> Refusal | None:
    """Return why the account may spend nothing now; None when it may."""
    renew(account, now=now)
    limit = account.spec.credits_limit
    if limit is None or account.credits_used < limit:
        return None
    if not account.spec.overage:
        return REFUSALS["quota_monthly"]
    spent = overage_of(account) >= account.spec.overage_cap
    return REFUSALS["quota_overage"] if spent else None
