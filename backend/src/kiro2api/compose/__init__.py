"""The composition root: the only place that knows every class, and gives each what it needs."""

from kiro2api.compose.accounts import Accounts, open_accounts, sync_accounts
from kiro2api.compose.keys import CLIENT_KEY_PURPOSE, reset_client_key
from kiro2api.compose.logins import open_logins
from kiro2api.compose.run import Started, run
from kiro2api.compose.settings import read_model_overrides
from kiro2api.compose.system import SystemChance, SystemClock, environment, main_loop

__all__ = [
    "CLIENT_KEY_PURPOSE",
    "Accounts",
    "Started",
    "SystemChance",
    "SystemClock",
    "environment",
    "main_loop",
    "open_accounts",
    "open_logins",
    "read_model_overrides",
    "reset_client_key",
    "run",
    "sync_accounts",
]
