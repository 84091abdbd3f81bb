"""Trading codes at the social service and at identity providers of others."""

from typing import Any

import pytest

from kiro2api.protocol.wire import json
from tests.support.emulated_logins import CALLBACK, VERIFIER, SignIn, pkce

KIRO_URI = "kiro://kiro.kiroAgent/authenticate-success"


def social(service: SignIn, given: str, **changes: Any) -> tuple[int, Any]:
    sent = {"code": given, "code_verifier": VERIFIER, "redirect_uri": KIRO_URI, **changes}
    return service.ask("/oauth/token", sent)


def with_social_code() -> tuple[SignIn, str]:
    service = SignIn("social")
    return service, service.code("/login", pkce(idp="Google", redirect_uri=KIRO_URI))


def test_a_social_code_brings_what_a_refresh_brings() -> None:
    service, code = with_social_code()
    status, answer = social(service, code)

    assert status == 200
    assert set(answer) == {"accessToken", "refreshToken", "profileArn", "expiresIn"}
    assert answer["refreshToken"] == service.account.refresh_token


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"redirect_uri": "kiro://elsewhere"}, "invalid_grant"),
        ({"code": "other"}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
    ],
)
def test_a_social_code_serves_only_who_asked_for_it(changes: dict[str, Any], error: str) -> None:
    service, code = with_social_code()
    status, answer = social(service, code, **changes)

    assert (status, answer["error"]) == (400, error)


def test_the_social_service_wants_snake_case() -> None:
    service, code = with_social_code()
    sent = {"code": code, "codeVerifier": VERIFIER, "redirectUri": KIRO_URI}

    assert service.ask("/oauth/token", sent)[0] == 400
    assert service.violations == ["A6"]


def test_a_code_of_the_portal_is_for_the_whole_callback() -> None:
    service = SignIn("social")
    code = service.code("/signin", pkce(redirect_uri="http://localhost:3128"))
    whole = "http://localhost:3128/oauth/callback?login_option=google"

    assert social(service, code, redirect_uri=whole)[0] == 200


def test_a_code_of_one_service_is_none_of_another() -> None:
    service = SignIn("external_idp")
    code = service.code("/idp/a/authorize", pkce(client_id="client-a", scope="x"))

    assert social(service, code, redirect_uri=CALLBACK)[1]["error"] == "invalid_grant"


def test_a_provider_tells_where_its_endpoints_are() -> None:
    status, _, body = SignIn("external_idp").get("/idp/a/.well-known/openid-configuration")
    found = json.decode(body, dict[str, Any])

    assert (status, found["issuer"]) == (200, "http://127.0.0.1:9/idp/a")
    assert found["token_endpoint"] == "http://127.0.0.1:9/idp/a/token"
    assert found["authorization_endpoint"] == "http://127.0.0.1:9/idp/a/authorize"


def test_an_unknown_provider_tells_nothing() -> None:
    assert SignIn().get("/idp/b/.well-known/openid-configuration")[0] == 400


def provider(service: SignIn, given: str, **changes: Any) -> tuple[int, Any]:
    sent = {
        "grant_type": "authorization_code",
        "client_id": "client-a",
        "code": given,
        "code_verifier": VERIFIER,
        "redirect_uri": CALLBACK,
        **changes,
    }
    return service.ask("/idp/a/token", sent, as_form=True)


def with_provider_code() -> tuple[SignIn, str]:
    service = SignIn("external_idp")
    return service, service.code("/idp/a/authorize", pkce(client_id="client-a", scope="x"))


def test_a_provider_trades_codes_for_tokens_in_snake_case() -> None:
    service, code = with_provider_code()
    status, answer = provider(service, code)

    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", 3600)
    assert answer["access_token"] in service.world.access_tokens
    assert answer["refresh_token"] == service.account.refresh_token


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:9/other"}, "invalid_grant"),
        ({"client_id": "other"}, "invalid_client"),
        ({"code": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_provider_s_code_serves_only_who_asked_for_it(
    changes: dict[str, Any], error: str
) -> None:
    service, code = with_provider_code()

    assert provider(service, code, **changes)[1]["error"] == error
