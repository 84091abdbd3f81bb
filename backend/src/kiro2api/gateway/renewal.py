"""Access tokens that are always fresh: one refresh per account at a time, saved before first use."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from kiro2api import logs
from kiro2api.errors import FaultKind, StoreError, TransferError, UpstreamError
from kiro2api.gateway.following import FOLLOW
from kiro2api.gateway.ports import AccessToken, AccountStore, Clock, Upstream
from kiro2api.gateway.roster import Entry, Roster
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.logs import LogEvent
from kiro2api.pool.account import Standing
from kiro2api.pool.transitions import Fault
from kiro2api.protocol.codewhisperer.auth import Refreshed, read_refresh, refresh_call
from kiro2api.protocol.codewhisperer.endpoints import Endpoints

# A token this close to its end is not sent any more: the request could outlive it on the way.
USABLE_MARGIN_S = 60.0
# From here on the background refreshes it.
AHEAD_S = 600.0
CALL_LIMIT_S = 30.0
# A refresh that the network failed is tried again inside the waiting request.
RETRY_DELAYS_S = (0.1, 0.3)
# ... and keeps the account out no longer than this.
TRANSIENT_OUT_S = 1.0
# A process that was killed in a refresh keeps the others from theirs for no longer than this.
LEASE_S = 10.0
PROLONG_S = 3.0
# How often a process looks whether the one that holds the lease is done.
LOOK_S = 0.1


Follow = Callable[[str], Awaitable[None]]
"""Brings the store up to what the file of another program at that path holds now."""


class Unsaved(msgspec.Struct, frozen=True):
    """A rotation that the upstream has made and the store has not taken yet."""

    version: int
    refresh_token: str
    token: AccessToken
    profile_arn: str

    def __repr__(self) -> str:
        """Name the version alone: a secret must not reach a log by way of a repr."""
        return f"Unsaved({self.version})"


class Renewal:
    """Hands out access tokens and refreshes them; one for the whole program.

    The background, an expired token, a rejected one and the command line all come through `renew`.
    Across processes a lease in the store makes it one refresh at a time, and the version of the
    credential keeps a holder that slept through its lease from overwriting the next one's.
    `holder` names this process; `follow` looks at the file of an account that lives in another
    program's, which may have a newer login, or a bearer that is good still.

    If the process is killed after the upstream has rotated a token and before it is saved, that
    token is lost: the next refresh is refused, and the account says that it needs a login.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        store: AccountStore,
        roster: Roster,
        tasks: TaskOwner,
        clock: Clock,
        endpoints: Endpoints,
        user_agent: str,
        holder: str,
        follow: Follow | None = None,
    ) -> None:
        self._holder = holder
        self._follow = follow
        self._upstream = upstream
        self._store = store
        self._roster = roster
        self._tasks = tasks
        self._clock = clock
        self._endpoints = endpoints
        self._user_agent = user_agent
        self._running: dict[str, asyncio.Task[AccessToken]] = {}
        self._unsaved: dict[str, Unsaved] = {}

    def is_due(self, entry: Entry, *, ahead_s: float) -> bool:
        """Tell whether the token of `entry` is absent or ends within `ahead_s`."""
        if not entry.credential.refreshes:
            return False
        return entry.token is None or entry.token.expires_at - self._clock.wall() < ahead_s

    async def fresh_token(self, entry: Entry) -> str:
        """Return a bearer that is good now, refreshing it first when it is not.

        Raises:
            UpstreamError: the login is refused (`TOKEN_REJECTED`) or the login service is away.
            StoreError: the store is away, so that a rotation could not be saved.
        """
        if not entry.credential.refreshes:
            return entry.credential.api_key
        token = entry.token
        if token is not None and token.expires_at - self._clock.wall() >= USABLE_MARGIN_S:
            return token.value
        try:
            return (await self.renew(entry)).value
        except (UpstreamError, StoreError):
            # The old bearer is good for its last seconds; better those than a failed request.
            if token is not None and token.expires_at > self._clock.wall():
                return token.value
            raise

    async def renew(self, entry: Entry, *, rejected: str = "") -> AccessToken:
        """Return a token that was refreshed after this call, or by the refresh under way.

        `rejected` is the bearer that the upstream refused: if the account has another one by now,
        that one is returned without a refresh.

        Raises:
            UpstreamError, StoreError: as `fresh_token`.
        """
        if rejected and entry.token is not None and entry.token.value != rejected:
            return entry.token
        task = self._running.get(entry.id)
        if task is not None and rejected:
            token = await asyncio.shield(task)
            if token.value != rejected:
                return token
            # It was all but over: what it has brought is what was rejected.
            task = self._running.get(entry.id)
        if task is None:
            task = self._tasks.start(self._renew(entry, rejected))
            self._running[entry.id] = task
            task.add_done_callback(lambda _: self._running.pop(entry.id, None))
        # A client that leaves must not cancel the refresh that others wait for.
        return await asyncio.shield(task)

    async def _renew(self, entry: Entry, rejected: str) -> AccessToken:
        try:
            token = await self._refresh(entry, rejected)
        except UpstreamError as error:
            self._record(entry, error)
            raise
        self._welcome_back(entry)
        return token

    async def _refresh(self, entry: Entry, rejected: str) -> AccessToken:
        if (token := await self._saved_now(entry, rejected)) is not None:
            return token
        while True:
            if (token := await self._adopted(entry, rejected)) is not None:
                return token
            now = self._clock.wall()
            if await self._store.acquire_lease(
                entry.id, holder=self._holder, now=now, for_s=LEASE_S
            ):
                break
            await self._clock.sleep(LOOK_S)
        prolonging = self._tasks.start(self._prolong(entry.id))
        try:
            return await self._refresh_alone(entry, rejected)
        finally:
            prolonging.cancel()
            await self._release(entry.id)

    async def _prolong(self, account_id: str) -> None:
        while True:
            # By real time, as the lease runs out, whatever the clock of the program says.
            await asyncio.sleep(PROLONG_S)
            now = self._clock.wall()
            # The end of the refresh must not cut a transaction: the database could stay locked.
            await asyncio.shield(
                self._store.acquire_lease(account_id, holder=self._holder, now=now, for_s=LEASE_S)
            )

    async def _release(self, account_id: str) -> None:
        try:
            await self._store.release_lease(account_id, self._holder)
        except StoreError as error:
            # It ends by itself; whoever waits for it waits a little longer.
            logs.write(LogEvent.STORE_WRITE_FAILED, what="a lease", reason=str(error))

    async def _refresh_alone(self, entry: Entry, rejected: str) -> AccessToken:
        await self._bring_up(entry)
        # Whoever had the lease before us may have refreshed while we waited for it.
        if (token := await self._adopted(entry, rejected)) is not None:
            return token
        await self._store.prove_writable()
        try:
            refreshed = await self._call(entry)
        except UpstreamError as error:
            if error.kind is not FaultKind.TOKEN_REJECTED:
                raise
            # Somebody else may have rotated the credential since we read it.
            await self._bring_up(entry)
            if not await self._reread(entry):
                raise
            if (token := await self._adopted(entry, rejected)) is not None:
                return token
            refreshed = await self._call(entry)
        return await self._save(entry, self._rotation(entry, refreshed))

    async def _bring_up(self, entry: Entry) -> None:
        """Let the store have what the program that owns the login of `entry` has made of it."""
        if self._follow is not None and entry.source.startswith(FOLLOW):
            await self._follow(entry.source.removeprefix(FOLLOW))

    async def _adopted(self, entry: Entry, rejected: str) -> AccessToken | None:
        """Return a good token that the store has and we had not; None when there is none."""
        before = entry.version
        await self._reread(entry)
        token = entry.token
        if token is None or token.value == rejected or entry.version == before:
            return None
        return None if self.is_due(entry, ahead_s=USABLE_MARGIN_S) else token

    async def _reread(self, entry: Entry) -> bool:
        """Adopt the stored credential if it is newer; tell whether it was."""
        stored = await self._store.account(entry.id)
        if stored is None or stored.version == entry.version:
            return False
        entry.adopt(stored)
        return True

    async def _call(self, entry: Entry) -> Refreshed:
        call = refresh_call(
            entry.credential, endpoints=self._endpoints, user_agent=self._user_agent
        )
        for delay_s in (*RETRY_DELAYS_S, None):
            try:
                return read_refresh(await self._upstream.fetch(call, total_s=CALL_LIMIT_S))
            except TransferError as error:
                failure = UpstreamError(
                    FaultKind.NETWORK,
                    f"the login service did not answer: {error.message}",
                    status=503,
                )
            except UpstreamError as error:
                if error.kind not in (FaultKind.OVERLOADED, FaultKind.NETWORK):
                    raise
                failure = UpstreamError(error.kind, error.message, status=503)
            if delay_s is None:
                raise failure
            await self._clock.sleep(delay_s)
        raise AssertionError("unreachable: the last round returns or raises")

    def _rotation(self, entry: Entry, refreshed: Refreshed) -> Unsaved:
        expires_at = self._clock.wall() + refreshed.expires_in_s
        return Unsaved(
            entry.version,
            refreshed.refresh_token or entry.credential.refresh_token,
            AccessToken(refreshed.access_token, expires_at),
            refreshed.profile_arn or entry.profile_arn,
        )

    async def _saved_now(self, entry: Entry, rejected: str) -> AccessToken | None:
        """Return the good token of a rotation that could not be saved before; None without one."""
        unsaved = self._unsaved.get(entry.id)
        if unsaved is None:
            return None
        token = await self._save(entry, unsaved)
        if token.value == rejected or self.is_due(entry, ahead_s=USABLE_MARGIN_S):
            return None
        return token

    async def _save(self, entry: Entry, rotation: Unsaved) -> AccessToken:
        """Return the token once it is durable; a rotation that cannot be saved is kept for later."""
        self._unsaved[entry.id] = rotation
        saved = await self._store.save_rotation(
            entry.id,
            version=rotation.version,
            refresh_token=rotation.refresh_token,
            access_token=rotation.token,
            profile_arn=rotation.profile_arn,
        )
        del self._unsaved[entry.id]
        if saved:
            logs.write(
                LogEvent.ACCESS_TOKEN_REFRESHED,
                account=entry.account.name,
                valid_s=round(rotation.token.expires_at - self._clock.wall()),
            )
        if not await self._reread(entry) and saved:
            raise StoreError(f"the saved credential of account {entry.id} is not in the store")
        if entry.token is None:
            raise UpstreamError(FaultKind.OVERLOADED, "another process holds the refresh; retry")
        return entry.token

    def _welcome_back(self, entry: Entry) -> None:
        """Put an account back whose login was refused before, and works now."""
        if entry.account.condition.standing is Standing.NEEDS_LOGIN:
            self._roster.record_recovery(entry, now=self._clock.monotonic())

    def _record(self, entry: Entry, error: UpstreamError) -> None:
        now = self._clock.monotonic()
        if error.kind is FaultKind.TOKEN_REJECTED:
            self._roster.record_login_refused(entry, error.message, now=now)
        elif error.kind in (FaultKind.OVERLOADED, FaultKind.NETWORK):
            if self.is_due(entry, ahead_s=0.0):
                self._roster.record_pause(entry, error.message, now=now, for_s=TRANSIENT_OUT_S)
        else:
            fault = Fault(error.kind, reason=error.message, retry_after_s=error.retry_after_s)
            self._roster.record_fault(entry, fault, now=now, jitter=0.0)
