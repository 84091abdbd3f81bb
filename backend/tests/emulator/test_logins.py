"""What is remembered between the steps of a login."""

import pytest

from kiro2api.emulator.logins import Code, Device, Logins, Registration, Service, challenge_of


def logins(region: str = "") -> Logins:
    made = Logins()
    made.registrations["c"] = Registration(
        client_id="c", client_secret="s", expires_at=100.0, region=region
    )
    return made


@pytest.mark.parametrize(
    ("client_id", "secret", "now", "known"),
    [
        ("c", "s", 99.0, True),
        ("c", "s", 100.0, False),
        ("c", "x", 0.0, False),
        ("d", "s", 0, False),
    ],
)
def test_a_client_is_known_by_its_secret_until_it_expires(
    client_id: str, secret: str, now: float, known: bool
) -> None:
    assert logins().knows(client_id, secret, region="", now=now) is known


@pytest.mark.parametrize(
    ("own", "asked", "known"),
    [
        ("us-east-1", "us-east-1", True),
        ("us-east-1", "eu-west-1", False),
        ("us-east-1", "", True),
        ("", "eu-west-1", True),
    ],
)
def test_a_client_belongs_to_one_region(own: str, asked: str, known: bool) -> None:
    assert logins(own).knows("c", "s", region=asked, now=0.0) is known


@pytest.mark.parametrize("typed", ["ABCD-1234", "abcd1234"])
def test_a_device_is_found_by_the_code_that_it_shows(typed: str) -> None:
    made = logins()
    device = Device(
        device_code="d",
        user_code="ABCD-1234",
        client_id="c",
        start_url="",
        region="",
        expires_at=1.0,
        interval_s=1.0,
        pending_polls=0,
    )
    made.devices["d"] = device

    assert (made.device_of(typed), made.device_of("other")) == (device, None)


def test_a_code_is_taken_once() -> None:
    made = logins()
    code = Code(
        service=Service.OIDC,
        account="a",
        client_id="c",
        redirect_uri="",
        challenge="",
        expires_at=1.0,
    )
    made.codes["x"] = code

    assert [made.take_code("x") for _ in range(2)] == [code, None]


def test_the_challenge_is_that_of_the_standard() -> None:
    # The example of RFC 7636, appendix B.
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
