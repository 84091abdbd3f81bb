"""The pages of sign-in, and where they lead."""

from urllib.parse import urlsplit

import pytest

from kiro2api.emulator.browser import BUILDER_ID_START_URL, answer_device, open_page
from kiro2api.emulator.logins import Consent
from tests.support.emulated_logins import CALLBACK, SCOPES, SignIn, pkce

KIRO_URI = "kiro://kiro.kiroAgent/authenticate-success"


def oidc_page(service: SignIn) -> dict[str, str]:
    service.register()
    return pkce(client_id=service.client["clientId"], scopes=" ".join(SCOPES))


def test_approval_calls_back_with_a_code_and_the_state() -> None:
    service = SignIn()
    target = open_page(service.world, "/authorize", oidc_page(service), "a", Consent.APPROVE)

    assert target.startswith(f"{CALLBACK}?code=code-")
    assert target.endswith("&state=s1")


def test_refusal_calls_back_with_the_error() -> None:
    service = SignIn()

    found = service.callback("/authorize", oidc_page(service), Consent.DENY)
    assert found == {"error": "access_denied", "state": "s1"}


@pytest.mark.parametrize("idp", ["Google", "Github"])
def test_the_social_page_calls_the_program_of_the_vendor_back(idp: str) -> None:
    service = SignIn("social")
    page = pkce(idp=idp, redirect_uri=KIRO_URI)
    target = open_page(service.world, "/login", page, "a", Consent.APPROVE)

    assert target.startswith(f"{KIRO_URI}?code=code-")


@pytest.mark.parametrize(
    ("kind", "option"), [("social", "google"), ("builder_id", "builderid"), ("idc", "awsidc")]
)
def test_the_portal_tells_how_the_person_signs_in(kind: str, option: str) -> None:
    service = SignIn(kind, region="eu-west-1")
    found = service.callback("/signin", pkce(redirect_uri="http://localhost:3128"))

    assert found["login_option"] == option
    if kind == "social":
        assert found["code"]
    else:
        assert found["idc_region"] == "eu-west-1"
        assert (found["issuer_url"] == BUILDER_ID_START_URL) is (kind == "builder_id")


@pytest.mark.parametrize("target", ["http://localhost:8080", "http://example.com:3128", ""])
def test_the_portal_sends_nobody_elsewhere(target: str) -> None:
    with pytest.raises(ValueError, match="sends nobody"):
        SignIn("social").callback("/signin", pkce(redirect_uri=target))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"client_id": "other"}, "not registered"),
        ({"client_id": ""}, "client_id is missing"),
        ({"redirect_uri": ""}, "redirect_uri is missing"),
        ({"redirect_uri": "https://example.com/cb"}, "own machine"),
        ({"code_challenge_method": "plain"}, "S256"),
        ({"code_challenge": "short"}, "code_challenge is"),
    ],
)
def test_a_wrong_address_is_refused_with_the_reason(changes: dict[str, str], why: str) -> None:
    service = SignIn()
    page = {**oidc_page(service), **changes}

    with pytest.raises(ValueError, match=why):
        service.callback("/authorize", page)


def test_the_scopes_are_in_the_plural() -> None:
    service = SignIn()
    page = oidc_page(service)
    page["scope"] = page.pop("scopes")

    with pytest.raises(ValueError, match="scopes"):
        service.callback("/authorize", page)


def test_the_social_page_knows_its_providers() -> None:
    with pytest.raises(ValueError, match="idp"):
        SignIn("social").callback("/login", pkce(idp="Other"))


def test_a_page_waits_for_a_person() -> None:
    service = SignIn()
    status, _, body = service.get("/authorize", **oidc_page(service))

    assert (status, b"Sign in" in body) == (200, True)


def test_a_page_leads_on_when_somebody_is_at_the_browser() -> None:
    service = SignIn()
    service.settle(person="a")
    status, headers, _ = service.get("/authorize", **oidc_page(service))

    assert (status, urlsplit(headers["location"]).path) == (302, "/oauth/callback")


def test_a_wrong_page_is_a_violation() -> None:
    service = SignIn()
    status, _, body = service.get("/authorize")

    assert (status, service.violations) == (400, ["A6"])
    assert b"client_id is missing" in body


@pytest.mark.parametrize(
    ("kind", "start_url", "fits"),
    [
        ("builder_id", BUILDER_ID_START_URL, True),
        ("idc", "https://acme.awsapps.com/start", True),
        ("idc", BUILDER_ID_START_URL, False),
        ("builder_id", "https://acme.awsapps.com/start", False),
    ],
)
def test_a_device_takes_accounts_of_its_own_kind(kind: str, start_url: str, fits: bool) -> None:
    service = SignIn(kind)
    device = service.start_device(startUrl=start_url)[1]
    if fits:
        service.consent(device)
        assert service.poll(device)[0] == 200
    else:
        with pytest.raises(ValueError, match="signs in elsewhere"):
            service.consent(device)


def test_an_unknown_device_cannot_be_answered() -> None:
    with pytest.raises(KeyError):
        answer_device(SignIn().world, "ABCD-1234", "a", Consent.APPROVE)


def test_a_provider_s_page_is_for_its_own_client() -> None:
    service = SignIn("external_idp")
    page = pkce(client_id="client-a", scope="x offline_access")

    assert service.code("/idp/a/authorize", page)
    with pytest.raises(ValueError, match="provider"):
        service.callback("/idp/a/authorize", {**page, "client_id": "other"})
    with pytest.raises(ValueError, match="provider"):
        service.callback("/idp/b/authorize", page)
