"""How an account's condition moves: one table from fault to move, and what success forgives."""

from collections.abc import Callable, Mapping

import msgspec

from kiro2api.errors import FaultKind
from kiro2api.pool.account import Condition, ModelRefusal, Standing
from kiro2api.pool.backoff import TOKEN_BASE_S, cooldown_s, soft_cooldown_s
from kiro2api.pool.selection import in_force

MODEL_REFUSAL_S = 600.0
# Used up, but nobody says until when: look again after this long.
QUOTA_RECHECK_S = 3600.0
# A reset that is named but already past would let every request run into the same refusal.
_LEAST_DRAIN_S = 60.0
# A client may ask for any number of invented names within the ten minutes.
_REMEMBERED_MODELS = 100

_STRENGTH = {
    Standing.READY: 0,
    Standing.COOLING: 1,
    Standing.DRAINED: 2,
    Standing.NOT_ENTITLED: 3,
    Standing.NEEDS_LOGIN: 4,
    Standing.SUSPENDED: 5,
}


class Fault(msgspec.Struct, frozen=True):
    """One failure of the upstream, with what it said about time.

    `model` is the one that was asked, as the client names it. `resets_at` is the end of a used-up
    quota, on the clock of the conditions.
    """

    kind: FaultKind
    model: str = ""
    reason: str = ""
    retry_after_s: float | None = None
    resets_at: float | None = None


Move = Callable[[Condition, Fault, float, float], Condition]


def after_fault(
    condition: Condition, fault: Fault, *, now: float, jitter: float = 0.0
) -> Condition:
    """Return the condition after `fault`; the very same object when the fault says nothing of it.

    A longer rest is never shortened, a stronger standing never replaced by a weaker one that is
    told later. `jitter` from 0 to 1 lengthens our own guesses by up to a tenth.
    """
    return _MOVES[fault.kind](condition, fault, now, jitter)


def after_login_refused(condition: Condition, reason: str, *, now: float) -> Condition:
    """Return the condition after the refresh itself was refused: a person must log in again."""
    return _join(condition, Standing.NEEDS_LOGIN, reason, until=None, now=now)


def after_success(condition: Condition, *, model: str, now: float) -> Condition:
    """Return the condition after a good answer; the very same object when nothing changes.

    Strikes, soft strikes and the refusal of `model` are forgiven. A standing that is in force
    stays: the account is not asked while out, so the answer was begun before the standing.
    """
    models = condition.models
    if model in models:
        models = {name: refusal for name, refusal in models.items() if name != model}
    if in_force(condition, now=now):
        moved = msgspec.structs.replace(condition, soft_strikes=0, soft_until=0.0, models=models)
    else:
        moved = Condition(models=models)
    return condition if moved == condition else moved


def after_recovery(condition: Condition, *, now: float) -> Condition:
    """Return the condition after proof that the standing is over, whatever it was.

    Proof is a new login, a quota seen renewed, or a person's word. Refusals of models stay.
    """
    return Condition(since=now, models=condition.models)


def _nothing(condition: Condition, _fault: Fault, _now: float, _jitter: float) -> Condition:
    return condition


def _cool_rate(condition: Condition, fault: Fault, now: float, jitter: float) -> Condition:
    strikes = _next_strike(condition, now)
    rest_s = cooldown_s(strikes, fault.retry_after_s, jitter=jitter)
    return _cool(condition, fault, strikes=strikes, until=now + rest_s, now=now)


def _cool_token(condition: Condition, fault: Fault, now: float, jitter: float) -> Condition:
    strikes = _next_strike(condition, now)
    rest_s = cooldown_s(strikes, fault.retry_after_s, base_s=TOKEN_BASE_S, jitter=jitter)
    return _cool(condition, fault, strikes=strikes, until=now + rest_s, now=now)


def _next_strike(condition: Condition, now: float) -> int:
    """Return the count after one more refusal; several within one rest are one incident."""
    return max(condition.strikes, 1) if in_force(condition, now=now) else condition.strikes + 1


def _cool(
    condition: Condition, fault: Fault, *, strikes: int, until: float, now: float
) -> Condition:
    cooled = _join(condition, Standing.COOLING, _reason(fault), until=until, now=now)
    return msgspec.structs.replace(cooled, strikes=strikes)


def _drain(condition: Condition, fault: Fault, now: float, _jitter: float) -> Condition:
    if fault.resets_at is not None:
        until = max(fault.resets_at, now + _LEAST_DRAIN_S)
    elif fault.retry_after_s is not None:
        until = now + max(fault.retry_after_s, _LEAST_DRAIN_S)
    else:
        until = now + QUOTA_RECHECK_S
    return _join(condition, Standing.DRAINED, _reason(fault), until=until, now=now)


def _suspend(condition: Condition, fault: Fault, now: float, _jitter: float) -> Condition:
    return _join(condition, Standing.SUSPENDED, _reason(fault), until=None, now=now)


def _not_entitled(condition: Condition, fault: Fault, now: float, jitter: float) -> Condition:
    if fault.model and "model" in fault.reason.lower():
        return _refuse_model(condition, fault, now, jitter)
    return _join(condition, Standing.NOT_ENTITLED, _reason(fault), until=None, now=now)


def _refuse_model(condition: Condition, fault: Fault, now: float, _jitter: float) -> Condition:
    if not fault.model:
        return condition
    known = {name: refusal for name, refusal in condition.models.items() if refusal.until > now}
    known[fault.model] = ModelRefusal(
        now + MODEL_REFUSAL_S, _reason(fault), fault.kind, since=_since(known.get(fault.model), now)
    )
    if len(known) > _REMEMBERED_MODELS:
        del known[min(known, key=lambda name: known[name].until)]
    return msgspec.structs.replace(condition, models=known)


def _rest_softly(condition: Condition, _fault: Fault, now: float, _jitter: float) -> Condition:
    if condition.soft_until > now:
        # One blip of a host breaks all streams that are open: they are one incident.
        return condition
    soft_strikes = condition.soft_strikes + 1
    rest_s = soft_cooldown_s(soft_strikes)
    return msgspec.structs.replace(
        condition, soft_strikes=soft_strikes, soft_until=now + rest_s if rest_s else 0.0
    )


# Every kind has its row; a kind without one would be a KeyError in the first test that names it.
_MOVES: Mapping[FaultKind, Move] = {
    FaultKind.RATE_LIMITED: _cool_rate,
    FaultKind.MODEL_CAPACITY: _nothing,
    FaultKind.OUT_OF_QUOTA: _drain,
    FaultKind.TOKEN_REJECTED: _cool_token,
    FaultKind.PROFILE_REQUIRED: _nothing,
    FaultKind.WRONG_ENDPOINT: _nothing,
    FaultKind.SUSPENDED: _suspend,
    FaultKind.NOT_ENTITLED: _not_entitled,
    FaultKind.MODEL_UNAVAILABLE: _refuse_model,
    FaultKind.OVERLOADED: _rest_softly,
    FaultKind.NETWORK: _rest_softly,
    FaultKind.CONTEXT_TOO_LONG: _nothing,
    FaultKind.BAD_REQUEST: _nothing,
    FaultKind.CONVERSATION_LIMIT: _nothing,
    FaultKind.SIGNATURE_INVALID: _nothing,
    FaultKind.BROKEN_STREAM: _rest_softly,
    FaultKind.UNKNOWN: _nothing,
}


def _since(refusal: ModelRefusal | None, now: float) -> float:
    """Return since when a model is refused: a refusal that is told again began the first time."""
    return now if refusal is None else refusal.since


def _reason(fault: Fault) -> str:
    return fault.reason or fault.kind.value


def _join(
    condition: Condition, standing: Standing, reason: str, *, until: float | None, now: float
) -> Condition:
    """Return the stronger of the two standings with the later of the two returns."""
    if not in_force(condition, now=now):
        return msgspec.structs.replace(
            condition, standing=standing, reason=reason, since=now, until=until
        )
    later = None if condition.until is None or until is None else max(condition.until, until)
    if _STRENGTH[standing] > _STRENGTH[condition.standing]:
        return msgspec.structs.replace(
            condition, standing=standing, reason=reason, since=now, until=later
        )
    if standing is condition.standing and later != condition.until:
        return msgspec.structs.replace(condition, reason=reason, until=later)
    return msgspec.structs.replace(condition, until=later)
