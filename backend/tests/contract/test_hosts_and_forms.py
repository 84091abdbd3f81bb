"""Hosts, regions and wire forms: every outbound call goes to the right one, and a wrong one is left."""

import pytest

from tests.support.emulator import RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway
from tests.support.talk import MIXED, Way, name_of

ARN = "arn:aws:codewhisperer:{region}:111122223333:profile/ABCDEFGHIJKL"
RUNTIME = "runtime.us-east-1.kiro.dev"
KIRO_TARGET = "KiroRuntimeService.GenerateAssistantResponse"


def hosts(emulator: RunningEmulator) -> dict[str, str]:
    """Return the settings by which each host is reached under its own name."""
    return {f"KIRO_{plane}_ENDPOINT": emulator.host_url for plane in ("API", "SOCIAL", "OIDC")}


def started(start_gateway: StartGateway, emulator: RunningEmulator) -> RunningGateway:
    """Return a gateway of one account with a profile of its own in the usual region."""
    account = emulator.add_account("one", profile_arn=ARN.format(region="us-east-1"))
    return start_gateway([account], **hosts(emulator))


def ask(gateway: RunningGateway, way: Way) -> int:
    served = gateway.messages if way.dialect == "anthropic" else gateway.chat
    return served(stream=way.stream).status


def asked(emulator: RunningEmulator) -> list[tuple[str, str]]:
    """Return host and path of each generation call, in order."""
    return [(record.host, record.path) for record in emulator.generations()]


@pytest.mark.parametrize(
    ("login", "profile", "older"),
    [
        ("eu-west-1", "us-east-1", "codewhisperer.us-east-1.amazonaws.com"),
        ("us-west-2", "eu-central-1", "q.eu-central-1.amazonaws.com"),
    ],
)
def test_a_login_is_refreshed_in_its_region_and_served_in_that_of_its_profile(
    start_gateway: StartGateway, emulator: RunningEmulator, login: str, profile: str, older: str
) -> None:
    arn = ARN.format(region=profile)
    account = emulator.add_account("one", kind="idc", region=login, profile_arn=arn)
    entry = account.auth_entry(region=login, profileArn=arn)
    gateway = start_gateway([entry], **hosts(emulator))
    status = gateway.messages().status
    gateway.wait_until_settled()
    lists = {r.host for r in emulator.records() if r.operation in ("models", "usage")}

    assert status == 200
    assert {record.host for record in emulator.refreshes()} == {f"oidc.{login}.amazonaws.com"}
    assert asked(emulator) == [(f"runtime.{profile}.kiro.dev", "/generateAssistantResponse")]
    assert lists == {older}


@pytest.mark.parametrize("way", MIXED, ids=name_of)
def test_a_host_that_does_not_know_the_path_is_asked_by_its_target_and_from_then_on(
    start_gateway: StartGateway, emulator: RunningEmulator, way: Way
) -> None:
    gateway = started(start_gateway, emulator)
    emulator.set_host(RUNTIME, refuses=["rest"])

    assert [ask(gateway, way) for _ in range(2)] == [200, 200]
    assert asked(emulator) == [
        (RUNTIME, "/generateAssistantResponse"),
        (RUNTIME, "/"),
        (RUNTIME, "/"),
    ]


def test_a_request_by_target_says_in_its_body_what_a_header_said(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = started(start_gateway, emulator)
    emulator.set_host(RUNTIME, refuses=["rest"])
    gateway.messages()
    last = emulator.generations()[-1]

    assert last.headers["x-amz-target"] == KIRO_TARGET
    assert last.headers["content-type"] == "application/x-amz-json-1.0"
    assert isinstance(last.body, dict)
    assert last.body["agentMode"] == "vibe"


def test_a_host_that_knows_neither_form_is_left_for_another(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    gateway = started(start_gateway, emulator)
    emulator.switch_rules({"R9.required": False})
    emulator.set_host(RUNTIME, refuses=["rest", "kiro", "codewhisperer"])

    assert gateway.messages().status == 200
    assert [host for host, _ in asked(emulator)] == [
        *(RUNTIME, RUNTIME),
        "codewhisperer.us-east-1.amazonaws.com",
    ]
