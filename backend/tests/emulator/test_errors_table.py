"""The refusals of the service in each of its spellings."""

from typing import Any

import msgspec
import pytest

from kiro2api.emulator.errors_table import (
    REFUSALS,
    SIGN_IN_REFUSALS,
    Form,
    spell_refusal,
    spell_sign_in,
)
from kiro2api.protocol.wire import json

DENIED = REFUSALS["suspended"]


def spelled(name: str, form: Form) -> tuple[dict[str, str], Any]:
    headers, body = spell_refusal(REFUSALS[name], form)
    return headers, json.decode(body)


def test_rest_names_the_exception_in_a_header_with_a_suffix() -> None:
    headers, body = spelled("suspended", Form.REST)

    assert headers["x-amzn-errortype"].startswith("AccessDeniedException:http")
    assert body == {"message": DENIED.message, "reason": "TEMPORARILY_SUSPENDED"}


def test_json_names_it_in_the_body_with_a_namespace() -> None:
    headers, body = spelled("suspended", Form.JSON)

    assert "x-amzn-errortype" not in headers
    assert body["__type"] == "com.amazon.kiro.runtimeservice#AccessDeniedException"


def test_some_hosts_wrap_it_once_more() -> None:
    _, body = spelled("suspended", Form.OUTPUT)

    assert (body["Output"]["message"], body["Version"]) == (DENIED.message, "1.0")


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (Form.CAPITAL, {"Message": "Token expired"}),
        (Form.NESTED, {"error": {"code": "validation_error", "message": "Token expired"}}),
    ],
)
def test_odd_forms(form: Form, body: object) -> None:
    assert spelled("token_expired", form)[1] == body


def test_a_body_can_be_empty() -> None:
    assert spell_refusal(DENIED, Form.EMPTY)[1] == b""


def test_a_proxy_answers_in_html() -> None:
    headers, body = spell_refusal(REFUSALS["bad_gateway"], Form.REST)

    assert headers["content-type"] == "text/html"
    assert body.startswith(b"<html>")


def test_a_reason_can_be_null_absent_or_there() -> None:
    bodies = [
        spelled(name, Form.REST)[1] for name in ("bad_request_old", "token_expired", "bad_request")
    ]

    assert [body.get("reason", "absent") for body in bodies] == [
        None,
        "absent",
        "REQUEST_BODY_INVALID",
    ]


def test_waiting_times_come_in_the_body_or_in_a_header() -> None:
    assert spelled("user_rate", Form.REST)[1]["retryAfterMilliseconds"] == 2000
    assert spelled("user_rate_header", Form.REST)[0]["retry-after"] == "2"
    assert "retry-after" not in spelled("rate_plain", Form.REST)[0]


@pytest.mark.parametrize(
    ("status", "count"),
    [(400, 10), (401, 1), (402, 3), (403, 8), (404, 1), (408, 1), (413, 1), (422, 1), (429, 10)],
)
def test_every_known_status_has_its_rows(status: int, count: int) -> None:
    assert sum(1 for refusal in REFUSALS.values() if refusal.status == status) >= count


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("form", [Form.REST, Form.JSON, Form.OUTPUT])
def test_every_row_has_a_message_in_each_form(name: str, form: Form) -> None:
    refusal = msgspec.structs.replace(REFUSALS[name], form=None)
    _, body = spell_refusal(refusal, form)

    assert refusal.message.encode() in body


@pytest.mark.parametrize("name", SIGN_IN_REFUSALS)
def test_the_sign_in_services_have_their_own_form(name: str) -> None:
    headers, body = spell_sign_in(SIGN_IN_REFUSALS[name])

    assert headers["x-amzn-errortype"].endswith("Exception")
    assert json.decode(body)["error"] == name
