"""The profile that an account works under: found once, kept, named in every call after."""

import asyncio

from kiro2api import logs
from kiro2api.errors import TransferError, UpstreamError
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.ports import AccountStore, Clock
from kiro2api.gateway.roster import Entry
from kiro2api.logs import LogEvent
from kiro2api.protocol.codewhisperer.credential import AuthKind
from kiro2api.protocol.codewhisperer.endpoints import (
    get_profile_call,
    profile_regions,
    profiles_call,
)
from kiro2api.protocol.codewhisperer.profiles import Profile, read_profile, read_profiles

# Social logins are told theirs with each token; a Builder ID has none of its own.
_LISTED = frozenset({AuthKind.IDC, AuthKind.EXTERNAL_IDP})
# A login that has no profile now may be given one later.
LOOK_AGAIN_S = 3600.0
MAX_PAGES = 10


class Profiles:
    """Finds profiles; one for the whole program."""

    def __init__(self, *, control: ControlPlane, store: AccountStore, clock: Clock) -> None:
        self._control = control
        self._store = store
        self._clock = clock
        self._looked_at: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def is_due(self, entry: Entry) -> bool:
        """Tell whether the account has no profile, could have one, and was not asked lately."""
        if entry.profile_arn or not _may_have_one(entry):
            return False
        looked_at = self._looked_at.get(entry.id)
        return looked_at is None or self._clock.monotonic() - looked_at > LOOK_AGAIN_S

    async def ensure(self, entry: Entry) -> None:
        """Return when the account's profile is known, or is known not to be there.

        A first request waits for this; those that come meanwhile wait with it.

        Raises:
            StoreError: the token of the account could not be refreshed and saved.
        """
        lock = self._locks.setdefault(entry.id, asyncio.Lock())
        async with lock:
            if not self.is_due(entry):
                return
            arn = await self._find(entry)
            self._looked_at[entry.id] = self._clock.monotonic()
            if arn:
                logs.write(LogEvent.PROFILE_DISCOVERED, account=entry.account.name)
                entry.use_profile(arn)
                # A client that leaves must not cut a transaction: the database could stay locked.
                await asyncio.shield(self._store.save_profile(entry.id, arn))

    async def _find(self, entry: Entry) -> str:
        """Return the ARN of the first profile that can be used; "" when there is none."""
        try:
            if entry.credential.kind is AuthKind.API_KEY:
                return (await self._own(entry)).arn
            for region in profile_regions(entry.credential.region):
                for profile in await self._listed(entry, region):
                    if profile.is_usable:
                        return profile.arn
        except (UpstreamError, TransferError) as error:
            logs.write(
                LogEvent.PROFILES_FETCH_FAILED, account=entry.account.name, reason=str(error)
            )
        return ""

    async def _listed(self, entry: Entry, region: str) -> list[Profile]:
        """Return the profiles in one region; a region that refuses says nothing of the others."""
        found: list[Profile] = []
        next_token = ""
        for _ in range(MAX_PAGES):
            try:
                page = read_profiles(await self._page(entry, region, next_token))
            except UpstreamError:
                return found
            found += page.profiles
            next_token = page.next_token
            if not next_token:
                break
        return found

    async def _page(self, entry: Entry, region: str, next_token: str) -> bytes:
        return await self._control.ask(
            entry,
            lambda token, form: profiles_call(
                kind=entry.credential.kind,
                token=token,
                form=form,
                region=region,
                endpoints=self._control.endpoints,
                user_agent=self._control.user_agent,
                next_token=next_token,
            ),
        )

    async def _own(self, entry: Entry) -> Profile:
        body = await self._control.ask(
            entry,
            lambda token, _form: get_profile_call(
                kind=entry.credential.kind,
                token=token,
                region=entry.credential.region,
                endpoints=self._control.endpoints,
                user_agent=self._control.user_agent,
            ),
        )
        return read_profile(body)


def _may_have_one(entry: Entry) -> bool:
    kind = entry.credential.kind
    return kind in _LISTED or kind is AuthKind.API_KEY
