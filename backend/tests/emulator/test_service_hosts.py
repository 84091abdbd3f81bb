"""Virtual hosts, limits and logins, over a real connection."""

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulated_logins import CALLBACK, START_URL, VERIFIER, pkce
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.emulator_calls import Reply, bearer, body, fetch, generate, targeted

RUNTIME, RUNTIME_EU = "/runtime.us-east-1.kiro.dev", "/runtime.eu-central-1.kiro.dev"
MANAGEMENT = "/management.us-east-1.kiro.dev"
OLDER = "/codewhisperer.us-east-1.amazonaws.com"
OIDC = "/oidc.us-east-1.amazonaws.com"
PATH = "/generateAssistantResponse"
KIRO = "KiroRuntimeService.GenerateAssistantResponse"
CODEWHISPERER = "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"
MODELS = "ListAvailableModels"


@pytest.fixture
def account(emulator: RunningEmulator) -> EmulatedAccount:
    return emulator.add_account("a", access_token="tok")


def call(emulator: RunningEmulator, host: str, arn: str | None, target: str = "") -> Reply:
    """Return the answer of a host to a generation call, by path or by target."""
    data = json.encode(body("hi", arn=arn))
    if target:
        return fetch(emulator, "POST", f"{host}/", data, targeted("tok", target))
    return fetch(emulator, "POST", host + PATH, data, bearer("tok"))


# --------------------------------------------------------------------------------------- hosts


@pytest.mark.parametrize(
    ("host", "target", "status"),
    [
        (RUNTIME, "", 200),
        (RUNTIME, KIRO, 200),
        (RUNTIME, CODEWHISPERER, 200),
        (OLDER, "", 200),
        (OLDER, CODEWHISPERER, 200),
        (OLDER, KIRO, 404),
        (MANAGEMENT, "", 404),
    ],
)
def test_a_host_answers_in_the_forms_that_it_serves(
    emulator: RunningEmulator, account: EmulatedAccount, host: str, target: str, status: int
) -> None:
    reply = call(emulator, host, account.profile_arn, target)

    assert reply.status == status
    assert (
        reply.json["message"] == "unknown operation"
        if status == 404
        else reply.text == ("You said: hi")
    )


def test_a_form_that_a_host_does_not_serve_is_no_violation(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    call(emulator, OLDER, None, KIRO)

    assert emulator.violations() == []
    assert emulator.records()[-1].rule == "R1"


def test_a_host_can_be_told_to_refuse_a_form(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.set_host(RUNTIME[1:], refuses=["rest"])
    emulator.set_host("", refuses=["kiro"])
    asked = ((RUNTIME, ""), (RUNTIME, KIRO), ("", ""), ("", KIRO))

    found = [call(emulator, host, account.profile_arn, form).status for host, form in asked]
    assert found == [404, 200, 200, 404]


def test_a_record_names_the_host_and_the_path_behind_it(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    call(emulator, RUNTIME, account.profile_arn)
    (record,) = emulator.generations()

    assert (record.host, record.path) == ("runtime.us-east-1.kiro.dev", PATH)


def test_a_host_that_does_not_exist_answers_nobody(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    with pytest.raises(ConnectionError):
        call(emulator, "/codewhisperer.eu-central-1.amazonaws.com", None)

    assert [violation.rule for violation in emulator.violations()] == ["R1"]


def test_the_older_hosts_need_no_profile_and_the_newer_does(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    found = [call(emulator, host, None).status for host in (OLDER, RUNTIME)]

    assert found == [200, 400]


def test_a_profile_of_another_region_looks_like_a_bad_token(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok", region="eu-west-1")
    found = [call(emulator, host, account.profile_arn) for host in (RUNTIME, RUNTIME_EU)]

    assert [reply.status for reply in found] == [403, 200]


def test_the_newer_form_is_answered_as_such(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    reply = call(emulator, RUNTIME, account.profile_arn, KIRO)

    assert reply.headers["content-type"] == "application/x-amz-json-1.0"
    assert "x-amzn-codewhisperer-conversation-id" not in reply.headers
    assert reply.events[0][0] == "initial-response"


def test_the_newer_form_has_a_content_type_of_its_own(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    headers = {**targeted("tok", KIRO), "content-type": "application/json"}
    data = json.encode(body(arn=account.profile_arn))

    assert fetch(emulator, "POST", f"{RUNTIME}/", data, headers).status == 415
    assert [violation.rule for violation in emulator.violations()] == ["R7"]


@pytest.mark.parametrize("prefix", ["KiroControlPlaneBearerService", "AmazonCodeWhispererService"])
def test_the_control_plane_has_two_names(
    emulator: RunningEmulator, account: EmulatedAccount, prefix: str
) -> None:
    data = b'{"origin":"AI_EDITOR"}'
    reply = fetch(emulator, "POST", f"{MANAGEMENT}/", data, targeted("tok", f"{prefix}.{MODELS}"))

    assert len(reply.json["models"]) > 10


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        (f"{MANAGEMENT}/Get-Usage-Limits", 400, "Invalid token"),
        (f"{OLDER}/getUsageLimits", 403, "The bearer token included in the request is invalid."),
    ],
)
def test_each_host_has_its_own_words_for_a_bad_token(
    emulator: RunningEmulator, path: str, status: int, text: str
) -> None:
    reply = fetch(emulator, "GET", path, None, bearer("other"))

    assert (reply.status, reply.json["message"]) == (status, text)


@pytest.mark.parametrize(
    ("arn", "status"),
    [("arn:x", 400), ("arn:aws:codewhisperer:us-east-1:123456789012:profile/FOREIGNFOREI", 403)],
)
def test_a_list_is_for_a_profile_of_the_account(
    emulator: RunningEmulator, account: EmulatedAccount, arn: str, status: int
) -> None:
    path = f"{OLDER}/ListAvailableModels?origin=AI_EDITOR&profileArn={quote(arn)}"

    assert fetch(emulator, "GET", path, None, bearer("tok")).status == status


def test_a_key_asks_for_its_profile(emulator: RunningEmulator) -> None:
    account = emulator.add_account("k", kind="api_key")
    headers = targeted(account.access_token, "AmazonCodeWhispererService.GetProfile")
    reply = fetch(emulator, "POST", f"{MANAGEMENT}/", b"{}", {**headers, "tokentype": "API_KEY"})

    assert reply.json["profile"]["arn"] == account.profile_arn


# -------------------------------------------------------------------------- credits and rates


def test_an_account_works_until_its_credits_are_spent(emulator: RunningEmulator) -> None:
    account = emulator.add_account(
        "a", access_token="tok", credits_limit=2, credits_per_call=1, resets_in_s=60
    )
    replies = [generate(emulator, account) for _ in range(3)]
    emulator.advance_clock(60)
    renewed = generate(emulator, account)

    assert [reply.status for reply in (*replies, renewed)] == [200, 200, 402, 200]
    assert replies[0].of("meteringEvent")[0]["usage"] == 1
    assert replies[2].json["reason"] == "MONTHLY_REQUEST_COUNT"
    assert emulator.account("a").credits_used == 1.0


def test_credits_go_uncounted_where_nobody_checks(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok", credits_limit=0)
    emulator.switch_rules({"R31": False})

    assert generate(emulator, account).status == 200


@pytest.mark.parametrize(
    ("hint", "in_header", "in_body"),
    [("none", False, False), ("header", True, False), ("body", False, True), ("both", True, True)],
)
def test_an_account_has_a_rate(
    emulator: RunningEmulator, hint: str, in_header: bool, in_body: bool
) -> None:
    rate = {"calls": 1, "per_s": 60, "hint": hint}
    account = emulator.add_account("a", access_token="tok", rate=rate)
    first, second = generate(emulator, account), generate(emulator, account)
    emulator.advance_clock(60)
    third = generate(emulator, account)

    assert [reply.status for reply in (first, second, third)] == [200, 429, 200]
    assert second.json["reason"] == "USER_REQUEST_RATE_EXCEEDED"
    assert ("retry-after" in second.headers, "retryAfterMilliseconds" in second.json) == (
        in_header,
        in_body,
    )


def test_each_host_counts_an_account_alone(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok", rate={"calls": 1, "per_s": 60})
    found = [call(emulator, host, account.profile_arn).status for host in (RUNTIME, OLDER, RUNTIME)]

    assert found == [200, 200, 429]


def test_a_host_has_a_rate_over_all_accounts(emulator: RunningEmulator) -> None:
    emulator.set_host("", rate={"calls": 1, "per_s": 60})
    accounts = [emulator.add_account(name, access_token=name) for name in ("a", "b")]
    replies = [generate(emulator, account) for account in accounts]

    assert [reply.status for reply in replies] == [200, 429]
    assert replies[1].json["reason"] == "SERVICE_REQUEST_RATE_EXCEEDED"


def test_a_call_that_has_ended_is_in_flight_no_more(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", access_token="tok", rate={"in_flight": 1})
    found = [generate(emulator, account).status for _ in range(3)]

    assert found == [200, 200, 200]


# -------------------------------------------------------------------------------------- logins


def post(emulator: RunningEmulator, path: str, **sent: object) -> Any:
    return fetch(emulator, "POST", path, json.encode(sent)).json


def test_a_device_signs_in(emulator: RunningEmulator) -> None:
    emulator.add_account("b", kind="builder_id")
    client = post(emulator, f"{OIDC}/client/register", clientName="c", clientType="public")
    pair = {name: client[name] for name in ("clientId", "clientSecret")}
    device = post(emulator, f"{OIDC}/device_authorization", **pair, startUrl=START_URL)
    emulator.sign_in("b", url=device["verificationUriComplete"])
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    tokens = post(
        emulator, f"{OIDC}/token", **pair, deviceCode=device["deviceCode"], grantType=grant
    )

    assert tokens["refreshToken"] == emulator.account("b").refresh_token
    assert [record.operation for record in emulator.records()] == ["register", "device", "login"]


def test_a_browser_signs_in_to_the_social_service(emulator: RunningEmulator) -> None:
    emulator.add_account("s")
    page = "&".join(f"{name}={quote(value)}" for name, value in pkce(idp="Github").items())
    location = emulator.sign_in("s", url=f"{emulator.url}/login?{page}")
    (code,) = parse_qs(urlsplit(location).query)["code"]
    tokens = post(
        emulator, "/oauth/token", code=code, code_verifier=VERIFIER, redirect_uri=CALLBACK
    )

    assert tokens["profileArn"] == emulator.account("s").profile_arn


def test_the_page_leads_on_when_somebody_is_at_the_browser(emulator: RunningEmulator) -> None:
    emulator.add_account("s")
    emulator.set_sign_in(person="s")
    page = "&".join(f"{name}={quote(value)}" for name, value in pkce(idp="Github").items())
    reply = fetch(emulator, "GET", f"/login?{page}")

    assert (reply.status, reply.headers["location"].split("?")[0]) == (302, CALLBACK)


def test_a_step_of_a_login_can_be_refused_by_name(emulator: RunningEmulator) -> None:
    emulator.queue(operation="login", error="slow_down", times=2)
    found = [post(emulator, "/oauth/token", code="x")["error"] for _ in range(3)]

    assert found == ["slow_down", "slow_down", "invalid_request"]


def test_no_secret_of_a_login_is_in_any_record(emulator: RunningEmulator) -> None:
    account = emulator.add_account("e", kind="external_idp")
    form = (
        f"grant_type=refresh_token&client_id=client-e&scope=x&refresh_token={account.refresh_token}"
    )
    headers = {"content-type": "application/x-www-form-urlencoded"}
    fetch(emulator, "POST", "/idp/e/token", form.encode(), headers)
    post(emulator, "/oauth/token", code="c0de", code_verifier="veri", redirect_uri="x")
    found = emulator.records()

    assert found[0].body == {
        "grant_type": "refresh_token",
        "client_id": "client-e",
        "scope": "x",
        "refresh_token": "[refresh token 1 of e]",
    }
    assert found[1].body == {"code": "[unknown]", "code_verifier": "[unknown]", "redirect_uri": "x"}
