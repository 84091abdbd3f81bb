"""Which account serves a request: one predicate, and one choice that is made without waiting."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from kiro2api.errors import FaultKind
from kiro2api.pool.account import Account, Condition, Standing
from kiro2api.pool.strategy import DEFAULT_STRATEGY, Strategy, preferred


class Need(msgspec.Struct, frozen=True):
    """What a request needs of an account.

    `tried` are the accounts that it has used up, `trials_under_way` those on which any request
    makes a trial now. `strategy` is the group's; `key` names the conversation for those that stick
    to an account ("" for none), `turn` counts requests for those that take turns.
    """

    group: str
    model: str
    tried: frozenset[str] = frozenset()
    trials_under_way: frozenset[str] = frozenset()
    key: str = ""
    strategy: Strategy = DEFAULT_STRATEGY
    turn: int = 0


class Availability(msgspec.Struct, frozen=True):
    """Whether an account can serve, why not, and when it returns by itself (None: it does not).

    `since` is when the reason began, None when nobody knows.
    `soft` tells that it is out only for a soft reason: it still serves when nobody else can, one
    request at a time. `kind` is the fault that stands for the reason; None for a person's wish.
    """

    usable: bool
    reason: str = ""
    until: float | None = None
    soft: bool = False
    kind: FaultKind | None = None
    since: float | None = None


class Chosen(msgspec.Struct, frozen=True):
    """This account serves; a `trial` is one request on an account that rests for a soft reason."""

    account: Account
    trial: bool


class Wait(msgspec.Struct, frozen=True):
    """Nobody can serve now; the soonest account returns at `until`."""

    until: float
    reason: str


class NoneLeft(msgspec.Struct, frozen=True):
    """Nobody can serve, and waiting does not help.

    `kind` is the fault that says it best to the client, None when all that could serve were tried
    or a person disabled them. `configured` counts the accounts of the group, whatever their state.
    """

    reason: str
    kind: FaultKind | None
    configured: int


Choice = Chosen | Wait | NoneLeft

_place = attrgetter("position")
_USABLE = Availability(usable=True)
_KIND_OF_STANDING = {
    Standing.COOLING: FaultKind.RATE_LIMITED,
    Standing.DRAINED: FaultKind.OUT_OF_QUOTA,
    Standing.NEEDS_LOGIN: FaultKind.TOKEN_REJECTED,
    Standing.SUSPENDED: FaultKind.SUSPENDED,
    Standing.NOT_ENTITLED: FaultKind.NOT_ENTITLED,
}
# For these the client waits; a refused model returns too, but the honest answer is its refusal.
_PASSING = (FaultKind.RATE_LIMITED, FaultKind.OUT_OF_QUOTA)
# The first of these that keeps an account out is what the client hears.
_TELLING = (
    FaultKind.MODEL_UNAVAILABLE,
    FaultKind.NOT_ENTITLED,
    FaultKind.SUSPENDED,
    FaultKind.TOKEN_REJECTED,
)


def in_force(condition: Condition, *, now: float) -> bool:
    """Tell whether the standing keeps the account out; one whose time has come counts as ready."""
    return condition.standing is not Standing.READY and (
        condition.until is None or condition.until > now
    )


def availability(account: Account, *, model: str, now: float) -> Availability:
    """Return whether `account` can serve `model` ("" for any) at `now`.

    The one predicate: selection, refresh, probing, readiness and the lists all ask it.
    """
    if not account.enabled:
        return Availability(usable=False, reason="disabled by a person")
    condition = account.condition
    refusal = condition.models.get(model)
    if refusal is not None and refusal.until > now:
        return Availability(
            usable=False,
            reason=refusal.reason,
            until=refusal.until,
            kind=refusal.kind,
            since=refusal.since,
        )
    if in_force(condition, now=now):
        return Availability(
            usable=False,
            reason=condition.reason or condition.standing,
            until=condition.until,
            kind=_KIND_OF_STANDING[condition.standing],
            since=condition.since,
        )
    if condition.soft_until > now:
        return Availability(
            usable=False,
            reason="failed repeatedly, passed over while others can serve",
            until=condition.soft_until,
            soft=True,
            kind=FaultKind.OVERLOADED,
        )
    return _USABLE


def choose(accounts: Sequence[Account], need: Need, *, now: float) -> Choice:
    """Return the account of the group that its strategy prefers of those that can serve `need`.

    An account that rests for a soft reason is passed over while anybody else can serve; then the
    one that returns soonest makes a trial, unless one is under way on it already. `Wait` counts
    the accounts that were tried too: its time is the true soonest return of the group.
    """
    members = [account for account in accounts if account.group == need.group]
    members.sort(key=_place)
    ready: list[Account] = []
    out: list[Availability] = []
    resting: list[tuple[float, Account]] = []
    for account in members:
        state = availability(account, model=need.model, now=now)
        tried = account.id in need.tried
        if state.usable:
            if not tried:
                ready.append(account)
        elif state.soft and not tried:
            resting.append((account.condition.soft_until, account))
        else:
            out.append(state)
    if ready:
        account = preferred(ready, need.strategy, key=need.key, turn=need.turn)
        return Chosen(account, trial=False)
    if not resting:
        return _nobody(out, configured=len(members), group=need.group)
    until, account = min(resting, key=lambda pair: pair[0])
    if account.id in need.trials_under_way:
        return Wait(until, "the accounts left have failed repeatedly; one is being tried")
    return Chosen(account, trial=True)


def _nobody(out: Sequence[Availability], *, configured: int, group: str) -> Wait | NoneLeft:
    if not configured:
        return NoneLeft(f"no account is configured in group {group!r}", None, 0)
    returns = [
        (state.until, state.reason)
        for state in out
        if state.kind in _PASSING and state.until is not None
    ]
    if returns:
        return Wait(*min(returns))
    for kind in _TELLING:
        for state in out:
            if state.kind is kind:
                return NoneLeft(state.reason, kind, configured)
    return NoneLeft(f"no account of group {group!r} is left to try", None, configured)
