"""What the use-cases need of the outside: the adapters implement these."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from kiro2api.pool.account import Condition
from kiro2api.protocol.chat.events import StreamEvent
from kiro2api.protocol.codewhisperer.credential import Credential
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall


class Transfer(Protocol):
    """One upstream response under way; belongs to the attempt that opened it."""

    status: int
    idle_limit_s: float

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the response; names are in lower case."""
        ...

    async def read(self) -> bytes:
        """Return all bytes that have come since the last call; b"" at the end of the body.

        Raises:
            TransferError: the connection broke, or nothing came for `idle_limit_s`.
        """
        ...

    async def read_all(self, max_bytes: int) -> bytes:
        """Return the rest of the body, cut at `max_bytes`; for error bodies.

        Raises:
            TransferError: as `read`.
        """
        ...

    def cancel(self) -> None:
        """Give the transfer up at once; fine after its end and twice."""
        ...


class Upstream(Protocol):
    """Outbound HTTP."""

    async def open(self, call: HttpCall, *, first_byte_s: float) -> Transfer:
        """Return the transfer of `call` once its status and headers are there.

        Raises:
            TransferError: no headers within `first_byte_s`, or the connection failed.
        """
        ...

    async def fetch(self, call: HttpCall, *, total_s: float) -> HttpAnswer:
        """Return the whole answer to `call`.

        Raises:
            TransferError: it did not come within `total_s`, or the connection failed.
        """
        ...


class AccessToken(msgspec.Struct, frozen=True):
    """A short-lived bearer; `expires_at` is wall time in seconds."""

    value: str
    expires_at: float

    def __repr__(self) -> str:
        """Name the end alone: a secret must not reach a log by way of a repr."""
        return f"AccessToken(expires_at={self.expires_at})"


class StoredAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the store keeps it, secrets opened.

    `version` counts the changes of the credential, for compare-and-swap. `enabled` is the person's
    wish. `condition` carries wall times here. `models` is the last known live list as the upstream
    sent it (b"" when none is known), `models_fetched_at` its wall time.
    """

    id: str
    name: str
    group: str
    position: int
    enabled: bool
    credential: Credential
    version: int
    profile_arn: str = ""
    access_token: AccessToken | None = None
    condition: Condition | None = None
    models: bytes = b""
    models_fetched_at: float = 0.0


class ConfiguredAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `KIRO_AUTH_TOKEN`; `index` is its place there, for messages."""

    index: int
    name: str
    group: str
    enabled: bool
    credential: Credential
    profile_arn: str = ""


class SyncReport(msgspec.Struct, frozen=True):
    """What a start did to the accounts: ids of those added, kept, and gone from the configuration.

    `duplicates` are the indices of entries that turned out to be the account of an earlier entry.
    """

    added: tuple[str, ...]
    kept: tuple[str, ...]
    removed: tuple[str, ...]
    duplicates: tuple[int, ...] = ()


class AccountStore(Protocol):
    """Where accounts survive."""

    async def prove_writable(self) -> None:
        """Return when a change could be saved now.

        Raises:
            StoreError: it could not; a rotation must not start.
        """
        ...

    async def accounts(self) -> list[StoredAccount]:
        """Return all accounts that are not removed, in the configured order."""
        ...

    async def account(self, account_id: str) -> StoredAccount | None:
        """Return one account as it is in the store now; None when it is gone."""
        ...

    async def sync_configured(self, entries: Sequence[ConfiguredAccount]) -> SyncReport:
        """Make the configured accounts be `entries`, matched by identity.

        An entry whose credential digest is known is that account, whatever its token has been
        rotated to since; order, name, group, enabled follow the entry. Accounts that came from
        the configuration before and are no longer in it are marked as removed.
        """
        ...

    async def save_rotation(
        self,
        account_id: str,
        *,
        version: int,
        refresh_token: str,
        access_token: AccessToken,
        profile_arn: str,
    ) -> bool:
        """Save a refreshed credential durably if `version` is still the stored one.

        Returns False when somebody else has saved first: then nothing is changed.

        Raises:
            StoreError: the store is away or full; nothing is saved.
        """
        ...

    async def save_models(self, account_id: str, *, models: bytes, fetched_at: float) -> None:
        """Keep the live list of models as the upstream sent it."""
        ...

    async def save_condition(self, account_id: str, condition: Condition) -> None:
        """Keep a verdict over restarts; its times are wall times."""
        ...


class KeyStore(Protocol):
    """Where the digests of client keys survive."""

    async def generated_key_digest(self) -> bytes | None:
        """Return the digest of the key made on the first start; None when there is none."""
        ...

    async def save_generated_key_digest(self, digest: bytes) -> None:
        """Replace the digest of the generated key."""
        ...

    async def forget_generated_key(self) -> None:
        """Be as before the first start: there is no generated key."""
        ...


class Clock(Protocol):
    """Time, given from outside so that tests can move it."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never jumps; its zero means nothing."""
        ...

    def wall(self) -> float:
        """Return seconds since the epoch."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s`."""
        ...


class Chance(Protocol):
    """Randomness and identifiers, given from outside for the same reason."""

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def uuid(self) -> str:
        """Return a new random UUID as text."""
        ...


class ReplySink(Protocol):
    """Where the events of one reply go: a stream's renderer and socket, or a list to fold."""

    content_committed: bool

    async def deliver(self, events: Sequence[StreamEvent]) -> None:
        """Take the next events; returns when the client can take more."""
        ...

    def restart(self) -> None:
        """Forget what the client has not seen: another attempt starts over."""
        ...
