"""What other processes change in the store: noticed by its revision, taken over without a break."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from kiro2api import logs
from kiro2api.errors import StoreError
from kiro2api.gateway.catalogue import restore_models
from kiro2api.gateway.ports import AccountStore, Clock, StoredAccount
from kiro2api.gateway.roster import Entry, Roster, make_entry, shifted
from kiro2api.logs import LogEvent
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.codewhisperer.endpoints import Endpoints

POLL_S = 1.0


class Reload:
    """Keeps the roster as the store has it; one for the whole program.

    `others` are told of a new revision as well: whoever keeps other parts of the store in memory.
    """

    def __init__(
        self,
        *,
        roster: Roster,
        store: AccountStore,
        clock: Clock,
        endpoints: Endpoints,
        others: tuple[Callable[[], Awaitable[None]], ...] = (),
    ) -> None:
        self._roster = roster
        self._store = store
        self._clock = clock
        self._endpoints = endpoints
        self._others = others
        self._revision = -1

    async def run_forever(self) -> None:
        """Look at the revision every second until cancelled."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                logs.write(LogEvent.STORE_READ_FAILED, what="changes", reason=str(error))
            await self._clock.sleep(POLL_S)

    async def look(self) -> None:
        """Take over what has changed since the last look.

        Raises:
            StoreError: the store cannot be read; the next look finds the change.
        """
        revision = await self._store.revision()
        if revision == self._revision:
            return
        for other in self._others:
            await other()
        kept = {
            entry.id: entry.kept
            for entry in self._roster.entries()
            if entry.id not in self._roster.saving
        }
        stored = {account.id: account for account in await self._store.accounts()}
        if self._take_over(stored, kept):
            self._revision = revision

    def _take_over(
        self, stored: Mapping[str, StoredAccount], kept: Mapping[str, Condition | None]
    ) -> bool:
        """Tell whether the roster is as the store now; `kept` is what it knew before the reading.

        A verdict that was being saved meanwhile is newer than what was read, or is not: the next
        look will tell.
        """
        present = {entry.id: entry for entry in self._roster.entries()}
        gone = [entry for entry in present.values() if entry.id not in stored]
        for entry in gone:
            self._roster.drop(entry.id)
        added = [account for account in stored.values() if account.id not in present]
        for account in added:
            self._roster.put(self._made(account))
        is_whole = True
        for account_id, entry in present.items():
            if account_id in stored:
                self._follow(entry, stored[account_id])
                if account_id in kept and kept[account_id] is entry.kept:
                    self._follow_verdict(entry, stored[account_id].condition)
                else:
                    is_whole = False
        if gone or added:
            logs.write(LogEvent.ACCOUNTS_RELOADED, added=len(added), removed=len(gone))
        return is_whole

    def _made(self, account: StoredAccount) -> Entry:
        entry = make_entry(
            account,
            endpoints=self._endpoints,
            wall_to_monotonic_s=self._clock.monotonic() - self._clock.wall(),
        )
        entry.models = restore_models(account.models)
        return entry

    def _follow(self, entry: Entry, account: StoredAccount) -> None:
        """Let an account in the pool be as the store says; what runs on it is left alone."""
        if account.version > entry.version:
            entry.adopt(account)
            if entry.account.condition.standing is Standing.NEEDS_LOGIN:
                # It was the login before this one that was refused.
                self._roster.record_recovery(entry, now=self._clock.monotonic())
        elif account.profile_arn != entry.profile_arn and account.profile_arn:
            entry.use_profile(account.profile_arn)
        entry.account = msgspec.structs.replace(
            entry.account,
            name=account.name,
            group=account.group,
            position=account.position,
            enabled=account.enabled,
            soft_cap=account.soft_cap,
        )

    def _follow_verdict(self, entry: Entry, stored: Condition | None) -> None:
        if stored == entry.kept:
            return
        # Neither what we read nor what we saved: a person, or another process, has spoken.
        entry.kept = stored
        self._roster.changed.discard(entry.id)
        condition = Condition()
        if stored is not None:
            condition = shifted(stored, self._clock.monotonic() - self._clock.wall())
        entry.apply(condition)
