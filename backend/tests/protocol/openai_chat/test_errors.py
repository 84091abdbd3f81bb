"""Tests of errors in the API's shape."""

import json
from typing import Any

import pytest

from kiro2api.errors import FaultKind
from kiro2api.protocol.chat.answer import ErrorAnswer
from kiro2api.protocol.chat.events import Failure
from kiro2api.protocol.openai_chat.errors import render_error, render_failure


def error_of(answer: ErrorAnswer) -> dict[str, Any]:
    body = json.loads(render_error(answer, "req_1").body)
    assert set(body) == {"error", "request_id"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


@pytest.mark.parametrize(
    ("status", "type"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (408, "invalid_request_error"),
        (413, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "server_error"),
        (504, "server_error"),
    ],
)
def test_an_error_of_ours_is_typed_by_its_status(status: int, type: str) -> None:
    answer = ErrorAnswer(status, "why", code="word", path="messages[0].content")

    assert render_error(answer, "req_1").status == status
    assert error_of(answer) == {
        "message": "why",
        "type": type,
        "param": "messages[0].content",
        "code": "word",
    }


def test_an_error_without_a_path_or_a_code_says_null() -> None:
    error = error_of(ErrorAnswer(500, "why"))

    assert error["param"] is None
    assert error["code"] is None


# Of each kind: the status that the gateway gives, the status, type and code that the client sees.
KINDS = {
    FaultKind.RATE_LIMITED: (429, 429, "rate_limit_error", "rate_limit_exceeded"),
    FaultKind.MODEL_CAPACITY: (529, 503, "server_error", "model_capacity"),
    FaultKind.OUT_OF_QUOTA: (429, 429, "insufficient_quota", "insufficient_quota"),
    FaultKind.TOKEN_REJECTED: (503, 503, "server_error", "UPSTREAM_WORD"),
    FaultKind.PROFILE_REQUIRED: (502, 502, "server_error", "UPSTREAM_WORD"),
    FaultKind.WRONG_ENDPOINT: (502, 502, "server_error", "UPSTREAM_WORD"),
    FaultKind.SUSPENDED: (503, 503, "server_error", "UPSTREAM_WORD"),
    FaultKind.NOT_ENTITLED: (403, 403, "permission_error", "UPSTREAM_WORD"),
    FaultKind.MODEL_UNAVAILABLE: (404, 404, "not_found_error", "model_not_found"),
    FaultKind.OVERLOADED: (500, 500, "server_error", "UPSTREAM_WORD"),
    FaultKind.NETWORK: (504, 504, "server_error", "UPSTREAM_WORD"),
    FaultKind.CONTEXT_TOO_LONG: (400, 400, "invalid_request_error", "context_length_exceeded"),
    FaultKind.BAD_REQUEST: (400, 400, "invalid_request_error", "UPSTREAM_WORD"),
    FaultKind.CONVERSATION_LIMIT: (400, 400, "invalid_request_error", "UPSTREAM_WORD"),
    FaultKind.SIGNATURE_INVALID: (400, 400, "invalid_request_error", "UPSTREAM_WORD"),
    FaultKind.BROKEN_STREAM: (502, 502, "server_error", "UPSTREAM_WORD"),
    FaultKind.UNKNOWN: (502, 502, "server_error", "UPSTREAM_WORD"),
}


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_of_the_upstream_keeps_its_kind(kind: FaultKind) -> None:
    given, status, type, code = KINDS[kind]
    answer = ErrorAnswer(given, "why", code="UPSTREAM_WORD", kind=kind)

    error = error_of(answer)

    assert render_error(answer, "r").status == status
    assert (error["type"], error["code"]) == (type, code)


def test_the_request_id_is_in_the_body() -> None:
    assert json.loads(render_error(ErrorAnswer(400, "why"), "req_7").body)["request_id"] == "req_7"


def test_a_wrong_key_is_not_to_be_tried_again() -> None:
    answer = ErrorAnswer(401, "wrong key", retry_after_s=5.0)

    assert render_error(answer, "r").headers == ((b"x-should-retry", b"false"),)


@pytest.mark.parametrize(
    ("seconds", "header"), [(0.0, b"1"), (0.2, b"1"), (29.2, b"30"), (300.0, b"300")]
)
def test_the_time_to_wait_is_told_in_whole_seconds(seconds: float, header: bytes) -> None:
    answer = ErrorAnswer(429, "later", retry_after_s=seconds)

    assert render_error(answer, "r").headers == ((b"retry-after", header),)


def test_without_a_time_to_wait_there_is_no_header() -> None:
    assert render_error(ErrorAnswer(429, "later"), "r").headers == ()


@pytest.mark.parametrize("kind", FaultKind)
def test_a_failure_inside_a_stream_is_typed_like_the_answer(kind: FaultKind) -> None:
    body = json.loads(render_failure(Failure(kind, "cut")))

    _, _, type, code = KINDS[kind]
    code = kind.value if code == "UPSTREAM_WORD" else code
    assert body == {"error": {"message": "cut", "type": type, "param": None, "code": code}}
