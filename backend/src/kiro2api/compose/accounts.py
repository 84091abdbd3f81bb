"""The accounts with all that looks after them: for the gateway, and for commands that use one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kiro2api import logs
from kiro2api.compose.settings import endpoints_of, upstream_options
from kiro2api.compose.system import SystemChance, SystemClock
from kiro2api.config import Installation, Settings
from kiro2api.errors import Kiro2apiError
from kiro2api.gateway.catalogue import Catalogue, restore_models
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.following import Following
from kiro2api.gateway.intake import Intake
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Roster, make_entry
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.gateway.upkeep import Upkeep
from kiro2api.gateway.usage import UsagePolls
from kiro2api.logs import LogEvent
from kiro2api.store.credential_files import FollowedFiles, load_accounts
from kiro2api.store.opening import Store
from kiro2api.upstream.client import CurlUpstream

# A refresh that is cut off loses the login when the upstream has rotated it already.
REFRESH_GRACE_S = 5.0


class Accounts:
    """The accounts of one store, and those who look after them; made by `open_accounts`."""

    def __init__(self, settings: Settings, store: Store, roster: Roster) -> None:
        self._store = store
        self.clock = SystemClock()
        self.chance = SystemChance()
        self.endpoints = endpoints_of(settings)
        self.roster = roster
        self.upstream = CurlUpstream(upstream_options(settings))
        self.tasks = TaskOwner(lambda error: log_crash(error, "background"))
        self._refreshes = TaskOwner(_log_refresh_crash)
        self.following = Following(
            store=store.accounts,
            files=FollowedFiles(region=settings.region),
            clock=self.clock,
        )
        self.renewal = Renewal(
            upstream=self.upstream,
            store=store.accounts,
            roster=roster,
            tasks=self._refreshes,
            clock=self.clock,
            endpoints=self.endpoints,
            user_agent=settings.user_agent,
            holder=self.chance.id(),
            follow=self.following.bring_up,
        )
        control = ControlPlane(
            upstream=self.upstream,
            renewal=self.renewal,
            endpoints=self.endpoints,
            user_agent=settings.user_agent,
        )
        self.profiles = Profiles(control=control, store=store.accounts, clock=self.clock)
        self.catalogue = Catalogue(control=control, store=store.accounts, clock=self.clock)
        self.usage = UsagePolls(
            control=control,
            store=store.accounts,
            roster=roster,
            clock=self.clock,
            chance=self.chance,
        )
        self.upkeep = Upkeep(
            roster=roster,
            renewal=self.renewal,
            profiles=self.profiles,
            catalogue=self.catalogue,
            usage=self.usage,
            store=store.accounts,
            tasks=self.tasks,
            clock=self.clock,
            chance=self.chance,
        )

    async def close(self) -> None:
        """End what runs, let a rotation be saved, and keep the verdicts."""
        await self._store.quiet()
        await self.tasks.close()
        await self._refreshes.close(grace_s=REFRESH_GRACE_S)
        await self.upkeep.save_verdicts()
        await self.upstream.close()


@asynccontextmanager
async def open_accounts(settings: Settings, store: Store) -> AsyncIterator[Accounts]:
    """Give the accounts of `store` until the block ends; nothing runs in the background yet."""
    accounts = Accounts(settings, store, await _load_roster(settings, store))
    try:
        yield accounts
    finally:
        await accounts.close()


async def _load_roster(settings: Settings, store: Store) -> Roster:
    clock, endpoints = SystemClock(), endpoints_of(settings)
    offset_s = clock.monotonic() - clock.wall()
    entries = []
    for stored in await store.accounts.accounts():
        entry = make_entry(stored, endpoints=endpoints, wall_to_monotonic_s=offset_s)
        entry.models = restore_models(stored.models)
        entries.append(entry)
    return Roster(entries)


async def sync_accounts(settings: Settings, installation: Installation, store: Store) -> None:
    """Make the configured accounts of `store` be those of `KIRO_AUTH_TOKEN`."""
    if not settings.auth_token:
        intake = Intake()
    else:
        intake = load_accounts(settings.auth_token, installation, region=settings.region)
    for problem in intake.problems:
        logs.write(LogEvent.ACCOUNT_ENTRY_SKIPPED, index=problem.index, reason=problem.reason)
    report = await store.accounts.sync_configured(intake.entries)
    for index in report.duplicates:
        logs.write(
            LogEvent.ACCOUNT_ENTRY_SKIPPED, index=index, reason="the account is there already"
        )
    logs.write(
        LogEvent.ACCOUNTS_SYNCED,
        added=len(report.added),
        kept=len(report.kept),
        removed=len(report.removed),
    )


def log_crash(error: BaseException, where: str) -> None:
    """Log a bug with its traceback."""
    logs.write(LogEvent.REQUEST_CRASHED, request_id=where, exc_info=error)


def _log_refresh_crash(error: BaseException) -> None:
    # A login that is refused is no bug: whoever waits for the refresh tells of it.
    if not isinstance(error, Kiro2apiError):
        log_crash(error, "refresh")
