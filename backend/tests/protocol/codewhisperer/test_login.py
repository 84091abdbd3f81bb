"""Interactive logins: what each step sends, and what each answer means."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.login import (
    BUILDER_ID_START_URL,
    SOCIAL_REDIRECT,
    Device,
    Done,
    Pending,
    Registration,
    SlowDown,
    SocialProvider,
    authorize_url,
    code_call,
    device_call,
    pkce_challenge,
    read_callback,
    read_device,
    read_poll,
    read_registration,
    register_call,
    social_code_call,
    social_login_url,
    token_call_device,
)
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall

NOW = 1_764_000_000.0
CLIENT = Registration("the-id", "the-secret", NOW + 1)
DEVICE = Device("device-1", "ABCD-EFGH", "https://view.example/?code=ABCD-EFGH", 600.0, 1.0)
WHERE = {"region": "eu-west-1", "endpoints": Endpoints()}
OIDC = "https://oidc.eu-west-1.amazonaws.com"
SCOPES = ["codewhisperer:completions", "codewhisperer:analysis", "codewhisperer:conversations"]
REDIRECT = "http://127.0.0.1:3128/oauth/callback"


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> HttpAnswer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpAnswer(status, headers or {}, raw)


def sent(call: HttpCall) -> object:
    assert dict(call.headers)["content-type"] == "application/json"
    assert "authorization" not in dict(call.headers)
    return json.loads(call.body)


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def test_a_challenge_is_that_of_the_specification() -> None:
    # The example of RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert pkce_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_a_client_for_devices_is_registered_in_its_region() -> None:
    call = register_call(**WHERE, user_agent="kiro2api/1")

    assert (call.method, call.url) == ("POST", f"{OIDC}/client/register")
    assert sent(call) == {"clientName": "kiro2api", "clientType": "public", "scopes": SCOPES}


def test_a_client_for_codes_names_its_redirect_and_its_issuer() -> None:
    call = register_call(
        **WHERE, user_agent="kiro2api/1", redirect_uri=REDIRECT, start_url="https://x.example/start"
    )

    assert sent(call) == {
        "clientName": "kiro2api",
        "clientType": "public",
        "scopes": SCOPES,
        "grantTypes": ["authorization_code", "refresh_token"],
        "redirectUris": [REDIRECT],
        "issuerUrl": "https://x.example/start",
    }


def test_a_registration_is_read_with_its_end() -> None:
    told = {"clientId": "i", "clientSecret": "s", "clientSecretExpiresAt": 1_770_000_000}

    assert read_registration(answer(told), now=NOW) == Registration("i", "s", 1_770_000_000.0)


@pytest.mark.parametrize("end", [None, 0, "soon"])
def test_a_registration_without_an_end_lasts_ninety_days(end: object) -> None:
    told = {"clientId": "i", "clientSecret": "s", "clientSecretExpiresAt": end}

    assert read_registration(answer(told), now=NOW).expires_at == NOW + 90 * 86_400


@pytest.mark.parametrize("body", [b"", {}, {"clientId": "i"}, {"clientSecret": "s"}])
def test_an_answer_without_a_client_may_be_asked_again(body: object) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_registration(answer(body), now=NOW)

    assert caught.value.kind is FaultKind.OVERLOADED


def test_a_refused_registration_says_why() -> None:
    with pytest.raises(UpstreamError) as caught:
        read_registration(answer({"error": "invalid_scope"}, 400), now=NOW)

    assert caught.value.code == "invalid_scope"


def test_a_device_login_starts_at_its_start_url() -> None:
    call = device_call(CLIENT, start_url=BUILDER_ID_START_URL, **WHERE, user_agent="kiro2api/1")

    assert call.url == f"{OIDC}/device_authorization"
    assert sent(call) == {
        "clientId": "the-id",
        "clientSecret": "the-secret",
        "startUrl": "https://view.awsapps.com/start",
    }


STARTED = {
    "deviceCode": "device-1",
    "userCode": "ABCD-EFGH",
    "verificationUri": "https://view.example/",
    "verificationUriComplete": "https://view.example/?code=ABCD-EFGH",
    "expiresIn": 600,
    "interval": 1,
}


def test_a_started_login_has_the_code_and_the_address_that_holds_it() -> None:
    assert read_device(answer(STARTED)) == DEVICE


def test_the_bare_address_serves_where_there_is_no_other() -> None:
    device = read_device(answer(STARTED | {"verificationUriComplete": None}))

    assert device.address == "https://view.example/"


def test_a_started_login_without_times_has_those_of_the_specification() -> None:
    device = read_device(answer(STARTED | {"expiresIn": None, "interval": 0}))

    assert (device.expires_in_s, device.interval_s) == (600.0, 5.0)


@pytest.mark.parametrize(
    "change",
    [
        {"deviceCode": ""},
        {"verificationUri": None, "verificationUriComplete": None},
        {"verificationUriComplete": "javascript:alert(1)"},
        {"verificationUriComplete": "https://view.example/\nAlso type this"},
    ],
)
def test_an_answer_that_nobody_can_follow_may_be_asked_again(change: dict[str, object]) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_device(answer(STARTED | change))

    assert caught.value.kind is FaultKind.OVERLOADED


def test_a_code_that_cannot_be_printed_is_not() -> None:
    assert read_device(answer(STARTED | {"userCode": "AB\x1b[2J"})).user_code == ""


def test_a_poll_names_the_device() -> None:
    call = token_call_device(CLIENT, DEVICE, **WHERE, user_agent="kiro2api/1")

    assert call.url == f"{OIDC}/token"
    assert sent(call) == {
        "clientId": "the-id",
        "clientSecret": "the-secret",
        "deviceCode": "device-1",
        "grantType": "urn:ietf:params:oauth:grant-type:device_code",
    }


TOKENS = {
    "accessToken": "aoaNEW",
    "refreshToken": "aorNEW",
    "tokenType": "Bearer",
    "expiresIn": 3600,
}


def test_an_agreed_login_is_done() -> None:
    assert read_poll(answer(TOKENS)) == Done("aoaNEW", "aorNEW", 3600.0, "")


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        ({"error": "authorization_pending"}, {}, Pending()),
        ({"error": "slow_down"}, {}, SlowDown()),
        (b"", {"x-amzn-errortype": "AuthorizationPendingException"}, Pending()),
        (b"{}", {"x-amzn-errortype": "SlowDownException:http://x"}, SlowDown()),
    ],
)
def test_a_login_that_is_not_decided_goes_on(
    body: object, headers: dict[str, str], expected: object
) -> None:
    assert read_poll(answer(body, 400, headers)) == expected


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, {"error": "expired_token"}, FaultKind.TOKEN_REJECTED, "expired_token"),
        (400, {"error": "access_denied"}, FaultKind.NOT_ENTITLED, "access_denied"),
        (401, {"error": "invalid_client"}, FaultKind.TOKEN_REJECTED, "invalid_client"),
        (400, {"error": "invalid_grant"}, FaultKind.TOKEN_REJECTED, "invalid_grant"),
        (400, {"error": "invalid_request"}, FaultKind.UNKNOWN, "invalid_request"),
        (500, {"error": "server_error"}, FaultKind.OVERLOADED, "server_error"),
        (429, b"", FaultKind.OVERLOADED, ""),
    ],
)
def test_a_login_that_is_over_says_how(
    status: int, body: object, kind: FaultKind, code: str
) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_poll(answer(body, status))

    assert (caught.value.kind, caught.value.code) == (kind, code)


def test_a_login_without_a_refresh_token_is_none() -> None:
    with pytest.raises(UpstreamError) as caught:
        read_poll(answer({"accessToken": "aoaNEW"}))

    assert (caught.value.kind, caught.value.code) == (FaultKind.UNKNOWN, "broken_answer")


def test_a_person_is_sent_to_the_service_with_all_that_it_wants() -> None:
    url = authorize_url(
        CLIENT, redirect_uri=REDIRECT, state="some-state", challenge="some-challenge", **WHERE
    )

    assert url.startswith(f"{OIDC}/authorize?")
    assert query_of(url) == {
        "response_type": "code",
        "client_id": "the-id",
        "redirect_uri": REDIRECT,
        "scopes": " ".join(SCOPES),
        "state": "some-state",
        "code_challenge": "some-challenge",
        "code_challenge_method": "S256",
    }


def test_a_code_is_traded_with_its_verifier_and_redirect() -> None:
    call = code_call(
        CLIENT, code="c", verifier="v", redirect_uri=REDIRECT, **WHERE, user_agent="kiro2api/1"
    )

    assert call.url == f"{OIDC}/token"
    assert sent(call) == {
        "clientId": "the-id",
        "clientSecret": "the-secret",
        "code": "c",
        "codeVerifier": "v",
        "redirectUri": REDIRECT,
        "grantType": "authorization_code",
    }


@pytest.mark.parametrize("provider", SocialProvider)
def test_a_social_login_leads_to_its_provider(provider: SocialProvider) -> None:
    url = social_login_url(provider, challenge="ch", state="st", endpoints=Endpoints())

    assert url.startswith("https://prod.us-east-1.auth.desktop.kiro.dev/login?")
    assert query_of(url) == {
        "idp": provider.value,
        "redirect_uri": SOCIAL_REDIRECT,
        "code_challenge": "ch",
        "code_challenge_method": "S256",
        "state": "st",
    }


def test_a_social_code_is_traded_with_the_same_redirect() -> None:
    call = social_code_call(code="c", verifier="v", endpoints=Endpoints(), user_agent="kiro2api/1")

    assert call.url == "https://prod.us-east-1.auth.desktop.kiro.dev/oauth/token"
    assert sent(call) == {"code": "c", "code_verifier": "v", "redirect_uri": SOCIAL_REDIRECT}


@pytest.mark.parametrize(
    "address",
    [
        f"{SOCIAL_REDIRECT}?code=the-code&state=st",
        f"  {REDIRECT}?state=st&code=the-code#_=_\n",
    ],
)
def test_the_code_is_taken_from_the_address_that_was_pasted(address: str) -> None:
    assert read_callback(address, state="st") == "the-code"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("", "no_code"),
        ("the-code", "no_code"),
        (f"{SOCIAL_REDIRECT}?state=st", "no_code"),
        (f"{SOCIAL_REDIRECT}?code=c", "wrong_state"),
        (f"{SOCIAL_REDIRECT}?code=c&state=other", "wrong_state"),
        (f"{SOCIAL_REDIRECT}?error=access_denied&state=st", "access_denied"),
        (f"{SOCIAL_REDIRECT}?error=x&error_description=no+thanks", "access_denied"),
    ],
)
def test_an_address_that_is_not_of_this_login_is_refused(address: str, code: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_callback(address, state="st")

    assert caught.value.code == code


def test_an_override_takes_every_step_of_a_login() -> None:
    where = {
        "region": "eu-west-1",
        "endpoints": Endpoints(oidc="http://127.0.0.1:9/{host}", social="http://127.0.0.1:8"),
    }
    assert register_call(**where, user_agent="x").url == (
        "http://127.0.0.1:9/oidc.eu-west-1.amazonaws.com/client/register"
    )
    assert social_login_url(
        SocialProvider.GITHUB, challenge="c", state="s", endpoints=where["endpoints"]
    ).startswith("http://127.0.0.1:8/login?")


def test_nothing_of_a_login_shows_a_secret() -> None:
    shown = f"{CLIENT!r} {DEVICE!r} {Done('aoaSECRET', 'aorSECRET', 1.0, 'arn:SECRET')!r}"

    assert shown == f"Registration(expires_at={NOW + 1}) Device(ABCD-EFGH) Done()"
