"""libcurl easy handles: set up once, reused for call after call."""

from functools import lru_cache
from typing import Literal
from urllib.parse import urlsplit

import certifi
import msgspec
import pycurl

from kiro2api.errors import TransferError
from kiro2api.protocol.wire.http import HttpCall

HttpVersion = Literal["auto", "1.1", "2"]

_MAX_IDLE = 256
_BODILESS = frozenset({"GET", "HEAD"})
# What libcurl would add by itself: a call says all its headers.
_UNASKED = ("accept", "content-type")


class UpstreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How outbound connections are made.

    `ca_file` "" is the bundle that ships with us. `proxy_url` "" is no proxy: the environment's
    proxy variables are never looked at. `http_version` "auto" and "2" take HTTP/2 where the TLS
    handshake offers it; "2" speaks it over plain connections too.
    """

    ca_file: str = ""
    proxy_url: str = ""
    http_version: HttpVersion = "auto"
    connect_timeout_s: float = 10.0
    max_buffered_bytes: int = 64 * 1024


class HandleKind(msgspec.Struct, frozen=True):
    """What is set up once in an easy handle: handles of one kind are interchangeable.

    `shares` makes a call wait for a connection that is being made, to share it.
    """

    method: str
    origin: str
    shares: bool


class EasyHandles:
    """Lends out easy handles, kept by kind; owned by the upstream client."""

    def __init__(self, options: UpstreamOptions) -> None:
        self._options = options
        self._idle: dict[HandleKind, list[pycurl.Curl]] = {}
        self._idle_count = 0

    def take(self, call: HttpCall, kind: HandleKind) -> pycurl.Curl:
        """Return a handle that is ready for `call` but for its callbacks.

        Raises:
            TransferError: a header holds a line break.
        """
        lines = _header_lines(call, kind.origin)
        idle = self._idle.get(kind)
        if idle:
            curl = idle.pop()
            self._idle_count -= 1
        else:
            curl = self._new(kind)
        curl.setopt(pycurl.URL, call.url)
        curl.setopt(pycurl.HTTPHEADER, lines)
        if kind.method not in _BODILESS:
            curl.setopt(pycurl.POSTFIELDS, call.body)
        return curl

    def give_back(self, curl: pycurl.Curl, kind: HandleKind) -> None:
        """Keep `curl` for the next call of its kind."""
        if self._idle_count >= _MAX_IDLE:
            curl.close()
            return
        if kind.method not in _BODILESS:
            # The handle would keep the body alive, up to 32 MiB of it.
            curl.setopt(pycurl.POSTFIELDS, b"")
        self._idle.setdefault(kind, []).append(curl)
        self._idle_count += 1

    def close(self) -> None:
        """Close the idle handles."""
        for curls in self._idle.values():
            for curl in curls:
                curl.close()
        self._idle.clear()
        self._idle_count = 0

    def _http_version(self, origin: str) -> int:
        version = self._options.http_version
        if version == "1.1":
            return int(pycurl.CURL_HTTP_VERSION_1_1)
        if version == "2" and origin.startswith("http:"):
            return int(pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
        return int(pycurl.CURL_HTTP_VERSION_2TLS)

    def _new(self, kind: HandleKind) -> pycurl.Curl:
        options = self._options
        curl = pycurl.Curl()
        if kind.method == "GET":
            curl.setopt(pycurl.HTTPGET, 1)
        elif kind.method == "HEAD":
            curl.setopt(pycurl.NOBODY, 1)
        else:
            curl.setopt(pycurl.POST, 1)
            curl.setopt(pycurl.CUSTOMREQUEST, kind.method)
        ca_file = options.ca_file or certifi.where()
        curl.setopt(pycurl.CAINFO, ca_file)
        curl.setopt(pycurl.PROXY_CAINFO, ca_file)
        curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
        # Set even when empty: else libcurl takes the proxies of the environment, for loopback too.
        curl.setopt(pycurl.PROXY, options.proxy_url)
        curl.setopt(pycurl.NOPROXY, "")
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.USERAGENT, "")
        # Kept for as long as the answer streams: libcurl's own choice is 64 KiB for each.
        curl.setopt(pycurl.UPLOAD_BUFFERSIZE, 16 * 1024)
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.TCP_NODELAY, 1)
        curl.setopt(pycurl.TCP_KEEPALIVE, 1)
        curl.setopt(pycurl.TCP_KEEPIDLE, 30)
        curl.setopt(pycurl.TCP_KEEPINTVL, 15)
        curl.setopt(pycurl.HTTP_VERSION, self._http_version(kind.origin))
        curl.setopt(pycurl.PIPEWAIT, int(kind.shares))
        curl.setopt(pycurl.CONNECTTIMEOUT_MS, round(options.connect_timeout_s * 1000))
        return curl


@lru_cache(maxsize=256)
def origin_of(url: str) -> str:
    """Return scheme, host and port of `url`, fit for a log: no user, path or query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the URL"
    return f"{parts.scheme}://[{host}]{port}" if ":" in host else f"{parts.scheme}://{host}{port}"


def _header_lines(call: HttpCall, origin: str) -> list[str] | list[bytes]:
    lines = [f"{name}: {value}" if value else f"{name};" for name, value in call.headers]
    asked = {name.lower() for name, _ in call.headers}
    lines += [f"{name}:" for name in _UNASKED if name not in asked]
    # libcurl waits a second for a "100 Continue" before it sends a body of 1 MB.
    lines.append("Expect:")
    text = "".join(lines)
    if "\n" in text or "\r" in text or "\0" in text:
        raise TransferError(f"{origin}: a request header holds a line break")
    return lines if text.isascii() else [line.encode() for line in lines]
