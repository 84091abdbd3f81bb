"""The data plane: who may do what, and in what shape the answer comes."""

import asyncio
from typing import Any

import pytest

from tests.support.asgi import ADMIN_KEY, REQUEST_ID, Caller, Plane, ask
from tests.support.fakes import FakeTransfer, stored_account
from tests.support.gateway import MODEL

CHAT = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
ANTHROPIC_SHAPE, CHAT_SHAPE = {"type", "error", "request_id"}, {"error", "request_id"}


def shape(answer: Caller) -> set[str]:
    return set(answer.json)


# ----------------------------------------------------------------------------------- who may


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/chat/completions", "/v1/models", "/api/tokens", "/nothing"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_key_everything_is_401_whatever_it_is(path: str, method: str) -> None:
    plane = Plane()
    answer = plane.call(method, path, CHAT, key="wrong")

    assert answer.status == 401
    assert plane.upstream.calls == []
    assert answer.unread == 1, "the body of a stranger is not read"


@pytest.mark.parametrize("path", ["/", "/api/hello", "/health", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_need_no_key(path: str, method: str) -> None:
    assert Plane().call(method, path, key="").status == 200


def test_the_operators_key_opens_the_accounts_and_nothing_else() -> None:
    plane = Plane()

    assert plane.call("GET", "/api/tokens", key=ADMIN_KEY).status == 200
    assert plane.call("GET", "/v1/models", key=ADMIN_KEY).status == 401
    assert plane.call("POST", "/v1/messages", CHAT, key=ADMIN_KEY).status == 401


# ------------------------------------------------------------------------------ what is where


@pytest.mark.parametrize(
    ("path", "headers", "wanted"),
    [
        ("/v1/messages/nothing", {}, ANTHROPIC_SHAPE),
        ("/v1/nothing", {"anthropic_version": "2023-06-01"}, ANTHROPIC_SHAPE),
        ("/v1/chat/nothing", {"anthropic_version": "2023-06-01"}, CHAT_SHAPE),
        ("/v1/responses", {}, CHAT_SHAPE),
        ("/nothing", {}, CHAT_SHAPE),
    ],
)
def test_an_unknown_path_is_404_in_the_dialect_of_the_caller(
    path: str, headers: dict[str, str], wanted: set[str]
) -> None:
    answer = Plane().call("POST", path, CHAT, **headers)

    assert answer.status == 404
    assert shape(answer) == wanted
    assert path in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("/nobody/v1/messages", ANTHROPIC_SHAPE), ("/nobody/v1/chat/completions", CHAT_SHAPE)],
)
def test_an_unknown_group_is_404_and_named(path: str, wanted: set[str]) -> None:
    answer = Plane().call("POST", path, CHAT)

    assert answer.status == 404
    assert shape(answer) == wanted
    assert "nobody" in answer.json["error"]["message"]


def test_a_group_is_served_by_its_own_accounts() -> None:
    rows = (stored_account("a"), stored_account("b", position=1, group="pro"))
    plane = Plane(accounts=rows)
    answer = plane.call("POST", "/pro/v1/messages", CHAT)
    [call] = plane.upstream.calls

    assert answer.status == 200
    assert dict(call.headers)["authorization"] == "Bearer access-b"


@pytest.mark.parametrize(
    ("method", "path", "allowed", "wanted"),
    [
        ("GET", "/v1/messages", "POST", ANTHROPIC_SHAPE),
        ("PUT", "/v1/messages/count_tokens", "POST", ANTHROPIC_SHAPE),
        ("DELETE", "/v1/chat/completions", "POST", CHAT_SHAPE),
        ("POST", "/v1/models", "GET", CHAT_SHAPE),
        ("POST", "/api/tokens", "GET", CHAT_SHAPE),
    ],
)
def test_a_wrong_method_is_405_and_the_right_one_is_named(
    method: str, path: str, allowed: str, wanted: set[str]
) -> None:
    answer = Plane().call(method, path, CHAT)

    assert answer.status == 405
    assert shape(answer) == wanted
    assert allowed in answer.json["error"]["message"]
    assert allowed in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/health", "/readyz"])
def test_probes_cannot_be_posted_to(path: str) -> None:
    answer = Plane().call("POST", path, key="")

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_tokens_are_counted_without_the_upstream() -> None:
    plane = Plane()
    answer = plane.call("POST", "/v1/messages/count_tokens", CHAT)

    assert answer.json["input_tokens"] > 0
    assert plane.upstream.calls == []


# ------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v1/messages", ANTHROPIC_SHAPE),
        ("/v1/messages/count_tokens", ANTHROPIC_SHAPE),
        ("/v1/chat/completions", CHAT_SHAPE),
    ],
)
def test_a_body_over_the_limit_is_413(path: str, wanted: set[str]) -> None:
    plane = Plane(max_body_bytes=100)
    answer = plane.call("POST", path, CHAT | {"user": "u" * 100})

    assert answer.status == 413
    assert shape(answer) == wanted


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_beyond_the_limit_of_requests_a_client_is_told_to_come_again(path: str) -> None:
    plane = Plane(max_streams=1)
    plane.app.in_flight = 1
    answer = plane.call("POST", path, CHAT)

    assert answer.status == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert plane.upstream.calls == []
    assert plane.lines[0]["outcome"] == "busy"


def test_what_is_no_chat_is_served_beyond_the_limit() -> None:
    plane = Plane(max_streams=1)
    plane.app.in_flight = 1

    assert plane.call("GET", "/v1/models").status == 200


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_no_new_work_is_taken_while_stopping(path: str) -> None:
    plane = Plane()
    plane.app.draining = True
    answer = plane.call("POST", path, CHAT)

    assert answer.status == 503
    assert "stopping" in answer.json["error"]["message"]
    assert plane.lines[0]["outcome"] == "stopping"


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_request_is_in_flight_until_it_has_ended(status: int) -> None:
    during: list[int] = []

    def answer(call: Any) -> FakeTransfer:
        during.append(plane.app.in_flight)
        return FakeTransfer(status, b"{}")

    plane = Plane(answer)
    plane.call("POST", "/v1/messages", CHAT)

    assert set(during) == {1}
    assert plane.app.in_flight == 0


# -------------------------------------------------------------------------- what is left behind


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [
        ("POST", "/v1/messages", "123456"),
        ("GET", "/v1/models", "123456"),
        ("GET", "/nothing", "123456"),
        ("GET", "/v1/models", "wrong"),
        ("GET", "/health", ""),
    ],
)
def test_every_answer_carries_the_request_id(method: str, path: str, key: str) -> None:
    assert Plane().call(method, path, CHAT, key=key).headers["request-id"] == REQUEST_ID


def test_every_request_has_one_log_line_with_the_id_of_its_answer() -> None:
    plane = Plane()
    answer = plane.call("GET", "/v1/models")

    assert [line["request_id"] for line in plane.lines] == [answer.headers["request-id"]]


def test_probes_leave_no_log_lines() -> None:
    plane = Plane()
    plane.call("GET", "/health", key="")

    assert plane.lines == []


@pytest.mark.parametrize(
    ("path", "key", "status", "outcome"),
    [
        ("/v1/models", "123456", 200, "complete"),
        ("/v1/models", "wrong", 401, "invalid_api_key"),
        ("/nothing", "123456", 404, "unknown_path"),
        ("/nobody/v1/models", "123456", 404, "unknown_group"),
    ],
)
def test_the_log_line_says_how_it_ended(path: str, key: str, status: int, outcome: str) -> None:
    plane = Plane()
    plane.call("GET", path, key=key)

    assert (plane.lines[0]["status"], plane.lines[0]["outcome"]) == (status, outcome)


def test_the_log_line_names_the_holder_of_the_key_and_not_the_key() -> None:
    plane = Plane()
    plane.call("GET", "/v1/models")

    assert plane.lines[0]["key"] == "default"
    assert "123456" not in str(plane.lines)


def test_a_client_that_leaves_while_it_sends_is_logged_as_gone() -> None:
    plane = Plane()
    caller = ask("POST", "/v1/messages", CHAT)
    caller.leaves = True
    asyncio.run(plane.serve(caller))

    assert plane.lines[0]["outcome"] == "client_gone"
    assert caller.sent == []


def test_what_is_no_http_is_not_answered() -> None:
    plane = Plane()
    caller = ask("GET", "/")
    caller.scope["type"] = "lifespan"
    asyncio.run(plane.serve(caller))

    assert caller.sent == []
