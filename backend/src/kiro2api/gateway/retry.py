"""The one retry plan: which upstream call, if any, follows a failed one."""

from collections.abc import Mapping
from enum import StrEnum

from kiro2api.errors import FaultKind

# Calls that one request may make while the host, and not an account, is at fault.
MAX_HOST_CALLS = 3
# Retries in flight over all requests, as a share of the requests in flight, and never fewer than.
BUDGET_SHARE = 0.2
BUDGET_FLOOR = 3


class Next(StrEnum):
    """What a failed attempt is followed by."""

    SAME = "same"
    OTHER = "other"
    STOP = "stop"


class Shape(StrEnum):
    """Whose fault a fault is, as far as the retry bounds care."""

    HOST = "host"
    ACCOUNT = "account"
    FINAL = "final"


SHAPES: Mapping[FaultKind, Shape] = {
    FaultKind.RATE_LIMITED: Shape.ACCOUNT,
    FaultKind.OUT_OF_QUOTA: Shape.ACCOUNT,
    FaultKind.TOKEN_REJECTED: Shape.ACCOUNT,
    FaultKind.PROFILE_REQUIRED: Shape.ACCOUNT,
    FaultKind.WRONG_ENDPOINT: Shape.ACCOUNT,
    FaultKind.SUSPENDED: Shape.ACCOUNT,
    FaultKind.NOT_ENTITLED: Shape.ACCOUNT,
    FaultKind.MODEL_UNAVAILABLE: Shape.ACCOUNT,
    FaultKind.MODEL_CAPACITY: Shape.HOST,
    FaultKind.OVERLOADED: Shape.HOST,
    FaultKind.NETWORK: Shape.HOST,
    FaultKind.BROKEN_STREAM: Shape.HOST,
    FaultKind.CONVERSATION_LIMIT: Shape.FINAL,
    FaultKind.SIGNATURE_INVALID: Shape.FINAL,
    FaultKind.CONTEXT_TOO_LONG: Shape.FINAL,
    FaultKind.BAD_REQUEST: Shape.FINAL,
    FaultKind.UNKNOWN: Shape.FINAL,
}


class RetryBudget:
    """Caps the retries in flight over all requests, so that a sick host is not asked thrice by all.

    One for the whole program.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.retries = 0

    def take(self) -> bool:
        """Tell whether one more retry may start now, and count it if so."""
        if self.retries >= max(BUDGET_FLOOR, int(self.requests * BUDGET_SHARE)):
            return False
        self.retries += 1
        return True


class RetryPlan:
    """The attempts of one request: bounds what may follow; lives as long as the request."""

    def __init__(self, budget: RetryBudget) -> None:
        self._budget = budget
        self._budget.requests += 1
        self._taken = 0
        self._host_calls = 0
        self._repaired: set[tuple[str, str]] = set()
        self.tried: set[str] = set()

    def close(self) -> None:
        """Give back what the request took from the budget."""
        self._budget.requests -= 1
        self._budget.retries -= self._taken
        self._taken = 0

    def repair(self, account_id: str, what: str) -> bool:
        """Tell whether `what` may be repaired on this account now: once each."""
        if (account_id, what) in self._repaired:
            return False
        self._repaired.add((account_id, what))
        return True

    def after(self, kind: FaultKind, account_id: str) -> Next:
        """Return what follows a failure of `kind` that no repair has answered."""
        match SHAPES[kind]:
            case Shape.FINAL:
                return Next.STOP
            case Shape.HOST:
                return self._after_host_fault(kind, account_id)
            case _:
                self.tried.add(account_id)
                return Next.OTHER

    def _after_host_fault(self, kind: FaultKind, account_id: str) -> Next:
        self._host_calls += 1
        if self._host_calls >= MAX_HOST_CALLS or not self._budget.take():
            return Next.STOP
        self._taken += 1
        return Next.SAME if kind is FaultKind.MODEL_CAPACITY else Next.OTHER
