"""Who may call, and what: the client key that a request shows, compared without a hint in the timing."""

from collections.abc import Callable, Mapping, Sequence
from hmac import compare_digest

import msgspec

from kiro2api.errors import RequestError


class ClientKey(msgspec.Struct, frozen=True):
    """A key by its digest, and what it opens; `id` names it in logs.

    Empty `groups` and `models` (in lower case) open all. `expires_at` is wall time, None for never.
    """

    id: str
    digest: bytes
    enabled: bool = True
    groups: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    expires_at: float | None = None

    def opens_group(self, group: str) -> bool:
        """Tell whether the key may use the accounts of `group`."""
        return not self.groups or group in self.groups

    def opens_model(self, model: str) -> bool:
        """Tell whether the key may ask for `model`, by the name that the client gives it."""
        return not self.models or model.lower() in self.models


class ClientKeys:
    """The keys that open a plane; asked by every request, replaced when the store has changed.

    `digests` gives the keyed digests under which a presented key may be known, newest first;
    `wall` is the time by which keys expire.
    """

    def __init__(
        self,
        digests: Callable[[str], Sequence[bytes]],
        keys: Sequence[ClientKey],
        *,
        wall: Callable[[], float],
    ) -> None:
        self._digests = digests
        self._keys = tuple(keys)
        self._wall = wall
        # When each key was used last since `take_used` was asked.
        self._used: dict[str, float] = {}

    def replace(self, keys: Sequence[ClientKey]) -> None:
        """Let `keys` be the keys from now on."""
        self._keys = tuple(keys)

    def take_used(self) -> dict[str, float]:
        """Return when which keys were used since the last call, by id, in wall time."""
        used, self._used = self._used, {}
        return used

    def holder(self, headers: Mapping[str, str]) -> ClientKey | None:
        """Return the valid key that `headers` show; None without one.

        Both `x-api-key` and a bearer count, and one valid of the two is enough.
        """
        for presented in presented_keys(headers):
            key = self._known(presented)
            if key is not None:
                self._used[key.id] = self._wall()
                return key
        return None

    def _known(self, presented: str) -> ClientKey | None:
        shown = self._digests(presented)
        found = None
        for key in self._keys:
            if any([compare_digest(key.digest, digest) for digest in shown]):
                found = key
        return found if found is not None and self._is_valid(found) else None

    def _is_valid(self, key: ClientKey) -> bool:
        return key.enabled and (key.expires_at is None or key.expires_at > self._wall())


def require_model(key: ClientKey, model: str) -> None:
    """Return when `key` may ask for `model`.

    Raises:
        RequestError: it may not.
    """
    if not key.opens_model(model):
        raise RequestError(
            f"This client key may not use model {model!r}. GET /v1/models lists those it may.",
            path="model",
            status=403,
            code="model_not_allowed",
        )


def presented_keys(headers: Mapping[str, str]) -> list[str]:
    """Return the keys that `headers` show, the bearer first."""
    keys = []
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        keys.append(value.strip())
    if api_key := headers.get("x-api-key", "").strip():
        keys.append(api_key)
    return keys
