"""Stand-ins for time, chance and the outside world, for tests of the use-cases."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from kiro2api.errors import StoreError
from kiro2api.gateway.ports import (
    AccessToken,
    Added,
    ConfiguredAccount,
    NewAccount,
    Outcome,
    StoredAccount,
    SyncReport,
)
from kiro2api.pool.account import Condition
from kiro2api.protocol.chat.events import CONTENT_EVENTS, StreamEvent
from kiro2api.protocol.codewhisperer.credential import AuthKind, Credential
from kiro2api.protocol.wire.eventstream import Header, encode_frame
from kiro2api.protocol.wire.http import HttpAnswer, HttpCall
from kiro2api.protocol.wire.json import encode


class FakeClock:
    """Time that stands still until a test moves it, or somebody sleeps."""

    def __init__(self, *, monotonic: float = 1000.0, wall: float = 1_780_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    def advance(self, by_s: float) -> None:
        self._monotonic += by_s
        self._wall += by_s

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.advance(delay_s)


class FakeChance:
    """Chance without surprises: a middling fraction, and UUIDs that count up."""

    def __init__(self) -> None:
        self._count = 0

    def fraction(self) -> float:
        return 0.5

    def uuid(self) -> str:
        self._count += 1
        return f"00000000-0000-4000-8000-{self._count:012d}"


class FakeStore:
    """Accounts in a dictionary; can be told to be away."""

    def __init__(self, *accounts: StoredAccount) -> None:
        self.rows = {account.id: account for account in accounts}
        self.is_away = False
        self.saves_fail = False
        self.conditions: dict[str, Condition] = {}
        self.leases: dict[str, tuple[str, float]] = {}
        self.changes = 0
        # Happens once, between the reading of all accounts and its end.
        self.while_reading: Callable[[], None] = lambda: None

    def _check(self) -> None:
        if self.is_away:
            raise StoreError("the database is away")

    def _change(self, account_id: str, **values: Any) -> bool:
        self._check()
        self.changes += 1
        row = self.rows.get(account_id)
        if row is None:
            return False
        self.rows[account_id] = msgspec.structs.replace(row, **values)
        return True

    async def revision(self) -> int:
        self._check()
        return self.changes

    async def prove_writable(self) -> None:
        self._check()

    async def accounts(self) -> list[StoredAccount]:
        self._check()
        there = [row for row in self.rows.values() if not row.removed]
        happens, self.while_reading = self.while_reading, lambda: None
        happens()
        return sorted(there, key=lambda row: row.position)

    async def all_accounts(self) -> list[StoredAccount]:
        return await self.accounts() + [row for row in self.rows.values() if row.removed]

    async def account(self, account_id: str) -> StoredAccount | None:
        self._check()
        row = self.rows.get(account_id)
        return None if row is None or row.removed else row

    async def sync_configured(self, entries: Sequence[ConfiguredAccount]) -> SyncReport:
        raise AssertionError("no test of the use-cases syncs")

    async def add(self, new: NewAccount) -> Added:
        self._check()
        for row in self.rows.values():
            if row.credential == new.credential:
                return Added(row.id, Outcome.UNCHANGED)
        self.changes += 1
        added = StoredAccount(
            id=f"new{len(self.rows) + 1}",
            name=new.name,
            group=new.group,
            position=len(self.rows),
            enabled=new.enabled,
            credential=new.credential,
            version=1,
            profile_arn=new.profile_arn,
            access_token=new.access_token,
            source=new.source,
        )
        self.rows[added.id] = added
        return Added(added.id, Outcome.ADDED)

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
        given = {
            "name": name,
            "group": group,
            "enabled": enabled,
            "position": position,
            "soft_cap": soft_cap,
        }
        return self._change(account_id, **{k: v for k, v in given.items() if v is not None})

    async def remove(self, account_id: str, reason: str) -> bool:
        return await self.account(account_id) is not None and self._change(
            account_id, removed=reason
        )

    async def set_user_id(self, account_id: str, user_id: str) -> str | None:
        own = self.rows[account_id]
        for row in await self.accounts():
            if row.user_id == user_id and row.group == own.group and row.id != account_id:
                self._change(account_id, removed=f"the same user as {row.name}")
                return row.id
        self._change(account_id, user_id=user_id)
        return None

    async def save_rotation(
        self,
        account_id: str,
        *,
        version: int,
        refresh_token: str,
        access_token: AccessToken,
        profile_arn: str,
    ) -> bool:
        self._check()
        if self.saves_fail:
            raise StoreError("the disk is full")
        row = self.rows[account_id]
        if row.version != version:
            return False
        self.rows[account_id] = msgspec.structs.replace(
            row,
            version=version + 1,
            credential=msgspec.structs.replace(row.credential, refresh_token=refresh_token),
            access_token=access_token,
            profile_arn=profile_arn,
        )
        return True

    async def save_models(self, account_id: str, *, models: bytes, fetched_at: float) -> None:
        self._change(account_id, models=models, models_fetched_at=fetched_at)

    async def save_condition(self, account_id: str, condition: Condition) -> None:
        self._change(account_id, condition=condition)
        self.conditions[account_id] = condition

    async def clear_condition(self, account_id: str) -> None:
        self._change(account_id, condition=None)
        self.conditions.pop(account_id, None)

    async def save_route(self, account_id: str, key: str) -> None:
        self._change(account_id, route=key)

    async def save_profile(self, account_id: str, arn: str) -> None:
        self._change(account_id, profile_arn=arn)

    async def save_quota(self, account_id: str, quota: bytes, *, fetched_at: float) -> None:
        self._change(account_id, quota=quota, quota_fetched_at=fetched_at)

    async def acquire_lease(
        self, account_id: str, *, holder: str, now: float, for_s: float
    ) -> bool:
        self._check()
        other, until = self.leases.get(account_id, (holder, 0.0))
        if other != holder and until > now:
            return False
        self.leases[account_id] = (holder, now + for_s)
        return True

    async def release_lease(self, account_id: str, holder: str) -> None:
        self._check()
        if self.leases.get(account_id, ("", 0.0))[0] == holder:
            del self.leases[account_id]


Piece = bytes | Exception


class FakeTransfer:
    """A response whose body comes in the given pieces; an exception among them is raised."""

    def __init__(
        self, status: int = 200, *pieces: Piece, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = headers or {}
        self.idle_limit_s = 0.0
        self.cancelled = False
        self._pieces = list(pieces)

    async def read(self) -> bytes:
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def read_all(self, max_bytes: int) -> bytes:
        whole = b""
        while data := await self.read():
            whole += data
        return whole[:max_bytes]

    def cancel(self) -> None:
        self.cancelled = True


class FakeUpstream:
    """Answers calls from a script: by default each call is answered by `answer(call)`."""

    def __init__(self, answer: Callable[[HttpCall], FakeTransfer | Exception]) -> None:
        self._answer = answer
        self.calls: list[HttpCall] = []
        self.transfers: list[FakeTransfer] = []

    async def open(self, call: HttpCall, *, first_byte_s: float) -> FakeTransfer:
        self.calls.append(call)
        transfer = self._answer(call)
        if isinstance(transfer, Exception):
            raise transfer
        self.transfers.append(transfer)
        return transfer

    async def fetch(self, call: HttpCall, *, total_s: float) -> HttpAnswer:
        transfer = await self.open(call, first_byte_s=total_s)
        return HttpAnswer(transfer.status, transfer.headers, await transfer.read_all(1 << 20))


class FakeSink:
    """Keeps what is delivered, and when content was committed."""

    def __init__(self, *, commits: bool = True) -> None:
        self.content_committed = False
        self.events: list[StreamEvent] = []
        self.restarts = 0
        self._commits = commits

    async def deliver(self, events: Sequence[StreamEvent]) -> None:
        if self._commits and any(type(event) in CONTENT_EVENTS for event in events):
            self.content_committed = True
        self.events += events

    def restart(self) -> None:
        self.restarts += 1
        if not self.content_committed:
            self.events.clear()


def payload_event(kind: str, body: object) -> bytes:
    """Return one frame that carries `body` as an event of `kind`."""
    headers = [
        Header(":message-type", "event"),
        Header(":event-type", kind),
        Header(":content-type", "application/json"),
    ]
    return encode_frame(headers, encode(body))


def text_reply(*texts: str) -> bytes:
    """Return the body of a whole reply that says `texts`, one frame each, with its tail."""
    frames = [payload_event("assistantResponseEvent", {"content": text}) for text in texts]
    tail = payload_event("metadataEvent", {"stopReason": "END_TURN"})
    return b"".join(frames) + tail


def stored_account(name: str = "a", **changes: Any) -> StoredAccount:
    """Return an account as the store has it, with a token that is good for an hour."""
    account = StoredAccount(
        id=name,
        name=name,
        group="default",
        position=0,
        enabled=True,
        credential=Credential(AuthKind.SOCIAL, f"refresh-{name}"),
        version=1,
        access_token=AccessToken(f"access-{name}", FakeClock().wall() + 3600),
    )
    return msgspec.structs.replace(account, **changes)
