"""The accounts in memory: what the pool decides about, with the secrets that serving needs."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kiro2api import logs
from kiro2api.gateway.ports import AccessToken, GroupSettings, StoredAccount
from kiro2api.logs import LogEvent
from kiro2api.pool.account import Account, Condition, Standing
from kiro2api.pool.group import DEFAULT_GROUP
from kiro2api.pool.selection import in_force
from kiro2api.pool.transitions import (
    Fault,
    after_fault,
    after_login_refused,
    after_recovery,
    after_success,
)
from kiro2api.protocol.codewhisperer.endpoints import Endpoints, Route, WireForm, strategies
from kiro2api.protocol.codewhisperer.models import UpstreamModel
from kiro2api.protocol.codewhisperer.quota import Quota, restore_quota

# Verdicts shorter than this are not worth a row.
KEPT_FROM_S = 30.0
_DEFAULT_SETTINGS = GroupSettings()


class Entry:
    """One account with its secrets; lives as long as the account is in the pool.

    The roster owns it; only the event loop's thread touches it.
    """

    def __init__(self, stored: StoredAccount, account: Account, endpoints: Endpoints) -> None:
        self.account = account
        self._endpoints = endpoints
        self.routes: tuple[Route, ...] = ()
        self._route_keys: list[str] = []
        self.route_index = 0
        self.models = None
        self.models_fetched_at = stored.models_fetched_at
        self.source = stored.source
        # The condition as the store has it, in wall time: another one there is somebody else's.
        self.kept = stored.condition
        # The form in which the control plane's host takes calls, as far as it has shown.
        self.control_form = WireForm.REST
        self.quota: Quota | None = None
        self.quota_fetched_at = 0.0
        # The way that has served a request, and the way that the store remembers as such.
        self.proven_route = self.kept_route = stored.route
        self.adopt(stored)
        quota = restore_quota(stored.quota)
        if quota is not None:
            self.know_quota(quota, fetched_at=stored.quota_fetched_at)

    def adopt(self, stored: StoredAccount) -> None:
        """Take over the credential and the token as the store has them now."""
        self.credential = stored.credential
        self.version = stored.version
        self.token: AccessToken | None = stored.access_token
        self.use_profile(stored.profile_arn)

    def use_profile(self, profile_arn: str) -> None:
        """Work under `profile_arn` from now on ("" for none)."""
        self.profile_arn = profile_arn
        routes = strategies(
            profile_arn=profile_arn,
            kind=self.credential.kind,
            region=self.credential.region,
            endpoints=self._endpoints,
        )
        if routes != self.routes:
            self.routes = routes
            self._route_keys = [route.key for route in routes]
            self._take_route(self.proven_route)

    def _take_route(self, key: str) -> None:
        """Go the way that `key` names; the likeliest one when there is no such way now."""
        keys = self._route_keys
        self.route_index = keys.index(key) if key in keys else 0

    def prove_route(self) -> None:
        """Note that the way it goes at present has served a request."""
        self.proven_route = self._route_keys[self.route_index]

    def know_quota(self, quota: Quota, *, fetched_at: float) -> None:
        """Keep what is left of the account's credits."""
        self.quota = quota
        self.quota_fetched_at = fetched_at
        self.account = msgspec.structs.replace(self.account, credits=quota.remaining)

    @property
    def id(self) -> str:
        """The account's id."""
        return self.account.id

    @property
    def route(self) -> Route:
        """Where its calls go at present."""
        return self.routes[self.route_index]

    @property
    def models(self) -> tuple[UpstreamModel, ...] | None:
        """Its live model list; None when none is known."""
        return self._models

    @models.setter
    def models(self, models: tuple[UpstreamModel, ...] | None) -> None:
        self._models = models
        # The ids alone, which every request asks for.
        self.listed = None if models is None else frozenset(model.id for model in models)

    def apply(self, condition: Condition) -> None:
        """Put the account into `condition`."""
        self.account = msgspec.structs.replace(self.account, condition=condition)

    def hold(self, by: int) -> None:
        """Count a request that starts (+1) or ends (−1) on this account."""
        self.account = msgspec.structs.replace(self.account, in_flight=self.account.in_flight + by)


class Roster:
    """All accounts of the program, by id and by group; one instance."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[str, Entry] = {entry.id: entry for entry in entries}
        self.group_settings: Mapping[str, GroupSettings] = {}
        self.trials: set[str] = set()
        # Accounts whose verdict the store does not have yet, and those whose it is given now.
        self.changed: set[str] = set()
        self.saving: set[str] = set()

    def entries(self) -> list[Entry]:
        """Return all accounts in the configured order."""
        return sorted(self._entries.values(), key=lambda entry: entry.account.position)

    def entry(self, account_id: str) -> Entry:
        """Return the account `account_id`.

        Raises:
            KeyError: it is not in the pool.
        """
        return self._entries[account_id]

    def put(self, entry: Entry) -> None:
        """Take `entry` into the pool."""
        self._entries[entry.id] = entry

    def drop(self, account_id: str) -> None:
        """Let the account leave the pool; requests that run on it go on."""
        self._entries.pop(account_id, None)
        self.changed.discard(account_id)

    def find(self, account_id: str) -> Entry | None:
        """Return the account `account_id`; None when it is not in the pool any more."""
        return self._entries.get(account_id)

    def accounts(self, group: str) -> list[Account]:
        """Return what the pool may choose from for `group`."""
        cap = self.settings(group).soft_cap
        members = [e.account for e in self._entries.values() if e.account.group == group]
        if not cap:
            return members
        return [
            account if account.soft_cap else msgspec.structs.replace(account, soft_cap=cap)
            for account in members
        ]

    def settings(self, group: str) -> GroupSettings:
        """Return how `group` chooses."""
        return self.group_settings.get(group, _DEFAULT_SETTINGS)

    def groups(self) -> frozenset[str]:
        """Return the names of all groups; `default` always exists."""
        return frozenset({DEFAULT_GROUP, *(e.account.group for e in self._entries.values())})

    def record_fault(self, entry: Entry, fault: Fault, *, now: float, jitter: float) -> None:
        """Move the account by the pool's table; a verdict worth keeping is marked for the store."""
        self._move(entry, after_fault(entry.account.condition, fault, now=now, jitter=jitter), now)

    def record_login_refused(self, entry: Entry, reason: str, *, now: float) -> None:
        """Take the account out until a person logs it in again."""
        self._move(entry, after_login_refused(entry.account.condition, reason=reason, now=now), now)

    def record_pause(self, entry: Entry, reason: str, *, now: float, for_s: float) -> None:
        """Keep a ready account out for a moment that leaves no other trace."""
        condition = entry.account.condition
        if in_force(condition, now=now):
            return
        paused = msgspec.structs.replace(
            condition, standing=Standing.COOLING, reason=reason, since=now, until=now + for_s
        )
        self._move(entry, paused, now)

    def record_recovery(self, entry: Entry, *, now: float) -> None:
        """Put the account back: there is proof that what kept it out is over."""
        self._move(entry, after_recovery(entry.account.condition, now=now), now)

    def record_reset(self, entry: Entry, until: float, *, now: float) -> None:
        """Let a drained account return when the upstream says that its quota renews."""
        condition = msgspec.structs.replace(entry.account.condition, until=until)
        self._move(entry, condition, now)

    def record_success(self, entry: Entry, *, model: str, now: float) -> None:
        """Clear what a success clears."""
        self._move(entry, after_success(entry.account.condition, model=model, now=now), now)

    def _move(self, entry: Entry, condition: Condition, now: float) -> None:
        before = entry.account.condition
        if condition == before:
            return
        entry.apply(condition)
        if condition.standing is not before.standing:
            logs.write(
                LogEvent.ACCOUNT_STANDING_CHANGED,
                account=entry.account.name,
                group=entry.account.group,
                standing=str(condition.standing),
                reason=condition.reason,
                for_s=None if condition.until is None else round(condition.until - now),
            )
        if is_kept(condition, now) or is_kept(before, now):
            self.changed.add(entry.id)


def is_kept(condition: Condition, now: float) -> bool:
    """Tell whether `condition` must survive a restart: its standing, or the refusal of a model."""
    if any(refusal.until - now > KEPT_FROM_S for refusal in condition.models.values()):
        return True
    if condition.standing is Standing.READY:
        return False
    return condition.until is None or condition.until - now > KEPT_FROM_S


def shifted(condition: Condition, by_s: float) -> Condition:
    """Return `condition` with its times moved to another clock that reads `by_s` more."""
    return msgspec.structs.replace(
        condition,
        since=condition.since + by_s,
        until=None if condition.until is None else condition.until + by_s,
        soft_until=condition.soft_until + by_s,
        models={
            name: msgspec.structs.replace(
                refusal, until=refusal.until + by_s, since=refusal.since + by_s
            )
            for name, refusal in condition.models.items()
        },
    )


def make_entry(stored: StoredAccount, *, endpoints: Endpoints, wall_to_monotonic_s: float) -> Entry:
    """Return the account `stored` for the roster; its kept verdict goes on until its time."""
    condition = Condition()
    if stored.condition is not None:
        condition = shifted(stored.condition, wall_to_monotonic_s)
    account = Account(
        id=stored.id,
        name=stored.name,
        group=stored.group,
        position=stored.position,
        enabled=stored.enabled,
        condition=condition,
        soft_cap=stored.soft_cap,
    )
    return Entry(stored, account, endpoints)


def listed_models(entries: Sequence[Entry], group: str) -> Mapping[str, UpstreamModel]:
    """Return every model that some account of `group` has on its live list, by id."""
    found: dict[str, UpstreamModel] = {}
    for entry in entries:
        if entry.account.group == group and entry.account.enabled:
            for model in entry.models or ():
                found.setdefault(model.id, model)
    return found


def refused_everywhere(entries: Sequence[Entry], group: str, model: str, now: float) -> bool:
    """Tell whether every account of `group` has been told that it cannot have `model`."""
    held = [e for e in entries if e.account.group == group and e.account.enabled]
    return bool(held) and all(
        (refusal := e.account.condition.models.get(model)) is not None and refusal.until > now
        for e in held
    )
