"""Why this account and not the others: the choice as it would be, from what the store knows."""

from collections.abc import Mapping, Sequence

import msgspec

from kiro2api.errors import RequestError
from kiro2api.gateway.catalogue import restore_models
from kiro2api.gateway.ports import GroupSettings, StoredAccount
from kiro2api.pool.account import Account, Condition
from kiro2api.pool.explain import Candidate, explain
from kiro2api.pool.selection import Need
from kiro2api.pool.strategy import strategy_named
from kiro2api.protocol.codewhisperer.mask import mask
from kiro2api.protocol.codewhisperer.models import ModelMap
from kiro2api.protocol.codewhisperer.quota import restore_quota

_LIST_STEP = "its list of models is asked for again within the hour"


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: a request for `model` ("" for any) to `group`, of the conversation `key`."""

    group: str
    model: str = ""
    key: str = ""


class ExplainedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One account and what becomes of it; times are wall times, in seconds.

    `place` is 1 for the one that is asked first, None for one that is not asked. `model` is what
    the upstream would be asked for, "" when the question names none or the account lacks it.
    """

    id: str
    name: str
    place: int | None
    usable: bool
    reason: str
    since: float | None
    until: float | None
    next_step: str
    model: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: the accounts of the group, those that are asked first, in that order."""

    group: str
    strategy: str
    model: str
    key: str
    accounts: tuple[ExplainedAccount, ...]

    @property
    def serves(self) -> bool:
        """Whether anybody would be asked at all."""
        return any(account.place is not None for account in self.accounts)


def explain_choice(
    stored: Sequence[StoredAccount],
    groups: Mapping[str, GroupSettings],
    question: Question,
    *,
    models: ModelMap,
    now: float,
) -> Explanation:
    """Return who would serve `question` at wall time `now`, and why the others would not.

    What only a running gateway knows is not in it: requests in flight, whose turn it is, and rests
    that are too short to be kept.
    """
    settings = groups.get(question.group, GroupSettings())
    members = {one.id: one for one in stored if one.group == question.group and not one.removed}
    upstream_models = {one.id: _resolved(one, question.model, models) for one in members.values()}
    lacking = {i: found for i, found in upstream_models.items() if isinstance(found, RequestError)}
    need = Need(
        question.group,
        question.model,
        # An account whose list lacks the model is passed over as one that was asked in vain.
        tried=frozenset(lacking),
        key=question.key,
        strategy=strategy_named(settings.strategy),
    )
    accounts = [_account(one, settings) for one in members.values()]

    def told(candidate: Candidate) -> ExplainedAccount:
        lack = lacking.get(candidate.account_id)
        if lack is not None and candidate.usable:
            candidate = msgspec.structs.replace(
                candidate, usable=False, reason=lack.message, next_step=_LIST_STEP
            )
        return _explained(
            candidate,
            name=members[candidate.account_id].name,
            model="" if lack is not None else str(upstream_models[candidate.account_id]),
        )

    return Explanation(
        group=question.group,
        strategy=need.strategy.value,
        model=question.model,
        key=question.key,
        accounts=tuple(told(candidate) for candidate in explain(accounts, need, now=now)),
    )


def _resolved(stored: StoredAccount, model: str, models: ModelMap) -> str | RequestError:
    """Return what the upstream calls `model` for this account, or why it does not have it."""
    if not model:
        return ""
    live = restore_models(stored.models)
    try:
        return models.resolve(model, None if live is None else frozenset(m.id for m in live))
    except RequestError as error:
        return error


def _account(stored: StoredAccount, settings: GroupSettings) -> Account:
    """Return the account as the pool sees it, its times left on the wall clock."""
    quota = restore_quota(stored.quota)
    return Account(
        stored.id,
        stored.name,
        stored.group,
        stored.position,
        enabled=stored.enabled,
        condition=stored.condition or Condition(),
        soft_cap=stored.soft_cap or settings.soft_cap,
        credits=None if quota is None else quota.remaining,
    )


def _explained(candidate: Candidate, *, name: str, model: str) -> ExplainedAccount:
    return ExplainedAccount(
        id=candidate.account_id,
        name=name,
        place=candidate.place,
        usable=candidate.usable,
        reason=mask(candidate.reason),
        since=candidate.since,
        until=candidate.until,
        next_step=candidate.next_step,
        model=model,
    )
