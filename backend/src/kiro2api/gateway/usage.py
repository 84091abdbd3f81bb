"""What accounts have left: polled in the background, kept with its age, never on a request's way."""

from kiro2api import logs
from kiro2api.errors import FaultKind
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.ports import AccountStore, Chance, Clock
from kiro2api.gateway.roster import Entry, Roster
from kiro2api.logs import LogEvent
from kiro2api.pool.account import Standing
from kiro2api.pool.transitions import Fault
from kiro2api.protocol.codewhisperer.endpoints import usage_call
from kiro2api.protocol.codewhisperer.quota import Quota, read_usage, write_quota

MAX_AGE_S = 900.0
# A failed poll is tried again after this long.
RETRY_S = 300.0
# So many rate limits in a row may be a used-up month under another name.
SUSPICIOUS_STRIKES = 3
# What is older than this is shown as stale.
STALE_S = 2 * MAX_AGE_S


class UsagePolls:
    """Asks what accounts have left; one for the whole program."""

    def __init__(
        self,
        *,
        control: ControlPlane,
        store: AccountStore,
        roster: Roster,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._control = control
        self._store = store
        self._roster = roster
        self._clock = clock
        self._chance = chance
        self._not_before: dict[str, float] = {}

    def is_due(self, entry: Entry) -> bool:
        """Tell whether the numbers are old, or a verdict makes newer ones worth a call."""
        now = self._clock.monotonic()
        if self._not_before.get(entry.id, 0.0) > now:
            return False
        age_s = self._clock.wall() - entry.quota_fetched_at
        return age_s > MAX_AGE_S or self._is_wanted(entry, age_s)

    def _is_wanted(self, entry: Entry, age_s: float) -> bool:
        condition = entry.account.condition
        since_s = self._clock.monotonic() - condition.since
        if age_s <= since_s:
            return False  # asked since the verdict
        drained = condition.standing is Standing.DRAINED
        return drained or condition.strikes >= SUSPICIOUS_STRIKES

    async def poll(self, entry: Entry) -> None:
        """Put what is left now into `entry` and into the store, and move a drained account by it.

        Raises:
            UpstreamError, TransferError, StoreError: the old numbers stay. No refusal of this call
                is held against the account: the permission for it says nothing about generation.
        """
        self._not_before[entry.id] = self._clock.monotonic() + RETRY_S
        body = await self._control.ask(
            entry,
            lambda token, form: usage_call(
                kind=entry.credential.kind,
                token=token,
                form=form,
                profile_arn=entry.profile_arn,
                region=entry.credential.region,
                endpoints=self._control.endpoints,
                user_agent=self._control.user_agent,
            ),
        )
        quota = read_usage(body, now=self._clock.wall())
        # So that thirty accounts that started together do not ask together for ever.
        jitter_s = 0.2 * MAX_AGE_S * self._chance.fraction()
        self._not_before[entry.id] = self._clock.monotonic() + 1.0 + jitter_s
        entry.know_quota(quota, fetched_at=self._clock.wall())
        self._judge(entry, quota)
        logs.write(LogEvent.USAGE_POLLED, account=entry.account.name, credits_left=quota.remaining)
        await self._store.save_quota(
            entry.id, write_quota(quota), fetched_at=entry.quota_fetched_at
        )
        if quota.user_id:
            await self._note_user(entry, quota.user_id)

    def _judge(self, entry: Entry, quota: Quota) -> None:
        """Let a drained account return when the upstream says; find out one that hides it."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        condition = entry.account.condition
        resets_at = None if quota.resets_at is None else now + quota.resets_at - wall
        if condition.standing is Standing.DRAINED:
            if quota.remaining > 0:
                self._roster.record_recovery(entry, now=now)
            elif resets_at is not None and resets_at > now:
                self._roster.record_reset(entry, resets_at, now=now)
        elif quota.remaining <= 0 and condition.strikes >= SUSPICIOUS_STRIKES:
            fault = Fault(FaultKind.OUT_OF_QUOTA, reason="no credits are left", resets_at=resets_at)
            self._roster.record_fault(entry, fault, now=now, jitter=0.0)

    async def _note_user(self, entry: Entry, user_id: str) -> None:
        """Tell the store whose the account is: two of one user are one account."""
        stays = await self._store.set_user_id(entry.id, user_id)
        if stays is not None:
            logs.write(LogEvent.ACCOUNTS_MERGED, account=entry.account.name, into=stays)
