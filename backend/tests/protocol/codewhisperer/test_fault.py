"""Every row of the upstream's errors means one kind of fault, however the host spells it."""

import json

import pytest

from kiro2api.errors import FaultKind as K
from kiro2api.protocol.codewhisperer.fault import (
    classify,
    classify_exception,
    masked_message,
    read_words,
)

TOO_MANY = "Too many requests, please wait before trying again."
SUSPENDED = (
    "Your User ID (d-1234567890.someone) is temporarily suspended. We detected unusual user "
    "activity and locked it as a security precaution."
)
V, T, A = "ValidationException", "ThrottlingException", "AccessDeniedException"
Q, S, U = (
    "ServiceQuotaExceededException",
    "InternalServerException",
    "ServiceUnavailableException",
)

# status, exception, message, reason, kind
ROWS: list[tuple[int, str, str, str | None, K]] = [
    (400, V, "Too large.", "CONTENT_LENGTH_EXCEEDS_THRESHOLD", K.CONTEXT_TOO_LONG),
    (400, V, "Too large.", "PROMPT_TOO_LONG", K.CONTEXT_TOO_LONG),
    (400, V, "Input is too long.", None, K.CONTEXT_TOO_LONG),
    (400, V, "Input content length exceeds threshold", None, K.CONTEXT_TOO_LONG),
    (400, V, "Context window is full", None, K.CONTEXT_TOO_LONG),
    (400, V, "buffering failed: length limit exceeded", None, K.CONTEXT_TOO_LONG),
    (400, V, "Invalid signature.", "THINKING_SIGNATURE_INVALID", K.SIGNATURE_INVALID),
    (400, V, "Pick another model.", "INVALID_MODEL_ID", K.MODEL_UNAVAILABLE),
    (400, V, "Invalid model. Please select a different model.", None, K.MODEL_UNAVAILABLE),
    (400, V, "profileArn is required for this request.", None, K.PROFILE_REQUIRED),
    (400, V, "Value null at 'profileArn' failed", None, K.PROFILE_REQUIRED),
    (400, V, "Invalid profileArn.", None, K.PROFILE_REQUIRED),
    (400, T, "Limit.", "MONTHLY_REQUEST_COUNT", K.OUT_OF_QUOTA),
    (400, T, "Maximum Request reached for this month.", None, K.OUT_OF_QUOTA),
    (400, T, "Slow down.", None, K.RATE_LIMITED),
    (400, A, "Invalid token", None, K.TOKEN_REJECTED),
    (400, A, "User is not authorized to access this feature", None, K.NOT_ENTITLED),
    (400, Q, "You have reached the limit.", None, K.OUT_OF_QUOTA),
    (400, V, "Improperly formed request.", None, K.BAD_REQUEST),
    (400, V, "Improperly formed request.", "REQUEST_BODY_INVALID", K.BAD_REQUEST),
    (400, V, "Pairs.", "TOOL_USE_RESULT_MISMATCH", K.BAD_REQUEST),
    (401, "UnauthorizedException", "Unauthorized", None, K.TOKEN_REJECTED),
    (402, Q, "You have reached the limit.", "MONTHLY_REQUEST_COUNT", K.OUT_OF_QUOTA),
    (402, Q, "You have reached the limit.", None, K.OUT_OF_QUOTA),
    (402, Q, "Cap.", "OVERAGE_REQUEST_LIMIT_EXCEEDED", K.OUT_OF_QUOTA),
    (402, Q, "This one is full.", "CONVERSATION_LIMIT_EXCEEDED", K.CONVERSATION_LIMIT),
    (403, A, "Token expired", None, K.TOKEN_REJECTED),
    (403, A, "Invalid token", None, K.TOKEN_REJECTED),
    (403, A, "Invalid bearer token", None, K.TOKEN_REJECTED),
    (403, A, "The bearer token included in the request is invalid.", None, K.TOKEN_REJECTED),
    (403, A, "Request is unauthenticated", None, K.TOKEN_REJECTED),
    (403, A, "Locked.", "TEMPORARILY_SUSPENDED", K.SUSPENDED),
    (403, A, SUSPENDED, None, K.SUSPENDED),
    (403, A, "We saw unusual user activity.", None, K.SUSPENDED),
    (403, A, "The account is locked.", None, K.SUSPENDED),
    (403, A, "No.", "FEATURE_NOT_SUPPORTED", K.NOT_ENTITLED),
    (403, A, "No.", "UNAUTHORIZED_CUSTOMIZATION_RESOURCE_ACCESS", K.NOT_ENTITLED),
    (403, A, "No.", "UNAUTHORIZED_WORKSPACE_CONTEXT_FEATURE_ACCESS", K.NOT_ENTITLED),
    (403, A, "User is not authorized to access this feature", None, K.NOT_ENTITLED),
    (403, A, "User is not authorized to make this call.", None, K.NOT_ENTITLED),
    (403, A, "Your subscription does not support this application", None, K.NOT_ENTITLED),
    (403, A, "Unsupported token type", None, K.NOT_ENTITLED),
    (
        403,
        A,
        "API key authentication is not supported for this operation.",
        None,
        K.NOT_ENTITLED,
    ),
    (403, A, "Access was blocked.", None, K.NOT_ENTITLED),
    (404, "UnknownOperationException", "unknown operation", None, K.WRONG_ENDPOINT),
    (408, "RequestTimeoutException", "Timed out.", None, K.OVERLOADED),
    (409, "ConflictException", "Key.", "CUSTOMER_KMS_KEY_DISABLED", K.NOT_ENTITLED),
    (413, "RequestEntityTooLargeException", "Too large.", None, K.CONTEXT_TOO_LONG),
    (422, "UnprocessableEntityException", "Empty content.", None, K.BAD_REQUEST),
    (429, T, "Busy.", "INSUFFICIENT_MODEL_CAPACITY", K.MODEL_CAPACITY),
    (429, T, "I am experiencing high traffic, please try again.", None, K.MODEL_CAPACITY),
    (
        429,
        T,
        "The model you've selected is experiencing a high volume of traffic.",
        None,
        K.MODEL_CAPACITY,
    ),
    (429, T, "Limit.", "MONTHLY_REQUEST_COUNT", K.OUT_OF_QUOTA),
    (429, T, "Limit.", "DAILY_REQUEST_COUNT", K.OUT_OF_QUOTA),
    (429, T, "Limit.", "WEEKLY_REQUEST_COUNT", K.OUT_OF_QUOTA),
    (429, T, "Limit.", "HOURLY_REQUEST_COUNT", K.OUT_OF_QUOTA),
    (429, T, "Limit.", "USAGE_LIMIT_REACHED", K.OUT_OF_QUOTA),
    (429, T, TOO_MANY, "CREDIT_CONSUMPTION_RATE_EXCEEDED", K.RATE_LIMITED),
    (429, T, "60-minute credit limit exceeded", None, K.RATE_LIMITED),
    (429, T, TOO_MANY, "USER_REQUEST_RATE_EXCEEDED", K.RATE_LIMITED),
    (429, T, TOO_MANY, None, K.RATE_LIMITED),
    (429, T, "Rate exceeded", "SERVICE_REQUEST_RATE_EXCEEDED", K.MODEL_CAPACITY),
    (500, S, "Encountered unexpectedly high load, try again.", None, K.MODEL_CAPACITY),
    (500, U, "Not now.", None, K.MODEL_CAPACITY),
    (500, S, "Down.", "MODEL_TEMPORARILY_UNAVAILABLE", K.MODEL_CAPACITY),
    (503, U, "Down.", "MODEL_TEMPORARILY_UNAVAILABLE", K.MODEL_CAPACITY),
    (500, S, "Internal error", None, K.OVERLOADED),
    (502, S, "Bad gateway", None, K.OVERLOADED),
    (503, U, "Service unavailable", None, K.OVERLOADED),
    (504, S, "Gateway timeout", None, K.OVERLOADED),
    (529, S, "Overloaded", None, K.OVERLOADED),
    (301, "", "Moved", None, K.UNKNOWN),
    (418, "TeapotException", "Short and stout.", None, K.UNKNOWN),
]


def members(message: str, reason: str | None) -> dict[str, object]:
    return {"message": message, "reason": reason}


def rest(name: str, message: str, reason: str | None) -> tuple[dict[str, str], bytes]:
    headers = {"x-amzn-errortype": f"{name}:http://internal.example/errors#{name}"}
    return headers, json.dumps(members(message, reason)).encode()


def json10(name: str, message: str, reason: str | None) -> tuple[dict[str, str], bytes]:
    body = {"__type": f"com.example.service#{name}", **members(message, reason)}
    return {}, json.dumps(body).encode()


def wrapped(name: str, message: str, reason: str | None) -> tuple[dict[str, str], bytes]:
    body = {"__type": f"com.example.service#{name}", **members(message, reason)}
    return {}, json.dumps({"Output": body, "Version": "1.0"}).encode()


def nested(name: str, message: str, reason: str | None) -> tuple[dict[str, str], bytes]:
    body = {"code": name, **members(message, reason)}
    return {}, json.dumps({"error": body}).encode()


@pytest.mark.parametrize("spell", [rest, json10, wrapped, nested])
@pytest.mark.parametrize(("status", "name", "message", "reason", "kind"), ROWS)
def test_each_row_means_one_kind_in_every_dialect(
    status: int, name: str, message: str, reason: str | None, kind: K, spell: object
) -> None:
    assert callable(spell)
    error = classify(status, *spell(name, message, reason))

    assert error.kind is kind
    assert error.status == status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, K.BAD_REQUEST),
        (401, K.TOKEN_REJECTED),
        (402, K.OUT_OF_QUOTA),
        (403, K.OVERLOADED),
        (404, K.WRONG_ENDPOINT),
        (429, K.RATE_LIMITED),
        (500, K.OVERLOADED),
        (503, K.OVERLOADED),
    ],
)
def test_an_empty_body_leaves_the_status_to_decide(status: int, kind: K) -> None:
    error = classify(status, {}, b"")

    assert error.kind is kind
    assert error.message == f"HTTP {status} without a message"


@pytest.mark.parametrize("body", [b"<html><body>Forbidden</body></html>", b"Forbidden", b"{}"])
def test_a_403_without_the_services_words_says_nothing_about_the_account(body: bytes) -> None:
    assert classify(403, {}, body).kind is K.OVERLOADED


def test_a_403_with_no_word_but_the_name_is_about_the_account() -> None:
    headers = {"x-amzn-errortype": "AccessDeniedException"}

    assert classify(403, headers, b"").kind is K.NOT_ENTITLED


def test_a_page_is_not_shown() -> None:
    assert classify(502, {}, b"<html>secret</html>").message == "HTTP 502 without a message"


@pytest.mark.parametrize("status", [502, 504])
def test_a_page_with_a_server_error_is_an_overload(status: int) -> None:
    assert classify(status, {}, b"<html>oops</html>").kind is K.OVERLOADED


def test_a_plain_text_body_is_evidence_and_message() -> None:
    error = classify(403, {}, b"The bearer token included in the request is invalid.\n")

    assert error.kind is K.TOKEN_REJECTED
    assert error.message == "The bearer token included in the request is invalid."


def test_a_plain_text_body_with_500_is_searched_too() -> None:
    assert classify(500, {}, b"Encountered unexpectedly high load").kind is K.MODEL_CAPACITY


def test_a_message_with_a_capital_letter_is_read() -> None:
    assert classify(403, {}, b'{"Message":"Token expired"}').kind is K.TOKEN_REJECTED


def test_a_bare_invalid_token_under_400_is_a_rejected_token() -> None:
    assert classify(400, {}, b'{"Message":"Invalid token"}').kind is K.TOKEN_REJECTED


def test_a_body_that_is_json_but_no_object_leaves_the_status_to_decide() -> None:
    assert classify(400, {}, b'["Input is"]').kind is K.BAD_REQUEST


def test_a_reason_in_the_place_of_the_name_is_understood() -> None:
    error = classify(429, {}, b'{"error":{"code":"DAILY_REQUEST_COUNT","message":"No."}}')

    assert (error.kind, error.code) == (K.OUT_OF_QUOTA, "DAILY_REQUEST_COUNT")


def test_a_message_that_is_a_reason_word_is_understood() -> None:
    error = classify(400, {}, b'{"message":"INVALID_MODEL_ID"}')

    assert (error.kind, error.code) == (K.MODEL_UNAVAILABLE, "INVALID_MODEL_ID")


def test_a_reason_word_quoted_inside_prose_decides_nothing() -> None:
    body = b'{"message":"Value \'TEMPORARILY_SUSPENDED\' at content failed to satisfy constraint"}'

    assert classify(400, {}, body).kind is K.BAD_REQUEST


def test_the_code_is_the_reason_before_the_name() -> None:
    body = b'{"__type":"x#ThrottlingException","reason":"USER_REQUEST_RATE_EXCEEDED"}'

    assert classify(429, {}, body).code == "USER_REQUEST_RATE_EXCEEDED"


def test_the_code_is_the_name_when_there_is_no_reason() -> None:
    assert classify(429, {}, b'{"__type":"x#ThrottlingException"}').code == "ThrottlingException"


def test_an_unknown_reason_is_the_code_and_the_status_decides() -> None:
    error = classify(400, {}, b'{"message":"No.","reason":"IMAGE_SIZE_EXCEEDED"}')

    assert (error.kind, error.code) == (K.BAD_REQUEST, "IMAGE_SIZE_EXCEEDED")


def test_a_month_told_in_prose_gets_the_code_of_a_month() -> None:
    error = classify(400, {}, b'{"message":"Maximum Request reached for this month."}')

    assert error.code == "MONTHLY_REQUEST_COUNT"


@pytest.mark.parametrize(
    ("headers", "body", "expected_s"),
    [
        ({"retry-after": "7"}, b"", 7.0),
        ({"retry-after": " 1.5 "}, b"", 1.5),
        ({}, b'{"retryAfterMilliseconds":2500}', 2.5),
        ({"retry-after": "1"}, b'{"retryAfterMilliseconds":2500}', 2.5),
        ({"retry-after": "9"}, b'{"retryAfterMilliseconds":2500}', 9.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, b"", None),
        ({"retry-after": "-5"}, b"", None),
        ({"retry-after": "nan"}, b"", None),
        ({"retry-after": "99999999999"}, b"", None),
        ({}, b'{"retryAfterMilliseconds":-1}', None),
        ({}, b'{"retryAfterMilliseconds":1e300}', None),
        ({}, b'{"retryAfterMilliseconds":"5000"}', None),
        ({}, b"", None),
        ({}, b'{"Output":{"retryAfterMilliseconds":4000}}', 4.0),
    ],
)
def test_the_hint_about_time_is_the_longer_of_header_and_member(
    headers: dict[str, str], body: bytes, expected_s: float | None
) -> None:
    assert classify(429, headers, body).retry_after_s == expected_s


@pytest.mark.parametrize(
    ("reason", "expected_s"),
    [
        ("CREDIT_CONSUMPTION_RATE_EXCEEDED", 300.0),
        ("HOURLY_REQUEST_COUNT", 3600.0),
        ("DAILY_REQUEST_COUNT", None),
        ("MONTHLY_REQUEST_COUNT", None),
        ("USER_REQUEST_RATE_EXCEEDED", None),
    ],
)
def test_a_reason_without_a_time_waits_what_the_reason_means(
    reason: str, expected_s: float | None
) -> None:
    body = json.dumps({"message": "No.", "reason": reason}).encode()

    assert classify(429, {}, body).retry_after_s == expected_s


def test_a_named_time_wins_over_what_the_reason_means() -> None:
    body = b'{"reason":"CREDIT_CONSUMPTION_RATE_EXCEEDED","retryAfterMilliseconds":120000}'

    assert classify(429, {}, body).retry_after_s == 120.0


def test_the_hourly_credit_limit_told_in_prose_waits_five_minutes() -> None:
    body = b'{"message":"60-minute credit limit exceeded"}'

    assert classify(429, {}, body).retry_after_s == 300.0


def test_the_message_has_no_secrets() -> None:
    message = "User jane@example.com of arn:aws:codewhisperer:us-east-1:123456789012:profile/ABC"
    error = classify(403, {}, json.dumps({"message": message}).encode())

    assert error.message == "User *** of arn:***"


@pytest.mark.parametrize("member", ["reason", "__type"])
def test_the_code_has_no_secrets_either(member: str) -> None:
    error = classify(429, {}, json.dumps({"message": "m", member: "jane@example.com"}).encode())

    assert error.code == "***"


def test_a_long_code_is_cut() -> None:
    assert len(classify(400, {}, json.dumps({"reason": "A" * 5000}).encode()).code) == 100


def test_a_long_message_is_cut_and_its_lines_joined() -> None:
    error = classify(400, {}, json.dumps({"message": "word\r\n" * 1000}).encode())

    assert len(error.message) == 1000
    assert "\n" not in error.message


def test_bytes_that_are_no_utf8_do_not_break_the_reading() -> None:
    assert classify(500, {}, b"\xff\xfe oops").message == "\ufffd\ufffd oops"


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("throttlingError", 429, K.RATE_LIMITED),
        ("ThrottlingException", 429, K.RATE_LIMITED),
        ("validationError", 400, K.BAD_REQUEST),
        ("ValidationException", 400, K.BAD_REQUEST),
        ("error", 500, K.OVERLOADED),
        ("InternalServerException", 500, K.OVERLOADED),
        ("serviceUnavailableError", 503, K.OVERLOADED),
        ("ServiceUnavailableException", 503, K.OVERLOADED),
        ("AccessDeniedException", 403, K.NOT_ENTITLED),
        ("ServiceQuotaExceededException", 402, K.OUT_OF_QUOTA),
        ("ContentLengthExceededException", 400, K.CONTEXT_TOO_LONG),
        ("SomethingNewException", 500, K.OVERLOADED),
        ("", 500, K.OVERLOADED),
    ],
)
def test_an_exception_in_the_stream_means_what_its_status_means(
    name: str, status: int, kind: K
) -> None:
    error = classify_exception(name, b'{"message":"told"}')

    assert (error.status, error.kind) == (status, kind)


def test_a_reason_in_a_stream_exception_decides() -> None:
    payload = (
        b'{"message":"x","reason":"INSUFFICIENT_MODEL_CAPACITY","retryAfterMilliseconds":5000}'
    )
    error = classify_exception("throttlingError", payload)

    assert (error.kind, error.retry_after_s) == (K.MODEL_CAPACITY, 5.0)


def test_an_overflow_in_the_stream_is_told_by_its_reason() -> None:
    payload = b'{"reason":"CONTENT_LENGTH_EXCEEDS_THRESHOLD"}'

    assert classify_exception("validationError", payload).kind is K.CONTEXT_TOO_LONG


def test_an_expired_token_in_the_stream_is_a_rejected_token() -> None:
    error = classify_exception("AccessDeniedException", b'{"message":"Token expired"}')

    assert error.kind is K.TOKEN_REJECTED


def test_an_exception_without_a_header_takes_its_name_from_the_payload() -> None:
    error = classify_exception("", b'{"__type":"x#ThrottlingException"}')

    assert (error.kind, error.code) == (K.RATE_LIMITED, "ThrottlingException")


def test_a_payload_that_is_no_json_is_never_searched_for_sentences() -> None:
    error = classify_exception("validationError", b"the model said: Input is too long")

    assert error.kind is K.BAD_REQUEST
    assert "model said" not in error.message


def test_the_words_of_a_page_are_not_shown() -> None:
    words = read_words({}, b"<html>secret</html>")

    assert words.is_page
    assert masked_message(words, 502) == "HTTP 502 without a message"
