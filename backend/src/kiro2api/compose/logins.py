"""Logins, for commands that make one."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kiro2api.compose.settings import endpoints_of, upstream_options
from kiro2api.compose.system import SystemClock
from kiro2api.config import Settings
from kiro2api.gateway.login import Logins
from kiro2api.store.opening import Store
from kiro2api.upstream.client import CurlUpstream

_VERIFIER_BYTES = 48


@asynccontextmanager
async def open_logins(settings: Settings, store: Store) -> AsyncIterator[Logins]:
    """Give what makes logins that become accounts of `store`, until the block ends."""
    upstream = CurlUpstream(upstream_options(settings))
    try:
        yield Logins(
            upstream=upstream,
            store=store.accounts,
            clock=SystemClock(),
            endpoints=endpoints_of(settings),
            user_agent=settings.user_agent,
            new_secret=lambda: secrets.token_urlsafe(_VERIFIER_BYTES),
        )
    finally:
        await upstream.close()
