"""Whether the program lives, and whether it can serve."""

from kiro2api.gateway.ports import Clock
from kiro2api.gateway.roster import Roster
from kiro2api.pool.selection import availability
from kiro2api.protocol.wire.json import encode
from kiro2api.server.exchange import Exchange


async def send_health(exchange: Exchange, version: str) -> None:
    """Answer that the listener is open; says nothing of the accounts."""
    await exchange.answer(200, encode({"status": "ok", "version": version}))


async def send_readiness(
    exchange: Exchange, roster: Roster, clock: Clock, *, draining: bool
) -> None:
    """Answer 200 while at least one account can serve and the program is not stopping."""
    now = clock.monotonic()
    states = [availability(entry.account, model="", now=now) for entry in roster.entries()]
    usable = sum(1 for state in states if state.usable or state.soft)
    if draining:
        reason = "stopping"
    elif not states:
        reason = "no account is configured: set KIRO_AUTH_TOKEN"
    elif not usable:
        reason = "no account can serve now: GET /api/tokens tells why"
    else:
        reason = ""
    body = {
        "status": "unavailable" if reason else "ok",
        "reason": reason,
        "accounts": len(states),
        "usable": usable,
    }
    await exchange.answer(503 if reason else 200, encode(body))
