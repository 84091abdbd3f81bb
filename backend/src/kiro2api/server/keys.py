"""Who may call: the client key that a request shows, compared without a hint in the timing."""

from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest

import msgspec


class ClientKey(msgspec.Struct, frozen=True):
    """A key by its digest; `id` names it in logs."""

    id: str
    digest: bytes


class ClientKeys:
    """The keys that open a plane; made at start, asked by every request.

    `digests` gives the keyed digests under which a presented key may be known, newest first.
    """

    def __init__(
        self, digests: Callable[[str], Sequence[bytes]], keys: Sequence[ClientKey]
    ) -> None:
        self._digests = digests
        self._keys = tuple(keys)

    def holder(self, headers: Mapping[str, str]) -> str | None:
        """Return the id of the valid key that `headers` show; None without one.

        Both `x-api-key` and a bearer count, and one valid of the two is enough.
        """
        for presented in presented_keys(headers):
            holder = self._holder_of(presented)
            if holder is not None:
                return holder
        return None

    def _holder_of(self, presented: str) -> str | None:
        shown = self._digests(presented)
        found = None
        for key in self._keys:
            if any([compare_digest(key.digest, digest) for digest in shown]):
                found = key.id
        return found


def presented_keys(headers: Mapping[str, str]) -> list[str]:
    """Return the keys that `headers` show, the bearer first."""
    keys = []
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        keys.append(value.strip())
    if api_key := headers.get("x-api-key", "").strip():
        keys.append(api_key)
    return keys
