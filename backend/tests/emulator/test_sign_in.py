"""Refreshing access tokens."""

from typing import Any

import pytest

from kiro2api.emulator import sign_in
from kiro2api.emulator.accounts import AccountKind, Rotation
from kiro2api.emulator.logins import Service as SignInService
from kiro2api.protocol.wire import json
from tests.support.emulated_logins import SignIn

DAY_S = 86_400.0


class Service(SignIn):
    """The sign-in services with one account, and its refreshes."""

    def social(self, token: str | None = None) -> tuple[int, Any]:
        return self.ask("/refreshToken", {"refreshToken": token or self.account.refresh_token})

    def oidc(self, host: str = "", **members: object) -> tuple[int, Any]:
        whole = {
            "clientId": self.account.spec.client_id,
            "clientSecret": self.account.spec.client_secret,
            "refreshToken": self.account.refresh_token,
            "grantType": "refresh_token",
        }
        return self.ask(f"{host}/token", {**whole, **members})

    def provider(self, provider: str = "a", **members: object) -> tuple[int, Any]:
        whole = {
            "client_id": "client-a",
            "refresh_token": self.account.refresh_token,
            "grant_type": "refresh_token",
            "scope": "x offline_access",
        }
        return self.ask(f"/idp/{provider}/token", {**whole, **members}, as_form=True)


def test_a_social_refresh_brings_tokens_lifetime_and_profile() -> None:
    service = Service("social", access_lifetime_s=900.0)
    status, answer = service.social()

    assert (status, answer["expiresIn"]) == (200, 900)
    assert answer["refreshToken"] == service.account.refresh_token
    assert answer["profileArn"] == service.account.profile_arn
    assert answer["accessToken"] in service.world.access_tokens


def test_the_profile_can_be_left_out() -> None:
    assert "profileArn" not in Service("social", omits_profile_arn=True).social()[1]


def test_a_used_token_is_dead_and_counted() -> None:
    service = Service("social")
    old = service.account.refresh_token
    service.social()
    status, answer = service.social(old)

    assert (status, answer) == (401, {"message": "Bad credentials"})
    assert (service.account.refreshes, service.account.dead_token_uses) == (1, 1)


def test_an_old_access_token_works_on_after_a_rotation() -> None:
    service = Service("social")
    first = service.social()[1]["accessToken"]
    service.social()

    assert service.world.access_tokens[first].expires_at > service.world.clock.now()


def test_the_answer_can_lack_a_refresh_token() -> None:
    assert "refreshToken" not in Service("social", rotation=Rotation.MISSING).social()[1]


def test_an_unknown_social_token_is_refused() -> None:
    assert Service("social").social("x" * 120)[0] == 401


def test_an_oidc_refresh_brings_tokens() -> None:
    status, answer = Service("idc").oidc()

    assert (status, answer["tokenType"], answer["expiresIn"]) == (200, "Bearer", 3600)
    assert "profileArn" not in answer


@pytest.mark.parametrize(
    ("members", "status", "error"),
    [
        ({"clientSecret": "wrong"}, 401, "invalid_client"),
        ({"clientId": "wrong"}, 401, "invalid_client"),
        ({"grantType": "password"}, 400, "unsupported_grant_type"),
        ({"refreshToken": "x" * 120}, 400, "invalid_grant"),
        ({"refreshToken": ""}, 400, "invalid_request"),
        ({"clientSecret": ""}, 400, "invalid_request"),
    ],
)
def test_oidc_refusals_have_their_codes(
    members: dict[str, object], status: int, error: str
) -> None:
    found, answer = Service("idc").oidc(**members)

    assert (found, answer["error"]) == (status, error)


def test_a_dead_oidc_token_is_an_invalid_grant() -> None:
    service = Service("idc")
    old = service.account.refresh_token
    service.oidc()

    assert service.oidc(refreshToken=old)[1]["error"] == "invalid_grant"


def test_snake_case_is_refused_and_noted() -> None:
    service = Service("idc")
    status, answer = service.ask(
        "/token",
        {
            "client_id": service.account.spec.client_id,
            "client_secret": service.account.spec.client_secret,
            "refresh_token": service.account.refresh_token,
            "grant_type": "refresh_token",
        },
    )

    assert (status, answer["error"]) == (400, "invalid_request")
    assert [violation.rule for violation in service.world.violations] == ["A3"]


@pytest.mark.parametrize(("kind", "path"), [("idc", "/refreshToken"), ("social", "/token")])
def test_the_wrong_service_refuses_and_notes_it(kind: str, path: str) -> None:
    service = Service(kind, client_id="c", client_secret="s")
    refused = service.social() if path == "/refreshToken" else service.oidc()

    assert refused[0] == 400
    assert "wrong service" in service.world.violations[0].message


@pytest.mark.parametrize(("name", "status"), [("invalid_grant", 400), ("server_error", 500)])
def test_refusals_can_be_asked_for_by_name(name: str, status: int) -> None:
    found, _, body = sign_in.named_refusal(name)

    assert (found, json.decode(body)["error"]) == (status, name)


@pytest.mark.parametrize(
    ("kind", "service"),
    [
        (AccountKind.SOCIAL, SignInService.SOCIAL),
        (AccountKind.BUILDER_ID, SignInService.OIDC),
        (AccountKind.EXTERNAL_IDP, SignInService.PROVIDER),
        (AccountKind.API_KEY, None),
    ],
)
def test_each_kind_has_its_service(kind: AccountKind, service: SignInService | None) -> None:
    assert sign_in.service_of(kind) is service


def test_an_expired_registration_refreshes_nothing() -> None:
    service = Service("idc")
    service.world.clock.advance(90 * DAY_S)

    assert service.oidc()[1]["error"] == "invalid_client"


def test_a_refresh_is_for_the_region_of_the_login() -> None:
    service = Service("idc", region="eu-west-1")
    answers = [
        service.oidc(f"/oidc.{region}.amazonaws.com") for region in ("us-east-1", "eu-west-1")
    ]

    assert [status for status, _ in answers] == [401, 200]


def test_a_refresh_with_the_client_of_another_login_is_refused() -> None:
    service = Service("idc")
    service.register()

    assert service.oidc(**service.client)[1]["error"] == "invalid_client"


@pytest.mark.parametrize("kind", ["social", "idc"])
def test_a_revoked_login_is_dead(kind: str) -> None:
    service = Service(kind, state="revoked")
    status, _ = service.social() if kind == "social" else service.oidc()

    assert status == (401 if kind == "social" else 400)


def test_a_provider_refreshes_by_form() -> None:
    service = Service("external_idp")
    status, answer = service.provider()

    assert (status, answer["token_type"]) == (200, "Bearer")
    assert answer["refresh_token"] == service.account.refresh_token
    assert answer["access_token"] in service.world.access_tokens


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"refresh_token": "other"}, "invalid_grant"),
        ({"client_id": "other"}, "invalid_client"),
        ({"scope": ""}, "invalid_request"),
    ],
)
def test_a_provider_s_refusals_have_their_codes(changes: dict[str, str], error: str) -> None:
    assert Service("external_idp").provider(**changes)[1]["error"] == error


def test_a_provider_takes_no_json() -> None:
    service = Service("external_idp")
    sent = {"client_id": "client-a", "refresh_token": service.account.refresh_token}
    status, answer = service.ask("/idp/a/token", {**sent, "grant_type": "refresh_token"})

    assert (status, answer["error"], service.violations) == (400, "invalid_request", ["A7"])


def test_a_provider_knows_its_own_accounts_only() -> None:
    service = Service("external_idp")

    assert service.provider("b")[0] == 400
    assert "wrong service" in service.world.violations[0].message
