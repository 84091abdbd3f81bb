"""Every exception that kiro2api raises, split by who must act, and the closed list of upstream faults.

Kiro2apiError
├── RequestError          the caller must change the request
├── NoAccountError        time must pass, or the operator must add an account
├── BusyError             the program takes no more work, or is stopping: time must pass
├── UpstreamError         the upstream failed in one of the ways of `FaultKind`
├── FramingError          the bytes of an event stream are not frames: the stream is lost
├── TransferError         an outbound HTTP call ended without an answer
├── StoreError            the database refused or is away: nothing was saved
└── SetupError            the operator must change the set-up before the program can start
"""

from enum import StrEnum


class FaultKind(StrEnum):
    """The closed list of ways in which the upstream fails a request.

    The pool moves by `pool/transitions.py`, the retry loop by `gateway/attempt.py`, the client's
    status by `gateway/outcome.py`: each has one row per kind.
    """

    RATE_LIMITED = "rate_limited"
    MODEL_CAPACITY = "model_capacity"
    OUT_OF_QUOTA = "out_of_quota"
    TOKEN_REJECTED = "token_rejected"
    PROFILE_REQUIRED = "profile_required"
    WRONG_ENDPOINT = "wrong_endpoint"
    SUSPENDED = "suspended"
    NOT_ENTITLED = "not_entitled"
    MODEL_UNAVAILABLE = "model_unavailable"
    OVERLOADED = "overloaded"
    NETWORK = "network"
    CONTEXT_TOO_LONG = "context_too_long"
    BAD_REQUEST = "bad_request"
    CONVERSATION_LIMIT = "conversation_limit"
    SIGNATURE_INVALID = "signature_invalid"
    BROKEN_STREAM = "broken_stream"
    UNKNOWN = "unknown"


class Kiro2apiError(Exception):
    """The root: catching it catches what we raise and nothing else."""


class RequestError(Kiro2apiError):
    """The caller's request cannot be served as it is.

    `status` is the HTTP status, `path` the JSON path of the offending member ("" when there is
    none), `code` a stable word for programs ("" when there is none).
    """

    def __init__(self, message: str, *, path: str = "", status: int = 400, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.status = status
        self.code = code


class NoAccountError(Kiro2apiError):
    """No account can serve now.

    `retry_after_s` says when the soonest one returns; None when waiting does not help.
    """

    def __init__(self, message: str, *, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class BusyError(Kiro2apiError):
    """The program cannot serve the request now, for reasons of its own; a retry may find it able."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s


class UpstreamError(Kiro2apiError):
    """The upstream answered with a failure, or did not answer; `kind` says which one.

    `status` is the upstream's HTTP status (0 when there was none), `code` its reason or exception
    name, `retry_after_s` its hint (None without one), `message` its text with secrets masked.
    """

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        status: int = 0,
        code: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s


class FramingError(Kiro2apiError):
    """The bytes are not event stream frames: a CRC differs or a length is impossible."""


class TransferError(Kiro2apiError):
    """An outbound HTTP call ended without a whole answer.

    `timed_out` tells a silent upstream from a broken connection; `closed` tells that the peer closed
    it in good order, though HTTP had promised more.
    """

    def __init__(self, message: str, *, timed_out: bool = False, closed: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.timed_out = timed_out
        self.closed = closed


class StoreError(Kiro2apiError):
    """The database refused the change or is away; nothing was saved."""


class SetupError(Kiro2apiError):
    """The program cannot start as it is set up; the text says what to change."""
