"""The calls of each kind of login, made by our own functions and answered by the emulator."""

from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from kiro2api.errors import UpstreamError
from kiro2api.protocol.codewhisperer import auth, endpoints, external_idp, login, profiles, quota
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import WireForm
from kiro2api.protocol.codewhisperer.models import read_models
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall
from tests.support.emulator import EmulatedAccount, RunningEmulator

AGENT = "kiro2api/test"
VERIFIER = "v" * 43
CALLBACK = "http://127.0.0.1:3128/oauth/callback"
START_URLS = {"builder_id": login.BUILDER_ID_START_URL, "idc": "https://acme.awsapps.com/start"}


def send(call: HttpCall) -> HttpAnswer:
    """Return the answer to one of our calls."""
    parts = urlsplit(call.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(call.method, target, call.body or None, dict(call.headers))
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(response.status, headers, response.read())
    finally:
        connection.close()


def hosts(emulator: RunningEmulator) -> endpoints.Endpoints:
    url = emulator.host_url
    return endpoints.Endpoints(api=url, social=url, oidc=url, idp_hosts=("127.0.0.1",))


def oidc(emulator: RunningEmulator, region: str) -> dict[str, Any]:
    return {"region": region, "endpoints": hosts(emulator), "user_agent": AGENT}


def registered(emulator: RunningEmulator, region: str, **how: str) -> login.Registration:
    call = login.register_call(**oidc(emulator, region), **how)
    return login.read_registration(send(call), now=0.0)


@pytest.mark.parametrize(("kind", "region"), [("builder_id", "us-east-1"), ("idc", "eu-west-1")])
def test_a_device_is_let_in_and_its_login_refreshes(
    emulator: RunningEmulator, kind: str, region: str
) -> None:
    emulator.add_account("a", kind=kind, region=region)
    client = registered(emulator, region)
    call = login.device_call(client, start_url=START_URLS[kind], **oidc(emulator, region))
    device = login.read_device(send(call))
    poll = login.token_call_device(client, device, **oidc(emulator, region))
    first, second = login.read_poll(send(poll)), login.read_poll(send(poll))
    emulator.sign_in("a", url=device.address)
    emulator.advance_clock(device.interval_s + login.SLOW_DOWN_S)
    done = login.read_poll(send(poll))

    assert (first, second) == (login.Pending(), login.SlowDown())
    assert isinstance(done, login.Done)
    credential = Credential(
        AuthKind.IDC,
        done.refresh_token,
        client_id=client.client_id,
        client_secret=client.client_secret,
        region=region,
    )
    renewed = send(auth.refresh_call(credential, endpoints=hosts(emulator), user_agent=AGENT))
    assert auth.read_refresh(renewed).refresh_token == emulator.account("a").refresh_token
    assert emulator.violations() == []


@pytest.mark.parametrize(
    ("consent", "advance_s", "code"),
    [("deny", 0.0, "access_denied"), ("approve", 601.0, "expired_token")],
)
def test_the_end_of_a_device_s_login_is_told(
    emulator: RunningEmulator, consent: str, advance_s: float, code: str
) -> None:
    emulator.add_account("a", kind="builder_id")
    emulator.set_sign_in(person="a", consent=consent)
    client = registered(emulator, "us-east-1")
    how = oidc(emulator, "us-east-1")
    call = login.device_call(client, start_url=login.BUILDER_ID_START_URL, **how)
    device = login.read_device(send(call))
    emulator.advance_clock(advance_s)

    with pytest.raises(UpstreamError) as failure:
        login.read_poll(send(login.token_call_device(client, device, **how)))
    assert failure.value.code == code


def test_a_browser_logs_in_at_the_oidc_service(emulator: RunningEmulator) -> None:
    emulator.add_account("a", kind="idc")
    client = registered(emulator, "us-east-1", redirect_uri=CALLBACK, start_url=START_URLS["idc"])
    page = login.authorize_url(
        client,
        redirect_uri=CALLBACK,
        state="s1",
        challenge=login.pkce_challenge(VERIFIER),
        region="us-east-1",
        endpoints=hosts(emulator),
    )
    code = login.read_callback(emulator.sign_in("a", url=page), state="s1")
    call = login.code_call(
        client, code=code, verifier=VERIFIER, redirect_uri=CALLBACK, **oidc(emulator, "us-east-1")
    )

    assert auth.read_login(send(call)).refresh_token == emulator.account("a").refresh_token


@pytest.mark.parametrize("provider", login.SocialProvider)
def test_a_browser_logs_in_at_the_social_service(
    emulator: RunningEmulator, provider: login.SocialProvider
) -> None:
    account = emulator.add_account("a")
    page = login.social_login_url(
        provider,
        challenge=login.pkce_challenge(VERIFIER),
        state="s1",
        endpoints=hosts(emulator),
    )
    code = login.read_callback(emulator.sign_in("a", url=page), state="s1")
    call = login.social_code_call(
        code=code, verifier=VERIFIER, endpoints=hosts(emulator), user_agent=AGENT
    )
    found = auth.read_login(send(call))

    assert found.profile_arn == account.profile_arn
    assert found.refresh_token == emulator.account("a").refresh_token


def external(account: EmulatedAccount, token_endpoint: str) -> Credential:
    return Credential(
        AuthKind.EXTERNAL_IDP,
        account.refresh_token,
        client_id=account.spec["client_id"],
        token_endpoint=token_endpoint,
        scopes=tuple(account.spec["scopes"]),
    )


def test_an_external_login_is_found_and_refreshed(emulator: RunningEmulator) -> None:
    account = emulator.add_account("a", kind="external_idp")
    trusted = hosts(emulator)
    call = external_idp.discovery_call(account.issuer_url, endpoints=trusted, user_agent=AGENT)
    found = external_idp.read_discovery(send(call), endpoints=trusted)
    credential = external(account, found.token_endpoint)
    renewed = send(auth.refresh_call(credential, endpoints=trusted, user_agent=AGENT))

    assert auth.read_refresh(renewed).refresh_token == emulator.account("a").refresh_token
    assert emulator.violations() == []


# ---------------------------------------------------------------------------------------- lists

KINDS = {
    "social": AuthKind.SOCIAL,
    "builder_id": AuthKind.BUILDER_ID,
    "idc": AuthKind.IDC,
    "external_idp": AuthKind.EXTERNAL_IDP,
    "api_key": AuthKind.API_KEY,
}


def lister(emulator: RunningEmulator, kind: str, **spec: Any) -> tuple[str, dict[str, Any]]:
    """Return the profile of a new account, and what each call about it begins with."""
    given = {} if kind == "api_key" else {"access_token": "tok"}
    account = emulator.add_account("a", kind=kind, **given, **spec)
    how = {
        "kind": KINDS[kind],
        "token": account.access_token,
        "region": "us-east-1",
        "endpoints": hosts(emulator),
        "user_agent": AGENT,
    }
    return account.profile_arn, how


@pytest.mark.parametrize("form", WireForm)
@pytest.mark.parametrize("kind", KINDS)
def test_models_and_usage_are_listed_for_every_kind_in_both_forms(
    emulator: RunningEmulator, kind: str, form: WireForm
) -> None:
    arn, how = lister(emulator, kind, credits_used=8.0, credits_limit=50)
    models = send(endpoints.models_call(**how, profile_arn=arn, form=form))
    usage = send(endpoints.usage_call(**how, profile_arn=arn, form=form))

    assert len(read_models(models.body).models) > 10
    assert quota.read_usage(usage.body, now=0.0).remaining == 42.0


@pytest.mark.parametrize("form", WireForm)
def test_profiles_are_listed_page_by_page(emulator: RunningEmulator, form: WireForm) -> None:
    arn = "arn:aws:codewhisperer:us-east-1:111122223333:profile/ABCDEFGHIJ{:02d}"
    given = [{"arn": arn.format(n), "profileName": f"p{n}"} for n in range(12)]
    _, how = lister(emulator, "idc", profiles=given)
    first = profiles.read_profiles(send(endpoints.profiles_call(**how, form=form)).body)
    more = endpoints.profiles_call(**how, form=form, next_token=first.next_token)
    second = profiles.read_profiles(send(more).body)

    found = [profile.arn for profile in (*first.profiles, *second.profiles)]
    assert (found, second.next_token) == ([profile["arn"] for profile in given], "")


@pytest.mark.parametrize("shape", ["nested", "flat"])
def test_a_key_s_profile_is_read_in_either_shape(emulator: RunningEmulator, shape: str) -> None:
    arn, how = lister(emulator, "api_key", profile_shape=shape)

    assert profiles.read_profile(send(endpoints.get_profile_call(**how)).body).arn == arn
