"""Who has the port: nobody, our gateway, another program."""

import asyncio

import pytest

from kiro2api import __version__
from kiro2api.doctor.finding import Finding, Verdict
from kiro2api.doctor.listener import check_port, local_url
from kiro2api.protocol.wire.json import encode
from kiro2api.upstream.client import CurlUpstream
from kiro2api.upstream.easy import UpstreamOptions
from tests.support.gateway import RunningGateway
from tests.support.patient import answer, fake_host, free_port


def checked(port: int, host: str = "127.0.0.1") -> tuple[Finding, str]:
    async def check() -> tuple[Finding, str]:
        direct = CurlUpstream(UpstreamOptions())
        try:
            return await check_port(host, port, direct)
        finally:
            await direct.close()

    return asyncio.run(check())


def test_a_port_that_nobody_has_is_well() -> None:
    for port in (0, free_port()):
        found, url = checked(port)
        assert (found.verdict, url) == (Verdict.OK, "")


def test_a_gateway_of_this_version_is_known(gateway: RunningGateway) -> None:
    found, url = checked(int(gateway.url.rpartition(":")[2]))

    assert url == gateway.url
    assert found.verdict is Verdict.OK
    assert "3 of 3 accounts can serve" in found.what


def test_a_gateway_of_another_version_is_a_note() -> None:
    health = encode({"status": "ok", "version": "0.0.1"})
    with fake_host(answer(body=health)) as url:
        found, local = checked(int(url.rpartition(":")[2]))

    assert (found.verdict, local) == (Verdict.NOTE, url)


def test_a_gateway_that_refuses_requests_says_why() -> None:
    members = {"status": "x", "version": __version__, "reason": "stopping"}
    with fake_host(answer(body=encode(members | {"accounts": 1, "usable": 0}))) as url:
        found, _ = checked(int(url.rpartition(":")[2]))

    assert (found.verdict, found.why) == (Verdict.FAULT, "stopping")


def test_another_program_is_a_fault() -> None:
    with fake_host() as url:
        found, local = checked(int(url.rpartition(":")[2]))

    assert (found.verdict, local) == (Verdict.FAULT, "")


def test_a_host_that_is_no_name_is_a_fault() -> None:
    found, _ = checked(1, host="x" * 64)

    assert found.verdict is Verdict.FAULT
    assert "set HOST" in found.cure


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:1"),
        ("::", "http://[::1]:1"),
        ("localhost", "http://localhost:1"),
    ],
)
def test_this_machine_reaches_its_listener_at(host: str, url: str) -> None:
    assert local_url(host, 1) == url
