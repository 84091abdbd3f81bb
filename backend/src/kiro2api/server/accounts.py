"""The list of accounts for the operator: what state each is in, and no secret."""

from kiro2api.gateway.ports import Clock
from kiro2api.gateway.roster import Entry, Roster
from kiro2api.gateway.usage import STALE_S
from kiro2api.pool.account import Standing
from kiro2api.pool.selection import availability
from kiro2api.protocol.codewhisperer.mask import mask
from kiro2api.protocol.wire.json import encode
from kiro2api.server.exchange import Exchange
from kiro2api.server.keys import ClientKey


async def send_accounts(
    exchange: Exchange, roster: Roster, clock: Clock, holder: ClientKey
) -> None:
    """Answer from memory alone: listing the accounts that `holder` may use asks nobody."""
    entries = [e for e in roster.entries() if holder.opens_group(e.account.group)]
    tokens = [describe(entry, clock) for entry in entries]
    usable = sum(1 for token in tokens if token["usable"])
    body = {"total_tokens": len(tokens), "usable_tokens": usable, "tokens": tokens}
    await exchange.answer(200, encode(body))


def describe(entry: Entry, clock: Clock) -> dict[str, object]:
    """Return what a person may know of the account; times are whole seconds since the epoch."""
    account = entry.account
    now, wall = clock.monotonic(), clock.wall()
    state = availability(account, model="", now=now)
    condition = account.condition
    standing = Standing.READY if state.usable or state.soft else condition.standing
    return {
        "id": account.id,
        "name": mask(account.name),
        "group": account.group,
        "auth": entry.credential.kind,
        "enabled": account.enabled,
        "standing": standing if account.enabled else "disabled",
        "reason": "" if state.usable else mask(state.reason),
        "since": _at(condition.since, now, wall) if not state.usable else None,
        "until": _at(state.until, now, wall),
        "usable": state.usable or state.soft,
        "in_flight": account.in_flight,
        "quota": describe_quota(entry, clock),
        "token_expires_at": int(entry.token.expires_at) if entry.token else None,
        "models": len(entry.models) if entry.models is not None else None,
        "models_refused": sorted(
            name for name, refusal in condition.models.items() if refusal.until > now
        ),
    }


def describe_quota(entry: Entry, clock: Clock) -> dict[str, object] | None:
    """Return what is left of the account's credits and how old the number is; None if unknown."""
    quota = entry.quota
    if quota is None:
        return None
    return {
        "used": quota.used,
        "limit": quota.limit,
        "remaining": quota.remaining,
        "resets_at": None if quota.resets_at is None else int(quota.resets_at),
        "plan": quota.plan,
        "fetched_at": int(entry.quota_fetched_at),
        "stale": clock.wall() - entry.quota_fetched_at > STALE_S,
    }


def _at(moment: float | None, now: float, wall: float) -> int | None:
    return None if moment is None else int(wall + moment - now)
