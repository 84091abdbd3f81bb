"""Who may call: the client key that a request shows, compared without a hint in the timing."""

from collections.abc import Mapping, Sequence
from hmac import compare_digest, digest

import msgspec


class ClientKey(msgspec.Struct, frozen=True):
    """A key by its digest; `id` names it in logs."""

    id: str
    digest: bytes


class KeyRing:
    """The keys that open the data plane; one for the whole program."""

    def __init__(self, secret: bytes, keys: Sequence[ClientKey]) -> None:
        self._secret = secret
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
        shown = digest_key(self._secret, presented)
        found = None
        for key in self._keys:
            if compare_digest(key.digest, shown):
                found = key.id
        return found


def digest_key(secret: bytes, key: str) -> bytes:
    """Return the keyed digest under which a client key is known."""
    return digest(secret, key.encode("utf-8", "surrogatepass"), "sha256")


def presented_keys(headers: Mapping[str, str]) -> list[str]:
    """Return the keys that `headers` show, the bearer first."""
    keys = []
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        keys.append(value.strip())
    if api_key := headers.get("x-api-key", "").strip():
        keys.append(api_key)
    return keys
