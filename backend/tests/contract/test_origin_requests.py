"""The two APIs as first described: addresses, keys, groups, plain calls, streams without delay."""

import itertools
from typing import Any

import pytest

from tests.support.emulator import RunningEmulator
from tests.support.gateway import (
    CHAT,
    KEY,
    MESSAGES,
    MODEL,
    Response,
    RunningGateway,
    StartGateway,
    anthropic_body,
    chat_body,
)
from tests.support.talk import STREAMS, WAYS, WHOLE, Way, name_of, sent

COUNT = "/v1/messages/count_tokens"
# What clients put before an endpoint: with and without /v1 in their base URL, and twice.
PREFIXES = ["", "/v1", "/v1/v1"]
GROUPS = ["", "/pro"]
PLACES = [f"{group}{prefix}" for group in GROUPS for prefix in PREFIXES]
DECORATIONS = ["", "?beta=true", "/", "/?beta=true&x=%2F"]
NEW_GATE = (f"origin-{number}" for number in itertools.count())


def used(gateway: RunningGateway) -> list[str]:
    """Return the accounts that the upstream saw."""
    return [record.account for record in gateway.emulator.generations()]


def account_for(place: str) -> str:
    return "gamma" if place.startswith("/pro") else "alpha"


# ------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize("decoration", DECORATIONS)
@pytest.mark.parametrize("place", PLACES)
def test_messages_are_served_wherever_clients_look_for_them(
    gateway: RunningGateway, place: str, decoration: str
) -> None:
    answer = gateway.messages(path=f"{place}/messages{decoration}")

    assert answer.status == 200
    assert answer.json["content"] == [{"type": "text", "text": "You said: Hello"}]
    assert used(gateway) == [account_for(place)]


@pytest.mark.parametrize("decoration", DECORATIONS)
@pytest.mark.parametrize("place", PLACES)
def test_chat_completions_are_served_wherever_clients_look_for_them(
    gateway: RunningGateway, place: str, decoration: str
) -> None:
    answer = gateway.chat(path=f"{place}/chat/completions{decoration}")

    assert answer.status == 200
    assert answer.json["choices"][0]["message"]["content"] == "You said: Hello"
    assert used(gateway) == [account_for(place)]


@pytest.mark.parametrize("decoration", DECORATIONS)
@pytest.mark.parametrize("place", PLACES)
def test_tokens_are_counted_wherever_clients_look_for_it(
    gateway: RunningGateway, place: str, decoration: str
) -> None:
    answer = gateway.messages(path=f"{place}/messages/count_tokens{decoration}")

    assert answer.json == gateway.messages(path=COUNT).json
    assert list(answer.json) == ["input_tokens"]
    assert answer.json["input_tokens"] > 0
    assert gateway.emulator.records() == []


@pytest.mark.parametrize("decoration", DECORATIONS)
@pytest.mark.parametrize("place", PLACES)
def test_models_are_listed_wherever_clients_look_for_them(
    gateway: RunningGateway, place: str, decoration: str
) -> None:
    listed = gateway.get(f"{place}/models{decoration}")
    one = gateway.get(f"{place}/models/{MODEL}{decoration}")

    assert listed.json == gateway.get("/v1/models").json
    assert one.status == 200
    assert one.json["id"] == MODEL


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
@pytest.mark.parametrize("place", PLACES)
def test_streams_are_served_wherever_clients_look_for_them(
    gateway: RunningGateway, place: str, way: Way
) -> None:
    told = way.hear(gateway, path=way.path.replace("/v1", place, 1))

    assert told.text == "You said: Hello"
    assert used(gateway) == [account_for(place)]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/unknown",
        "/v1/v1/v1/messages",
        "/v2/messages",
        "/pro/pro/v1/messages",
        "/v1/pro/messages",
        "/Pro/v1/messages",
        "/api",
        "/api/unknown",
        "/v1",
        "/assets/x.js",
        "/metrics/../v1/messages",
        "/v1//messages",
        "/v1/messages/count_tokens/more",
        "/index.php",
    ],
)
def test_an_unknown_path_is_a_404_in_json(gateway: RunningGateway, path: str) -> None:
    answer = gateway.post(path, anthropic_body())

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["error"]["message"]
    assert used(gateway) == []


@pytest.mark.parametrize("path", ["/", "/api/hello", "/health", "/livez", "/readyz"])
def test_some_places_are_open_without_a_key(gateway: RunningGateway, path: str) -> None:
    head = gateway.request("HEAD", path, key=None)
    whole = gateway.get(path, key=None)

    assert (head.status, head.body) == (200, b"")
    assert whole.status == 200
    assert isinstance(whole.json, dict)


def test_no_more_is_told_without_a_key_than_that_it_runs(gateway: RunningGateway) -> None:
    told = gateway.get("/readyz", key=None).body + gateway.get("/health", key=None).body

    assert not any(name in told for name in (b"alpha", b"gamma", b"pro"))


# ----------------------------------------------------------------------------------------- keys


def headers_with(**names: str) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in names.items()}


@pytest.mark.parametrize(
    "headers",
    [
        headers_with(x_api_key=KEY),
        headers_with(X_Api_Key=f" {KEY} "),
        headers_with(authorization=f"Bearer {KEY}"),
        headers_with(authorization=f"bearer {KEY}"),
        headers_with(AUTHORIZATION=f"BEARER  {KEY}"),
        headers_with(x_api_key="wrong", authorization=f"Bearer {KEY}"),
        headers_with(x_api_key=KEY, authorization="Bearer wrong"),
        headers_with(x_api_key=KEY, authorization="Basic d3Jvbmc6d3Jvbmc="),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_key_is_taken_in_either_header(
    gateway: RunningGateway, path: str, headers: dict[str, str]
) -> None:
    assert gateway.post(path, anthropic_body(), key=None, headers=headers).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        headers_with(x_api_key="wrong"),
        headers_with(x_api_key=""),
        headers_with(authorization="Bearer wrong"),
        headers_with(authorization=f"Bearer {KEY}7"),
        headers_with(authorization=f"Bearer {KEY[:-1]}"),
        headers_with(authorization="Bearer "),
        headers_with(authorization=KEY),
        headers_with(authorization=f"Basic {KEY}"),
        headers_with(api_key=KEY),
        headers_with(cookie=f"x-api-key={KEY}"),
    ],
    ids=str,
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT, COUNT])
def test_without_a_valid_key_nothing_is_served(
    gateway: RunningGateway, path: str, headers: dict[str, str]
) -> None:
    answer = gateway.post(path, anthropic_body(), key=None, headers=headers)

    assert answer.status == 401
    assert answer.headers["x-should-retry"] == "false"
    assert answer.json["error"]["type"] == "authentication_error"
    assert (answer.json.get("type") == "error") is (path != CHAT)
    assert used(gateway) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/unknown", b"{}"),
        ("/nosuchgroup/v1/messages", b"{}"),
        (MESSAGES, b"no json"),
        (CHAT, b""),
        (f"/v1/messages?key={KEY}&x-api-key={KEY}", b"{}"),
    ],
)
def test_the_key_is_asked_for_before_anything_else(
    gateway: RunningGateway, path: str, body: bytes
) -> None:
    assert gateway.post(path, body, key=None).status == 401


@pytest.mark.parametrize(
    "path", ["/v1/models", f"/v1/models/{MODEL}", "/api/tokens", "/pro/v1/models"]
)
def test_lists_want_a_key_too(gateway: RunningGateway, path: str) -> None:
    assert gateway.get(path, key=None).status == 401
    assert gateway.get(path, key="wrong").status == 401


# --------------------------------------------------------------------------------------- groups


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_an_unknown_group_is_named_in_a_404_of_the_dialect(
    gateway: RunningGateway, way: Way
) -> None:
    answer = way.ask(gateway, path=f"/elsewhere{way.path}")

    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    assert "'elsewhere'" in answer.json["error"]["message"]
    assert (answer.json.get("type") == "error") is (way.dialect == "anthropic")
    assert used(gateway) == []


@pytest.mark.parametrize("path", ["/elsewhere/v1/models", "/elsewhere/v1/messages/count_tokens"])
def test_an_unknown_group_has_neither_models_nor_counts(gateway: RunningGateway, path: str) -> None:
    answer = gateway.post(path, anthropic_body()) if "count" in path else gateway.get(path)

    assert answer.status == 404
    assert "elsewhere" in answer.json["error"]["message"]


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_neither_header_nor_body_nor_query_switches_the_group(
    gateway: RunningGateway, way: Way
) -> None:
    headers = {"x-group": "pro", "group": "pro", "x-kiro-group": "pro", "x-account": "gamma"}
    members: dict[str, Any] = {"group": "pro", "metadata": {"group": "pro"}, "account": "gamma"}
    make_body = anthropic_body if way.dialect == "anthropic" else chat_body
    answer = gateway.post(f"{way.path}?group=pro", make_body(**members), headers=headers)

    assert answer.status == 200
    assert used(gateway) == ["alpha"]


def test_an_account_of_another_group_is_never_used_for_the_default_one(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    only = emulator.add_account("only")
    gateway = start_gateway([only.auth_entry(name="only", group="pro")])
    refused = [way.ask(gateway) for way in WAYS]

    assert [answer.status for answer in refused] == [503] * 4
    assert all("KIRO_AUTH_TOKEN" in answer.json["error"]["message"] for answer in refused)
    assert gateway.messages(path="/default/v1/messages").status == 503
    assert used(gateway) == []
    assert gateway.chat(path="/pro/v1/chat/completions").status == 200
    assert used(gateway) == ["only"]


def test_the_default_group_has_a_name_too(gateway: RunningGateway) -> None:
    assert gateway.messages(path="/default/v1/messages").status == 200
    assert used(gateway) == ["alpha"]


# ---------------------------------------------------------------------------------- plain calls


@pytest.mark.parametrize("path", [MESSAGES, CHAT, "/pro/v1/messages", "/pro/v1/chat/completions"])
@pytest.mark.parametrize("content_type", ["", "application/x-www-form-urlencoded", "text/plain"])
def test_neither_content_type_nor_max_tokens_is_needed(
    gateway: RunningGateway, path: str, content_type: str
) -> None:
    """A plain `curl -H "Authorization: Bearer …" -d '{…}'` sends what curl sends by itself."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"content-type": content_type} if content_type else None

    assert gateway.post(path, body, headers=headers).status == 200


def test_the_anthropic_example_answers_in_the_words_it_was_asked_in(
    gateway: RunningGateway,
) -> None:
    answer = gateway.messages("你好").json

    assert answer["id"].startswith("msg_")
    assert (answer["type"], answer["role"], answer["model"]) == ("message", "assistant", MODEL)
    assert answer["content"] == [{"type": "text", "text": "You said: 你好"}]
    assert answer["stop_reason"] == "end_turn"
    assert answer["usage"]["input_tokens"] > 0
    assert answer["usage"]["output_tokens"] > 0
    assert sent(gateway).contents == ["你好"]


def test_the_chat_example_answers_in_the_words_it_was_asked_in(gateway: RunningGateway) -> None:
    answer = gateway.chat("你好").json
    usage = answer["usage"]

    assert answer["id"].startswith("chatcmpl-")
    assert (answer["object"], answer["model"]) == ("chat.completion", MODEL)
    assert answer["choices"][0]["message"]["content"] == "You said: 你好"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert usage["prompt_tokens"] > 0
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert sent(gateway).contents == ["你好"]


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_text_beyond_ascii_comes_through_every_way(gateway: RunningGateway, way: Way) -> None:
    assert way.hear(gateway, "你好，世界 👋 é").text == "You said: 你好，世界 👋 é"


def test_every_answer_names_its_request(gateway: RunningGateway) -> None:
    answers: list[Response] = [gateway.messages(), gateway.chat(), gateway.get("/v1/models")]
    ids = {answer.headers["request-id"] for answer in answers}

    assert len(ids) == 3
    assert all(answer.headers["x-request-id"] in ids for answer in answers)


# -------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
@pytest.mark.parametrize("kind", ["text", "reasoning"])
def test_each_piece_reaches_the_client_before_the_upstream_sends_the_next(
    gateway: RunningGateway, way: Way, kind: str
) -> None:
    """The upstream holds each next piece back until the test has read the one before."""
    pieces = ["one ", "two ", "three "]
    gates = [next(NEW_GATE) for _ in pieces]
    steps: list[dict[str, object]] = []
    for piece, gate in zip(pieces, gates, strict=True):
        unsigned = {"signature": ""} if kind == "reasoning" else {}
        steps += [{"do": kind, "text": piece, **unsigned}, {"do": "gate", "name": gate}]
    gateway.emulator.queue_stream(*steps, {"do": "text", "text": "end"}, {"do": "tail"})
    make_body = anthropic_body if way.dialect == "anthropic" else chat_body
    stream = gateway.open_stream(way.path, make_body(stream=True))
    try:
        for piece, gate in zip(pieces, gates, strict=True):
            while piece.strip().encode() not in stream.raw:
                assert stream.read(), "the stream ended early"
            gateway.emulator.open_gate(gate)
        stream.rest()
    finally:
        stream.close()

    assert b"end" in stream.raw
