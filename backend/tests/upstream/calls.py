"""Calls that the tests of the upstream client make, and the options they make them with."""

import asyncio

from kiro2api.protocol.wire.http import HttpCall
from kiro2api.upstream.client import CurlUpstream
from kiro2api.upstream.easy import HttpVersion, UpstreamOptions
from kiro2api.upstream.transfer import CurlTransfer
from tests.upstream.peers import (
    Certificate,
    Peer,
    Script,
    request,
)

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PLAIN = UpstreamOptions()


def post(server: Peer, body: bytes = b"{}") -> HttpCall:
    return HttpCall("POST", f"{server.url}/path", (("content-type", "a/b"),), body)


async def drained(upstream: CurlUpstream, call: HttpCall, *, first_byte_s: float = 5) -> bytes:
    transfer = await upstream.open(call, first_byte_s=first_byte_s)
    return await transfer.read_all(1 << 30)


async def collect(transfer: CurlTransfer, into: bytearray) -> None:
    while data := await transfer.read():
        into += data


async def until(condition: asyncio.Event, limit_s: float = 5) -> None:
    async with asyncio.timeout(limit_s):
        await condition.wait()


def held(gone: asyncio.Event) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(CHUNKED + b"1\r\na\r\n")
        try:
            await reader.read()
        finally:
            gone.set()

    return script


def trusting(
    certificate: Certificate, *, http_version: HttpVersion = "auto", proxy_url: str = ""
) -> UpstreamOptions:
    return UpstreamOptions(
        ca_file=str(certificate.ca_file), http_version=http_version, proxy_url=proxy_url
    )
