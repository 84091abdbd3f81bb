"""`kiro2api accounts import` and `export`: accounts out of files, and into one."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from kiro2api.cli.output import print_json, print_table
from kiro2api.cli.target import (
    EXIT_NO,
    AsJson,
    EnvFile,
    Target,
    on_new_store,
    on_store,
    read_target,
    refuse,
)
from kiro2api.config import database_path
from kiro2api.errors import SetupError
from kiro2api.gateway.export import write_export
from kiro2api.gateway.following import FOLLOW, follow_problem
from kiro2api.gateway.intake import Intake, free_name
from kiro2api.gateway.ports import NewAccount, StoredAccount
from kiro2api.pool.group import group_name_problem
from kiro2api.secrets import KEY_FILE
from kiro2api.store.backup import back_up_with_key, key_beside
from kiro2api.store.credential_files import read_file
from kiro2api.store.opening import Store, open_store

REFUSED = "refused"
_CONFIRMED = "yes"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one entry of a file; `entry` counts from 1, 0 is the whole file."""

    file: str
    entry: int
    name: str = ""
    group: str = ""
    kind: str = ""
    outcome: str
    id: str = ""
    reason: str = ""


class Found(msgspec.Struct, frozen=True):
    """One usable entry of a file."""

    file: str
    entry: int
    account: NewAccount


def accounts_import(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="A token file of the Kiro IDE, a database of kiro-cli, an export, or other JSON.",
            show_default=False,
        ),
    ],
    group: Annotated[
        str, typer.Option(help="The group that they go to, whatever the file says.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would happen, and change nothing.")
    ] = False,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Keep to the login in the file: read it again, never write."),
    ] = False,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Take accounts out of files of other programs, which are only read; tell what became of each.

    Exit code 1 when something in a file could not be used.
    """
    target = read_target(env_file)
    if group and (problem := group_name_problem(group)):
        refuse(problem)
    found, results = _read_all(files, group=group, follow=follow, region=target.settings.region)

    async def work(store: Store) -> list[Result]:
        return [await _add(store, one) for one in found]

    if found:
        results += (_on_copy if dry_run else on_new_store)(target, work)
    results.sort(key=lambda result: (_place(result.file, files), result.entry))
    if json:
        print_json({"dry_run": dry_run, "results": results})
    else:
        _print_results(results, dry_run=dry_run)
    if any(result.outcome == REFUSED for result in results):
        raise typer.Exit(EXIT_NO)


def _place(file: str, files: Sequence[str]) -> int:
    return next(n for n, name in enumerate(files) if _from_here(name) == Path(file))


def _read_all(
    files: Sequence[str], *, group: str, follow: bool, region: str
) -> tuple[list[Found], list[Result]]:
    """Return the usable entries of all files, and why the others are none."""
    found: list[Found] = []
    refused: list[Result] = []
    for path in dict.fromkeys(map(_from_here, files)):
        file = str(path)
        try:
            intake = read_file(path, region=region)
            if follow and (problem := follow_problem(intake)):
                raise SetupError(f"{path} cannot be followed: {problem}.")
        except SetupError as error:
            refused.append(Result(file=file, entry=0, outcome=REFUSED, reason=str(error)))
            continue
        found += _found(intake, file, source=f"{FOLLOW}{path}" if follow else "import", group=group)
        refused += [
            Result(file=file, entry=problem.index + 1, outcome=REFUSED, reason=problem.reason)
            for problem in intake.problems
        ]
        if not intake.entries and not intake.problems:
            refused.append(
                Result(file=file, entry=0, outcome=REFUSED, reason="there is no account in it")
            )
    return found, refused


def _found(intake: Intake, file: str, *, source: str, group: str) -> list[Found]:
    accounts = intake.new_accounts(source=source, group=group)
    return [
        Found(file, entry.index + 1, account)
        for entry, account in zip(intake.entries, accounts, strict=True)
    ]


async def _add(store: Store, found: Found) -> Result:
    new, base = found.account, Path(found.file).stem
    if new.name == f"{base} {found.entry}":  # nobody has named it: it need not be that one
        taken = {account.name for account in await store.accounts.accounts()}
        name = free_name(base, taken, first=found.entry)
        new = msgspec.structs.replace(new, name=name)
    added = await store.accounts.add(new)
    # An account that was there keeps the name and the group that it has.
    stored = await store.accounts.account(added.id)
    return Result(
        file=found.file,
        entry=found.entry,
        name=stored.name if stored else new.name,
        group=stored.group if stored else new.group,
        kind=new.credential.kind,
        outcome=added.outcome,
        id=added.id,
    )


def _on_copy(target: Target, work: Callable[[Store], Awaitable[list[Result]]]) -> list[Result]:
    """Return what `work` gives on a copy of the store, of which nothing is left afterwards.

    The ids of accounts that are not there yet are none.
    """
    secret_key = target.settings.secret_key
    path = database_path(target.settings, target.installation)
    with tempfile.TemporaryDirectory(prefix="kiro2api-") as folder:
        copy = Path(folder) / path.name
        if path.exists():
            back_up_with_key(path, copy, secret_key=secret_key)
            with contextlib.suppress(FileNotFoundError):
                key_beside(copy).rename(copy.with_name(KEY_FILE))

        async def run() -> list[Result]:
            store = await open_store(copy, secret_key=secret_key)
            try:
                before = {account.id for account in await store.accounts.all_accounts()}
                results = await work(store)
            finally:
                await store.close()
            return [
                result if result.id in before else msgspec.structs.replace(result, id="")
                for result in results
            ]

        return asyncio.run(run())


def _print_results(results: Sequence[Result], *, dry_run: bool) -> None:
    print_table(
        ("FILE", "ENTRY", "ACCOUNT", "GROUP", "KIND", "OUTCOME", "WHY NOT"),
        [
            (
                Path(result.file).name,
                str(result.entry or "-"),
                result.name,
                result.group,
                result.kind,
                result.outcome,
                result.reason,
            )
            for result in results
        ],
    )
    if dry_run:
        print("Nothing was changed.", file=sys.stderr)


# ---------------------------------------------------------------------------------------- export


def accounts_export(
    file: Annotated[str, typer.Argument(help="The file to write, or - for standard output.")],
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Write the logins, too: asks before.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    env_file: EnvFile = None,
) -> None:
    """Write the accounts as JSON that `accounts import` takes; the logins only with --with-secrets.

    Exit code 1 when you did not confirm.
    """
    target = read_target(env_file)
    if with_secrets and not yes:
        _confirm()

    async def work(store: Store) -> list[StoredAccount]:
        return await store.accounts.accounts()

    accounts = on_store(target, work)
    text = write_export(accounts, with_secrets=with_secrets)
    if file == "-":
        print(text.decode())
        return
    path = _from_here(file)
    _write_new(path, text + b"\n")
    count = "1 account" if len(accounts) == 1 else f"{len(accounts)} accounts"
    print(f"Wrote {count} to {path}.", file=sys.stderr)
    if not with_secrets:
        print("Their logins are not in it: --with-secrets writes them.", file=sys.stderr)


def _confirm() -> None:
    """Return when a person at the terminal has said so."""
    if not sys.stdin.isatty():
        refuse("--with-secrets asks on a terminal; without one, say --yes")
    print("Whoever reads the file can use these accounts.", file=sys.stderr)
    print(f"Type {_CONFIRMED} to write it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != _CONFIRMED:
        print("Nothing was written.", file=sys.stderr)
        raise typer.Exit(EXIT_NO)


def _write_new(path: Path, data: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        refuse(f"{path} is there already: name another file")
    except OSError as error:
        raise SetupError(f"{path} cannot be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)


def _from_here(file: str) -> Path:
    """Return the absolute path of a file that a person has named at the prompt."""
    return Path(os.path.abspath(os.path.expanduser(file)))
