"""How long to wait after a failure: pure arithmetic, with chance given as a number from 0 to 1."""

RATE_LIMIT_BASE_S = 30.0
TOKEN_BASE_S = 60.0
HARD_CAP_S = 3600.0
SOFT_BASE_S = 5.0
SOFT_CAP_S = 60.0
RETRY_BASE_S = 0.2
RETRY_CAP_S = 2.0
# A hint of nothing, or of a moment, would let the next request hit the same wall.
_LEAST_HINT_S = 1.0
# Beyond it every cap is long reached; it keeps the power small.
_MOST_DOUBLINGS = 20


def cooldown_s(
    strikes: int, hint_s: float | None, *, base_s: float = RATE_LIMIT_BASE_S, jitter: float = 0.0
) -> float:
    """Return how long an account rests after its `strikes`-th refusal in a row.

    A hint of the upstream is taken as it is, but for at least a second. Without one: `base_s`
    doubling up to an hour, lengthened by up to a tenth so that accounts do not return in step.
    """
    if hint_s is not None:
        return max(hint_s, _LEAST_HINT_S)
    return _doubled(base_s, strikes, HARD_CAP_S) * (1.0 + 0.1 * jitter)


def soft_cooldown_s(soft_strikes: int) -> float:
    """Return how long an account is passed over after its `soft_strikes`-th soft fault in a row.

    The first costs nothing: one lost connection says little. Then 5 s, doubling up to a minute.
    """
    return 0.0 if soft_strikes < 2 else _doubled(SOFT_BASE_S, soft_strikes - 1, SOFT_CAP_S)


def retry_delay_s(attempt: int, jitter: float) -> float:
    """Return the pause before retry number `attempt` (from 1) on the same account.

    Between half and the whole of 0.2 s, 0.4 s, 0.8 s … 2 s, as `jitter` says.
    """
    return _doubled(RETRY_BASE_S, attempt, RETRY_CAP_S) * (0.5 + 0.5 * jitter)


def _doubled(base_s: float, times: int, cap_s: float) -> float:
    """Return `base_s` for the first time, twice that for the second … up to `cap_s`."""
    doublings = min(max(times - 1, 0), _MOST_DOUBLINGS)
    return float(min(base_s * 2**doublings, cap_s))
