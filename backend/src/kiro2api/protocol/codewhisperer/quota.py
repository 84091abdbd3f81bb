"""Quota: what an account has used, what is left to it, and when it renews.

Source: docs/reference/upstream.md, control plane.
"""

from collections.abc import Iterable, Mapping

import msgspec

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.protocol.codewhisperer.loose import (
    as_number,
    as_object,
    as_objects,
    as_text,
    read_object,
)
from kiro2api.protocol.codewhisperer.mask import mask_email
from kiro2api.protocol.wire.json import decode, encode

_CREDIT = "CREDIT"
# Later than this in seconds means that it was told in milliseconds.
_YEAR_5138_S = 1e11

_Object = Mapping[str, object]


class Quota(msgspec.Struct, frozen=True):
    """An account's credits at one moment.

    `used` of `limit` is the plan's own period; `remaining` is everything that can still be spent:
    the rest of the plan, and the `trial_`, `bonus_` and `overage_remaining` that are in force.
    `overage` tells whether the account spends beyond its plan. `resets_at` is wall time, None when
    the service does not say. `user_id` and `email` are personal: neither is for logs.
    """

    used: float
    limit: float
    remaining: float
    resets_at: float | None
    plan: str = ""
    overage: bool = False
    overage_remaining: float = 0.0
    trial_remaining: float = 0.0
    bonus_remaining: float = 0.0
    user_id: str = ""
    email: str = ""

    def __repr__(self) -> str:
        """Say the numbers alone: whose they are must not reach a log by way of a repr."""
        return f"Quota({self.remaining:g} left, {self.used:g} of {self.limit:g} used)"


def read_usage(body: bytes, *, now: float) -> Quota:
    """Return what the answer about usage says at wall time `now`.

    Raises:
        UpstreamError: `OVERLOADED`, it does not say how many credits the account has: then they
            are unknown, which is not zero.
    """
    document = read_object(body)
    if document is None:
        raise UpstreamError(FaultKind.OVERLOADED, "the usage is no JSON object")
    entries = _credit_entries(document)
    counts = [(_amount(one, "currentUsage"), _amount(one, "usageLimit")) for one in entries]
    known = [(used, limit) for used, limit in counts if used is not None and limit is not None]
    if not known or len(known) < len(counts):
        raise UpstreamError(FaultKind.OVERLOADED, "the usage does not tell the credits")
    trial = sum(_left(_trial(one, now)) for one in entries)
    bonus = sum(_left(bonus) for one in entries for bonus in _bonuses(one, now))
    overage = _is_overage_on(document)
    beyond = sum(_headroom(one) for one in entries) if overage else 0.0
    user = as_object(document.get("userInfo"))
    return Quota(
        used=sum(used for used, _ in known),
        limit=sum(limit for _, limit in known),
        remaining=sum(max(limit - used, 0.0) for used, limit in known) + trial + bonus + beyond,
        resets_at=_resets_at(document, entries, now),
        plan=_plan(document),
        overage=overage,
        overage_remaining=beyond,
        trial_remaining=trial,
        bonus_remaining=bonus,
        user_id=as_text(user.get("userId")),
        email=as_text(user.get("email")),
    )


def write_quota(quota: Quota) -> bytes:
    """Return `quota` for keeping, with nothing in it that names the person."""
    return encode(msgspec.structs.replace(quota, user_id="", email=mask_email(quota.email)))


def restore_quota(kept: bytes) -> Quota | None:
    """Return what `write_quota` has written; None when there is none that can be read."""
    if not kept:
        return None
    try:
        return decode(kept, Quota)
    except RequestError:
        return None


def _credit_entries(document: _Object) -> list[_Object]:
    """Return the entries that count credits; answers of 2025 have a single one elsewhere."""
    entries = as_objects(document.get("usageBreakdownList"))
    credits = [one for one in entries if as_text(one.get("resourceType")).upper() == _CREDIT]
    return credits or as_objects([document.get("usageBreakdown")])


def _amount(entry: _Object, name: str) -> float | None:
    """Return a number, from the member with the fraction when there is one."""
    exact = as_number(entry.get(f"{name}WithPrecision"))
    return as_number(entry.get(name)) if exact is None else exact


def _left(entry: _Object) -> float:
    used, limit = _amount(entry, "currentUsage"), _amount(entry, "usageLimit")
    return 0.0 if used is None or limit is None else max(limit - used, 0.0)


def _trial(entry: _Object, now: float) -> _Object:
    trial = as_object(entry.get("freeTrialInfo"))
    return trial if _is_in_force(trial, "freeTrialStatus", "freeTrialExpiry", now) else {}


def _bonuses(entry: _Object, now: float) -> list[_Object]:
    bonuses = as_objects(entry.get("bonuses"))
    return [bonus for bonus in bonuses if _is_in_force(bonus, "status", "expiresAt", now)]


def _is_in_force(gift: _Object, status: str, expiry: str, now: float) -> bool:
    if as_text(gift.get(status)).upper() != "ACTIVE":
        return False
    expires_at = _epoch_s(gift.get(expiry))
    return expires_at is None or expires_at > now


def _headroom(entry: _Object) -> float:
    """Return what may be spent beyond the plan; nothing where no cap is named."""
    cap, spent = _amount(entry, "overageCap"), _amount(entry, "currentOverages")
    return 0.0 if cap is None else max(cap - (spent or 0.0), 0.0)


def _is_overage_on(document: _Object) -> bool:
    configuration = as_object(document.get("overageConfiguration"))
    return as_text(configuration.get("overageStatus")).upper() == "ENABLED"


def _resets_at(document: _Object, entries: Iterable[_Object], now: float) -> float | None:
    """Return the next renewal: that of the credits when they have one of their own."""
    of_credits = [_epoch_s(one.get("nextDateReset")) for one in entries]
    ahead = [at for at in of_credits if at is not None and at > now]
    if ahead:
        return min(ahead)
    at = _epoch_s(document.get("nextDateReset"))
    return at if at is not None and at > now else None


def _plan(document: _Object) -> str:
    subscription = as_object(document.get("subscriptionInfo"))
    return as_text(subscription.get("subscriptionTitle")) or as_text(subscription.get("type"))


def _epoch_s(value: object) -> float | None:
    at = as_number(value)
    return at / 1000 if at is not None and at > _YEAR_5138_S else at
