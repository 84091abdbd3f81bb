"""Errors in the shape of the Chat Completions API, alone or inside a stream."""

from collections.abc import Mapping
from math import ceil

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat.answer import ErrorAnswer, RenderedError
from kiro2api.protocol.chat.events import Failure
from kiro2api.protocol.openai_chat.schema import Error, ErrorBody
from kiro2api.protocol.wire import json

_INVALID = "invalid_request_error"
_SERVER = "server_error"
_TYPES_BY_STATUS: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
# The type, and the code where the API has a word of its own for it; "" leaves the answer's.
_WORDS: Mapping[FaultKind, tuple[str, str]] = {
    FaultKind.RATE_LIMITED: ("rate_limit_error", "rate_limit_exceeded"),
    FaultKind.MODEL_CAPACITY: (_SERVER, "model_capacity"),
    FaultKind.OUT_OF_QUOTA: ("insufficient_quota", "insufficient_quota"),
    FaultKind.TOKEN_REJECTED: (_SERVER, ""),
    FaultKind.PROFILE_REQUIRED: (_SERVER, ""),
    FaultKind.WRONG_ENDPOINT: (_SERVER, ""),
    FaultKind.SUSPENDED: (_SERVER, ""),
    FaultKind.NOT_ENTITLED: ("permission_error", ""),
    FaultKind.MODEL_UNAVAILABLE: ("not_found_error", "model_not_found"),
    FaultKind.OVERLOADED: (_SERVER, ""),
    FaultKind.NETWORK: (_SERVER, ""),
    FaultKind.CONTEXT_TOO_LONG: (_INVALID, "context_length_exceeded"),
    FaultKind.BAD_REQUEST: (_INVALID, ""),
    FaultKind.CONVERSATION_LIMIT: (_INVALID, ""),
    FaultKind.SIGNATURE_INVALID: (_INVALID, ""),
    FaultKind.BROKEN_STREAM: (_SERVER, ""),
    FaultKind.UNKNOWN: (_SERVER, ""),
}
_MODEL_CAPACITY_STATUS = 529


def render_error(answer: ErrorAnswer, request_id: str) -> RenderedError:
    """Return the error answer: status, body, and the headers that tell the client when to retry."""
    kind_type, kind_code = _WORDS[answer.kind] if answer.kind else ("", "")
    # The API does not know 529, the status that its sister uses.
    status = 503 if answer.status == _MODEL_CAPACITY_STATUS else answer.status
    error = Error(
        message=answer.message,
        type=kind_type or _type_of_status(status),
        param=answer.path or None,
        code=kind_code or answer.code or None,
    )
    return RenderedError(status, json.encode(ErrorBody(error, request_id)), _headers(answer))


def render_failure(failure: Failure) -> bytes:
    """Return the JSON of the error chunk that ends a stream."""
    type_, code = _WORDS[failure.kind]
    return json.encode(ErrorBody(Error(failure.message, type_, None, code or failure.kind.value)))


def _type_of_status(status: int) -> str:
    return _TYPES_BY_STATUS.get(status) or (_SERVER if status >= 500 else _INVALID)


def _headers(answer: ErrorAnswer) -> tuple[tuple[bytes, bytes], ...]:
    if answer.status == 401:
        # Without it the official clients try a wrong key again for minutes.
        return ((b"x-should-retry", b"false"),)
    if answer.retry_after_s is not None:
        return ((b"retry-after", b"%d" % max(1, ceil(answer.retry_after_s))),)
    return ()
