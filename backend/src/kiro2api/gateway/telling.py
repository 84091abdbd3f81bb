"""What an operator is told of an account: its state, why, since and until when, and what is next."""

from collections.abc import Sequence

import msgspec

from kiro2api.gateway.catalogue import restore_models
from kiro2api.gateway.ports import StoredAccount
from kiro2api.gateway.usage import STALE_S
from kiro2api.pool.account import Account, Condition, Standing
from kiro2api.pool.explain import next_step
from kiro2api.pool.selection import availability
from kiro2api.protocol.codewhisperer.mask import mask
from kiro2api.protocol.codewhisperer.quota import restore_quota

DISABLED = "disabled"
REMOVED = "removed"
_BACK = "it comes back by an import, a login, or a new entry"


class RefusedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the account cannot use for now; times are wall times."""

    model: str
    reason: str
    since: float
    until: float


class QuotaReport(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of the account's credits, and how old the number is."""

    used: float
    limit: float
    remaining: float
    plan: str
    resets_at: float | None
    fetched_at: float
    stale: bool


class AccountReport(msgspec.Struct, frozen=True, kw_only=True):
    """One account as the store knows it; no secrets, times are wall times in seconds.

    `place` is its place from 1 in the configured order, 0 for one that has left the pool.
    `standing` is a word of `Standing`, or "disabled" or "removed". `models` counts its live list,
    None when that is unknown; `token_expires_at` is None while it has no access token.
    """

    id: str
    name: str
    group: str
    place: int
    auth: str
    region: str
    source: str
    enabled: bool
    standing: str
    usable: bool
    reason: str
    since: float | None
    until: float | None
    next_step: str
    soft_cap: int
    profile_arn: str
    route: str
    token_expires_at: float | None
    models: int | None
    refused: tuple[RefusedModel, ...]
    quota: QuotaReport | None


def report_accounts(stored: Sequence[StoredAccount], *, now: float) -> tuple[AccountReport, ...]:
    """Return a report on each of `stored`, which are in the configured order, at wall time `now`.

    What only a running gateway knows is not in it: requests in flight, and rests that are too short
    to be kept.
    """
    places = {one.id: place for place, one in enumerate((s for s in stored if not s.removed), 1)}
    return tuple(_report(one, places.get(one.id, 0), now) for one in stored)


def _report(stored: StoredAccount, place: int, now: float) -> AccountReport:
    standing, usable, reason, since, until, following = _state(stored, now)
    models = restore_models(stored.models)
    return AccountReport(
        id=stored.id,
        name=stored.name,
        group=stored.group,
        place=place,
        auth=stored.credential.kind.value,
        region=stored.credential.region,
        source=stored.source,
        enabled=stored.enabled,
        standing=standing,
        usable=usable,
        reason=mask(reason),
        since=since,
        until=until,
        next_step=following,
        soft_cap=stored.soft_cap,
        profile_arn=stored.profile_arn,
        route=stored.route,
        token_expires_at=stored.access_token.expires_at if stored.access_token else None,
        models=None if models is None else len(models),
        refused=_refused(stored.condition or Condition(), now),
        quota=_quota(stored, now),
    )


def _state(
    stored: StoredAccount, now: float
) -> tuple[str, bool, str, float | None, float | None, str]:
    """Return standing, whether it serves, reason, since, until, and what happens next."""
    if stored.removed:
        return REMOVED, False, stored.removed, None, None, _BACK
    account = Account(
        stored.id,
        stored.name,
        stored.group,
        stored.position,
        enabled=stored.enabled,
        condition=stored.condition or Condition(),
    )
    state = availability(account, model="", now=now)
    usable = state.usable or state.soft
    standing = Standing.READY.value if usable else account.condition.standing.value
    if not stored.enabled:
        standing = DISABLED
    return standing, usable, state.reason, state.since, state.until, next_step(state)


def _refused(condition: Condition, now: float) -> tuple[RefusedModel, ...]:
    return tuple(
        RefusedModel(
            model=model, reason=mask(refusal.reason), since=refusal.since, until=refusal.until
        )
        for model, refusal in sorted(condition.models.items())
        if refusal.until > now
    )


def _quota(stored: StoredAccount, now: float) -> QuotaReport | None:
    quota = restore_quota(stored.quota)
    if quota is None:
        return None
    return QuotaReport(
        used=quota.used,
        limit=quota.limit,
        remaining=quota.remaining,
        plan=quota.plan,
        resets_at=quota.resets_at,
        fetched_at=stored.quota_fetched_at,
        stale=now - stored.quota_fetched_at > STALE_S,
    )
