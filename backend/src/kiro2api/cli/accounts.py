"""`kiro2api accounts`: what state each account is in, and what a person decides about it."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer

from kiro2api import compose
from kiro2api.cli.account_tables import (
    CheckedAccount,
    print_account,
    print_accounts,
    print_changed,
    print_checks,
)
from kiro2api.cli.output import print_json
from kiro2api.cli.target import (
    EXIT_NO,
    AsJson,
    EnvFile,
    Target,
    on_store,
    read_target,
    refuse,
)
from kiro2api.compose import Accounts, open_accounts
from kiro2api.gateway.checkup import Checkup
from kiro2api.gateway.ports import StoredAccount
from kiro2api.gateway.telling import AccountReport, report_accounts
from kiro2api.pool.group import group_name_problem
from kiro2api.store.opening import Store

REMOVED_BY_PERSON = "removed by a person"

accounts = typer.Typer(help="The accounts: their states, and what you decide about them.")
_Names = Annotated[
    list[str], typer.Argument(metavar="ACCOUNT...", help="Names or ids.", show_default=False)
]
_Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its name or id.")]
_Change = Callable[[Store, StoredAccount], Awaitable[object]]


@accounts.command("list")
def accounts_list(
    group: Annotated[str, typer.Option(help="Only the accounts of this group.")] = "",
    removed: Annotated[
        bool, typer.Option("--all", help="Also those that have left the pool.")
    ] = False,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """List the accounts: state, reason, since when, until when, what happens next."""
    reports = [
        report
        for report in on_store(read_target(env_file), _reports)
        if (removed or report.place) and group in ("", report.group)
    ]
    if json:
        print_json(reports)
    else:
        print_accounts(reports)


@accounts.command("show")
def accounts_show(account: _Name, json: AsJson = False, env_file: EnvFile = None) -> None:
    """Show everything about one account but its secrets."""

    async def work(store: Store) -> AccountReport:
        stored = await store.accounts.all_accounts()
        found = find_account(account, stored)
        return next(one for one in await _reports(store) if one.id == found.id)

    report = on_store(read_target(env_file), work)
    if json:
        print_json(report)
    else:
        print_account(report)


@accounts.command("test")
def accounts_test(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ACCOUNT...]", help="Names or ids; all, if none."),
    ] = None,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Refresh the login and ask for models and credits, really; what works is put back.

    Exit code 1 when an account fails. No reply is generated, so it costs no credits.
    """
    target = read_target(env_file)
    checked = on_store(target, lambda store: _check(target, store, names or []))
    if json:
        print_json(checked)
    else:
        print_checks(checked)
    if not all(one.passed for one in checked):
        raise typer.Exit(EXIT_NO)


@accounts.command("enable")
def accounts_enable(names: _Names, json: AsJson = False, env_file: EnvFile = None) -> None:
    """Let accounts serve (again): this also forgets what has kept them out."""

    async def change(store: Store, account: StoredAccount) -> None:
        await store.accounts.edit(account.id, enabled=True)
        await store.accounts.clear_condition(account.id)

    _change(names, change, "enabled", json=json, env_file=env_file)


@accounts.command("disable")
def accounts_disable(names: _Names, json: AsJson = False, env_file: EnvFile = None) -> None:
    """Let accounts serve no more until you enable them."""

    async def change(store: Store, account: StoredAccount) -> None:
        await store.accounts.edit(account.id, enabled=False)

    _change(names, change, "disabled", json=json, env_file=env_file)


@accounts.command("remove")
def accounts_remove(names: _Names, json: AsJson = False, env_file: EnvFile = None) -> None:
    """Take accounts out of the pool, though their entry in KIRO_AUTH_TOKEN may stay."""

    async def change(store: Store, account: StoredAccount) -> None:
        await store.accounts.remove(account.id, REMOVED_BY_PERSON)

    _change(names, change, "removed", json=json, env_file=env_file)


@accounts.command("move")
def accounts_move(
    account: _Name,
    group: Annotated[str | None, typer.Option(help="The group that it serves from now on.")] = None,
    place: Annotated[
        int | None, typer.Option(min=1, help="Its place from 1 among all accounts.")
    ] = None,
    soft_cap: Annotated[
        int | None,
        typer.Option(min=0, help="Requests at a time above which others go first; 0: the group's."),
    ] = None,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Move an account to another group or place."""
    if (group, place, soft_cap) == (None, None, None):
        refuse("say where to: --group, --place or --soft-cap.")
    _require_group_name(group)

    async def change(store: Store, found: StoredAccount) -> None:
        position = None if place is None else place - 1
        await store.accounts.edit(found.id, group=group, position=position, soft_cap=soft_cap)

    _change([account], change, "moved", json=json, env_file=env_file)


@accounts.command("edit")
def accounts_edit(
    account: _Name,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    soft_cap: Annotated[
        int | None,
        typer.Option(min=0, help="Requests at a time above which others go first; 0: the group's."),
    ] = None,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Change the name or the soft cap of an account."""
    if (name, soft_cap) == (None, None):
        refuse("say what to change: --name or --soft-cap.")
    if name is not None and not name.strip():
        refuse("a name has one character or more.")

    async def change(store: Store, found: StoredAccount) -> None:
        new_name = None if name is None else name.strip()
        await store.accounts.edit(found.id, name=new_name, soft_cap=soft_cap)

    _change([account], change, "changed", json=json, env_file=env_file)


def find_account(word: str, stored: Sequence[StoredAccount]) -> StoredAccount:
    """Return the account that `word` names, by id or by name; those in the pool come first.

    Raises:
        typer.Exit: there is none, or there are several; the candidates have been told.
    """
    for account in stored:
        if account.id == word:
            return account
    named = [account for account in stored if account.name == word]
    found = [account for account in named if not account.removed] or named
    if len(found) == 1:
        return found[0]
    if found:
        candidates = ", ".join(f"{one.id} (group {one.group})" for one in found)
        refuse(f"several accounts have the name {word!r}: say which by its id: {candidates}.")
    known = ", ".join(account.name for account in stored if not account.removed) or "none"
    refuse(f"there is no account {word!r}. There are: {known}.")


def _change(
    names: Sequence[str], change: _Change, done: str, *, json: bool, env_file: str | None
) -> None:
    """Change the named accounts, all or, when one name is wrong, none; tell what they are now."""

    async def work(store: Store) -> list[AccountReport]:
        stored = await store.accounts.accounts()
        found = [find_account(name, stored) for name in names]
        for account in found:
            await change(store, account)
        changed = {account.id for account in found}
        return [report for report in await _reports(store) if report.id in changed]

    reports = on_store(read_target(env_file), work)
    if json:
        print_json(reports)
    else:
        print_changed(reports, done)


async def _reports(store: Store) -> tuple[AccountReport, ...]:
    stored = await store.accounts.all_accounts()
    return report_accounts(stored, now=compose.SystemClock.wall())


async def _check(target: Target, store: Store, names: Sequence[str]) -> list[CheckedAccount]:
    stored = await store.accounts.accounts()
    chosen = {find_account(name, stored).id for name in names} or {one.id for one in stored}
    async with open_accounts(target.settings, store) as opened:
        checkup = _checkup(opened)
        checks = []
        for entry in opened.roster.entries():
            if entry.id in chosen:
                if sys.stderr.isatty():
                    print(f"testing {entry.account.name} ...", file=sys.stderr)
                checks.append(await checkup.check(entry))
    # What has come of it is in the store by now.
    reports = {report.id: report for report in await _reports(store)}
    return [
        CheckedAccount(passed=one.passed, steps=one.steps, account=reports[one.account_id])
        for one in checks
    ]


def _checkup(opened: Accounts) -> Checkup:
    return Checkup(
        roster=opened.roster,
        renewal=opened.renewal,
        profiles=opened.profiles,
        catalogue=opened.catalogue,
        usage=opened.usage,
        clock=opened.clock,
    )


def _require_group_name(group: str | None) -> None:
    problem = "" if group is None else group_name_problem(group)
    if problem:
        refuse(f"{problem}.")
