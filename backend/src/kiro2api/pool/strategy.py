"""Which of several accounts that can all serve is asked first: the strategy of a group."""

from collections.abc import Sequence
from enum import StrEnum
from hashlib import blake2b

from kiro2api.pool.account import Account


class Strategy(StrEnum):
    """How a group chooses among its usable accounts."""

    SEQUENTIAL = "sequential"
    ROUND_ROBIN = "round_robin"
    LEAST_IN_FLIGHT = "least_in_flight"
    MOST_CREDITS = "most_credits"

    @property
    def sticks(self) -> bool:
        """Tell whether a conversation stays on its account, to meet the upstream's cache there."""
        return self in _STICKY


DEFAULT_STRATEGY = Strategy.SEQUENTIAL
_BY_WORD = {strategy.value: strategy for strategy in Strategy}
_STICKY = frozenset((Strategy.ROUND_ROBIN, Strategy.LEAST_IN_FLIGHT))


def strategy_named(word: str) -> Strategy:
    """Return the strategy called `word`; the default one for "" and for a word of another version."""
    return _BY_WORD.get(word, DEFAULT_STRATEGY)


class Turn:
    """Counts the requests of each group, for strategies that take turns; one for the program."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, group: str) -> int:
        """Return 0, 1, 2 … for the requests of `group`, each group for itself.

        One number serves a request with all its attempts.
        """
        turn = self._next.get(group, 0)
        self._next[group] = turn + 1
        return turn


def preferred(
    accounts: Sequence[Account], strategy: Strategy, *, key: str = "", turn: int = 0
) -> Account:
    """Return the account that is asked first of `accounts`: usable ones in configured order.

    Whoever is below its soft cap comes before whoever is not, whatever the strategy: all are filled
    to their caps, then to twice their caps, and so on, so that a cap never refuses. There must be
    one account at least.
    """
    if len(accounts) == 1:
        return accounts[0]
    fullness = min(_fullness(account) for account in accounts)
    least_full = [account for account in accounts if _fullness(account) == fullness]
    if key and strategy.sticks:
        return max(least_full, key=lambda account: _affinity(key, account.id))
    match strategy:
        case Strategy.SEQUENTIAL:
            return least_full[0]
        case Strategy.MOST_CREDITS:
            return max(least_full, key=_credits)
        case Strategy.LEAST_IN_FLIGHT:
            fewest = min(account.in_flight for account in least_full)
            least_full = [account for account in least_full if account.in_flight == fewest]
    return least_full[turn % len(least_full)]


def reason_for(account: Account, strategy: Strategy, *, key: str = "") -> str:
    """Return what speaks for a usable account, for a person who asks why it has its place."""
    if _fullness(account):
        return f"{account.in_flight} requests in flight, of {account.soft_cap} that are wanted"
    if key and strategy.sticks:
        return "by the key of the conversation"
    match strategy:
        case Strategy.SEQUENTIAL:
            return "in the configured order"
        case Strategy.MOST_CREDITS:
            return "credits unknown" if account.credits is None else f"{account.credits:g} credits"
        case Strategy.LEAST_IN_FLIGHT:
            return f"{account.in_flight} requests in flight"
        case Strategy.ROUND_ROBIN:
            return "in turn"


def _fullness(account: Account) -> int:
    """Return how many times over the account has reached its soft cap."""
    return account.in_flight // account.soft_cap if account.soft_cap > 0 else 0


def _credits(account: Account) -> float:
    """Return what is left; an account of which nobody knows it comes after those with a number."""
    return float("-inf") if account.credits is None else account.credits


def _affinity(key: str, account_id: str) -> bytes:
    """Return the weight of the account for the conversation: rendezvous hashing.

    It depends on nothing but the two: when an account goes out or comes, only the conversations
    that were on it, or will be, move.
    """
    return blake2b(f"{key}\n{account_id}".encode("utf-8", "replace"), digest_size=16).digest()
