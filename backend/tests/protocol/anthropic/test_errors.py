"""Errors in Anthropic's shape, with the words and headers that clients act on."""

from typing import Any

import msgspec
import pytest
from anthropic.types import ErrorResponse
from pydantic import TypeAdapter

from kiro2api.errors import FaultKind
from kiro2api.protocol.anthropic.errors import error_type, render_error
from kiro2api.protocol.chat.answer import ErrorAnswer, RenderedError

TYPES = [
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (405, "invalid_request_error"),
    (408, "invalid_request_error"),
    (413, "request_too_large"),
    (415, "invalid_request_error"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (501, "api_error"),
    (502, "api_error"),
    (503, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
]
# The statuses with which each fault reaches a client.
FAULTS = [
    (FaultKind.RATE_LIMITED, 429, 429, "rate_limit_error"),
    (FaultKind.MODEL_CAPACITY, 529, 529, "overloaded_error"),
    (FaultKind.MODEL_CAPACITY, 503, 529, "overloaded_error"),
    (FaultKind.OUT_OF_QUOTA, 429, 429, "rate_limit_error"),
    (FaultKind.TOKEN_REJECTED, 503, 503, "api_error"),
    (FaultKind.PROFILE_REQUIRED, 502, 502, "api_error"),
    (FaultKind.WRONG_ENDPOINT, 502, 502, "api_error"),
    (FaultKind.SUSPENDED, 503, 503, "api_error"),
    (FaultKind.NOT_ENTITLED, 403, 403, "permission_error"),
    (FaultKind.MODEL_UNAVAILABLE, 404, 404, "not_found_error"),
    (FaultKind.OVERLOADED, 500, 500, "api_error"),
    (FaultKind.OVERLOADED, 502, 502, "overloaded_error"),
    (FaultKind.OVERLOADED, 503, 503, "overloaded_error"),
    (FaultKind.OVERLOADED, 504, 504, "timeout_error"),
    (FaultKind.NETWORK, 502, 502, "api_error"),
    (FaultKind.CONTEXT_TOO_LONG, 400, 400, "invalid_request_error"),
    (FaultKind.CONTEXT_TOO_LONG, 413, 400, "invalid_request_error"),
    (FaultKind.BAD_REQUEST, 400, 400, "invalid_request_error"),
    (FaultKind.CONVERSATION_LIMIT, 400, 400, "invalid_request_error"),
    (FaultKind.SIGNATURE_INVALID, 400, 400, "invalid_request_error"),
    (FaultKind.BROKEN_STREAM, 502, 502, "api_error"),
    (FaultKind.UNKNOWN, 502, 502, "api_error"),
]


def render(
    status: int, message: str = "Because.", **members: Any
) -> RenderedError:  # as the Struct
    return render_error(ErrorAnswer(status, message, **members), "req_1")


def error(rendered: RenderedError) -> Any:  # JSON
    return msgspec.json.decode(rendered.body)["error"]


@pytest.mark.parametrize(("status", "name"), TYPES)
def test_the_type_follows_the_status(status: int, name: str) -> None:
    rendered = render(status)

    assert (rendered.status, error(rendered)["type"]) == (status, name)


@pytest.mark.parametrize(("kind", "given", "status", "name"), FAULTS)
def test_a_fault_has_its_status_and_type(
    kind: FaultKind, given: int, status: int, name: str
) -> None:
    rendered = render(given, kind=kind)

    assert (rendered.status, error(rendered)["type"]) == (status, name)


def test_every_fault_has_its_row() -> None:
    assert {kind for kind, *_ in FAULTS} == set(FaultKind)


def test_the_body_is_exactly_this() -> None:
    assert msgspec.json.decode(render(403, "No.").body) == {
        "type": "error",
        "error": {"type": "permission_error", "message": "No."},
        "request_id": "req_1",
    }


@pytest.mark.parametrize(("status", "name"), [row for row in TYPES if row[0] != 413])
def test_every_body_is_one_of_the_vendors(status: int, name: str) -> None:
    body = TypeAdapter(ErrorResponse).validate_json(render(status).body, strict=True)

    assert body.error.type == name


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "Because."),
        ("max_tokens", "max_tokens: Because."),
        ("messages.3.content.1", "messages.3.content.1: Because."),
        ("stop_sequences[0]", "stop_sequences.0: Because."),
    ],
)
def test_the_message_names_the_offending_member(path: str, message: str) -> None:
    assert error(render(400, path=path))["message"] == message


def test_a_code_reaches_programs_as_details() -> None:
    code = "thread_unsupported_request"

    assert error(render(400, code=code))["details"] == {"error_code": code}


def test_no_code_is_no_details() -> None:
    assert "details" not in error(render(400))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "prompt is too long: 210000 tokens > 200000 maximum",
            "prompt is too long: 210000 tokens > 200000 maximum",
        ),
        (
            "ValidationException: Prompt is too long: 3 tokens > 2 maximum",
            "prompt is too long: 3 tokens > 2 maximum",
        ),
        ("Input exceeds the threshold.", "prompt is too long: Input exceeds the threshold."),
        ("", "prompt is too long"),
    ],
)
def test_a_prompt_that_is_too_long_is_told_in_the_words_that_make_clients_compact(
    message: str, told: str
) -> None:
    assert error(render(400, message, kind=FaultKind.CONTEXT_TOO_LONG))["message"] == told


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (29.1, b"30"), (3600.0, b"3600")]
)
def test_when_to_retry_is_told_in_whole_seconds(seconds: float, header: bytes) -> None:
    assert render(429, retry_after_s=seconds).headers == ((b"retry-after", header),)


def test_a_wrong_key_is_not_worth_a_retry() -> None:
    assert render(401).headers == ((b"x-should-retry", b"false"),)


def test_other_errors_have_no_headers() -> None:
    assert render(500).headers == ()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (FaultKind.RATE_LIMITED, "rate_limit_error"),
        (FaultKind.OUT_OF_QUOTA, "rate_limit_error"),
        (FaultKind.MODEL_CAPACITY, "overloaded_error"),
        (FaultKind.OVERLOADED, "overloaded_error"),
        (FaultKind.CONTEXT_TOO_LONG, "invalid_request_error"),
        (FaultKind.NOT_ENTITLED, "permission_error"),
        (FaultKind.MODEL_UNAVAILABLE, "not_found_error"),
        (FaultKind.BROKEN_STREAM, "api_error"),
        (FaultKind.NETWORK, "api_error"),
        (FaultKind.UNKNOWN, "api_error"),
    ],
)
def test_a_fault_inside_a_stream_has_a_type_without_a_status(kind: FaultKind, name: str) -> None:
    assert error_type(kind) == name
