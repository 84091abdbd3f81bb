"""What one request did, for its one line in the log and for the counters."""

import msgspec

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat.answer import ErrorAnswer
from kiro2api.protocol.chat.events import Finish, Usage

# The client names the model, so nothing but this bounds its name.
_MAX_MODEL_CHARS = 200


class AttemptNote(msgspec.Struct):
    """One upstream call: which account, which model id, what came of it."""

    account: str
    model: str = ""
    cause: str = ""
    ms: float = 0.0


class RequestRecord(msgspec.Struct):
    """Filled while a request runs, read once at its end; lives as long as the request."""

    request_id: str
    started_s: float
    dialect: str = ""
    group: str = ""
    key: str = ""
    model: str = ""
    stream: bool = False
    status: int = 0
    outcome: str = ""
    stop_reason: str = ""
    first_event_s: float | None = None
    usage: Usage | None = None
    is_partial: bool = False
    bytes_in: int = 0
    bytes_out: int = 0
    skipped_events: int = 0
    attempts: list[AttemptNote] = []

    def finished(self, finish: Finish) -> None:
        """Note how the reply ended."""
        self.usage = finish.usage
        self.stop_reason = str(finish.stop_reason)
        self.outcome = "complete"

    def failed(self, kind: FaultKind | str) -> None:
        """Note that the request ended in a failure."""
        self.outcome = str(kind)

    def refused(self, answer: ErrorAnswer) -> None:
        """Note the error that the client is told, unless the end is noted already."""
        if not self.outcome:
            self.failed(answer.kind or answer.code or str(answer.status))

    def fields(self, now: float) -> dict[str, object]:
        """Return the members of the log line; nothing in them is text of the client or a secret."""
        usage = self.usage
        last = self.attempts[-1] if self.attempts else None
        line: dict[str, object] = {
            "request_id": self.request_id,
            "dialect": self.dialect,
            "group": self.group,
            "key": self.key,
            "model": self.model[:_MAX_MODEL_CHARS],
            "stream": self.stream,
            "status": self.status,
            "outcome": self.outcome,
            "ms": round((now - self.started_s) * 1000, 1),
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
        }
        if last is not None:
            line["account"] = last.account
            line["model_sent"] = last.model
            if len(self.attempts) > 1 or last.cause:
                # One good attempt has been told already: its account is there, its time is `ms`.
                line["attempts"] = [
                    f"{note.account}:{note.cause or 'ok'}:{note.ms:.0f}ms" for note in self.attempts
                ]
        if self.first_event_s is not None:
            line["first_event_ms"] = round((self.first_event_s - self.started_s) * 1000, 1)
        if self.stop_reason:
            line["stop_reason"] = self.stop_reason
        if usage is not None:
            line["input_tokens"] = usage.input_tokens
            line["output_tokens"] = usage.output_tokens
            line["cache_read_tokens"] = usage.cache_read_tokens
            line["cache_write_tokens"] = usage.cache_write_tokens
            line["usage_estimated"] = usage.estimated
            if usage.credits is not None:
                line["credits"] = usage.credits
        if self.is_partial:
            line["partial"] = True
        if self.skipped_events:
            line["skipped_events"] = self.skipped_events
        return line
