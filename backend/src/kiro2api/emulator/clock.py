"""The emulator's time, which tests move, and its ids, which a seed decides."""

from collections.abc import Callable
from hashlib import sha256


class Clock:
    """The machine's time plus what tests have added; one per world."""

    def __init__(self, read: Callable[[], float]) -> None:
        self._read = read
        self._ahead_s = 0.0

    def now(self) -> float:
        """Return seconds since the epoch, as the emulated service sees them."""
        return self._read() + self._ahead_s

    def advance(self, by_s: float) -> None:
        """Move the time by `by_s` seconds (backwards when negative)."""
        self._ahead_s += by_s


class Ids:
    """Endless names that are the same for the same seed and order of asking."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made = 0

    def next(self, prefix: str, *, length: int = 24) -> str:
        """Return `prefix` followed by `length` letters and digits never returned before."""
        self._made += 1
        return prefix + spell(f"{self._seed}:{self._made}", length=length)


def spell(source: str, *, length: int) -> str:
    """Return `length` hexadecimal digits that `source` decides."""
    digits = ""
    while len(digits) < length:
        digits += sha256(f"{len(digits)}:{source}".encode()).hexdigest()
    return digits[:length]


def uuid(source: str) -> str:
    """Return a UUID in its usual spelling that `source` decides."""
    digits = spell(source, length=32)
    cuts = (digits[:8], digits[8:12], "4" + digits[13:16], "8" + digits[17:20], digits[20:])
    return "-".join(cuts)
