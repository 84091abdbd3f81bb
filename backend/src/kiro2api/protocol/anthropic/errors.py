"""Errors in Anthropic's shape: the type by the fault or the status, the words that clients act on."""

import math

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat.answer import ErrorAnswer, RenderedError
from kiro2api.protocol.wire.json import encode

_OVERLOADED_STATUS = 529
_TOO_LONG = "prompt is too long"

_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}

# What a fault is called inside a stream, where no status says it.
_BY_KIND = {
    FaultKind.RATE_LIMITED: "rate_limit_error",
    FaultKind.OUT_OF_QUOTA: "rate_limit_error",
    FaultKind.MODEL_CAPACITY: "overloaded_error",
    FaultKind.OVERLOADED: "overloaded_error",
    FaultKind.NOT_ENTITLED: "permission_error",
    FaultKind.MODEL_UNAVAILABLE: "not_found_error",
    FaultKind.CONTEXT_TOO_LONG: "invalid_request_error",
    FaultKind.BAD_REQUEST: "invalid_request_error",
    FaultKind.CONVERSATION_LIMIT: "invalid_request_error",
    FaultKind.SIGNATURE_INVALID: "invalid_request_error",
}


def error_type(kind: FaultKind) -> str:
    """Return Anthropic's name of an upstream fault: the `type` of an in-stream error."""
    return _BY_KIND.get(kind, "api_error")


def render_error(error: ErrorAnswer, request_id: str) -> RenderedError:
    """Return the error as Anthropic shapes it, with the headers that steer a client's retries."""
    status = _status(error)
    body: dict[str, object] = {"type": _type(error, status), "message": _message(error)}
    if error.code:
        body["details"] = {"error_code": error.code}
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(error.retry_after_s))))
    if status == 401:
        # Claude Code tries a wrong key eleven times in three minutes unless it is told not to.
        headers.append((b"x-should-retry", b"false"))
    envelope = {"type": "error", "error": body, "request_id": request_id}
    return RenderedError(status, encode(envelope), tuple(headers))


def _status(error: ErrorAnswer) -> int:
    match error.kind:
        case FaultKind.MODEL_CAPACITY:
            return _OVERLOADED_STATUS
        case FaultKind.CONTEXT_TOO_LONG:
            return 400
        case _:
            return error.status


def _type(error: ErrorAnswer, status: int) -> str:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if error.kind is FaultKind.OVERLOADED:
        return "overloaded_error"
    return "api_error" if status >= 500 else "invalid_request_error"


def _message(error: ErrorAnswer) -> str:
    if error.kind is FaultKind.CONTEXT_TOO_LONG:
        # Claude Code compacts the conversation by itself when the message starts so.
        start = error.message.lower().find(_TOO_LONG)
        if start >= 0:
            return _TOO_LONG + error.message[start + len(_TOO_LONG) :]
        return f"{_TOO_LONG}: {error.message}" if error.message else _TOO_LONG
    path = error.path.replace("[", ".").replace("]", "")
    return f"{path}: {error.message}" if path else error.message
