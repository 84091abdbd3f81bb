"""How many calls the service takes in a stretch of time: limits by account and by host."""

from collections import deque
from enum import StrEnum

import msgspec

from kiro2api.emulator.errors_table import Refusal

_BUSY_WAIT_S = 1.0


class Hint(StrEnum):
    """Where a refusal says how long to wait."""

    NONE = "none"
    HEADER = "header"
    BODY = "body"
    BOTH = "both"


class RateLimit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most `calls` in each stretch of `per_s`, and `in_flight` at a time; 0 is no limit."""

    calls: int = 0
    per_s: float = 1.0
    in_flight: int = 0
    hint: Hint = Hint.BODY


class Rates:
    """The calls that were taken lately, by bucket; one per world and reset."""

    def __init__(self) -> None:
        self._taken: dict[str, deque[float]] = {}
        self._in_flight: dict[str, int] = {}

    def admit(self, bucket: str, limit: RateLimit, *, now: float) -> float:
        """Return 0 and count one more call; or how many seconds to wait, and count nothing."""
        taken = self._taken.setdefault(bucket, deque())
        while taken and taken[0] <= now - limit.per_s:
            taken.popleft()
        if limit.calls and len(taken) >= limit.calls:
            return taken[0] + limit.per_s - now
        if limit.in_flight and self._in_flight.get(bucket, 0) >= limit.in_flight:
            return _BUSY_WAIT_S
        taken.append(now)
        self._in_flight[bucket] = self._in_flight.get(bucket, 0) + 1
        return 0.0

    def leave(self, bucket: str) -> None:
        """Count the end of a call that was taken."""
        self._in_flight[bucket] -= 1


def with_hint(refusal: Refusal, limit: RateLimit, wait_s: float) -> Refusal:
    """Return `refusal` with the hints that `limit` gives, and no others."""
    in_header = limit.hint in (Hint.HEADER, Hint.BOTH)
    in_body = limit.hint in (Hint.BODY, Hint.BOTH)
    return msgspec.structs.replace(
        refusal,
        # The header has whole seconds only.
        retry_after_s=max(1, -int(-wait_s // 1)) if in_header else None,
        retry_after_ms=max(1, round(wait_s * 1000)) if in_body else None,
    )
