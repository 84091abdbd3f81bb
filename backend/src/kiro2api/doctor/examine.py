"""All checks in the order in which a person would make them."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from kiro2api.compose.settings import endpoints_of, upstream_options
from kiro2api.compose.system import SystemClock
from kiro2api.config import Installation, Settings, database_path
from kiro2api.doctor.accounts import check_accounts, check_entries
from kiro2api.doctor.configuration import read_settings
from kiro2api.doctor.finding import Finding, Verdict, fault
from kiro2api.doctor.listener import check_port
from kiro2api.doctor.machine import check_certificates, check_files, check_versions
from kiro2api.doctor.network import check_hosts, check_proxy, hosts_of
from kiro2api.doctor.storage import check_database, check_folder, check_modes
from kiro2api.doctor.streaming import check_stream
from kiro2api.errors import SetupError, StoreError
from kiro2api.gateway.intake import Intake
from kiro2api.gateway.ports import StoredAccount
from kiro2api.store.opening import open_store
from kiro2api.upstream.client import CurlUpstream


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants to be looked at beside the installation itself.

    `url` is the public address ("": none) through which a stream is sent with the client key `key`
    ("": that of the settings) to `model`.
    """

    url: str = ""
    key: str = ""
    model: str = ""


NO_WISHES = Wishes()


async def examine(
    environ: Mapping[str, str],
    installation: Installation,
    *,
    env_file: str | None = None,
    wishes: Wishes = NO_WISHES,
) -> list[Finding]:
    """Return everything found, also beside a running gateway."""
    settings, findings = read_settings(environ, installation, env_file=env_file)
    findings.append(check_versions())
    if settings is None:
        return findings
    certificates = check_certificates(settings.ca_file)
    findings += [check_files(settings.max_streams), certificates]
    intake, skipped = check_entries(settings, installation)
    kept, stored = await _check_storage(settings, installation)
    findings += kept
    # Our own listener and the public address are reached as clients reach them.
    direct = CurlUpstream(msgspec.structs.replace(upstream_options(settings), proxy_url=""))
    try:
        port, local = await check_port(settings.host, settings.port, direct)
        findings.append(port)
        if certificates.verdict is not Verdict.FAULT:  # else no host can be trusted
            findings += await _check_network(settings, _hosts(settings, intake, stored or []))
        findings += skipped
        if stored is not None:
            findings += check_accounts(stored, intake, now=SystemClock.wall())
        if wishes.url:
            findings.append(await _check_stream(settings, wishes, local, direct))
    finally:
        await direct.close()
    return findings


def _hosts(settings: Settings, intake: Intake, stored: list[StoredAccount]) -> list[str]:
    accounts = [(one.credential, one.profile_arn) for one in stored]
    accounts += [(entry.credential, entry.profile_arn) for entry in intake.entries]
    return hosts_of(accounts, endpoints_of(settings), region=settings.region)


async def _check_stream(
    settings: Settings, wishes: Wishes, local: str, direct: CurlUpstream
) -> Finding:
    return await check_stream(
        wishes.url,
        local,
        direct,
        key=wishes.key or settings.client_token,
        model=wishes.model,
        monotonic=SystemClock.monotonic,
    )


async def _check_storage(
    settings: Settings, installation: Installation
) -> tuple[list[Finding], list[StoredAccount] | None]:
    """Return what is to be said of the data folder, and the accounts, None if they are unknown."""
    try:
        database = database_path(settings, installation)
    except SetupError as error:
        why, cure = "the gateway does not start with it", "unset one of the two"
        return [fault("settings", str(error), why=why, cure=cure)], None
    findings = check_folder(database) + check_modes(database)
    is_writable = findings[0].verdict is not Verdict.FAULT
    looked, readable = check_database(database, settings.secret_key)
    findings += looked
    if not database.exists() and looked[0].verdict is Verdict.OK:
        return findings, []
    if not (readable and is_writable):
        return findings, None
    try:
        return findings, await _read_accounts(database, settings.secret_key)
    except (SetupError, StoreError) as error:
        why, cure = "the accounts could not be read", "look again when nothing else writes to it"
        return [*findings, fault("database", str(error), why=why, cure=cure)], None


async def _read_accounts(database: Path, secret_key: str) -> list[StoredAccount]:
    store = await open_store(database, secret_key=secret_key)
    try:
        return list(await store.accounts.accounts())
    finally:
        await store.close()


async def _check_network(settings: Settings, bases: list[str]) -> list[Finding]:
    findings = []
    proxy = await check_proxy(settings.proxy_url)
    if proxy is not None:
        findings.append(proxy)
        if proxy.verdict is Verdict.FAULT:
            return findings  # each host would say the same again
    upstream = CurlUpstream(upstream_options(settings))
    try:
        return findings + await check_hosts(
            bases, upstream, resolves=proxy is None, wall=SystemClock.wall
        )
    finally:
        await upstream.close()
