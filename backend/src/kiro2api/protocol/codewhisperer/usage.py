"""What a reply cost: the upstream's numbers where it gives them, honest estimates elsewhere."""

import msgspec

from kiro2api.protocol.chat.events import Usage
from kiro2api.protocol.tokens import estimate_text

# How many pieces of text wait for the estimate: joined now and then, never one by one. A long one
# ends the waiting, so that no more than 64 Ki characters of a reply are kept.
_PIECES = 64
_LONG_CHARS = 1024


class TokenUsage(msgspec.Struct, rename="camel", gc=False):
    """The upstream's own count of tokens; hosts leave members out or send zeros."""

    uncached_input_tokens: float | None = None
    cache_read_input_tokens: float | None = None
    cache_write_input_tokens: float | None = None
    output_tokens: float | None = None
    context_usage_percentage: float | None = None


class Tally:
    """The token estimate of text that arrives in pieces; owned by a meter."""

    __slots__ = ("_pieces", "_tokens")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._tokens = 0

    def add(self, text: str) -> None:
        """Count `text` as well."""
        self._pieces.append(text)
        if len(self._pieces) >= _PIECES or len(text) >= _LONG_CHARS:
            self.total()

    def total(self) -> int:
        """Return the estimate of all that was added."""
        if self._pieces:
            self._tokens += estimate_text("".join(self._pieces))
            self._pieces.clear()
        return self._tokens


class Meter:
    """Counts one reply; lives as long as the reader that owns it.

    `spoken` and `thought` take what the model wrote, `told`, `percentage` and `credits` what the
    upstream said about it. `input_tokens` is the local estimate of the request.
    """

    def __init__(self, *, input_tokens: int, window_tokens: int) -> None:
        self.spoken = Tally()
        self.thought = Tally()
        self.told = TokenUsage()
        self.percentage = 0.0
        self.credits: float | None = None
        self._input_tokens = input_tokens
        self._window_tokens = window_tokens

    @property
    def used_percentage(self) -> float:
        """The share of the window in use after the output; 0 when the upstream did not say."""
        return self.percentage or self.told.context_usage_percentage or 0.0

    def charge(self, credits: float) -> None:
        """Add what the upstream charged."""
        self.credits = (self.credits or 0.0) + credits

    def usage(self) -> Usage:
        """Return the best known numbers, and whether one of them is ours."""
        uncached = _whole(self.told.uncached_input_tokens)
        cache_read = _whole(self.told.cache_read_input_tokens)
        cache_write = _whole(self.told.cache_write_input_tokens)
        output = _whole(self.told.output_tokens)
        has_input = bool(uncached or cache_read or cache_write)
        reasoning = self.thought.total()
        # The upstream never counts reasoning apart, so that number is always ours.
        is_estimated = not (has_input and output) or reasoning > 0
        if not output:
            output = self.spoken.total() + reasoning
        return Usage(
            input_tokens=uncached if has_input else self._derived_input(output),
            output_tokens=output,
            cache_read_tokens=cache_read,
            cache_write_tokens=cache_write,
            reasoning_tokens=min(reasoning, output),
            credits=self.credits,
            estimated=is_estimated,
        )

    def _derived_input(self, output: int) -> int:
        """Return the input by the share of the window in use, which counts the output too."""
        percentage = self.used_percentage
        if percentage > 0 and self._window_tokens:
            return max(0, round(percentage / 100 * self._window_tokens) - output)
        return self._input_tokens


def _whole(value: float | None) -> int:
    return max(0, int(value)) if value else 0
