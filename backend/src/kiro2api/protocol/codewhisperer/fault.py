"""What an upstream failure means: every error body and exception to one `FaultKind`.

Structured words decide first: the reason, then the exception's name. Sentences are looked at
only where the service is known to give nothing better.

Source: docs/reference/upstream.md, errors.
"""

import re
from collections.abc import Mapping

import msgspec

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.protocol.codewhisperer.mask import mask
from kiro2api.protocol.wire.json import decode

_MAX_MESSAGE_CHARS = 1000
_MAX_EVIDENCE_CHARS = 4096
_MAX_CODE_CHARS = 100

# A reason is a closed word of the service: wherever it stands, it means the same.
_REASONS: Mapping[str, FaultKind] = {
    "CONTENT_LENGTH_EXCEEDS_THRESHOLD": FaultKind.CONTEXT_TOO_LONG,
    "PROMPT_TOO_LONG": FaultKind.CONTEXT_TOO_LONG,
    "THINKING_SIGNATURE_INVALID": FaultKind.SIGNATURE_INVALID,
    "INVALID_MODEL_ID": FaultKind.MODEL_UNAVAILABLE,
    "HOURLY_REQUEST_COUNT": FaultKind.OUT_OF_QUOTA,
    "DAILY_REQUEST_COUNT": FaultKind.OUT_OF_QUOTA,
    "WEEKLY_REQUEST_COUNT": FaultKind.OUT_OF_QUOTA,
    "MONTHLY_REQUEST_COUNT": FaultKind.OUT_OF_QUOTA,
    "USAGE_LIMIT_REACHED": FaultKind.OUT_OF_QUOTA,
    "OVERAGE_REQUEST_LIMIT_EXCEEDED": FaultKind.OUT_OF_QUOTA,
    "CONVERSATION_LIMIT_EXCEEDED": FaultKind.CONVERSATION_LIMIT,
    "TEMPORARILY_SUSPENDED": FaultKind.SUSPENDED,
    "FEATURE_NOT_SUPPORTED": FaultKind.NOT_ENTITLED,
    "UNAUTHORIZED_CUSTOMIZATION_RESOURCE_ACCESS": FaultKind.NOT_ENTITLED,
    "UNAUTHORIZED_WORKSPACE_CONTEXT_FEATURE_ACCESS": FaultKind.NOT_ENTITLED,
    "INSUFFICIENT_MODEL_CAPACITY": FaultKind.MODEL_CAPACITY,
    "MODEL_TEMPORARILY_UNAVAILABLE": FaultKind.MODEL_CAPACITY,
    # The whole service is throttled, so another account would not help: wait like for a model.
    "SERVICE_REQUEST_RATE_EXCEEDED": FaultKind.MODEL_CAPACITY,
    "CREDIT_CONSUMPTION_RATE_EXCEEDED": FaultKind.RATE_LIMITED,
    "USER_REQUEST_RATE_EXCEEDED": FaultKind.RATE_LIMITED,
    "ContentLengthExceededException": FaultKind.CONTEXT_TOO_LONG,
}

# How long to stay away when the service names the cause and no time.
_WAITS_S: Mapping[str, float] = {
    "CREDIT_CONSUMPTION_RATE_EXCEEDED": 300.0,
    "HOURLY_REQUEST_COUNT": 3600.0,
}

# The status that an exception has over plain HTTP, for those that come inside a stream or under
# another status.
_STATUSES: Mapping[str, int] = {
    "throttlingError": 429,
    "ThrottlingException": 429,
    "validationError": 400,
    "ValidationException": 400,
    "error": 500,
    "InternalServerException": 500,
    "serviceUnavailableError": 503,
    "ServiceUnavailableException": 503,
    "AccessDeniedException": 403,
    "ServiceQuotaExceededException": 402,
    "ContentLengthExceededException": 400,
    "ConflictException": 409,
    "ResourceNotFoundException": 404,
}
# Old forms of the protocol give these exceptions under status 400.
_DISGUISED_AS_400 = frozenset(
    {"ThrottlingException", "AccessDeniedException", "ServiceQuotaExceededException"}
)


class _Clue(msgspec.Struct, frozen=True):
    """A sentence that tells a fault among those of one status; `code` names it for programs."""

    pattern: re.Pattern[str]
    kind: FaultKind
    code: str = ""


def _clue(pattern: str, kind: FaultKind, code: str = "") -> _Clue:
    return _Clue(re.compile(pattern, re.IGNORECASE), kind, code)


_MONTH_IS_OVER = _clue(
    r"maximum request reached for this month", FaultKind.OUT_OF_QUOTA, "MONTHLY_REQUEST_COUNT"
)
_CLUES: Mapping[int, tuple[_Clue, ...]] = {
    400: (
        _clue(
            r"input is too long|input content length exceeds|context window is full"
            r"|length limit exceeded",
            FaultKind.CONTEXT_TOO_LONG,
        ),
        _clue(
            r"profilearn is required|value null at 'profilearn'|invalid profilearn",
            FaultKind.PROFILE_REQUIRED,
        ),
        _clue(r"^invalid model\b", FaultKind.MODEL_UNAVAILABLE),
        _clue(r"^invalid token\b", FaultKind.TOKEN_REJECTED),
        _MONTH_IS_OVER,
    ),
    403: (
        _clue(
            r"temporarily suspended|unusual user activity|\blocked\b",
            FaultKind.SUSPENDED,
            "TEMPORARILY_SUSPENDED",
        ),
        _clue(
            r"not authorized to access this feature|not authorized to make this call"
            r"|subscription does not support this application|unsupported token type"
            r"|api key authentication is not supported",
            FaultKind.NOT_ENTITLED,
        ),
        _clue(
            r"\bexpired\b|invalid token|invalid bearer token|bearer token\b.*\binvalid"
            r"|unauthenticated",
            FaultKind.TOKEN_REJECTED,
        ),
    ),
    429: (
        _clue(
            r"experiencing (?:a )?high (?:volume of )?traffic",
            FaultKind.MODEL_CAPACITY,
            "INSUFFICIENT_MODEL_CAPACITY",
        ),
        _clue(
            r"60-minute credit limit exceeded",
            FaultKind.RATE_LIMITED,
            "CREDIT_CONSUMPTION_RATE_EXCEEDED",
        ),
        _MONTH_IS_OVER,
    ),
    500: (
        _clue(
            r"encountered unexpectedly high load|\bServiceUnavailableException\b",
            FaultKind.MODEL_CAPACITY,
        ),
    ),
}

# What a status means when no word says more.
_BY_STATUS: Mapping[int, FaultKind] = {
    400: FaultKind.BAD_REQUEST,
    401: FaultKind.TOKEN_REJECTED,
    402: FaultKind.OUT_OF_QUOTA,
    403: FaultKind.NOT_ENTITLED,
    404: FaultKind.WRONG_ENDPOINT,
    408: FaultKind.OVERLOADED,
    409: FaultKind.NOT_ENTITLED,
    413: FaultKind.CONTEXT_TOO_LONG,
    422: FaultKind.BAD_REQUEST,
    429: FaultKind.RATE_LIMITED,
}


class ErrorWords(msgspec.Struct, frozen=True):
    """What an error says, wherever it says it; empty words where it does not.

    `name` is the exception's, `reason` the service's closed word, `message` its prose, `text` the
    body when it was no JSON object.
    """

    name: str = ""
    reason: str = ""
    message: str = ""
    text: str = ""
    retry_after_s: float | None = None

    @property
    def is_page(self) -> bool:
        """Tell whether the body is markup: then something between us and the service wrote it."""
        return self.text.startswith("<")


def classify(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """Return the fault that an HTTP answer with an error status tells; header names in lower case.

    The message is masked. `code` is the service's reason, or the exception's name.
    """
    return _decide(status, read_words(headers, body))


def classify_exception(name: str, payload: bytes) -> UpstreamError:
    """Return the fault that an exception inside a stream tells; its status is HTTP's for it."""
    words = read_words({}, payload)
    # What is no JSON may quote the model: only the members of an object are evidence.
    words = msgspec.structs.replace(words, name=name or words.name, text="")
    return _decide(_STATUSES.get(words.name, 500), words)


def _decide(status: int, words: ErrorWords) -> UpstreamError:
    kind, code = _kind(status, words)
    waits_s = _WAITS_S.get(code) if words.retry_after_s is None else words.retry_after_s
    return UpstreamError(
        kind,
        masked_message(words, status),
        status=status,
        code=masked_code(code, words),
        retry_after_s=waits_s,
    )


def _kind(status: int, words: ErrorWords) -> tuple[FaultKind, str]:
    # Some hosts put the reason where the name belongs, and some say nothing but the reason.
    for word in (words.reason, words.name, words.message):
        if (kind := _REASONS.get(word)) is not None:
            return kind, word
    if status == 400 and words.name in _DISGUISED_AS_400:
        status = _STATUSES[words.name]
    evidence = f"{words.name} {words.message}" if status == 500 else words.message
    evidence = (evidence.strip() or words.text)[:_MAX_EVIDENCE_CHARS]
    for clue in _CLUES.get(status, ()):
        if clue.pattern.search(evidence):
            return clue.kind, words.reason or clue.code
    if status == 403 and not (words.name or words.reason or words.message):
        # The service explains itself; this is a proxy on the way, and says nothing of the account.
        return FaultKind.OVERLOADED, ""
    if status >= 500:
        return FaultKind.OVERLOADED, ""
    return _BY_STATUS.get(status, FaultKind.UNKNOWN), ""


def masked_message(words: ErrorWords, status: int) -> str:
    """Return the upstream's own words without secrets, or the bare status when it has none."""
    text = words.message or ("" if words.is_page else words.text)
    text = mask(" ".join(text[:_MAX_EVIDENCE_CHARS].split()))[:_MAX_MESSAGE_CHARS]
    return text or f"HTTP {status} without a message"


def masked_code(code: str, words: ErrorWords) -> str:
    """Return `code`, or the word of the upstream's own that names the failure, without secrets."""
    # A word of the upstream's reaches clients as the message does, and need not be a word.
    return mask(code or words.reason or words.name)[:_MAX_CODE_CHARS]


def read_words(headers: Mapping[str, str], body: bytes) -> ErrorWords:
    """Return what an error answer says in any of the shapes seen in the field.

    REST has the name in a header and JSON-1.0 in `__type`; others nest the error in `Output` or
    `error`, write `Message`, or send HTML, plain text or nothing.
    """
    document = _object(body)
    name = headers.get("x-amzn-errortype", "")
    if document is None:
        text = body[:_MAX_EVIDENCE_CHARS].decode(errors="replace").strip()
        return ErrorWords(_bare(name), text=text, retry_after_s=_retry_after(headers, {}))
    inner = _inner(document)
    return ErrorWords(
        name=_bare(name or _word(inner, "__type", "code", "error")),
        reason=_word(inner, "reason"),
        message=_word(inner, "message", "Message", "errorMessage", "error_description"),
        retry_after_s=_retry_after(headers, inner),
    )


def _object(body: bytes) -> dict[str, object] | None:
    try:
        document = decode(body)
    except RequestError:
        return None
    return document if isinstance(document, dict) else None


def _inner(document: dict[str, object]) -> dict[str, object]:
    """Return the object that holds the words: the document, or what it wraps."""
    for wrapper in ("Output", "error"):
        nested = document.get(wrapper)
        if isinstance(nested, dict):
            return nested
    return document


def _word(document: Mapping[str, object], *names: str) -> str:
    """Return the first of the members `names` that is a text with something in it."""
    for name in names:
        value = document.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def _bare(name: str) -> str:
    """Return an exception's name without its namespace and without what follows a colon."""
    return name.partition(":")[0].rpartition("#")[2].strip()


def _retry_after(headers: Mapping[str, str], document: Mapping[str, object]) -> float | None:
    """Return the longer of the two hints, in seconds; a date needs a clock, so it is no hint."""
    hints: list[float] = []
    header = headers.get("retry-after", "").strip()
    # Ten digits would be centuries: no hint but a mistake.
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", header):
        hints.append(float(header))
    told_ms = document.get("retryAfterMilliseconds")
    if isinstance(told_ms, int | float) and 0 < told_ms < 1e12:
        hints.append(told_ms / 1000)
    return max(hints, default=None)
