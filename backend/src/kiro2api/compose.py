"""The composition root: the only place that knows every class, and gives each what it needs."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec

from kiro2api import __version__, logs
from kiro2api.config import Installation, Settings, anchored, database_path
from kiro2api.errors import Kiro2apiError, RequestError, SetupError, StoreError
from kiro2api.gateway.attempt import Gateway, Limits
from kiro2api.gateway.catalogue import Catalogue, restore_models
from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.intake import Intake
from kiro2api.gateway.profiles import Profiles
from kiro2api.gateway.reload import Reload
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Roster, make_entry
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.gateway.upkeep import Upkeep
from kiro2api.gateway.usage import UsagePolls
from kiro2api.logs import LogEvent
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.models import ModelMap
from kiro2api.protocol.wire.json import decode
from kiro2api.secrets import new_client_key
from kiro2api.server.app import AppOptions, DataPlane
from kiro2api.server.keys import ClientKey, ClientKeys
from kiro2api.server.limits import EdgeLimits
from kiro2api.server.serve import serve
from kiro2api.server.streams import StreamLimits
from kiro2api.store.credential_files import load_accounts
from kiro2api.store.keys import GENERATED
from kiro2api.store.opening import Store, open_store
from kiro2api.upstream.client import CurlUpstream
from kiro2api.upstream.easy import UpstreamOptions

CLIENT_KEY_PURPOSE = "client key"
USER_PURPOSE = "user of an account"
# How often the last use of client keys is written down.
TOUCH_S = 30.0
# A refresh that is cut off loses the login when the upstream has rotated it already.
REFRESH_GRACE_S = 5.0


class SystemClock:
    """The machine's clocks; one for the whole program."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)  # noqa: TID251 - the one place where time comes from

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s`."""
        await asyncio.sleep(delay_s)


class SystemChance:
    """The machine's randomness; one for the whole program.

    Its ids are unique and not secret. So they come from one generator that the machine seeds:
    asking the kernel for each of the five ids of a request costs four times as much.
    """

    def __init__(self) -> None:
        source = random.Random()
        self.fraction = source.random
        self._bits = source.getrandbits

    def uuid(self) -> str:
        """Return a new random UUID as text."""
        digits = f"{self._bits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def id(self) -> str:
        """Return a new random id of 24 hexadecimal digits."""
        return f"{self._bits(96):024x}"


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
    store = await open_store(database_path(settings, installation), secret_key=settings.secret_key)
    try:
        _tell_of_store(store)
        await _sync_accounts(settings, installation, store)
        await _run(settings, installation, store, announce)
    finally:
        await store.close()


async def _run(
    settings: Settings,
    installation: Installation,
    store: Store,
    announce: Callable[[Started], None],
) -> None:
    clock, chance = SystemClock(), SystemChance()
    endpoints = _endpoints(settings)
    upstream = CurlUpstream(
        UpstreamOptions(
            ca_file=settings.ca_file,
            proxy_url=settings.proxy_url,
            http_version=settings.http_version.value,
            connect_timeout_s=settings.connect_timeout_s,
        )
    )
    tasks = TaskOwner(lambda error: log_crash(error, "background"))
    refreshes = TaskOwner(_log_refresh_crash)
    roster = await _load_roster(store, endpoints, clock)
    renewal = Renewal(
        upstream=upstream,
        store=store.accounts,
        roster=roster,
        tasks=refreshes,
        clock=clock,
        endpoints=endpoints,
        user_agent=settings.user_agent,
        holder=chance.id(),
    )
    control = ControlPlane(
        upstream=upstream,
        renewal=renewal,
        endpoints=endpoints,
        user_agent=settings.user_agent,
    )
    profiles = Profiles(control=control, store=store.accounts, clock=clock)
    gateway = Gateway(
        roster=roster,
        renewal=renewal,
        profiles=profiles,
        upstream=upstream,
        models=ModelMap(read_model_overrides(settings.models, installation)),
        clock=clock,
        chance=chance,
        limits=Limits(
            first_event_s=settings.first_event_timeout_s,
            idle_s=settings.idle_timeout_s,
            max_tool_description=settings.max_tool_description_length,
        ),
        user_agent=settings.user_agent,
    )
    upkeep = Upkeep(
        roster=roster,
        renewal=renewal,
        profiles=profiles,
        catalogue=Catalogue(control=control, store=store.accounts, clock=clock),
        usage=UsagePolls(
            control=control,
            store=store.accounts,
            roster=roster,
            clock=clock,
            chance=chance,
            digest_user=lambda user: store.ring.digest(USER_PURPOSE, user).hex(),
        ),
        store=store.accounts,
        tasks=tasks,
        clock=clock,
        chance=chance,
    )
    new_key = await _first_key(settings, store)
    clients = ClientKeys(
        lambda shown: store.ring.digests(CLIENT_KEY_PURPOSE, shown),
        await read_client_keys(settings, store),
        wall=clock.wall,
    )

    async def reload_keys() -> None:
        clients.replace(await read_client_keys(settings, store))

    async def reload_groups() -> None:
        roster.group_settings = await store.groups.groups()

    async def touch_keys_forever() -> None:
        while True:
            await clock.sleep(TOUCH_S)
            await _touch_keys(clients, store)

    reload = Reload(
        roster=roster,
        store=store.accounts,
        clock=clock,
        endpoints=endpoints,
        others=(reload_keys, reload_groups),
    )
    await reload.look()
    app = DataPlane(
        gateway,
        clients,
        _admin_keys(settings, store, clock),
        options=_app_options(settings),
        new_id=chance.id,
        log_request=lambda fields: logs.write(LogEvent.REQUEST_FINISHED, **fields),
        log_error=log_crash,
    )

    def on_started(host: str, port: int) -> None:
        url = f"http://{_printable(host)}:{port}"
        tasks.start(upkeep.run_forever())
        tasks.start(app.streams.sweep_forever())
        tasks.start(reload.run_forever())
        tasks.start(touch_keys_forever())
        logs.write(LogEvent.SERVER_STARTED, address=url, database=str(store.path))
        announce(Started(url, new_key, store.path))

    def on_draining() -> None:
        app.draining = True
        logs.write(LogEvent.DRAIN_STARTED, streams=len(app.streams))

    async def on_drain_limit() -> None:
        logs.write(LogEvent.DRAIN_LIMIT_REACHED, streams=len(app.streams))
        app.stop_running()

    try:
        await serve(
            app,
            host=settings.host,
            port=settings.port,
            drain_timeout_s=settings.drain_timeout_s,
            on_started=on_started,
            on_draining=on_draining,
            on_drain_limit=on_drain_limit,
            limits=EdgeLimits(unread_s=settings.client_stall_timeout_s),
        )
    except SetupError:
        if new_key:
            # Nobody has seen it: the next start makes another and shows that one.
            await store.keys.forget_generated_key()
        raise
    finally:
        await tasks.close()
        await refreshes.close(grace_s=REFRESH_GRACE_S)
        await upkeep.save_verdicts()
        await _touch_keys(clients, store)
        await upstream.close()
        logs.write(LogEvent.SERVER_STOPPED)


async def _load_roster(store: Store, endpoints: Endpoints, clock: SystemClock) -> Roster:
    offset_s = clock.monotonic() - clock.wall()
    entries = []
    for stored in await store.accounts.accounts():
        entry = make_entry(stored, endpoints=endpoints, wall_to_monotonic_s=offset_s)
        entry.models = restore_models(stored.models)
        entries.append(entry)
    return Roster(entries)


async def _sync_accounts(settings: Settings, installation: Installation, store: Store) -> None:
    if not settings.auth_token:
        intake = Intake()
    else:
        intake = load_accounts(settings.auth_token, installation, region=settings.region)
    for problem in intake.problems:
        logs.write(LogEvent.ACCOUNT_ENTRY_SKIPPED, index=problem.index, reason=problem.reason)
    report = await store.accounts.sync_configured(intake.entries)
    for index in report.duplicates:
        logs.write(
            LogEvent.ACCOUNT_ENTRY_SKIPPED, index=index, reason="the account is there already"
        )
    logs.write(
        LogEvent.ACCOUNTS_SYNCED,
        added=len(report.added),
        kept=len(report.kept),
        removed=len(report.removed),
    )


async def _first_key(settings: Settings, store: Store) -> str:
    """Return the client key that was made just now, on the first start; "" when none was."""
    if settings.client_token or await store.keys.generated_key_digest() is not None:
        return ""
    return await make_client_key(store)


async def read_client_keys(settings: Settings, store: Store) -> list[ClientKey]:
    """Return the keys that open the data plane: those of the store, and `KIRO_CLIENT_TOKEN`.

    While that is set, the key that was made on the first start opens nothing.
    """
    keys = [
        ClientKey(
            key.name,
            key.digest,
            enabled=key.enabled and not (settings.client_token and key.id == GENERATED),
            groups=key.groups,
            models=tuple(model.lower() for model in key.models),
            expires_at=key.expires_at,
        )
        for key in await store.keys.keys()
    ]
    if settings.client_token:
        digest = store.ring.digest(CLIENT_KEY_PURPOSE, settings.client_token)
        keys.append(ClientKey(GENERATED, digest))
    return keys


async def _touch_keys(clients: ClientKeys, store: Store) -> None:
    """Note when keys were used last; a note that fails is not worth a request."""
    used = clients.take_used()
    if not used:
        return
    try:
        ids = {key.name: key.id for key in await store.keys.keys()}
        await store.keys.touch({ids[name]: at for name, at in used.items() if name in ids})
    except StoreError as error:
        logs.write(LogEvent.STORE_WRITE_FAILED, what="last use of keys", reason=str(error))


async def make_client_key(store: Store) -> str:
    """Return a new generated client key; the one before it opens nothing any more."""
    key = new_client_key()
    logs.register_secrets([key])
    await store.keys.save_generated_key_digest(store.ring.digest(CLIENT_KEY_PURPOSE, key))
    logs.write(LogEvent.CLIENT_KEY_CREATED)
    return key


async def reset_client_key(settings: Settings, installation: Installation) -> str:
    """Return a new generated client key, made in the store of this installation."""
    store = await open_store(database_path(settings, installation), secret_key=settings.secret_key)
    try:
        return await make_client_key(store)
    finally:
        await store.close()


def _admin_keys(settings: Settings, store: Store, clock: SystemClock) -> ClientKeys:
    keys = []
    if settings.admin_token:
        digest = store.ring.digest(CLIENT_KEY_PURPOSE, settings.admin_token)
        keys.append(ClientKey("admin", digest))
    return ClientKeys(
        lambda shown: store.ring.digests(CLIENT_KEY_PURPOSE, shown), keys, wall=clock.wall
    )


def _endpoints(settings: Settings) -> Endpoints:
    return Endpoints(
        settings.api_endpoint,
        settings.social_endpoint,
        settings.oidc_endpoint,
        tuple(host.strip() for host in settings.idp_hosts.split(",") if host.strip()),
    )


def _app_options(settings: Settings) -> AppOptions:
    return AppOptions(
        version=__version__,
        max_body_bytes=settings.max_body_bytes,
        max_streams=settings.max_streams,
        stream_limits=StreamLimits(
            status_commit_s=settings.status_commit_s,
            ping_s=settings.ping_interval_s,
        ),
    )


def read_model_overrides(value: str, installation: Installation) -> Mapping[str, str]:
    """Return the operator's map of models from `KIRO_MODELS`: JSON, or the path of a file.

    Raises:
        SetupError: it is neither.
    """
    text = value.strip()
    if not text:
        return {}
    try:
        if not text.startswith("{"):
            text = anchored(text, installation).read_text("utf-8")
        return decode(text, dict[str, str])
    except (OSError, RequestError) as error:
        raise SetupError(
            'KIRO_MODELS must be a JSON object such as {"name": "upstream id"}, or the path of a '
            f"file with one: {error}"
        ) from None


def log_crash(error: BaseException, where: str) -> None:
    """Log a bug with its traceback."""
    logs.write(LogEvent.REQUEST_CRASHED, request_id=where, exc_info=error)


def _log_refresh_crash(error: BaseException) -> None:
    # A login that is refused is no bug: whoever waits for the refresh tells of it.
    if not isinstance(error, Kiro2apiError):
        log_crash(error, "refresh")


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


def main_loop(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` on the fast event loop to its end."""
    import uvloop

    async def _main() -> None:
        await work()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())


def environment() -> Mapping[str, str]:
    """Return the process's environment; the program reads it nowhere else."""
    return os.environ
