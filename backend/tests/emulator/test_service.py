"""What a request means to the service, and what it gets, over a real connection."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kiro2api.emulator.errors_table import REFUSALS, SIGN_IN_REFUSALS
from kiro2api.emulator.scenarios import SCENARIOS
from kiro2api.protocol.wire import json
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.emulator_calls import (
    Json,
    assistant,
    bearer,
    body,
    fetch,
    generate,
    refresh,
    result,
    targeted,
    tool,
    use,
    user,
)

PATH = "/generateAssistantResponse"


@pytest.fixture
def account(emulator: RunningEmulator) -> EmulatedAccount:
    return emulator.add_account("a", access_token="tok")


# --------------------------------------------------------------------------------- operations


@pytest.mark.parametrize(("method", "path"), [("POST", "/mcp"), ("GET", PATH), ("GET", "/")])
def test_what_the_service_does_not_know_is_a_loud_failure(
    emulator: RunningEmulator, method: str, path: str
) -> None:
    reply = fetch(emulator, method, path)

    assert (reply.status, reply.json["message"]) == (404, "unknown operation")
    assert [violation.rule for violation in emulator.violations()] == ["R1"]


# --------------------------------------------------------------------------------- generation


def test_an_answer_is_an_event_stream_with_its_ids(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    sent = body("hi")
    sent["conversationState"]["conversationId"] = "conversation-1"
    reply = generate(emulator, account, sent)

    assert (reply.status, reply.text) == (200, "You said: hi")
    assert reply.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert reply.headers["x-amzn-codewhisperer-conversation-id"] == "conversation-1"
    assert len(reply.headers["x-amzn-requestid"]) == 36


@pytest.mark.parametrize("conversation_id", ["a\r\nb", "é", "世界"])
def test_an_id_that_fits_no_header_does_not_break_the_answer(
    emulator: RunningEmulator, account: EmulatedAccount, conversation_id: str
) -> None:
    sent = body("hi")
    sent["conversationState"]["conversationId"] = conversation_id

    assert generate(emulator, account, sent).status == 200


def test_a_good_answer_ends_with_metadata_window_and_credits(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    kinds = [kind for kind, _ in generate(emulator, account).events]

    assert kinds[-3:] == ["metadataEvent", "contextUsageEvent", "meteringEvent"]


def test_a_whole_agent_loop_runs(emulator: RunningEmulator, account: EmulatedAccount) -> None:
    order = '[[CALL ls {"path": "."}]]\n[[CALL cat {"path": "a.txt"}]]'
    tools = [tool("ls"), tool("cat")]
    history: list[Json] = []
    current = user(order)
    answers = ["a.txt", "the content"]
    while True:
        reply = generate(emulator, account, body(current, history=history, tools=tools))
        uses = reply.of("toolUseEvent")
        if not uses:
            break
        spelled = "".join(event.get("input", "") for event in uses)
        call = use(uses[0]["toolUseId"], uses[0]["name"], **json.decode(spelled))
        history += [current, assistant("", [call])]
        current = user("", [result(uses[0]["toolUseId"], answers.pop(0))])

    assert (reply.text, answers) == ("FINAL:the content", [])
    assert emulator.violations() == []


def test_the_other_wire_form_answers_alike(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    headers = targeted("tok", "KiroRuntimeService.GenerateAssistantResponse")
    sent = json.encode(body("hi", arn=account.profile_arn, agentMode="vibe"))

    assert fetch(emulator, "POST", "/", sent, headers).text == "You said: hi"


def test_the_other_wire_form_spells_errors_its_own_way(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(error="suspended")
    sent = json.encode(body(arn=account.profile_arn))
    headers = targeted("tok", "KiroRuntimeService.GenerateAssistantResponse")
    reply = fetch(emulator, "POST", "/", sent, headers)

    assert reply.json["__type"].endswith("#AccessDeniedException")


def test_credits_are_spent(emulator: RunningEmulator, account: EmulatedAccount) -> None:
    (metered,) = generate(emulator, account).of("meteringEvent")
    reply = fetch(emulator, "GET", "/getUsageLimits", headers=bearer("tok"))

    (credits,) = reply.json["usageBreakdownList"]
    assert credits["currentUsageWithPrecision"] == metered["usage"] > 0


# --------------------------------------------------------------------- checks before the body


def test_a_bad_token_is_refused_before_a_bad_body_is_read(emulator: RunningEmulator) -> None:
    reply = fetch(emulator, "POST", PATH, b"{nonsense", bearer("unknown"))

    assert (reply.status, emulator.records()[0].rule) == (403, "R2")


def test_tokens_expire_by_the_emulator_s_clock(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    before = generate(emulator, account).status
    emulator.advance_clock(3600)
    reply = generate(emulator, account)

    assert (before, reply.status, reply.json["message"]) == (200, 403, "Token expired")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("application/x-amz-json-1.0", 200),
        ("text/plain", 415),
    ],
)
def test_the_content_type_is_checked(
    emulator: RunningEmulator, account: EmulatedAccount, content_type: str, status: int
) -> None:
    headers = {**bearer("tok"), "content-type": content_type}
    sent = json.encode(body(arn=account.profile_arn))

    assert fetch(emulator, "POST", PATH, sent, headers).status == status


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"\xff\xfe{}", b'{"a":"\\ud83d"}', b'{"a":"\xed\xa0\xbd"}'],
    ids=["empty", "cut", "array", "no UTF-8", "half a pair", "half a pair as bytes"],
)
def test_a_body_that_is_no_json_object_is_refused(
    emulator: RunningEmulator, account: EmulatedAccount, data: bytes
) -> None:
    reply = fetch(emulator, "POST", PATH, data, bearer("tok"))

    assert (reply.status, reply.json["reason"]) == (400, "REQUEST_BODY_INVALID_JSON")
    assert [violation.rule for violation in emulator.violations()] == ["R8"]


@pytest.mark.parametrize(("profile", "status"), [("runtime-2026", 200), ("q-2025", 400)])
def test_the_older_service_takes_no_large_bodies(
    emulator: RunningEmulator, account: EmulatedAccount, profile: str, status: int
) -> None:
    emulator.use_profile(profile)
    picture = "A" * 700_000

    assert generate(emulator, account, body(ignored=picture)).status == status


def test_the_older_service_gives_no_reason(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.use_profile("q-2025")
    reply = generate(emulator, account, body(" "))

    assert reply.json == {"message": "Improperly formed request.", "reason": None}


def test_a_malformed_body_is_a_violation(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    generate(emulator, account, body(user("", [result("t1")]), tools=[tool()]))

    (violation,) = emulator.violations()
    assert (violation.rule, violation.record) == ("R15", 1)


@pytest.mark.parametrize("call", [body(model="claude-9"), body("word " * 200_000)])
def test_a_good_body_that_cannot_be_served_is_none(
    emulator: RunningEmulator, account: EmulatedAccount, call: Json
) -> None:
    reply = generate(emulator, account, call)

    assert (reply.status, emulator.violations()) == (400, [])


def test_a_check_can_be_switched_off(emulator: RunningEmulator, account: EmulatedAccount) -> None:
    emulator.switch_rules({"R24": False})

    assert generate(emulator, account, body(model="claude-9")).status == 200


# ---------------------------------------------------------------------------------- behaviours


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_arrives_with_its_status(
    emulator: RunningEmulator, account: EmulatedAccount, name: str
) -> None:
    emulator.queue(error=name)

    assert generate(emulator, account).status == REFUSALS[name].status


@pytest.mark.parametrize("form", ["rest", "json", "output", "capital", "nested", "empty", "html"])
def test_a_refusal_arrives_in_the_form_asked_for(
    emulator: RunningEmulator, account: EmulatedAccount, form: str
) -> None:
    emulator.queue(error="token_expired", form=form)
    reply = generate(emulator, account)

    assert reply.status == 403
    assert (b"Token expired" in reply.body) is (form not in ("empty", "html"))


@pytest.mark.parametrize(
    "name",
    [n for n in SCENARIOS if not n.startswith(("reset", "close", "stall"))],
)
def test_every_scenario_that_ends_well_is_a_whole_http_answer(
    emulator: RunningEmulator, account: EmulatedAccount, name: str
) -> None:
    emulator.queue(scenario=name)

    assert generate(emulator, account).status == 200
    assert emulator.generations()[0].behaviour == name


@pytest.mark.parametrize("content_type", ["application/x-amz-json-1.0", "application/octet-stream"])
def test_the_content_type_of_the_answer_can_be_another(
    emulator: RunningEmulator, account: EmulatedAccount, content_type: str
) -> None:
    emulator.queue(content_type=content_type)

    assert generate(emulator, account).headers["content-type"] == content_type


def test_a_delay_comes_before_the_head(emulator: RunningEmulator, account: EmulatedAccount) -> None:
    emulator.queue(delay_s=0.2)
    began = time.monotonic()
    reply = generate(emulator, account)

    assert (reply.status, time.monotonic() - began >= 0.2) == (200, True)


def test_a_gate_holds_the_head(emulator: RunningEmulator, account: EmulatedAccount) -> None:
    emulator.queue(gate="g", error="internal")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(generate, emulator, account)
        emulator.wait_for(lambda: emulator.counters().in_flight == 1, what="the call")
        waited = answer.done()
        emulator.open_gate("g")

        assert (waited, answer.result().status) == (False, 500)


def test_any_status_headers_and_body_can_be_sent(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(status=418, headers={"retry-after": "7"}, body={"a": None})
    reply = generate(emulator, account)

    assert (reply.status, reply.headers["retry-after"], reply.json) == (418, "7", {"a": None})


def test_a_connection_can_break_before_the_head(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(fault="reset")

    with pytest.raises(ConnectionError):
        generate(emulator, account)


def test_a_script_of_one_s_own_is_sent(emulator: RunningEmulator, account: EmulatedAccount) -> None:
    emulator.queue_stream({"do": "text", "text": "mine"}, {"do": "tail"})

    assert generate(emulator, account).text == "mine"


# ------------------------------------------------------------------------------------- refresh


def test_a_refresh_gives_a_token_that_works(emulator: RunningEmulator) -> None:
    account = emulator.add_account("b")
    token = refresh(emulator, account.refresh_token).json["accessToken"]

    assert generate(emulator, emulator.account("b")).status == 200
    assert emulator.account("b").access_token == token


def test_parallel_refreshes_are_counted_and_noted(emulator: RunningEmulator) -> None:
    account = emulator.add_account("b", refresh_latency_s=0.2, rotation="same")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: refresh(emulator, account.refresh_token), range(2)))

    assert emulator.account("b").max_parallel_refreshes == 2
    assert [violation.rule for violation in emulator.violations()] == ["A4"]


def test_refreshes_one_after_the_other_are_no_violation(emulator: RunningEmulator) -> None:
    account = emulator.add_account("b", rotation="same")
    for _ in range(2):
        refresh(emulator, account.refresh_token)

    assert emulator.account("b").max_parallel_refreshes == 1
    assert emulator.violations() == []


@pytest.mark.parametrize("name", SIGN_IN_REFUSALS)
def test_a_refresh_can_be_refused_by_name(emulator: RunningEmulator, name: str) -> None:
    account = emulator.add_account("b")
    emulator.queue(operation="refresh", error=name)
    reply = refresh(emulator, account.refresh_token)

    assert (reply.status, reply.json["error"]) == (SIGN_IN_REFUSALS[name].status, name)


@pytest.mark.parametrize(
    "answer", [{"status": 403}, {"status": 429}, {"body_text": '{"accessToken": "x'}]
)
def test_a_refresh_can_fail_in_any_other_way(
    emulator: RunningEmulator, answer: dict[str, Any]
) -> None:
    account = emulator.add_account("b")
    emulator.queue(operation="refresh", **answer)
    reply = refresh(emulator, account.refresh_token)

    assert reply.status == answer.get("status", 200)
    assert reply.body == answer.get("body_text", "").encode()


def test_a_failed_refresh_leaves_the_refresh_token_alive(emulator: RunningEmulator) -> None:
    account = emulator.add_account("b")
    emulator.queue(operation="refresh", error="server_error")
    refresh(emulator, account.refresh_token)

    assert refresh(emulator, account.refresh_token).status == 200


def test_a_refresh_with_an_unknown_token_can_be_scripted_too(emulator: RunningEmulator) -> None:
    emulator.queue(operation="refresh", status=500)

    assert [refresh(emulator, "x" * 120).status for _ in range(2)] == [500, 401]


# ------------------------------------------------------------------------------- control plane


def test_models_come_by_get_and_by_target(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    target = {"x-amz-target": "AmazonCodeWhispererService.ListAvailableModels"}
    by_get = fetch(emulator, "GET", "/ListAvailableModels?origin=AI_EDITOR", None, bearer("tok"))
    by_target = fetch(emulator, "POST", "/", b'{"origin":"AI_EDITOR"}', {**bearer("tok"), **target})

    assert by_get.json == by_target.json


def test_usage_comes_by_get_and_by_target(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    target = {"x-amz-target": "AmazonCodeWhispererService.GetUsageLimits"}
    by_get = fetch(emulator, "GET", "/getUsageLimits?isEmailRequired=true", None, bearer("tok"))
    by_target = fetch(emulator, "POST", "/", b'{"isEmailRequired":true}', bearer("tok") | target)

    assert by_get.json == by_target.json
    assert by_get.json["userInfo"]["email"] == "a@example.com"


def test_a_bad_token_is_a_400_on_the_control_plane_s_own_form(emulator: RunningEmulator) -> None:
    target = {"x-amz-target": "AmazonCodeWhispererService.GetUsageLimits"}
    reply = fetch(emulator, "POST", "/", b"{}", {**bearer("unknown"), **target})

    assert (reply.status, reply.json["message"]) == (400, "Invalid token")


@pytest.mark.parametrize(
    ("operation", "path"),
    [("models", "/ListAvailableModels?origin=AI_EDITOR"), ("usage", "/getUsageLimits")],
)
@pytest.mark.parametrize("error", ["suspended", "internal"])
def test_the_lists_can_be_refused(
    emulator: RunningEmulator, account: EmulatedAccount, operation: str, path: str, error: str
) -> None:
    emulator.queue(operation=operation, error=error)

    assert fetch(emulator, "GET", path, None, bearer("tok")).status == REFUSALS[error].status


def test_a_list_can_be_replaced(emulator: RunningEmulator, account: EmulatedAccount) -> None:
    emulator.queue(operation="models", body={"models": []})
    path = "/ListAvailableModels?origin=AI_EDITOR"

    assert fetch(emulator, "GET", path, None, bearer("tok")).json == {"models": []}


# ------------------------------------------------------------------------------------- records


def test_a_record_tells_who_asked_for_what_and_what_came_of_it(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    reply = generate(emulator, account, body("hi", model="auto"))
    (record,) = emulator.generations()

    assert (record.account, record.model, record.status) == ("a", "auto", 200)
    assert (record.rule, record.behaviour, record.closed_early) == ("", "", False)
    assert record.sent_bytes == len(reply.body)
    assert record.headers["authorization"] == "Bearer [access token 1 of a]"


def test_no_secret_is_in_any_record(emulator: RunningEmulator) -> None:
    account = emulator.add_account("b", kind="idc")
    token = account.refresh_token
    secret = account.spec["client_secret"]
    sent = {"refreshToken": token, "clientSecret": secret, "grantType": "refresh_token"}
    data = json.encode({**sent, "clientId": account.spec["client_id"]})
    fetch(emulator, "POST", "/token", data, {"content-type": "application/json"})

    spelled = json.encode(emulator.records()).decode()
    assert "[refresh token 1 of b]" in spelled
    assert token not in spelled
    assert secret not in spelled
