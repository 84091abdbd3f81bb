"""The background: tokens refreshed ahead, profiles, models and usage fetched, verdicts saved."""

import asyncio

from kiro2api import logs
from kiro2api.errors import StoreError, TransferError, UpstreamError
from kiro2api.gateway.catalogue import Catalogue
from kiro2api.gateway.ports import AccountStore, Chance, Clock
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.renewal import AHEAD_S, Renewal
from kiro2api.gateway.roster import Entry, Roster, shifted
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.gateway.usage import UsagePolls
from kiro2api.logs import LogEvent
from kiro2api.pool.account import Standing
from kiro2api.pool.selection import in_force

ROUND_S = 2.0
# Calls of the background at one time, so that thirty accounts do not call at once.
PARALLEL = 2
FIRST_RETRY_S = 15.0
MAX_RETRY_S = 600.0
_OUT_UNTIL_A_PERSON_ACTS = frozenset(
    {Standing.NEEDS_LOGIN, Standing.SUSPENDED, Standing.NOT_ENTITLED}
)


class Upkeep:
    """Looks after the accounts; one for the whole program."""

    def __init__(
        self,
        *,
        roster: Roster,
        renewal: Renewal,
        profiles: Profiles,
        catalogue: Catalogue,
        usage: UsagePolls,
        store: AccountStore,
        tasks: TaskOwner,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._roster = roster
        self._renewal = renewal
        self._profiles = profiles
        self._catalogue = catalogue
        self._usage = usage
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._chance = chance
        self._busy: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._slots = asyncio.Semaphore(PARALLEL)

    async def run_forever(self) -> None:
        """Make a round every few seconds until cancelled."""
        while True:
            self.start_round()
            await self.save_verdicts()
            await self._clock.sleep(ROUND_S)

    def start_round(self) -> None:
        """Start the work that is due; accounts that are being looked after are left alone."""
        now = self._clock.monotonic()
        for entry in self._roster.entries():
            if entry.id in self._busy or self._not_before.get(entry.id, 0.0) > now:
                continue
            if self._is_cared_for(entry, now) and self._is_due(entry):
                self._busy.add(entry.id)
                self._tasks.start(self._care(entry))

    async def save_verdicts(self) -> None:
        """Write what must survive a restart; what fails is tried next round."""
        offset_s = self._clock.wall() - self._clock.monotonic()
        for account_id in tuple(self._roster.changed):
            entry = self._roster.find(account_id)
            if entry is None:
                self._roster.changed.discard(account_id)
                continue
            condition = entry.account.condition
            kept = shifted(condition, offset_s)
            # Who reads the store meanwhile must not take either verdict for somebody else's.
            self._roster.saving.add(account_id)
            try:
                await self._store.save_condition(account_id, kept)
                entry.kept = kept
            except StoreError as error:
                logs.write(LogEvent.STORE_WRITE_FAILED, what="a verdict", reason=str(error))
                continue
            finally:
                self._roster.saving.discard(account_id)
            # Only now: the end of the program may cut this round, and its last one saves the rest.
            if entry.account.condition is condition:
                self._roster.changed.discard(account_id)
        await self._save_routes()

    async def _save_routes(self) -> None:
        for entry in self._roster.entries():
            if entry.proven_route != entry.kept_route:
                try:
                    await self._store.save_route(entry.id, entry.proven_route)
                    entry.kept_route = entry.proven_route
                except StoreError as error:
                    logs.write(LogEvent.STORE_WRITE_FAILED, what="a route", reason=str(error))

    def _is_cared_for(self, entry: Entry, now: float) -> bool:
        condition = entry.account.condition
        return entry.account.enabled and not (
            in_force(condition, now=now) and condition.standing in _OUT_UNTIL_A_PERSON_ACTS
        )

    def _is_due(self, entry: Entry) -> bool:
        return (
            self._renewal.is_due(entry, ahead_s=AHEAD_S)
            or self._profiles.is_due(entry)
            or self._catalogue.is_due(entry)
            or self._usage.is_due(entry)
        )

    async def _care(self, entry: Entry) -> None:
        step = LogEvent.ACCESS_TOKEN_REFRESH_FAILED
        try:
            async with self._slots:
                if self._renewal.is_due(entry, ahead_s=AHEAD_S):
                    await self._renew(entry)
                await self._profiles.ensure(entry)
                step = LogEvent.MODELS_FETCH_FAILED
                if self._catalogue.is_due(entry):
                    await self._catalogue.fetch(entry)
            self._failures.pop(entry.id, None)
        except (UpstreamError, TransferError, StoreError) as error:
            self._postpone(entry, step)
            logs.write(step, account=entry.account.name, reason=str(error))
        except Exception:
            # A bug: told with its traceback by the owner of the tasks, but not every two seconds.
            self._postpone(entry, step)
            raise
        else:
            await self._poll_usage(entry)
        finally:
            self._busy.discard(entry.id)

    async def _renew(self, entry: Entry) -> None:
        token = await self._renewal.renew(entry)
        left_s = token.expires_at - self._clock.wall()
        if left_s < AHEAD_S:
            # A token of a short life would be due again at once: half of it may pass first.
            pause_s = max(left_s / 2, FIRST_RETRY_S)
            self._not_before[entry.id] = self._clock.monotonic() + pause_s

    async def _poll_usage(self, entry: Entry) -> None:
        """Ask what is left; a failure costs nothing but the knowledge."""
        if not self._usage.is_due(entry):
            return
        try:
            async with self._slots:
                await self._usage.poll(entry)
        except (UpstreamError, TransferError, StoreError) as error:
            logs.write(LogEvent.USAGE_POLL_FAILED, account=entry.account.name, reason=str(error))

    def _postpone(self, entry: Entry, step: LogEvent) -> None:
        failures = self._failures.get(entry.id, 0) + 1
        self._failures[entry.id] = failures
        delay_s = min(FIRST_RETRY_S * 2 ** min(failures - 1, 10), MAX_RETRY_S)
        jittered_s = delay_s * (0.75 + 0.5 * self._chance.fraction())
        if step is not LogEvent.ACCESS_TOKEN_REFRESH_FAILED and entry.token is not None:
            # What else fails must not hold up the next refresh.
            left_s = entry.token.expires_at - AHEAD_S - self._clock.wall()
            jittered_s = min(jittered_s, max(left_s, FIRST_RETRY_S))
        self._not_before[entry.id] = self._clock.monotonic() + jittered_s
