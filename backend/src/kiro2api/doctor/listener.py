"""Is the port free, or is it our own gateway that holds it?"""

import errno
import socket
from typing import TypeVar

import msgspec

from kiro2api import __version__
from kiro2api.doctor.finding import Finding, fault, good, note
from kiro2api.errors import RequestError, TransferError
from kiro2api.gateway.ports import Upstream
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.protocol.wire.json import decode

T = TypeVar("T")
CHECK = "port"
_ASK_S = 2.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, nothing is bound to it


class Health(msgspec.Struct):
    """What `/livez` of a kiro2api says."""

    status: str
    version: str


class Readiness(msgspec.Struct):
    """What `/readyz` of a kiro2api says."""

    reason: str
    accounts: int
    usable: int


async def check_port(host: str, port: int, direct: Upstream) -> tuple[Finding, str]:
    """Return whether the gateway can listen, or does, and the URL of the one that runs ("")."""
    if not port:
        return good(CHECK, "the system chooses a free one"), ""
    trouble = _bind(host, port)
    if trouble is None:
        return good(CHECK, f"{host}:{port} is free; no gateway runs there"), ""
    if trouble.errno != errno.EADDRINUSE:
        return _unusable(host, port, trouble), ""
    url = local_url(host, port)
    health = await _ask(direct, f"{url}/livez", Health)
    if health is None:
        return (
            fault(
                CHECK,
                f"{host}:{port} is taken by another program",
                why="the gateway cannot listen there",
                cure=f"stop it (`ss -ltnp 'sport = :{port}'` names it), or set another PORT",
            ),
            "",
        )
    return await _running(url, health, direct), url


def local_url(host: str, port: int) -> str:
    """Return the URL at which this machine reaches its own listener."""
    host = _ANY.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bind(host: str, port: int) -> OSError | None:
    """Try to listen as the gateway would; return what prevents it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in found:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
                tried.listen()
    except OSError as error:
        return error
    except UnicodeError as error:
        return OSError(errno.EINVAL, str(error))
    return None


def _unusable(host: str, port: int, trouble: OSError) -> Finding:
    if trouble.errno in (errno.EACCES, errno.EPERM):
        cure = "take a PORT of 1024 or more, and let a front proxy have the small one"
    else:
        cure = "set HOST to an address of this machine: 127.0.0.1, or 0.0.0.0 for all"
    why = "the gateway cannot listen there"
    return fault(CHECK, f"{host}:{port}: {trouble.strerror or trouble}", why=why, cure=cure)


async def _running(url: str, health: Health, direct: Upstream) -> Finding:
    what = f"our gateway {health.version} runs at {url}"
    if health.version != __version__:
        why = f"this is {__version__}: what is said here may not hold for that one"
        return note(CHECK, what, why=why, cure="start the gateway again")
    ready = await _ask(direct, f"{url}/readyz", Readiness)
    if ready is None:
        return good(CHECK, what)
    if ready.reason:
        cure = "see the accounts below; `kiro2api explain` tells why each one is not asked"
        return fault(CHECK, f"{what}, but refuses requests", why=ready.reason, cure=cure)
    return good(CHECK, f"{what}; {ready.usable} of {ready.accounts} accounts can serve")


async def _ask(direct: Upstream, url: str, type_: type[T]) -> T | None:
    try:
        answer = await direct.fetch(HttpCall("GET", url, ()), total_s=_ASK_S)
        return decode(answer.body, type_)
    except (TransferError, RequestError):
        return None
