"""What was planted is looked for: in every line of the log at its loudest, and in what clients get.

Planted are the words of the conversation, tokens, keys, secrets, addresses and ARNs (case 13).
"""

from typing import Any

import pytest

from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.gateway import MODEL, RunningGateway, StartGateway, anthropic_body
from tests.support.pairs import Pair
from tests.support.talk import WAYS, Way, read

CLIENT_KEY = "planted-client-key-4711"
WRONG_KEY = "planted-wrong-key-0815"
ADMIN_KEY = "planted-admin-key-1234"
SAID = {
    "system": "planted-system-text",
    "prompt": "planted-prompt-text",
    "call": "planted-tool-input",
    "result": "planted-tool-result",
    "picture": "aVBsYW50ZWRQaWN0dXJl",
    "schema": "planted-schema-text",
    "reply": "planted-reply-text",
    "thought": "planted-thought-text",
    "made": "planted-made-input",
    "session": "planted-session-name",
}
EMAIL = "planted.person@example.org"
ARN = "arn:aws:codewhisperer:us-east-1:123456789012:profile/PLANTEDXYZ12"
ACCOUNT_NUMBER = "123456789012"
USER_ID = "d-9067000000.planted-user"
BEARER = "aoaPLANTEDbearer0123456789abcdef"
REFRESH = "aorPLANTEDrefresh0123456789abcdef"
API_KEY = "ksk_" + "PLANTED0123456789abcdefghijk"
JWT = "eyJhbGciOiJub25lIn0.eyJwbGFudGVkIjoxfQ.c2lnbmF0dXJl"
QUOTED = (EMAIL, ARN, ACCOUNT_NUMBER, USER_ID, BEARER, REFRESH, API_KEY, JWT)
GOSSIP = (
    f"User {EMAIL} ({ARN}) with User ID ({USER_ID}) of account {ACCOUNT_NUMBER} sent "
    f"Bearer {BEARER}, refreshToken {REFRESH}, key {API_KEY} and {JWT}."
)


def found_in(text: str, *planted: str) -> list[str]:
    """Return which planted words are in `text`."""
    return [word for word in planted if word in text]


def everything(gateway: RunningGateway) -> str:
    """Return all that the program has written: its log and its standard output."""
    return gateway.log_text() + "\n".join(gateway.shown)


def secrets_of(*accounts: EmulatedAccount) -> list[str]:
    """Return what nobody may read of emulated accounts."""
    found: list[str] = []
    for account in accounts:
        found += [account.refresh_token, account.profile_arn, str(account.spec["email"])]
        found += [str(token["token"]) for token in account.access_tokens]
        found += [str(account.spec["client_secret"])] if account.spec["client_secret"] else []
    return found


def a_conversation(way: Way) -> dict[str, Any]:
    """Return the members of a request with something planted in every place."""
    if way.dialect == "anthropic":
        use = {"type": "tool_use", "id": "t1", "name": "ls", "input": {"a": SAID["call"]}}
        source = {"type": "base64", "media_type": "image/x", "data": SAID["picture"]}
        answer = {"type": "tool_result", "tool_use_id": "t1", "content": SAID["result"]}
        middle = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [answer]}]
        first: list[Any] = [{"type": "image", "source": source}]
        schema = {"type": "object", "description": SAID["schema"]}
        return {
            "system": SAID["system"],
            "messages": [
                {"role": "user", "content": first},
                *middle,
                {"role": "user", "content": SAID["prompt"]},
            ],
            "tools": [{"name": "ls", "description": "", "input_schema": schema}],
            "metadata": {"user_id": f"user_x_session_{SAID['session']}"},
        }
    arguments = f'{{"a":"{SAID["call"]}"}}'
    call = {"id": "t1", "type": "function", "function": {"name": "ls", "arguments": arguments}}
    function = {"name": "ls", "parameters": {"type": "object", "description": SAID["schema"]}}
    return {
        "messages": [
            {"role": "system", "content": SAID["system"]},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "t1", "content": SAID["result"]},
            {"role": "user", "content": SAID["prompt"]},
        ],
        "tools": [{"type": "function", "function": function}],
        "prompt_cache_key": SAID["session"],
    }


REPLY: tuple[dict[str, Any], ...] = (
    {"do": "reasoning", "text": SAID["thought"]},
    {"do": "text", "text": SAID["reply"]},
    {"do": "tool", "name": "ls", "id": "t9", "input": {"a": SAID["made"]}},
)
ENDS: dict[str, tuple[dict[str, Any], ...]] = {
    "good": ({"do": "tail"},),
    "cut": (),
    "exception": (
        {"do": "exception", "type": "error", "payload": {"message": SAID["reply"] + GOSSIP}},
    ),
    "not JSON": ({"do": "broken", "flaw": "not_json", "text": SAID["reply"]},),
    "bad CRC": ({"do": "broken", "flaw": "message_crc", "text": SAID["reply"]},),
    "unknown event": (
        {"do": "event", "type": "brandNewEvent", "payload": {"said": SAID["reply"] + GOSSIP}},
        {"do": "tail"},
    ),
    "call that is no JSON": (
        {"do": "tool", "name": "ls", "id": "t8", "raw_input": '{"a": "' + SAID["made"]},
        {"do": "tail"},
    ),
}


@pytest.mark.parametrize("format", ["json", "text"])
def test_no_word_of_a_conversation_and_no_secret_is_logged(
    start_gateway: StartGateway, emulator: RunningEmulator, format: str
) -> None:
    """Whole and streamed, well ended and broken, refused and mistaken."""
    accounts = [emulator.add_account(name, **spec) for name, spec in ACCOUNTS.items()]
    gateway = start_gateway(
        accounts, KIRO_CLIENT_TOKEN=CLIENT_KEY, KIRO_ADMIN_TOKEN=ADMIN_KEY, LOG_FORMAT=format
    )
    for way in WAYS:
        more = {"stream": True} if way.stream else {}
        body = {"model": MODEL} | a_conversation(way) | more
        for end in ENDS.values():
            emulator.clear_queue()
            emulator.queue_stream(*REPLY, *end)
            gateway.post(way.path, body, key=CLIENT_KEY)
        gateway.post(way.path, body, key=WRONG_KEY)
        gateway.post(f"{way.path}?api_key={WRONG_KEY}", body, key=None)
        gateway.post(way.path, body | {"model": f"gpt {SAID['prompt']}"[:3]}, key=CLIENT_KEY)
        gateway.post(way.path, body | {"messages": SAID["prompt"]}, key=CLIENT_KEY)
        gateway.post(way.path, b'{"messages": "' + SAID["prompt"].encode(), key=CLIENT_KEY)
        gateway.post(way.path, anthropic_body([{"type": "image", "source": 7}]), key=CLIENT_KEY)
    gateway.post(f"/v1/{SAID['prompt']}", {}, key=CLIENT_KEY)
    gateway.get("/api/tokens", key=ADMIN_KEY)
    gateway.stop()

    assert len(gateway.log_text().splitlines()) > 50
    assert found_in(everything(gateway), *SAID.values()) == []
    assert found_in(everything(gateway), CLIENT_KEY, WRONG_KEY, ADMIN_KEY, *QUOTED) == []
    now = [emulator.account(account.name) for account in accounts]
    assert found_in(everything(gateway), *secrets_of(*accounts, *now)) == []


ACCOUNTS: dict[str, dict[str, Any]] = {
    "one": {"kind": "social", "email": "one.planted@example.org"},
    "two": {"kind": "idc", "client_id": "planted-client-id"},
    "three": {"kind": "social"},
    "four": {"kind": "social"},
}

# What an upstream may answer with somebody's secrets in it: status and body.
BODIES: dict[str, dict[str, Any]] = {
    "400": {"status": 400, "body": {"message": GOSSIP, "reason": "REQUEST_BODY_INVALID"}},
    "402": {"status": 402, "body": {"message": GOSSIP, "reason": "MONTHLY_REQUEST_COUNT"}},
    "403": {"status": 403, "body": {"message": GOSSIP}},
    "403 suspended": {
        "status": 403,
        "body": {"message": GOSSIP, "reason": "TEMPORARILY_SUSPENDED"},
    },
    "403 bearer": {"status": 403, "body": {"message": f"{GOSSIP} The bearer token is invalid."}},
    "404 model": {"status": 400, "body": {"message": GOSSIP, "reason": "INVALID_MODEL_ID"}},
    "418": {"status": 418, "body": {"message": GOSSIP, "__type": ARN}},
    "429": {"status": 429, "body": {"message": GOSSIP, "reason": EMAIL}},
    "500": {"status": 500, "body": {"Output": {"__type": "x#Oops", "message": GOSSIP}}},
    "502 text": {"status": 502, "body_text": GOSSIP},
    "503 page": {"status": 503, "body_text": f"<html>{GOSSIP}</html>"},
    "exception": {
        "steps": [{"do": "exception", "type": "validationError", "payload": {"message": GOSSIP}}]
    },
    "error frame": {"steps": [{"do": "error", "code": EMAIL, "message": GOSSIP}]},
}


@pytest.mark.parametrize("behaviour", BODIES.values(), ids=BODIES)
def test_what_the_upstream_tells_of_people_reaches_neither_clients_nor_the_log(
    pair: Pair, behaviour: dict[str, Any]
) -> None:
    pair.queue_for_both(**behaviour)
    for way in (Way("anthropic", stream=True), Way("chat", stream=False)):
        answer = pair.ask(way)
        assert read(answer).error, answer.body
        assert found_in(answer.body.decode(), *QUOTED) == []
        assert found_in(str(answer.headers), *QUOTED) == []
    assert found_in(pair.gateway.get("/api/tokens").body.decode(), *QUOTED) == []
    assert found_in(everything(pair.gateway), *QUOTED) == []


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 400, "body": {"error": "invalid_grant", "error_description": GOSSIP}},
        {"status": 400, "body": {"error": EMAIL, "error_description": GOSSIP}},
        {"status": 500, "body_text": GOSSIP},
        {"status": 200, "body": {"accessToken": "", "refreshToken": REFRESH, "note": GOSSIP}},
        {"status": 200, "body_text": GOSSIP},
    ],
    ids=["invalid_grant", "unknown", "500", "no token", "no JSON"],
)
def test_what_the_login_service_tells_stays_inside(pair: Pair, answer: dict[str, Any]) -> None:
    emulator = pair.gateway.emulator
    pair.queue_for_both(error="bearer_invalid")
    pair.queue_for_both(operation="refresh", **answer)
    refused = pair.ask(Way("anthropic", stream=False))

    assert refused.status in (502, 503)
    assert emulator.refreshes()
    accounts = [emulator.account(name) for name in (pair.first, pair.second)]
    hidden = (*QUOTED, *secrets_of(*accounts))
    assert found_in(refused.body.decode(), *hidden) == []
    assert found_in(pair.gateway.get("/api/tokens").body.decode(), *hidden) == []
    assert found_in(everything(pair.gateway), *hidden) == []


def test_an_account_named_by_an_address_is_masked_everywhere(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    account = emulator.add_account("one")
    gateway = start_gateway([account.auth_entry(name=EMAIL)])
    emulator.queue(error="suspended", times=0)
    answer = gateway.messages()

    assert answer.status == 503
    assert found_in(answer.body.decode(), EMAIL) == []
    assert found_in(gateway.get("/api/tokens").body.decode(), EMAIL) == []
    assert found_in(everything(gateway), EMAIL) == []


def test_a_broken_setting_is_told_without_its_secret(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    """Entries that cannot be used are reported by their place."""
    wrong = [{"auth": "Social"}, {"auth": "Nonsense", "refreshToken": REFRESH}, REFRESH]
    wrong += [{"auth": "IdC", "refreshToken": REFRESH, "clientId": "x"}]
    gateway = start_gateway(wrong, KIRO_REFRESH_TOKEN=REFRESH)

    assert len(gateway.log_lines("account_entry_skipped")) == 4
    assert found_in(everything(gateway), REFRESH) == []
