"""The way to the upstream: versions of HTTP, TLS, proxies."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.support.emulator import RunningEmulator, run_emulator
from tests.support.gateway import RunningGateway, StartGateway, anthropic_body, run_gateway
from tests.support.proxy import Proxy, run_proxy
from tests.support.talk import STREAMS, WAYS, Way, name_of, read


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with run_proxy() as running:
        yield running


@pytest.fixture(scope="module", params=["auto", "1.1", "2"])
def tls_gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    """A gateway in front of a TLS upstream; its folder names the version of HTTP that is set."""
    folder = tmp_path_factory.mktemp(f"http {request.param}")
    options = ("--tls", "self-signed", "--ca-file", str(folder / "ca.pem"))
    with run_emulator(*options) as emulator:
        entries = [emulator.add_account("a", access_lifetime_s=86_400).auth_entry(name="a")]
        with run_gateway(folder, emulator, entries, KIRO_HTTP_VERSION=request.param) as gateway:
            yield gateway


@pytest.fixture
def over_tls(tls_gateway: RunningGateway) -> RunningGateway:
    tls_gateway.emulator.clear_queue()
    tls_gateway.emulator.forget_records()
    return tls_gateway


def start_on(start_gateway: StartGateway, emulator: RunningEmulator, **env: str) -> RunningGateway:
    """Start a gateway with one account of that emulator."""
    return start_gateway(emulator.add_account("a"), emulator=emulator, **env)


# ------------------------------------------------------------------------------ versions of HTTP


def test_over_tls_the_setting_decides_which_http_is_spoken(over_tls: RunningGateway) -> None:
    for way in WAYS:
        way.hear(over_tls)

    spoken = {record.http_version for record in over_tls.emulator.generations()}
    assert spoken == {"1.1" if "1.1" in over_tls.log_file.parent.name else "2"}


@pytest.mark.parametrize(("setting", "spoken"), [("auto", "1.1"), ("1.1", "1.1"), ("2", "2")])
def test_without_tls_http2_is_spoken_only_when_asked_for(
    start_gateway: StartGateway, emulator: RunningEmulator, setting: str, spoken: str
) -> None:
    STREAMS[0].hear(start_on(start_gateway, emulator, KIRO_HTTP_VERSION=setting))

    assert {record.http_version for record in emulator.records()} == {spoken}


def test_a_server_that_offers_only_http1_is_spoken_to_in_http1(
    start_gateway: StartGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ca_file = tmp_path_factory.mktemp("http1") / "ca.pem"
    options = ("--tls", "self-signed", "--ca-file", str(ca_file), "--alpn", "http/1.1")
    with run_emulator(*options) as emulator:
        STREAMS[0].hear(start_on(start_gateway, emulator))

        assert {record.http_version for record in emulator.records()} == {"1.1"}


def test_streams_share_a_connection_over_http2(
    start_gateway: StartGateway, tls_emulator: RunningEmulator
) -> None:
    tls_emulator.queue(scenario="stall_after_text", times=0)
    gateway = start_on(start_gateway, tls_emulator)
    gateway.wait_until_settled()
    with ExitStack() as stack:
        for _ in range(5):
            stream = gateway.open_stream("/v1/messages", anthropic_body(stream=True))
            stack.callback(stream.close)

        assert len({record.connection for record in tls_emulator.generations()}) == 1


def test_more_streams_than_a_server_takes_on_a_connection_get_further_ones(
    start_gateway: StartGateway, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ca_file = tmp_path_factory.mktemp("narrow") / "ca.pem"
    options = ("--tls", "self-signed", "--ca-file", str(ca_file), "--max-streams", "2")
    with run_emulator(*options) as emulator, ExitStack() as stack:
        emulator.queue(scenario="stall_after_text", times=0)
        gateway = start_on(start_gateway, emulator)
        for _ in range(5):
            stream = gateway.open_stream("/v1/messages", anthropic_body(stream=True))
            stack.callback(stream.close)
            assert stream.read()

        assert len({record.connection for record in emulator.generations()}) >= 3


def test_a_break_is_told_the_same_over_every_version(over_tls: RunningGateway) -> None:
    half, pause = {"do": "text", "text": "Half"}, {"do": "wait", "s": 0.05}
    told = []
    for end in ({"do": "end", "how": "reset"}, {"do": "broken", "flaw": "cut_payload"}):
        over_tls.emulator.queue_stream(half, pause, end)
        told.append(read(STREAMS[0].ask(over_tls)))

    assert [(one.text, one.error is not None) for one in told] == [("Half", True)] * 2


def test_a_client_that_leaves_ends_its_stream_over_every_version(over_tls: RunningGateway) -> None:
    emulator = over_tls.emulator
    emulator.queue(scenario="stall_after_text")
    stream = over_tls.open_stream("/v1/messages", anthropic_body(stream=True))
    stream.read()
    stream.close()
    emulator.wait_for(lambda: emulator.generations()[0].closed_early, what="its end", within_s=1.0)

    STREAMS[0].hear(over_tls)


def test_many_streams_at_once_arrive_whole_over_every_version(over_tls: RunningGateway) -> None:
    over_tls.emulator.queue(paced={"events": 20, "every_s": 0.01}, times=0)
    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(lambda _: STREAMS[0].hear(over_tls), range(40)))

    assert {one.text for one in told} == {"token " * 20}
    over_tls.wait_for(lambda: over_tls.account("a")["in_flight"] == 0, "no request in flight")


# ------------------------------------------------------------------------------------------- TLS


@pytest.mark.parametrize("way", WAYS[1:3], ids=name_of)
def test_a_certificate_of_an_unknown_authority_is_refused_and_named(
    start_gateway: StartGateway, tls_emulator: RunningEmulator, way: Way
) -> None:
    account = tls_emulator.add_account("a")
    token = account.access_token if account.access_tokens else ""
    gateway = start_on(start_gateway, tls_emulator, SSL_CERT_FILE="")
    answer = way.ask(gateway)

    assert answer.status >= 500
    assert "TLS" in answer.json["error"]["message"]
    assert tls_emulator.records() == []
    assert not token or token not in gateway.log_text()


def test_an_upstream_that_is_not_there_is_a_502_that_says_so(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gateway = start_on(start_gateway, emulator, KIRO_API_ENDPOINT=f"http://127.0.0.1:{port}")
    answer = gateway.messages()

    assert answer.status == 502
    assert "could not connect" in answer.json["error"]["message"]


# --------------------------------------------------------------------------------------- proxies


def test_all_calls_go_through_the_proxy_that_is_set(
    start_gateway: StartGateway, emulator: RunningEmulator, proxy: Proxy
) -> None:
    gateway = start_on(start_gateway, emulator, KIRO_PROXY_URL=f"http://{proxy.address}")
    for way in WAYS:
        way.hear(gateway)
    gateway.wait_until_settled()

    assert len(proxy.passed) == len(emulator.records())
    assert f"POST {emulator.url}/generateAssistantResponse" in proxy.passed
    assert f"POST {emulator.url}/refreshToken" in proxy.passed


@pytest.mark.parametrize("version", ["1.1", "2"])
def test_tls_goes_through_a_tunnel_of_the_proxy(
    start_gateway: StartGateway, tls_emulator: RunningEmulator, proxy: Proxy, version: str
) -> None:
    gateway = start_on(
        start_gateway,
        tls_emulator,
        KIRO_PROXY_URL=f"http://{proxy.address}",
        KIRO_HTTP_VERSION=version,
    )
    STREAMS[0].hear(gateway)

    host = tls_emulator.url.removeprefix("https://")
    assert set(proxy.passed) == {f"CONNECT {host}"}
    assert {record.http_version for record in tls_emulator.generations()} == {version}


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_may_be_set(
    start_gateway: StartGateway, emulator: RunningEmulator, proxy: Proxy, scheme: str
) -> None:
    gateway = start_on(start_gateway, emulator, KIRO_PROXY_URL=f"{scheme}://{proxy.address}")
    STREAMS[0].hear(gateway)

    assert set(proxy.passed) == {f"SOCKS {emulator.url.removeprefix('http://')}"}


def test_the_proxy_gets_its_login_and_the_log_does_not(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    with run_proxy(login="someone:planted-secret") as proxy:
        url = f"http://someone:planted-secret@{proxy.address}"
        gateway = start_on(start_gateway, emulator, KIRO_PROXY_URL=url)
        STREAMS[0].hear(gateway)

    assert proxy.passed
    assert proxy.refused == 0
    assert "planted-secret" not in gateway.log_text()


def test_a_proxy_that_refuses_is_named_without_its_login(
    start_gateway: StartGateway, tls_emulator: RunningEmulator
) -> None:
    with run_proxy(login="someone:else") as proxy:
        url = f"http://someone:planted-secret@{proxy.address}"
        gateway = start_on(start_gateway, tls_emulator, KIRO_PROXY_URL=url)
        answer = STREAMS[0].ask(gateway)

    assert answer.status >= 500
    assert "proxy" in answer.json["error"]["message"]
    assert "planted-secret" not in answer.body.decode() + gateway.log_text()


def test_the_proxies_of_the_environment_are_ignored(
    start_gateway: StartGateway, emulator: RunningEmulator, proxy: Proxy
) -> None:
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    settings = {name: f"http://{proxy.address}" for name in names}
    gateway = start_on(start_gateway, emulator, **settings)
    STREAMS[0].hear(gateway)

    assert proxy.passed == []
