"""Whether an account works: one real refresh and the calls that ask for its models and credits."""

from collections.abc import Awaitable

import msgspec

from kiro2api.errors import FaultKind, TransferError, UpstreamError
from kiro2api.gateway.catalogue import Catalogue
from kiro2api.gateway.ports import Clock
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Entry, Roster
from kiro2api.gateway.usage import UsagePolls
from kiro2api.pool.account import Standing
from kiro2api.protocol.codewhisperer.mask import mask

# Refusals of the call about credits that are about the account, and not about that call alone.
_TELLING = (FaultKind.TOKEN_REJECTED, FaultKind.SUSPENDED)


class Step(msgspec.Struct, frozen=True):
    """One call of a check: what was asked, whether it went well, and what came of it."""

    name: str
    passed: bool
    detail: str


class Check(msgspec.Struct, frozen=True):
    """The check of one account; `passed` tells that it can serve as far as this can be known."""

    account_id: str
    passed: bool
    steps: tuple[Step, ...]


class Checkup:
    """Checks accounts by the very functions with which the gateway serves; lives for one command."""

    def __init__(
        self,
        *,
        roster: Roster,
        renewal: Renewal,
        profiles: Profiles,
        catalogue: Catalogue,
        usage: UsagePolls,
        clock: Clock,
    ) -> None:
        self._roster = roster
        self._renewal = renewal
        self._profiles = profiles
        self._catalogue = catalogue
        self._usage = usage
        self._clock = clock

    async def check(self, entry: Entry) -> Check:
        """Return whether `entry` works; one that does loses a verdict that has no end of its own.

        Raises:
            StoreError: the store is away, so that a rotation could not be saved.
        """
        login, _ = await _tried("login", self._login(entry))
        if not login.passed:
            return Check(entry.id, False, (login,))
        await self._profiles.ensure(entry)
        models, refusal = await _tried("models", self._models(entry))
        if refusal is FaultKind.TOKEN_REJECTED and not entry.credential.refreshes:
            # A key that is refused has no other life: this marks the account as a refresh would.
            await _tried("login", self._renewed(entry))
        usage, trouble = await _tried("credits", self._credits(entry))
        passed = models.passed and trouble not in _TELLING
        if passed:
            self._welcome_back(entry)
        return Check(entry.id, passed, (login, models, usage))

    async def _login(self, entry: Entry) -> str:
        if not entry.credential.refreshes:
            return "an API key, which is not refreshed"
        return await self._renewed(entry)

    async def _renewed(self, entry: Entry) -> str:
        token = await self._renewal.renew(entry)
        return f"refreshed, good for {token.expires_at - self._clock.wall():.0f} s"

    async def _models(self, entry: Entry) -> str:
        await self._catalogue.fetch(entry)
        return f"{len(entry.models or ())} models"

    async def _credits(self, entry: Entry) -> str:
        await self._usage.poll(entry)
        return "unknown" if entry.quota is None else f"{entry.quota.remaining:g} credits left"

    def _welcome_back(self, entry: Entry) -> None:
        condition = entry.account.condition
        if condition.standing is not Standing.READY and condition.until is None:
            self._roster.record_recovery(entry, now=self._clock.monotonic())


async def _tried(name: str, call: Awaitable[str]) -> tuple[Step, FaultKind | None]:
    """Return how the call went, and the kind of its fault if the upstream refused it."""
    try:
        return Step(name, True, await call), None
    except UpstreamError as error:
        return Step(name, False, mask(error.message) or str(error.kind)), error.kind
    except TransferError as error:
        return Step(name, False, error.message), None
