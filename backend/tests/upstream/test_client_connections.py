"""Outbound connections: TLS, HTTP/2, proxies."""

import asyncio
from pathlib import Path

import pytest

from kiro2api.errors import TransferError
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.upstream.client import CurlUpstream
from kiro2api.upstream.easy import UpstreamOptions
from tests.upstream.calls import PLAIN, drained, post, trusting
from tests.upstream.peers import (
    Certificate,
    Http2Peer,
    Script,
    answers,
    peer,
    reply,
    request,
    run,
)

# ------------------------------------------------------------------------------- TLS and HTTP/2


def test_a_server_with_a_trusted_certificate_is_talked_to(certificate: Certificate) -> None:
    async def work() -> bytes:
        async with peer(answers(reply()), tls=certificate.context("http/1.1")) as server:
            upstream = CurlUpstream(trusting(certificate))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_an_unknown_certificate_is_refused(certificate: Certificate) -> None:
    async def work() -> TransferError:
        async with peer(answers(reply()), tls=certificate.context()) as server:
            upstream = CurlUpstream(PLAIN)
            with pytest.raises(TransferError) as caught:
                await upstream.open(post(server), first_byte_s=5)
            await upstream.close()
            return caught.value

    assert "TLS: " in run(work()).message


def test_a_certificate_of_another_host_is_refused(certificate: Certificate) -> None:
    async def work() -> TransferError:
        async with peer(answers(reply()), tls=certificate.context()) as server:
            upstream = CurlUpstream(trusting(certificate))
            call = HttpCall("GET", server.url.replace("127.0.0.1", "localhost"), ())
            with pytest.raises(TransferError) as caught:
                await upstream.open(call, first_byte_s=5)
            await upstream.close()
            return caught.value

    assert "TLS: " in run(work()).message


def test_a_missing_bundle_of_authorities_is_told(certificate: Certificate, tmp_path: Path) -> None:
    async def work() -> TransferError:
        async with peer(answers(reply()), tls=certificate.context()) as server:
            upstream = CurlUpstream(UpstreamOptions(ca_file=str(tmp_path / "missing.pem")))
            with pytest.raises(TransferError) as caught:
                await upstream.open(post(server), first_byte_s=5)
            await upstream.close()
            return caught.value

    assert "TLS: " in run(work()).message


def test_streams_share_a_connection_where_http2_is_offered(certificate: Certificate) -> None:
    async def work() -> tuple[int, list[bytes]]:
        far = Http2Peer()
        async with peer(far.serve, tls=certificate.context("h2", "http/1.1")) as server:
            upstream = CurlUpstream(trusting(certificate))
            bodies = await asyncio.gather(*[drained(upstream, post(server)) for _ in range(20)])
            await upstream.close()
            return server.connections, bodies

    assert run(work()) == (1, [b"hello"] * 20)


def test_further_connections_are_opened_when_the_servers_limit_of_streams_is_met(
    certificate: Certificate,
) -> None:
    async def work() -> tuple[int, int]:
        far = Http2Peer(max_streams=8, hold=True)
        async with peer(far.serve, tls=certificate.context("h2")) as server:
            upstream = CurlUpstream(trusting(certificate))
            calls = [upstream.open(post(server), first_byte_s=10) for _ in range(20)]
            await asyncio.gather(*calls)
            await upstream.close()
            return far.most_streams_on_one, server.connections

    most, connections = run(work())
    assert most <= 8
    assert connections >= 3


def test_a_reset_of_a_shared_connection_fails_all_its_streams_and_repeats_none(
    certificate: Certificate,
) -> None:
    async def work() -> tuple[int, list[object]]:
        far = Http2Peer()
        async with peer(far.serve, tls=certificate.context("h2")) as server:
            upstream = CurlUpstream(trusting(certificate))
            await drained(upstream, post(server))
            far.reset_after = 5
            calls = [upstream.open(post(server), first_byte_s=5) for _ in range(4)]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            await upstream.close()
            return far.requests, [type(outcome) for outcome in outcomes]

    assert run(work()) == (5, [TransferError] * 4)


def test_http1_can_be_forced(certificate: Certificate) -> None:
    async def work() -> bytes:
        async with peer(answers(reply()), tls=certificate.context("h2", "http/1.1")) as server:
            upstream = CurlUpstream(trusting(certificate, http_version="1.1"))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_http2_over_a_plain_connection_only_when_forced() -> None:
    async def work() -> bytes:
        async with peer(Http2Peer().serve) as server:
            upstream = CurlUpstream(UpstreamOptions(http_version="2"))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_a_server_of_http1_is_not_waited_for_connection_by_connection(
    certificate: Certificate,
) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            await asyncio.sleep(0.5)
            writer.write(reply())

    async def work() -> float:
        async with peer(script, tls=certificate.context("http/1.1")) as server:
            upstream = CurlUpstream(trusting(certificate))
            loop = asyncio.get_running_loop()
            began = loop.time()
            await asyncio.gather(*[drained(upstream, post(server)) for _ in range(20)])
            took_s = loop.time() - began
            await upstream.close()
            return took_s

    assert run(work()) < 3


def test_a_cancel_resets_the_stream_and_leaves_the_others(certificate: Certificate) -> None:
    async def work() -> tuple[list[int], int]:
        far = Http2Peer(hold=True)
        async with peer(far.serve, tls=certificate.context("h2")) as server:
            upstream = CurlUpstream(trusting(certificate))
            first = await upstream.open(post(server), first_byte_s=5)
            second = await upstream.open(post(server), first_byte_s=5)
            assert await first.read() + await second.read() == b"hellohello"
            first.cancel()
            async with asyncio.timeout(1):
                while not far.resets:
                    await asyncio.sleep(0.01)
            resets = list(far.resets)
            await upstream.close()
            return resets, server.connections

    assert run(work()) == ([1], 1)


def test_a_slow_reader_on_http2_is_held_back_too(certificate: Certificate) -> None:
    total = 8 * 1024 * 1024

    async def work() -> tuple[int, int]:
        far = Http2Peer(body=b"x" * total)
        async with peer(far.serve, tls=certificate.context("h2")) as server:
            upstream = CurlUpstream(trusting(certificate))
            slow = await upstream.open(post(server), first_byte_s=5)
            await asyncio.sleep(0.5)
            held_bytes = len(await slow.read())
            received = held_bytes
            while data := await slow.read():
                received += len(data)
            await upstream.close()
            return held_bytes, received

    held_bytes, received = run(work())
    assert received == total
    assert held_bytes <= 128 * 1024


# ------------------------------------------------------------------------------------- proxies


def tunnel(seen: list[bytes], status: bytes = b"200 Connection established") -> Script:
    """Return the script of an HTTP proxy that opens tunnels and forwards nothing else."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head)
        if not head.startswith(b"CONNECT "):
            writer.write(reply(b"by proxy"))
            return
        writer.write(b"HTTP/1.1 " + status + b"\r\nx-proxy: yes\r\n\r\n")
        if not status.startswith(b"200"):
            return
        host, _, port = head.split()[1].decode().partition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))

    return script


def test_the_environments_proxies_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def work() -> bytes:
        async with peer(answers(reply())) as server:
            upstream = CurlUpstream(PLAIN)
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"hello"


def test_a_proxy_that_was_asked_for_is_used_for_every_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    seen: list[bytes] = []

    async def work() -> bytes:
        async with peer(tunnel(seen)) as proxy, peer(answers(reply())) as server:
            upstream = CurlUpstream(UpstreamOptions(proxy_url=proxy.url))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"by proxy"
    assert seen[0].startswith(b"POST http://127.0.0.1:")


def test_what_the_proxy_says_is_not_taken_for_the_answer(certificate: Certificate) -> None:
    seen: list[bytes] = []

    async def work() -> tuple[int, dict[str, str], bytes]:
        async with (
            peer(tunnel(seen)) as proxy,
            peer(answers(reply(b"no", "500 Broken")), tls=certificate.context()) as server,
        ):
            upstream = CurlUpstream(trusting(certificate, proxy_url=proxy.url))
            answer = await upstream.fetch(post(server), total_s=5)
            await upstream.close()
            return answer.status, dict(answer.headers), answer.body

    assert run(work()) == (500, {"content-length": "2"}, b"no")
    assert seen[0].startswith(b"CONNECT 127.0.0.1:")


def test_a_proxy_that_refuses_is_told_without_its_password(certificate: Certificate) -> None:
    async def work() -> TransferError:
        async with (
            peer(tunnel([], b"407 Proxy Authentication Required")) as proxy,
            peer(answers(reply()), tls=certificate.context()) as server,
        ):
            proxy_url = proxy.url.replace("http://", "http://me:hunter2@")
            upstream = CurlUpstream(trusting(certificate, proxy_url=proxy_url))
            with pytest.raises(TransferError) as caught:
                await upstream.open(post(server), first_byte_s=5)
            await upstream.close()
            return caught.value

    error = run(work())
    assert "proxy refused the tunnel" in error.message
    assert "hunter2" not in error.message


def test_a_socks_proxy_is_used() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        methods = (await reader.readexactly(2))[1]
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        await reader.readexactly(4 + 4 + 2)
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await request(reader)
        writer.write(reply(b"by socks"))

    async def work() -> bytes:
        async with peer(script) as proxy, peer(answers(reply())) as server:
            upstream = CurlUpstream(UpstreamOptions(proxy_url=f"socks5://127.0.0.1:{proxy.port}"))
            body = await drained(upstream, post(server))
            await upstream.close()
            return body

    assert run(work()) == b"by socks"
