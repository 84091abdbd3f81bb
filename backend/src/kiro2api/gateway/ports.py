"""What the use-cases need of the outside: the adapters implement these."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec
from msgspec import UNSET, UnsetType

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
    wish. `condition` carries wall times here. `models` and `quota` are the last known answers of the
    upstream (b"" when none is known), `…_fetched_at` their wall times. `source` is where it came
    from: "configuration", "import", "login" or "follow:" and a path. `route` is the key of the
    strategy that worked last, `user_id` a keyed digest, `removed` why it has left the pool ("" when
    it is in it).
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
    source: str = "configuration"
    soft_cap: int = 0
    route: str = ""
    quota: bytes = b""
    quota_fetched_at: float = 0.0
    user_id: str = ""
    removed: str = ""


class ConfiguredAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `KIRO_AUTH_TOKEN`; `index` is its place there, for messages."""

    index: int
    name: str
    group: str
    enabled: bool
    credential: Credential
    profile_arn: str = ""


class NewAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account that did not come from `KIRO_AUTH_TOKEN`; `source` as in `StoredAccount`."""

    name: str
    group: str
    enabled: bool = True
    credential: Credential
    profile_arn: str = ""
    source: str
    access_token: AccessToken | None = None
    soft_cap: int = 0


class Outcome(StrEnum):
    """What became of an account that was given to the store."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


class Added(msgspec.Struct, frozen=True):
    """The account that a new one has become, or was already."""

    id: str
    outcome: Outcome


class SyncReport(msgspec.Struct, frozen=True):
    """What a start did to the accounts: ids of those added, kept, and gone from the configuration.

    `duplicates` are the indices of entries that turned out to be the account of an earlier entry.
    """

    added: tuple[str, ...]
    kept: tuple[str, ...]
    removed: tuple[str, ...]
    duplicates: tuple[int, ...] = ()


class AccountStore(Protocol):
    """Where accounts survive.

    Every method raises StoreError when the store is away, locked, full or damaged: then nothing is
    saved.
    """

    async def revision(self) -> int:
        """Return a number that every change raises, whichever process makes it.

        Leases, `prove_writable` and the last use of client keys are no changes in this sense.
        """
        ...

    async def prove_writable(self) -> None:
        """Return when a change could be saved now.

        Raises:
            StoreError: it could not; a rotation must not start.
        """
        ...

    async def accounts(self) -> list[StoredAccount]:
        """Return all accounts that are not removed, in the configured order."""
        ...

    async def all_accounts(self) -> list[StoredAccount]:
        """Return the removed ones, too, after the others."""
        ...

    async def account(self, account_id: str) -> StoredAccount | None:
        """Return one account as it is in the store now; None when it is gone."""
        ...

    async def sync_configured(self, entries: Sequence[ConfiguredAccount]) -> SyncReport:
        """Make the configured accounts be `entries`, matched by identity.

        An entry whose credential digest is known is that account, whatever its token has been
        rotated to since. Of an entry that has changed since the last start, what has changed is
        followed; else what a person has set in the store stays. Accounts that came from the
        configuration and are no longer in it are marked as removed; the others stay.
        """
        ...

    async def add(self, new: NewAccount) -> Added:
        """Take `new` into the pool, or find the account of the same identity and bring it up to it.

        A removed account comes back. An updated credential ends a verdict that asked for it.
        """
        ...

    async def edit(
        self,
        account_id: str,
        *,
        name: str | None = None,
        group: str | None = None,
        enabled: bool | None = None,
        position: int | None = None,
        soft_cap: int | None = None,
    ) -> bool:
        """Set what is given; False when there is no such account in the pool.

        `position` is the place from 0 among all accounts, which move aside.
        """
        ...

    async def remove(self, account_id: str, reason: str) -> bool:
        """Take the account out of the pool for `reason`; False when it is not in it."""
        ...

    async def set_user_id(self, account_id: str, user_id: str) -> str | None:
        """Note whom the upstream says that the account belongs to.

        When another account of its group belongs to the same user, the two are one from now on:
        `account_id` leaves the pool and the id of the one that stays is returned, which takes over
        the credential if its own was refused.
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

    async def clear_condition(self, account_id: str) -> None:
        """Forget every verdict."""
        ...

    async def save_route(self, account_id: str, key: str) -> None:
        """Remember which strategy works for the account."""
        ...

    async def save_profile(self, account_id: str, arn: str) -> None:
        """Keep the profile that was found for the account."""
        ...

    async def save_quota(self, account_id: str, quota: bytes, *, fetched_at: float) -> None:
        """Keep what is left of the account's credits."""
        ...

    async def acquire_lease(
        self, account_id: str, *, holder: str, now: float, for_s: float
    ) -> bool:
        """Reserve the refresh of the account for `holder`; False while another one holds it.

        `now` is wall time. Who holds it already prolongs it.
        """
        ...

    async def release_lease(self, account_id: str, holder: str) -> None:
        """End the lease if it is still the one of `holder`."""
        ...


class GroupSettings(msgspec.Struct, frozen=True):
    """How a group chooses: the word of its strategy ("" for the default), and its soft cap.

    `soft_cap` is for accounts that have none of their own; 0 for none.
    """

    strategy: str = ""
    soft_cap: int = 0


class GroupStore(Protocol):
    """Where the settings of groups survive; raises as `AccountStore`."""

    async def groups(self) -> dict[str, GroupSettings]:
        """Return the settings of every group that has some, by name."""
        ...

    async def set_group(self, name: str, settings: GroupSettings) -> None:
        """Replace the settings of the group `name`."""
        ...


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A client key by its digest, and what it opens.

    Empty `groups` and `models` mean all. Times are wall times: `expires_at` None is never,
    `last_used_at` None not yet, `created_at` 0 unknown.
    """

    id: str
    name: str
    digest: bytes
    enabled: bool = True
    groups: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    expires_at: float | None = None
    created_at: float = 0.0
    last_used_at: float | None = None


class KeyStore(Protocol):
    """Where the digest of the generated client key survives: the key `default` of all keys."""

    async def generated_key_digest(self) -> bytes | None:
        """Return the digest of the key made on the first start; None when there is none."""
        ...

    async def save_generated_key_digest(self, digest: bytes, *, now: float = 0.0) -> None:
        """Replace the digest of the generated key; it opens everything again."""
        ...

    async def forget_generated_key(self) -> None:
        """Be as before the first start: there is no generated key."""
        ...


class ClientKeyStore(KeyStore, Protocol):
    """Where client keys survive; raises as `AccountStore`."""

    async def keys(self) -> list[StoredKey]:
        """Return all keys, the oldest first."""
        ...

    async def create(
        self,
        *,
        name: str,
        digest: bytes,
        now: float,
        groups: Sequence[str] = (),
        models: Sequence[str] = (),
        expires_at: float | None = None,
    ) -> StoredKey | None:
        """Return the new key; None when there is one of that name."""
        ...

    async def edit(
        self,
        key_id: str,
        *,
        name: str | None = None,
        digest: bytes | None = None,
        enabled: bool | None = None,
        groups: Sequence[str] | None = None,
        models: Sequence[str] | None = None,
        expires_at: float | UnsetType | None = UNSET,
    ) -> bool:
        """Set what is given; False when there is no such key, or another one has that name."""
        ...

    async def delete(self, key_id: str) -> bool:
        """Forget the key; False when there is no such key."""
        ...

    async def touch(self, used: Mapping[str, float]) -> None:
        """Note when keys were used last, by id; times that are older than the noted are left."""
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
