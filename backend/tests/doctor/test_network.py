"""Hosts, their names, their answers and their clocks."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from kiro2api.doctor.finding import Finding, Verdict
from kiro2api.doctor.network import check_hosts, check_proxy, hosts_of, judge_clock, judge_failure
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.upstream.client import CurlUpstream
from kiro2api.upstream.easy import UpstreamOptions
from tests.support.patient import answer, fake_host, free_port


def checked(bases: Sequence[str]) -> list[Finding]:
    async def check() -> list[Finding]:
        upstream = CurlUpstream(UpstreamOptions())
        try:
            return await check_hosts(bases, upstream, resolves=True, wall=time.time)
        finally:
            await upstream.close()

    return asyncio.run(check())


def test_an_account_names_the_hosts_of_its_region_and_its_login() -> None:
    accounts = [(Credential(AuthKind.IDC, "t", region="eu-west-1"), "")]

    hosts = hosts_of(accounts, Endpoints(), region="us-east-1")

    assert "https://oidc.eu-west-1.amazonaws.com" in hosts
    assert all("eu-" in host for host in hosts)


def test_without_accounts_the_hosts_of_a_social_login_are_meant() -> None:
    hosts = hosts_of([], Endpoints(), region="us-east-1")

    assert "https://prod.us-east-1.auth.desktop.kiro.dev" in hosts
    assert "https://codewhisperer.us-east-1.amazonaws.com" in hosts


def test_a_host_that_replaces_all_is_asked_once() -> None:
    url = "http://127.0.0.1:1"
    accounts = [(Credential(kind, "t"), "") for kind in (AuthKind.SOCIAL, AuthKind.IDC)]

    assert hosts_of(accounts, Endpoints(url, url + "/path", url), region="us-east-1") == [url]


def test_hosts_are_told_in_order_and_then_the_clock() -> None:
    with fake_host() as good, fake_host(answer(500)) as ill:
        findings = checked([ill, good])

    assert [f.check for f in findings] == ["hosts", "hosts", "clock"]
    assert [f.verdict for f in findings] == [Verdict.NOTE, Verdict.OK, Verdict.OK]


def test_a_refusal_without_a_login_is_an_answer() -> None:
    with fake_host(answer(403)) as url:
        assert checked([url])[0].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("skews_s", "verdict"),
    [
        ([], Verdict.OK),
        ([1.0, -2.0], Verdict.OK),
        ([60.0], Verdict.NOTE),
        ([-3600.0], Verdict.FAULT),
        ([3600.0, 0.0, 1.0], Verdict.OK),
    ],
    ids=["not told", "small", "a minute", "an hour", "one of three"],
)
def test_a_clock_is_judged_by_the_middle_of_the_hosts(
    skews_s: list[float], verdict: Verdict
) -> None:
    assert judge_clock(skews_s).verdict is verdict


@pytest.mark.parametrize(
    ("message", "cure"),
    [
        ("https://h: TLS: self-signed certificate", "SSL_CERT_FILE"),
        ("https://h: the proxy refused the tunnel, response 407", "KIRO_PROXY_URL"),
        ("https://h: the host name could not be resolved", "name server"),
        ("https://h: the answer is not valid HTTP", "KIRO_API_ENDPOINT"),
        ("https://h: could not connect", "firewall"),
    ],
)
def test_each_failure_has_its_own_cure(message: str, cure: str) -> None:
    found = judge_failure(message)

    assert (found.verdict, found.what) == (Verdict.FAULT, message)
    assert cure in found.cure


def test_a_proxy_is_tried_only_where_one_is_set() -> None:
    assert asyncio.run(check_proxy("")) is None


def test_a_proxy_takes_connections_or_not() -> None:
    with fake_host() as url:
        there = asyncio.run(check_proxy(url))
    gone = asyncio.run(check_proxy(f"socks5://127.0.0.1:{free_port()}"))

    assert there is not None
    assert there.verdict is Verdict.OK
    assert gone is not None
    assert gone.verdict is Verdict.FAULT
