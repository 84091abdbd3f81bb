"""The law of a reply: `Begin (Start Delta* BlockStop)* Finish`, or the same cut by one `Failure`."""

from collections.abc import Iterable

from kiro2api.protocol.chat.events import (
    Begin,
    BlockStop,
    Failure,
    Finish,
    RedactedThinking,
    ServerToolResult,
    ServerToolUse,
    SignatureDelta,
    StreamEvent,
    TextDelta,
    TextStart,
    ThinkingDelta,
    ThinkingStart,
    ToolInputDelta,
    ToolUseStart,
)

# Which deltas may follow a start, before the block stops.
_DELTAS: dict[type, tuple[type, ...]] = {
    TextStart: (TextDelta,),
    ThinkingStart: (ThinkingDelta, SignatureDelta),
    RedactedThinking: (),
    ToolUseStart: (ToolInputDelta,),
    ServerToolUse: (),
    ServerToolResult: (),
}


class GrammarError(AssertionError):
    """A stage emitted an event that the law forbids: a bug of ours, never of a peer."""


class Grammar:
    """Checks the events of one reply, one by one; lives as long as the reply."""

    def __init__(self) -> None:
        self._begun = False
        self._ended = False
        self._open: type | None = None
        self._index = 0

    def check(self, event: StreamEvent) -> None:
        """Accept `event` as the next one.

        Raises:
            GrammarError: the law forbids it here.
        """
        if self._ended:
            raise GrammarError(f"{event!r} after the end")
        if isinstance(event, Failure):
            self._ended = True
            return
        if isinstance(event, Begin) == self._begun:
            raise GrammarError(f"{event!r}, begun already: {self._begun}")
        self._begun = True
        if isinstance(event, Finish):
            self._require_closed(event)
            self._ended = True
        elif not isinstance(event, Begin):
            self._check_block_event(event)

    def check_all(self, events: Iterable[StreamEvent]) -> None:
        """Accept `events` and require that the reply has ended with them."""
        for event in events:
            self.check(event)
        if not self._ended:
            raise GrammarError("the reply has no end")

    def _check_block_event(self, event: StreamEvent) -> None:
        index = getattr(event, "index", None)
        if index != self._index:
            raise GrammarError(f"{event!r}, the index is {self._index} here")
        if type(event) in _DELTAS:
            self._require_closed(event)
            self._open = type(event)
        elif self._open is None:
            raise GrammarError(f"{event!r} outside a block")
        elif isinstance(event, BlockStop):
            self._open = None
            self._index += 1
        elif type(event) not in _DELTAS[self._open]:
            raise GrammarError(f"{event!r} inside a block of {self._open.__name__}")

    def _require_closed(self, event: StreamEvent) -> None:
        if self._open is not None:
            raise GrammarError(f"{event!r} while a block of {self._open.__name__} is open")
