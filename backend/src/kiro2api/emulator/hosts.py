"""Virtual hosts: one emulator is every host of the service; the address says which one is meant.

`/{host name}/path` names the host in the path, and a `host` header that is the name of one does
too. An address without a host is all of them in one.
"""

import re
from enum import StrEnum

import msgspec

from kiro2api.emulator.exchange import Request

_REGION = r"(?P<region>[a-z]{2}(?:-[a-z]+){1,2}-\d)"
_API_REGIONS = ("us-east-1", "eu-central-1")


class HostKind(StrEnum):
    """What a host is for."""

    ANY = "any"
    RUNTIME = "runtime"
    MANAGEMENT = "management"
    Q = "q"
    CODEWHISPERER = "codewhisperer"
    OIDC = "oidc"
    AUTH = "auth"
    PORTAL = "portal"


class Host(msgspec.Struct, frozen=True):
    """One host of the service; `region` is "" where it has none."""

    name: str
    kind: HostKind
    region: str = ""

    @property
    def exists(self) -> bool:
        """Tell whether the service has this host in this region."""
        regions = _REGIONS.get(self.kind)
        return regions is None or self.region in regions

    @property
    def is_older(self) -> bool:
        """Tell whether it is one of the hosts of earlier years."""
        return self.kind in (HostKind.Q, HostKind.CODEWHISPERER)


ANY_HOST = Host("", HostKind.ANY)

_NAMES = {
    HostKind.RUNTIME: re.compile(rf"runtime\.{_REGION}\.kiro\.dev"),
    HostKind.MANAGEMENT: re.compile(rf"management\.{_REGION}\.kiro\.dev"),
    HostKind.Q: re.compile(rf"q\.{_REGION}\.amazonaws\.com"),
    HostKind.CODEWHISPERER: re.compile(rf"codewhisperer\.{_REGION}\.amazonaws\.com"),
    HostKind.OIDC: re.compile(rf"oidc\.{_REGION}\.amazonaws\.com"),
    HostKind.AUTH: re.compile(rf"prod\.{_REGION}\.auth\.desktop\.kiro\.dev"),
    HostKind.PORTAL: re.compile(r"app\.kiro\.dev"),
}
# Kinds that are left out are in every region.
_REGIONS = {
    HostKind.RUNTIME: _API_REGIONS,
    HostKind.MANAGEMENT: (*_API_REGIONS, "us-gov-west-1"),
    HostKind.Q: _API_REGIONS,
    HostKind.CODEWHISPERER: ("us-east-1",),
    HostKind.AUTH: ("us-east-1",),
}


def host_named(name: str) -> Host | None:
    """Return the host of that name, whether it exists or not; None for a name of another shape."""
    for kind, pattern in _NAMES.items():
        found = pattern.fullmatch(name)
        if found is not None:
            return Host(name, kind, found.groupdict().get("region", ""))
    return None


def split_path(path: str) -> tuple[Host | None, str]:
    """Return the host that a path names first, and what is left of the path."""
    first, slash, rest = path.removeprefix("/").partition("/")
    host = host_named(first)
    return host, path if host is None else slash + rest or "/"


def take_host(request: Request) -> tuple[Host, Request]:
    """Return the host that `request` is for, and the request as that host sees it."""
    host, path = split_path(request.path)
    if host is not None:
        return host, msgspec.structs.replace(request, path=path, host=host.name)
    named = host_named(request.headers.get("host", "").partition(":")[0])
    if named is not None:
        return named, msgspec.structs.replace(request, host=named.name)
    return ANY_HOST, request
