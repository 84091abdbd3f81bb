"""What a client is told when its request could not be served."""

from collections.abc import Mapping

from kiro2api.errors import (
    BusyError,
    FaultKind,
    FramingError,
    NoAccountError,
    RequestError,
    StoreError,
    TransferError,
    UpstreamError,
)
from kiro2api.protocol.chat.answer import ErrorAnswer
from kiro2api.protocol.chat.events import Failure

# The status of the last failure, when no account was left. 0: the upstream's own, if it is a 5xx.
STATUSES: Mapping[FaultKind, int] = {
    FaultKind.RATE_LIMITED: 429,
    FaultKind.MODEL_CAPACITY: 529,
    FaultKind.OUT_OF_QUOTA: 429,
    FaultKind.TOKEN_REJECTED: 503,
    FaultKind.PROFILE_REQUIRED: 502,
    FaultKind.WRONG_ENDPOINT: 502,
    FaultKind.SUSPENDED: 503,
    FaultKind.NOT_ENTITLED: 403,
    FaultKind.MODEL_UNAVAILABLE: 404,
    FaultKind.OVERLOADED: 0,
    FaultKind.NETWORK: 0,
    FaultKind.CONTEXT_TOO_LONG: 400,
    FaultKind.BAD_REQUEST: 400,
    FaultKind.CONVERSATION_LIMIT: 400,
    FaultKind.SIGNATURE_INVALID: 400,
    FaultKind.BROKEN_STREAM: 502,
    FaultKind.UNKNOWN: 502,
}
# How a status is called where none can be sent any more, inside a stream.
_KINDS = {
    400: FaultKind.BAD_REQUEST,
    404: FaultKind.MODEL_UNAVAILABLE,
    429: FaultKind.RATE_LIMITED,
    503: FaultKind.OVERLOADED,
}
_PASSED_ON = {500: 500, 502: 502, 503: 503, 504: 504, 408: 504}

# What each kind means and what helps, before the upstream's own words.
_MEANINGS: Mapping[FaultKind, str] = {
    FaultKind.RATE_LIMITED: "Every account of the group is rate limited; retry later",
    FaultKind.MODEL_CAPACITY: "The model is short of capacity; retry shortly or use another model",
    FaultKind.OUT_OF_QUOTA: "Every account of the group has used up its quota",
    FaultKind.TOKEN_REJECTED: "The upstream rejects the account's login; the operator must act",
    FaultKind.PROFILE_REQUIRED: "The upstream wants another profile ARN for the account",
    FaultKind.WRONG_ENDPOINT: "The upstream does not know this endpoint; check the set-up",
    FaultKind.SUSPENDED: "The upstream has suspended the account; the operator must act",
    FaultKind.NOT_ENTITLED: "The account is not entitled to this request",
    FaultKind.MODEL_UNAVAILABLE: "The model is not available to the accounts of the group",
    FaultKind.OVERLOADED: "The upstream is overloaded; retry shortly",
    FaultKind.NETWORK: "The upstream could not be reached",
    FaultKind.BAD_REQUEST: "The upstream refused the request",
    FaultKind.CONVERSATION_LIMIT: "The upstream's limit for this conversation is reached",
    FaultKind.SIGNATURE_INVALID: "The upstream refused the signature of a reasoning block",
    FaultKind.BROKEN_STREAM: "The upstream's reply broke off; retry",
    FaultKind.UNKNOWN: "The upstream failed in a way this gateway does not know",
}


def answer_for(error: Exception) -> ErrorAnswer:
    """Return what the client is told about `error`; unknown exceptions become a plain 500."""
    match error:
        case RequestError():
            return ErrorAnswer(error.status, error.message, code=error.code, path=error.path)
        case NoAccountError():
            status = 503 if error.retry_after_s is None else 429
            return ErrorAnswer(
                status, error.message, code="no_account", retry_after_s=error.retry_after_s
            )
        case BusyError():
            return ErrorAnswer(503, error.message, code="busy", retry_after_s=error.retry_after_s)
        case UpstreamError():
            return _for_upstream(error)
        case StoreError():
            return ErrorAnswer(503, "The gateway's database is away; retry.", code="store_away")
        case _:
            return ErrorAnswer(
                500, "The gateway failed; its log has the cause under this request id."
            )


def failure_for(error: Exception) -> Failure:
    """Return what the client is told about `error` inside a stream."""
    answer = answer_for(error)
    kind = answer.kind or _KINDS.get(answer.status, FaultKind.UNKNOWN)
    return Failure(kind, answer.message)


def fault_text(error: UpstreamError) -> str:
    """Return the meaning of the fault and the upstream's own words, as one sentence or two."""
    meaning = _MEANINGS.get(error.kind)
    if meaning is None:
        return error.message
    return f"{meaning}: {error.message}" if error.message else f"{meaning}."


def too_long_text(input_tokens: int, window_tokens: int) -> str:
    """Return the words that make agents compact; the numbers are said only when they agree."""
    if input_tokens > window_tokens > 0:
        return f"prompt is too long: {input_tokens} tokens > {window_tokens} maximum"
    return f"prompt is too long: the upstream refused about {input_tokens} tokens (estimated)"


def _for_upstream(error: UpstreamError) -> ErrorAnswer:
    status = STATUSES[error.kind]
    if not status:
        status = _PASSED_ON.get(error.status, 502)
    return ErrorAnswer(
        status,
        fault_text(error),
        code=error.code,
        kind=error.kind,
        retry_after_s=error.retry_after_s,
    )


def as_upstream_error(error: Exception) -> UpstreamError:
    """Return a broken transfer or a broken stream as the fault that it is.

    Raises:
        TypeError: `error` is neither.
    """
    match error:
        case UpstreamError():
            return error
        case TransferError():
            status = 504 if error.timed_out else 502
            return UpstreamError(FaultKind.NETWORK, error.message, status=status)
        case FramingError():
            return UpstreamError(FaultKind.BROKEN_STREAM, f"corrupt event stream: {error}")
        case _:
            raise TypeError(f"{error!r} is no failure of the upstream")
