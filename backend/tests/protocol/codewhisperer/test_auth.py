"""Refreshing: the call of each kind, and what each answer means for the account."""

import json
from urllib.parse import parse_qsl

import pytest
from msgspec.structs import replace

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.codewhisperer.auth import (
    AuthKind,
    Credential,
    Login,
    Refreshed,
    read_login,
    read_refresh,
    refresh_call,
)
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall

SOCIAL = Credential(AuthKind.SOCIAL, "aorSOCIAL")
IDC = Credential(AuthKind.IDC, "aorIDC", "the-id", "the-secret", "eu-west-1")


def call_for(credential: Credential, endpoints: Endpoints | None = None) -> HttpCall:
    return refresh_call(credential, endpoints=endpoints or Endpoints(), user_agent="kiro2api/1")


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> HttpAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, headers or {}, raw)


def refusal(status: int, body: object, headers: dict[str, str] | None = None) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        read_refresh(answer(status, body, headers))
    return caught.value


def test_a_social_login_is_refreshed_at_the_social_service() -> None:
    call = call_for(SOCIAL)

    assert call.method == "POST"
    assert call.url == "https://prod.us-east-1.auth.desktop.kiro.dev/refreshToken"
    assert json.loads(call.body) == {"refreshToken": "aorSOCIAL"}


def test_an_idc_login_is_refreshed_at_the_oidc_service_of_its_region() -> None:
    call = call_for(IDC)

    assert call.url == "https://oidc.eu-west-1.amazonaws.com/token"
    assert json.loads(call.body) == {
        "clientId": "the-id",
        "clientSecret": "the-secret",
        "refreshToken": "aorIDC",
        "grantType": "refresh_token",
    }


def test_a_builder_id_is_refreshed_like_an_identity_centre() -> None:
    login = Credential(AuthKind.BUILDER_ID, "aorB", "the-id", "the-secret")
    call = call_for(login)

    assert call.url == "https://oidc.us-east-1.amazonaws.com/token"
    assert json.loads(call.body)["grantType"] == "refresh_token"


EXTERNAL = Credential(
    AuthKind.EXTERNAL_IDP,
    "0.REFRESH",
    client_id="app",
    token_endpoint="https://login.microsoftonline.com/tenant/oauth2/v2.0/token",
    scopes=("openid", "offline_access"),
)


def test_an_external_login_is_refreshed_at_its_provider_with_its_scopes() -> None:
    call = call_for(EXTERNAL)

    assert call.url == EXTERNAL.token_endpoint
    assert dict(call.headers)["content-type"] == "application/x-www-form-urlencoded"
    assert dict(parse_qsl(call.body.decode())) == {
        "grant_type": "refresh_token",
        "client_id": "app",
        "refresh_token": "0.REFRESH",
        "scope": "openid offline_access",
    }


def test_an_external_login_is_never_sent_to_a_stranger() -> None:
    stranger = replace(EXTERNAL, token_endpoint="https://evil.example/token")

    with pytest.raises(UpstreamError) as caught:
        call_for(stranger)

    assert caught.value.kind is FaultKind.NOT_ENTITLED


def test_an_external_login_goes_to_a_host_that_the_operator_named() -> None:
    local = replace(EXTERNAL, token_endpoint="http://127.0.0.1:9/token")

    assert call_for(local, Endpoints(idp_hosts=("127.0.0.1",))).url == local.token_endpoint


def test_an_api_key_is_never_refreshed() -> None:
    with pytest.raises(UpstreamError) as caught:
        call_for(Credential(AuthKind.API_KEY, api_key="ksk_SECRET"))

    assert caught.value.kind is FaultKind.TOKEN_REJECTED
    assert "ksk_SECRET" not in caught.value.message


def test_the_answer_of_an_external_provider_is_read() -> None:
    body = {"access_token": "eyJ", "refresh_token": "0.NEW", "expires_in": "3599", "scope": "x"}

    assert read_refresh(answer(200, body)) == Refreshed("eyJ", "0.NEW", 3599.0, "")


def test_a_refresh_token_that_cannot_be_one_is_not_taken() -> None:
    body = {"accessToken": "aoaNEW", "refreshToken": "aor\nX"}

    assert read_refresh(answer(200, body)).refresh_token == ""


def test_a_login_is_a_refresh_with_a_refresh_token() -> None:
    body = {"accessToken": "aoa", "refreshToken": "aor", "expiresIn": 60, "profileArn": "arn:x"}

    assert read_login(answer(200, body)) == Login("aoa", "aor", 60.0, "arn:x")


def test_a_login_without_a_refresh_token_is_none() -> None:
    with pytest.raises(UpstreamError) as caught:
        read_login(answer(200, {"accessToken": "aoa"}))

    assert caught.value.kind is FaultKind.UNKNOWN


@pytest.mark.parametrize("code", ["interaction_required", "consent_required", "login_required"])
def test_a_provider_that_wants_to_see_the_person_has_ended_the_login(code: str) -> None:
    assert refusal(400, {"error": code}).kind is FaultKind.TOKEN_REJECTED


def test_a_refresh_says_who_calls_and_what_the_body_is() -> None:
    headers = dict(call_for(SOCIAL).headers)

    assert headers["content-type"] == "application/json"
    assert headers["user-agent"] == "kiro2api/1"
    assert "authorization" not in headers


@pytest.mark.parametrize("base", ["http://127.0.0.1:9", "http://127.0.0.1:9/"])
def test_an_override_replaces_the_host_of_each_service(base: str) -> None:
    endpoints = Endpoints(social=base, oidc=base)

    assert call_for(SOCIAL, endpoints).url == "http://127.0.0.1:9/refreshToken"
    assert call_for(IDC, endpoints).url == "http://127.0.0.1:9/token"


def test_a_region_that_is_none_never_becomes_a_host() -> None:
    odd = Credential(AuthKind.IDC, "aorX", "i", "s", "evil.example/#")

    assert call_for(odd).url == "https://oidc.us-east-1.amazonaws.com/token"


def test_a_whole_answer_is_read() -> None:
    body = {
        "accessToken": "aoaNEW",
        "refreshToken": "aorNEW",
        "profileArn": "arn:x",
        "expiresIn": 1800,
    }

    assert read_refresh(answer(200, body)) == Refreshed("aoaNEW", "aorNEW", 1800.0, "arn:x")


def test_an_answer_without_a_refresh_token_or_profile_keeps_the_old_ones() -> None:
    refreshed = read_refresh(answer(200, {"accessToken": "aoaNEW", "expiresIn": 60}))

    assert (refreshed.refresh_token, refreshed.profile_arn) == ("", "")


@pytest.mark.parametrize("expires_in", [None, 0, -5, "soon"])
def test_a_token_without_a_usable_life_lives_an_hour(expires_in: object) -> None:
    body = {"accessToken": "aoaNEW", "expiresIn": expires_in}

    assert read_refresh(answer(200, body)).expires_in_s == 3600.0


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b"",
        {"accessToken": ""},
        {"accessToken": 5},
        {"refreshToken": "aorNEW"},
        {"accessToken": "aoa\r\nx-injected: 1"},
    ],
)
def test_an_answer_without_a_usable_token_may_be_asked_again(body: object) -> None:
    assert refusal(200, body).kind is FaultKind.OVERLOADED


@pytest.mark.parametrize(
    ("status", "body", "headers", "code"),
    [
        (400, {"error": "invalid_grant", "error_description": "Dead"}, {}, "invalid_grant"),
        (400, {"message": "Dead", "code": "invalid_grant"}, {}, "invalid_grant"),
        (400, {"message": "Dead"}, {"x-amzn-errortype": "InvalidGrantException"}, "invalid_grant"),
        (400, {"message": "Invalid refresh token provided"}, {}, "invalid_grant"),
        (401, {"error": "invalid_client"}, {}, "invalid_client"),
        (400, {"error": "expired_token"}, {}, "expired_token"),
        (401, {"message": "Bad credentials"}, {}, ""),
        (401, b"", {}, ""),
    ],
)
def test_a_dead_login_is_told_from_all_else(
    status: int, body: object, headers: dict[str, str], code: str
) -> None:
    error = refusal(status, body, headers)

    assert (error.kind, error.code) == (FaultKind.TOKEN_REJECTED, code)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"message": "slow"}),
        (500, {"error": "server_error"}),
        (500, b"<html></html>"),
        (502, b""),
        (503, {"message": "Token expired"}),
        (400, {"error": "slow_down"}),
        (400, {"error": "temporarily_unavailable"}),
        (400, {"message": "x", "__type": "InternalServerException"}),
    ],
)
def test_what_may_pass_by_itself_is_an_overload(status: int, body: object) -> None:
    assert refusal(status, body).kind is FaultKind.OVERLOADED


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"message": "x", "reason": "TEMPORARILY_SUSPENDED"}, FaultKind.SUSPENDED),
        ({"message": "User ID (x) is temporarily suspended"}, FaultKind.SUSPENDED),
        ({"message": "Forbidden"}, FaultKind.NOT_ENTITLED),
        ({"message": "Token expired"}, FaultKind.NOT_ENTITLED),
        (b"<html>Forbidden</html>", FaultKind.OVERLOADED),
        (b"", FaultKind.OVERLOADED),
    ],
)
def test_a_forbidden_refresh_is_never_a_dead_login(body: object, kind: FaultKind) -> None:
    assert refusal(403, body).kind is kind


def test_a_registration_that_may_not_refresh_needs_a_person() -> None:
    assert refusal(400, {"error": "unauthorized_client"}).kind is FaultKind.NOT_ENTITLED


@pytest.mark.parametrize("code", ["invalid_request", "invalid_scope", "unsupported_grant_type"])
def test_a_mistake_of_ours_is_no_dead_login(code: str) -> None:
    error = refusal(400, {"error": code})

    assert (error.kind, error.code) == (FaultKind.UNKNOWN, code)


def test_a_refusal_keeps_the_hint_about_time() -> None:
    assert refusal(429, b"", {"retry-after": "12"}).retry_after_s == 12.0


def test_a_refusal_shows_no_secret() -> None:
    error = refusal(401, {"message": "aorAAAAAGkEXAMPLE of jane@example.com is unknown"})

    assert error.message == "*** of *** is unknown"


def test_the_code_of_a_refusal_shows_no_secret_either() -> None:
    assert refusal(400, {"error": "jane@example.com"}).code == "***"


def test_a_refreshed_login_shows_no_secret() -> None:
    assert repr(Refreshed("aoaSECRET", "aorSECRET", 1.0, "arn:SECRET")) == "Refreshed()"
    assert repr(Login("aoaSECRET", "aorSECRET", 1.0, "arn:SECRET")) == "Login()"
