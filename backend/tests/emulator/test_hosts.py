"""Which host an address means."""

import pytest

from kiro2api.emulator.exchange import Request
from kiro2api.emulator.hosts import ANY_HOST, HostKind, host_named, split_path, take_host


def request(path: str, **headers: str) -> Request:
    return Request("POST", path, {}, headers, b"", "1.1", 1)


@pytest.mark.parametrize(
    ("name", "kind", "region"),
    [
        ("runtime.us-east-1.kiro.dev", HostKind.RUNTIME, "us-east-1"),
        ("management.us-gov-west-1.kiro.dev", HostKind.MANAGEMENT, "us-gov-west-1"),
        ("q.eu-central-1.amazonaws.com", HostKind.Q, "eu-central-1"),
        ("codewhisperer.us-east-1.amazonaws.com", HostKind.CODEWHISPERER, "us-east-1"),
        ("oidc.ap-southeast-2.amazonaws.com", HostKind.OIDC, "ap-southeast-2"),
        ("prod.us-east-1.auth.desktop.kiro.dev", HostKind.AUTH, "us-east-1"),
        ("app.kiro.dev", HostKind.PORTAL, ""),
    ],
)
def test_each_host_has_its_kind_and_region(name: str, kind: HostKind, region: str) -> None:
    host = host_named(name)

    assert host is not None
    assert (host.kind, host.region, host.exists) == (kind, region, True)


@pytest.mark.parametrize(
    "name",
    [
        "codewhisperer.eu-central-1.amazonaws.com",
        "runtime.ap-southeast-2.kiro.dev",
        "q.eu-west-1.amazonaws.com",
        "prod.eu-central-1.auth.desktop.kiro.dev",
    ],
)
def test_not_every_host_is_in_every_region(name: str) -> None:
    host = host_named(name)

    assert host is not None
    assert not host.exists


@pytest.mark.parametrize("name", ["", "127.0.0.1", "example.com", "runtime.nowhere.kiro.dev"])
def test_other_names_are_no_hosts_of_the_service(name: str) -> None:
    assert host_named(name) is None


@pytest.mark.parametrize(
    ("name", "older"),
    [
        ("q.us-east-1.amazonaws.com", True),
        ("codewhisperer.us-east-1.amazonaws.com", True),
        ("runtime.us-east-1.kiro.dev", False),
    ],
)
def test_the_hosts_of_earlier_years_are_known(name: str, older: bool) -> None:
    host = host_named(name)

    assert host is not None
    assert host.is_older is older


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [
        ("/app.kiro.dev/signin", "app.kiro.dev", "/signin"),
        ("/app.kiro.dev/", "app.kiro.dev", "/"),
        ("/app.kiro.dev", "app.kiro.dev", "/"),
        ("/signin", "", "/signin"),
        ("/", "", "/"),
    ],
)
def test_a_path_may_begin_with_a_host(path: str, name: str, rest: str) -> None:
    host, left = split_path(path)

    assert (host.name if host else "", left) == (name, rest)


def test_a_request_is_seen_as_its_host_sees_it() -> None:
    host, seen = take_host(request("/runtime.us-east-1.kiro.dev/generateAssistantResponse"))

    assert host.kind is HostKind.RUNTIME
    assert (seen.path, seen.host) == ("/generateAssistantResponse", "runtime.us-east-1.kiro.dev")


def test_a_host_header_names_the_host_too() -> None:
    host, seen = take_host(request("/token", host="oidc.us-east-1.amazonaws.com:443"))

    assert (host.kind, seen.path) == (HostKind.OIDC, "/token")
    assert seen.host == "oidc.us-east-1.amazonaws.com"


def test_the_path_decides_before_the_header() -> None:
    sent = request("/app.kiro.dev/signin", host="oidc.us-east-1.amazonaws.com")

    assert take_host(sent)[0].kind is HostKind.PORTAL


def test_an_address_of_this_machine_is_all_hosts_in_one() -> None:
    sent = request("/token", host="127.0.0.1:9000")

    assert take_host(sent) == (ANY_HOST, sent)
