"""Why an account serves a request, or does not: the choice, told to a person."""

from collections.abc import Mapping, Sequence

import msgspec

from kiro2api.errors import FaultKind
from kiro2api.pool.account import Account
from kiro2api.pool.selection import Availability, Chosen, Need, availability, choose
from kiro2api.pool.strategy import reason_for


class Candidate(msgspec.Struct, frozen=True):
    """One account of the group, and what becomes of it for a request.

    `place` is 1 for the account that is asked first, 2 for the one that is asked when that fails …,
    None for one that is not asked. An account with a place that is not `usable` makes a trial: it
    rests for a soft reason and is asked because nobody else is left. `reason` is what speaks for
    the place, or what keeps it out; `since`, `until` and `next_step` belong to what keeps it out.
    """

    account_id: str
    place: int | None
    usable: bool
    reason: str
    since: float | None = None
    until: float | None = None
    next_step: str = ""


_RETURNS = "it returns by itself"
_STEPS: Mapping[FaultKind | None, str] = {
    None: "a person enables it",
    FaultKind.RATE_LIMITED: _RETURNS,
    FaultKind.OUT_OF_QUOTA: _RETURNS,
    FaultKind.MODEL_UNAVAILABLE: "it is asked for this model again; its other models are served",
    FaultKind.OVERLOADED: "it is asked when nobody else can serve, and returns by itself",
    FaultKind.TOKEN_REJECTED: "a person logs it in again",
    FaultKind.SUSPENDED: "a person settles it with the provider, then tests the account",
    FaultKind.NOT_ENTITLED: "a person looks at its subscription, then tests the account",
}


def explain(accounts: Sequence[Account], need: Need, *, now: float) -> tuple[Candidate, ...]:
    """Return the accounts of the group: first those that are asked, in that order, then the rest.

    The order is that of `choose` itself, asked again and again as if every account failed.
    """
    asked: list[Candidate] = []
    excluded = need.tried
    while isinstance(
        choice := choose(accounts, msgspec.structs.replace(need, tried=excluded), now=now), Chosen
    ):
        excluded = excluded | {choice.account.id}
        asked.append(_candidate(choice.account, need, now=now, place=len(asked) + 1))
    places = {candidate.account_id for candidate in asked}
    rest = sorted((a for a in accounts if a.group == need.group), key=lambda a: a.position)
    return (
        *asked,
        *(_candidate(a, need, now=now, place=None) for a in rest if a.id not in places),
    )


def next_step(state: Availability) -> str:
    """Return what ends the state of an account, as a clause; "" for one that is usable."""
    if state.usable:
        return ""
    if state.kind is FaultKind.NOT_ENTITLED and state.until is not None:
        return _STEPS[FaultKind.MODEL_UNAVAILABLE]  # a single model is not in its subscription
    return _STEPS[state.kind]


def _candidate(account: Account, need: Need, *, now: float, place: int | None) -> Candidate:
    state = availability(account, model=need.model, now=now)
    if not state.usable:
        reason = state.reason
    elif place is None:
        reason = "asked already for this request"
    else:
        reason = reason_for(account, need.strategy, key=need.key)
    return Candidate(
        account.id,
        place,
        state.usable,
        reason,
        since=state.since,
        until=state.until,
        next_step=next_step(state),
    )
