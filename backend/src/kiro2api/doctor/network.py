"""Do the hosts of the upstream resolve and answer, and does their clock agree with ours?"""

import asyncio
import socket
import statistics
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from kiro2api.doctor.finding import Finding, fault, good, note
from kiro2api.errors import TransferError
from kiro2api.gateway.ports import Upstream
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.codewhisperer.endpoints import (
    Endpoints,
    models_call,
    oidc_base,
    social_login_base,
    strategies,
)
from kiro2api.protocol.wire.http import HttpCall

_RESOLVE_S = 5.0
_ANSWER_S = 15.0
_SKEW_NOTE_S = 30.0
_SKEW_FAULT_S = 240.0
_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_CANNOT_SERVE = "accounts that need this host cannot be served or refreshed"


class Answer(msgspec.Struct, frozen=True):
    """What a host said: its status, and how far its clock is ahead of ours (None: not told)."""

    finding: Finding
    skew_s: float | None = None


def hosts_of(
    accounts: Sequence[tuple[Credential, str]], endpoints: Endpoints, *, region: str
) -> list[str]:
    """Return the base URLs that calls for `accounts` go to, each once.

    An account is a credential and its profile ARN ("" when unknown). Without any, the hosts of a
    Social login in `region` are meant.
    """
    found: dict[str, None] = {}
    for credential, arn in accounts or [(Credential(AuthKind.SOCIAL, region=region), "")]:
        for route in strategies(
            profile_arn=arn, kind=credential.kind, region=credential.region, endpoints=endpoints
        ):
            found[route.base_url] = None
        control = models_call(
            kind=credential.kind,
            token="",
            profile_arn=arn,
            region=credential.region,
            endpoints=endpoints,
            user_agent="",
        )
        found[_origin(control.url)] = None
        if credential.kind is AuthKind.SOCIAL:
            found[social_login_base(endpoints)] = None
        elif credential.kind in (AuthKind.IDC, AuthKind.BUILDER_ID):
            found[oidc_base(credential.region, endpoints)] = None
    # A replaced host may serve several: it is asked once.
    return list(dict.fromkeys(_origin(base) for base in found))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def check_proxy(proxy_url: str) -> Finding | None:
    """Return the fault of the proxy, None when it takes connections or there is none."""
    if not proxy_url:
        return None
    parts = urlsplit(proxy_url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        async with asyncio.timeout(_RESOLVE_S):
            _, writer = await asyncio.open_connection(host, port)
        writer.close()
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        return fault(
            "proxy",
            f"{host}:{port}: {_words(error)}",
            why="every outbound call goes through KIRO_PROXY_URL",
            cure="start the proxy, or correct or unset KIRO_PROXY_URL",
        )
    return good("proxy", f"{host}:{port} takes connections")


async def check_hosts(
    bases: Sequence[str], upstream: Upstream, *, resolves: bool, wall: Callable[[], float]
) -> list[Finding]:
    """Return how each host answers, and what their clocks say of ours.

    `resolves` tells whether this machine looks names up by itself; a proxy would do it instead.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_check_host(base, upstream, resolves=resolves, wall=wall))
            for base in bases
        ]
    answers = [task.result() for task in tasks]
    skews = [answer.skew_s for answer in answers if answer.skew_s is not None]
    return [*(answer.finding for answer in answers), judge_clock(skews)]


def judge_clock(skews_s: Sequence[float]) -> Finding:
    """Return what the distances to the clocks of the hosts say of ours."""
    if not skews_s:
        return good("clock", "no host told its time, so it was not compared")
    # One host whose clock is wrong must not speak for the others.
    skew_s = statistics.median(skews_s)
    way = "behind" if skew_s > 0 else "ahead of"
    what = f"{abs(skew_s):.0f} s {way} the hosts"
    if abs(skew_s) < _SKEW_NOTE_S:
        return good("clock", f"within {_SKEW_NOTE_S:.0f} s of the hosts")
    why = "access tokens would be renewed too late or too often, and rests end at the wrong time"
    cure = "let the system keep its time: timedatectl set-ntp true"
    if abs(skew_s) < _SKEW_FAULT_S:
        return note("clock", what, why=why, cure=cure)
    return fault("clock", what, why=why, cure=cure)


async def _check_host(
    base: str, upstream: Upstream, *, resolves: bool, wall: Callable[[], float]
) -> Answer:
    parts = urlsplit(base)
    if resolves:
        trouble = await _resolve(parts.hostname or "", parts.port or _PORTS[parts.scheme])
        if trouble:
            return Answer(_unresolved(parts.hostname or "", trouble))
    before = wall()
    try:
        call = HttpCall("GET", f"{base}/", (("accept", "*/*"),))
        answer = await upstream.fetch(call, total_s=_ANSWER_S)
    except TransferError as error:
        return Answer(judge_failure(error.message))
    date = _date(answer.headers.get("date", ""))
    skew_s = None if date is None else date - (before + wall()) / 2
    if answer.status == 407:
        return Answer(judge_failure(f"{base}: the proxy refused the request with 407"))
    if answer.status >= 500:
        return Answer(
            note(
                "hosts",
                f"{base} answers with {answer.status}",
                why="it is reached, but is ill or a proxy before it is",
                cure="wait and look again; accounts are tried elsewhere meanwhile",
            ),
            skew_s,
        )
    return Answer(good("hosts", f"{base} answers"), skew_s)


def judge_failure(message: str) -> Finding:
    """Return what a call that failed in this way means for the network."""
    if "TLS" in message:
        cure = (
            "if a proxy of yours opens TLS, name its CA in SSL_CERT_FILE; else the clock, or "
            "somebody in between, is wrong"
        )
    elif "proxy" in message:
        cure = "correct user, password and address in KIRO_PROXY_URL, and what the proxy allows"
    elif "resolve" in message:
        cure = "look at the name server of this machine (/etc/resolv.conf) and the region"
    elif "HTTP" in message:
        cure = "the address leads to something else: look at KIRO_API_ENDPOINT and the like"
    else:
        cure = "let the firewall pass connections to it, or set KIRO_PROXY_URL"
    return fault("hosts", message, why=_CANNOT_SERVE, cure=cure)


def _unresolved(host: str, trouble: str) -> Finding:
    cure = "look at the name server of this machine, the region of the accounts, or KIRO_PROXY_URL"
    return fault("dns", f"{host} does not resolve: {trouble}", why=_CANNOT_SERVE, cure=cure)


async def _resolve(host: str, port: int) -> str:
    """Return why the name does not resolve, "" when it does."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_S):
            await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return _words(error)
    return ""


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_RESOLVE_S:.0f} s"
    return getattr(error, "strerror", None) or str(error)


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
