"""External identity providers: secrets go to hosts that are trusted, and nowhere else."""

import json
from urllib.parse import parse_qsl

import pytest

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.external_idp import (
    Discovery,
    address_problem,
    discovery_call,
    form_call,
    read_discovery,
    require_trust,
)
from kiro2api.protocol.wire.http import HttpAnswer

ENTRA = "https://login.microsoftonline.com/some-tenant"
NAMED = Endpoints(idp_hosts=("127.0.0.1", "sso.example.com", "*.idp.example.org"))


def answer(body: object, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    "url",
    [
        f"{ENTRA}/oauth2/v2.0/token",
        "https://LOGIN.microsoftonline.com/x",
        "https://login.microsoftonline.com:443/x",
        "https://tenant.okta.com/oauth2/v1/token",
        "https://deep.tenant.oktapreview.com/token",
        "https://tenant.eu.auth0.com/oauth/token",
        "https://accounts.google.com",
        "https://pool.auth.us-east-1.amazoncognito.com/oauth2/token",
        "https://tenant.b2clogin.com/x/oauth2/v2.0/token?p=policy",
    ],
)
def test_the_hosts_of_known_providers_are_trusted(url: str) -> None:
    assert address_problem(url, endpoints=Endpoints()) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "login.microsoftonline.com",
        "http://login.microsoftonline.com/token",
        "https://login.microsoftonline.com:8443/token",
        "https://login.microsoftonline.com.evil.example/token",
        "https://evil-login.microsoftonline.com/token",
        "https://okta.com/token",
        "https://notokta.com/token",
        "https://.okta.com/token",
        "https://tenant.okta.com@evil.example/token",
        "https://evil.example/tenant.okta.com",
        "https://evil.example#.okta.com",
        "https://evil.example\\.okta.com/token",
        "https://tenant.okta.com/to ken",
        "https://tenant.okta.com/token\r\nx: y",
        "https://tenant.okta.com/token#part",
        "https://tenant.%6fkta.com/token",
        "https://127.0.0.1/token",
        "http://127.0.0.1/token",
        "http://localhost:9/token",
        "file:///etc/passwd",
    ],
)
def test_nothing_else_is_trusted(url: str) -> None:
    assert address_problem(url, endpoints=Endpoints()) != ""


@pytest.mark.parametrize(
    "url",
    [
        "https://sso.example.com/token",
        "https://sso.example.com:8443/token",
        "https://a.idp.example.org/token",
        "http://127.0.0.1:9000/token",
        "https://tenant.okta.com/token",
    ],
)
def test_the_operator_may_name_further_hosts(url: str) -> None:
    assert address_problem(url, endpoints=NAMED) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://sso.example.com/token",
        "https://idp.example.org/token",
        "https://other.example.com/token",
        "http://localhost:9000/token",
    ],
)
def test_a_named_host_is_that_host_alone_and_over_https(url: str) -> None:
    assert address_problem(url, endpoints=NAMED) != ""


def test_an_unknown_host_is_told_with_its_cure() -> None:
    problem = address_problem("https://sso.example.net/token", endpoints=Endpoints())

    assert "sso.example.net" in problem
    assert "KIRO_IDP_HOSTS" in problem


def test_an_address_without_trust_is_a_matter_for_a_person() -> None:
    with pytest.raises(UpstreamError) as caught:
        require_trust("https://evil.example/token", "token endpoint", endpoints=Endpoints())

    assert (caught.value.kind, caught.value.code) == (FaultKind.NOT_ENTITLED, "untrusted_idp")


@pytest.mark.parametrize("issuer", [f"{ENTRA}/v2.0", f"{ENTRA}/v2.0/", f"{ENTRA}/v2.0?x=y"])
def test_discovery_asks_below_the_issuer(issuer: str) -> None:
    call = discovery_call(issuer, endpoints=Endpoints(), user_agent="kiro2api/1")

    assert (call.method, call.url) == ("GET", f"{ENTRA}/v2.0/.well-known/openid-configuration")
    assert dict(call.headers)["user-agent"] == "kiro2api/1"


def test_an_issuer_without_trust_is_not_even_asked() -> None:
    with pytest.raises(UpstreamError, match="issuer"):
        discovery_call("https://evil.example", endpoints=Endpoints(), user_agent="kiro2api/1")


def test_the_addresses_of_a_provider_are_read() -> None:
    told = {"token_endpoint": f"{ENTRA}/token", "authorization_endpoint": f"{ENTRA}/authorize"}

    assert read_discovery(answer(told), endpoints=Endpoints()) == Discovery(
        f"{ENTRA}/authorize", f"{ENTRA}/token"
    )


def test_a_provider_need_not_let_people_in() -> None:
    told = {"token_endpoint": f"{ENTRA}/token"}

    assert read_discovery(answer(told), endpoints=Endpoints()).authorization_endpoint == ""


@pytest.mark.parametrize(
    "told",
    [
        {"token_endpoint": "https://evil.example/token"},
        {"token_endpoint": f"{ENTRA}/token", "authorization_endpoint": "https://evil.example"},
    ],
)
def test_a_provider_cannot_send_us_elsewhere(told: dict[str, str]) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_discovery(answer(told), endpoints=Endpoints())

    assert caught.value.kind is FaultKind.NOT_ENTITLED


@pytest.mark.parametrize(
    "told", [answer({}), answer([]), answer({"token_endpoint": f"{ENTRA}/token"}, status=500)]
)
def test_a_provider_that_tells_nothing_may_be_asked_again(told: HttpAnswer) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_discovery(told, endpoints=Endpoints())

    assert caught.value.kind is FaultKind.OVERLOADED


def test_a_form_has_what_is_there_and_escapes_it() -> None:
    call = form_call(f"{ENTRA}/token", {"a": "x y&z", "b": "", "c": "1"}, user_agent="kiro2api/1")

    assert parse_qsl(call.body.decode(), keep_blank_values=True) == [("a", "x y&z"), ("c", "1")]
    assert dict(call.headers)["content-type"] == "application/x-www-form-urlencoded"
