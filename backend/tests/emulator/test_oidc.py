"""Registering clients and signing in by device and by code at the OIDC service."""

from typing import Any

import pytest

from kiro2api.emulator.logins import Consent
from kiro2api.emulator.oidc import CODE_GRANT
from tests.support.emulated_logins import CALLBACK, SCOPES, VERIFIER, SignIn, pkce

DAY_S = 86_400.0
US, EU = "/oidc.us-east-1.amazonaws.com", "/oidc.eu-west-1.amazonaws.com"


def errors(*answers: tuple[int, Any]) -> list[str]:
    return [answer.get("error", "") for _, answer in answers]


def test_a_client_is_good_for_ninety_days() -> None:
    status, answer = SignIn().register()

    assert status == 200
    assert answer["clientSecretExpiresAt"] - answer["clientIdIssuedAt"] == 90 * DAY_S


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"clientName": ""}, "invalid_request"),
        ({"clientType": "confidential"}, "invalid_request"),
        ({"scopes": ["mail"]}, "invalid_scope"),
    ],
)
def test_a_wrong_registration_is_refused(changes: dict[str, Any], error: str) -> None:
    assert errors(SignIn().register(**changes)) == [error]


def test_a_registration_in_snake_case_is_refused_and_noted() -> None:
    service = SignIn()
    sent = {"client_name": "x", "client_type": "public", "scopes": SCOPES}

    assert errors(service.ask("/client/register", sent)) == ["invalid_request"]
    assert service.violations == ["A3"]


def test_a_device_is_told_what_to_show_and_how_often_to_ask() -> None:
    status, device = SignIn().start_device()

    assert (status, device["expiresIn"], device["interval"]) == (200, 600, 1)
    assert device["verificationUriComplete"].endswith(f"?user_code={device['userCode']}")


def test_a_device_waits_until_the_person_has_answered() -> None:
    service = SignIn()
    device = service.start_device()[1]
    before = service.poll(device)
    service.consent(device)
    service.world.clock.advance(1.0)
    status, answer = service.poll(device)

    assert errors(before) == ["authorization_pending"]
    assert (status, answer["tokenType"]) == (200, "Bearer")
    assert answer["accessToken"] in service.world.access_tokens
    assert answer["refreshToken"] == service.account.refresh_token
    assert service.record is not None
    assert service.record.account == "a"


def test_what_a_login_brought_can_be_refreshed_by_its_own_client() -> None:
    service = SignIn()
    device = service.start_device()[1]
    service.consent(device)
    token = service.poll(device)[1]["refreshToken"]
    sent = {**service.client, "refreshToken": token, "grantType": "refresh_token"}

    assert service.ask("/token", sent)[0] == 200


def test_a_device_code_works_once() -> None:
    service = SignIn()
    device = service.start_device()[1]
    service.consent(device)

    assert errors(service.poll(device), service.poll(device)) == ["", "invalid_grant"]


def test_polling_too_fast_is_told_and_makes_the_interval_longer() -> None:
    service = SignIn()
    device = service.start_device()[1]
    answers = [service.poll(device)]
    for after_s in (0.5, 1.0, 5.5):
        service.world.clock.advance(after_s)
        answers.append(service.poll(device))

    told = ["authorization_pending", "slow_down", "slow_down", "slow_down"]
    assert errors(*answers) == told


def test_a_device_can_be_kept_waiting() -> None:
    service = SignIn()
    service.settle(pending_polls=2)
    device = service.start_device()[1]
    service.consent(device)
    answers = []
    for _ in range(3):
        answers.append(service.poll(device))
        service.world.clock.advance(1.0)

    assert errors(*answers) == ["authorization_pending", "authorization_pending", ""]


def test_a_person_at_the_browser_answers_every_device() -> None:
    service = SignIn()
    service.settle(person="a")

    assert service.poll(service.start_device()[1])[0] == 200


def test_a_person_can_refuse() -> None:
    service = SignIn()
    device = service.start_device()[1]
    service.consent(device, Consent.DENY)

    assert errors(service.poll(device)) == ["access_denied"]


def test_a_device_code_expires() -> None:
    service = SignIn()
    device = service.start_device()[1]
    service.world.clock.advance(600.0)

    assert errors(service.poll(device)) == ["expired_token"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"deviceCode": "other"}, "invalid_grant"),
        ({"deviceCode": ""}, "invalid_request"),
        ({"clientSecret": "wrong"}, "invalid_client"),
        ({"grantType": "password"}, "unsupported_grant_type"),
    ],
)
def test_wrong_polls_are_refused(changes: dict[str, Any], error: str) -> None:
    service = SignIn()

    assert errors(service.poll(service.start_device()[1], **changes)) == [error]


def test_an_expired_registration_is_an_invalid_client() -> None:
    service = SignIn()
    service.register()
    service.world.clock.advance(90 * DAY_S)

    assert errors(service.start_device()) == ["invalid_client"]


def test_a_registration_is_unknown_in_another_region() -> None:
    service = SignIn()
    service.register(US)

    assert errors(service.start_device(US), service.start_device(EU)) == ["", "invalid_client"]


@pytest.mark.parametrize("start_url", ["", "view.awsapps.com/start"])
def test_a_device_needs_a_start_address(start_url: str) -> None:
    assert errors(SignIn().start_device(startUrl=start_url)) == ["invalid_request"]


def redeem(service: SignIn, code: str, **changes: Any) -> tuple[int, Any]:
    sent = {
        **service.client,
        "code": code,
        "codeVerifier": VERIFIER,
        "redirectUri": CALLBACK,
        "grantType": CODE_GRANT,
        **changes,
    }
    return service.ask("/token", sent)


def with_code(**settings: Any) -> tuple[SignIn, str]:
    service = SignIn()
    service.settle(**settings)
    service.register()
    query = pkce(client_id=service.client["clientId"], scopes=" ".join(SCOPES))
    return service, service.code("/authorize", query)


def test_a_code_is_traded_for_tokens_once() -> None:
    service, code = with_code()

    assert errors(redeem(service, code), redeem(service, code)) == ["", "invalid_grant"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"codeVerifier": "w" * 43}, "invalid_grant"),
        ({"redirectUri": "http://127.0.0.1:9/other"}, "invalid_grant"),
        ({"codeVerifier": ""}, "invalid_request"),
        ({"clientSecret": "wrong"}, "invalid_client"),
    ],
)
def test_a_code_serves_only_who_asked_for_it(changes: dict[str, Any], error: str) -> None:
    service, code = with_code()
    status, answer = redeem(service, code, **changes)

    assert (status, answer["error"]) == (401 if error == "invalid_client" else 400, error)


def test_a_code_of_another_client_is_refused() -> None:
    service, code = with_code()
    service.register()

    assert errors(redeem(service, code)) == ["invalid_grant"]


def test_a_code_expires() -> None:
    service, code = with_code(code_lifetime_s=60.0)
    service.world.clock.advance(60.0)

    assert errors(redeem(service, code)) == ["invalid_grant"]
