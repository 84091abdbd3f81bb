"""The whole program: the store, the accounts, the data plane and the listener, from start to stop."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from kiro2api import logs
from kiro2api.compose.accounts import Accounts, log_crash, open_accounts, sync_accounts
from kiro2api.compose.keys import (
    admin_keys,
    client_keys,
    first_key,
    read_client_keys,
    touch_keys,
)
from kiro2api.compose.settings import app_options, limits_of, read_model_overrides
from kiro2api.config import Installation, Settings, database_path
from kiro2api.errors import SetupError
from kiro2api.gateway.attempt import Gateway
from kiro2api.gateway.reload import Reload
from kiro2api.logs import LogEvent
from kiro2api.protocol.codewhisperer.models import ModelMap
from kiro2api.server.app import DataPlane
from kiro2api.server.limits import EdgeLimits
from kiro2api.server.serve import serve
from kiro2api.store.opening import Store, open_store

# How often the last use of client keys is written down.
TOUCH_S = 30.0


class Started(msgspec.Struct, frozen=True):
    """What the operator is told when the listener is open; `new_key` "" unless one was made now."""

    url: str
    new_key: str
    database: Path


async def run(
    settings: Settings,
    installation: Installation,
    announce: Callable[[Started], None],
) -> None:
    """Serve until the process is told to stop.

    Raises:
        SetupError: the program cannot start as it is set up.
    """
    secret_values = (settings.client_token, settings.admin_token, settings.secret_key)
    logs.register_secrets(filter(None, (*secret_values, settings.proxy_url)))
    for warning in settings.warnings:
        logs.write(LogEvent.SETTING_IGNORED, reason=warning)
    overrides = read_model_overrides(settings.models, installation)
    store = await open_store(database_path(settings, installation), secret_key=settings.secret_key)
    try:
        _tell_of_store(store)
        await sync_accounts(settings, installation, store)
        async with open_accounts(settings, store) as accounts:
            program = _Program(settings, store, accounts, ModelMap(overrides))
            await program.serve(announce)
    finally:
        await store.close()


class _Program:
    """The data plane on its accounts; lives as long as the listener."""

    def __init__(
        self, settings: Settings, store: Store, accounts: Accounts, models: ModelMap
    ) -> None:
        self._settings = settings
        self._store = store
        self._accounts = accounts
        self._clients = client_keys(store, [], wall=accounts.clock.wall)
        self._reload = Reload(
            roster=accounts.roster,
            store=store.accounts,
            clock=accounts.clock,
            endpoints=accounts.endpoints,
            others=(self._reload_keys, self._reload_groups),
        )
        self._app = DataPlane(
            self._gateway(models),
            self._clients,
            client_keys(store, admin_keys(settings, store), wall=accounts.clock.wall),
            options=app_options(settings),
            new_id=accounts.chance.id,
            log_request=lambda fields: logs.write(LogEvent.REQUEST_FINISHED, **fields),
            log_error=log_crash,
        )

    def _gateway(self, models: ModelMap) -> Gateway:
        accounts = self._accounts
        return Gateway(
            roster=accounts.roster,
            renewal=accounts.renewal,
            profiles=accounts.profiles,
            upstream=accounts.upstream,
            models=models,
            clock=accounts.clock,
            chance=accounts.chance,
            limits=limits_of(self._settings),
            user_agent=self._settings.user_agent,
        )

    async def serve(self, announce: Callable[[Started], None]) -> None:
        """Open the listener, announce it, and run until told to stop."""
        new_key = await first_key(self._settings, self._store)
        await self._reload.look()

        def on_started(host: str, port: int) -> None:
            self._start_background()
            url = f"http://{_printable(host)}:{port}"
            logs.write(LogEvent.SERVER_STARTED, address=url, database=str(self._store.path))
            announce(Started(url, new_key, self._store.path))

        settings = self._settings
        try:
            await serve(
                self._app,
                host=settings.host,
                port=settings.port,
                drain_timeout_s=settings.drain_timeout_s,
                on_started=on_started,
                on_draining=self._on_draining,
                on_drain_limit=self._on_drain_limit,
                limits=EdgeLimits(unread_s=settings.client_stall_timeout_s),
            )
        except SetupError:
            if new_key:
                # Nobody has seen it: the next start makes another and shows that one.
                await self._store.keys.forget_generated_key()
            raise
        await touch_keys(self._clients, self._store)
        logs.write(LogEvent.SERVER_STOPPED)

    def _start_background(self) -> None:
        start = self._accounts.tasks.start
        start(self._accounts.upkeep.run_forever())
        start(self._accounts.following.run_forever())
        start(self._app.streams.sweep_forever())
        start(self._reload.run_forever())
        start(self._touch_keys_forever())

    def _on_draining(self) -> None:
        self._app.draining = True
        logs.write(LogEvent.DRAIN_STARTED, streams=len(self._app.streams))

    async def _on_drain_limit(self) -> None:
        logs.write(LogEvent.DRAIN_LIMIT_REACHED, streams=len(self._app.streams))
        self._app.stop_running()

    async def _reload_keys(self) -> None:
        self._clients.replace(await read_client_keys(self._settings, self._store))

    async def _reload_groups(self) -> None:
        self._accounts.roster.group_settings = await self._store.groups.groups()

    async def _touch_keys_forever(self) -> None:
        while True:
            await self._accounts.clock.sleep(TOUCH_S)
            await touch_keys(self._clients, self._store)


def _tell_of_store(store: Store) -> None:
    event = LogEvent.DATABASE_CREATED if store.is_new else LogEvent.DATABASE_OPENED
    logs.write(event, path=str(store.path))
    upgrade = store.upgrade
    if upgrade is not None and upgrade.before:
        logs.write(
            LogEvent.DATABASE_MIGRATED,
            before=upgrade.before,
            after=upgrade.after,
            backup=str(upgrade.backup),
        )


def _printable(host: str) -> str:
    return f"[{host}]" if ":" in host else host
