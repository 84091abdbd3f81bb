"""`kiro2api groups`: how each group chooses among its accounts."""

from collections import Counter
from typing import Annotated

import msgspec
import typer

from kiro2api.cli.output import print_json, print_table
from kiro2api.cli.target import AsJson, EnvFile, on_store, read_target, refuse
from kiro2api.gateway.ports import GroupSettings
from kiro2api.pool.group import DEFAULT_GROUP, group_name_problem
from kiro2api.pool.strategy import Strategy, strategy_named
from kiro2api.store.opening import Store

groups = typer.Typer(help="The groups: how each chooses among its accounts.")


class GroupReport(msgspec.Struct, frozen=True, kw_only=True):
    """A group; `soft_cap` is that of accounts without one of their own, 0 for none."""

    name: str
    strategy: str
    soft_cap: int
    accounts: int


@groups.command("list")
def groups_list(json: AsJson = False, env_file: EnvFile = None) -> None:
    """List the groups that have accounts or settings."""
    _print(on_store(read_target(env_file), _reports), json=json)


@groups.command("set")
def groups_set(
    name: Annotated[str, typer.Argument(help="The group.")],
    strategy: Annotated[
        Strategy | None, typer.Option(help="Which of the usable accounts is asked first.")
    ] = None,
    soft_cap: Annotated[
        int | None,
        typer.Option(min=0, help="Requests per account above which others go first; 0: no cap."),
    ] = None,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Change how a group chooses; what is not named stays."""
    problem = group_name_problem(name)
    if problem:
        refuse(f"{problem}.")
    if strategy is None and soft_cap is None:
        refuse("say what to change: --strategy or --soft-cap.")

    async def work(store: Store) -> list[GroupReport]:
        settings = (await store.groups.groups()).get(name, GroupSettings())
        if strategy is not None:
            settings = msgspec.structs.replace(settings, strategy=strategy.value)
        if soft_cap is not None:
            settings = msgspec.structs.replace(settings, soft_cap=soft_cap)
        await store.groups.set_group(name, settings)
        return [report for report in await _reports(store) if report.name == name]

    _print(on_store(read_target(env_file), work), json=json)


async def _reports(store: Store) -> list[GroupReport]:
    kept = await store.groups.groups()
    members = Counter(account.group for account in await store.accounts.accounts())
    return [
        GroupReport(
            name=name,
            strategy=strategy_named(kept.get(name, GroupSettings()).strategy).value,
            soft_cap=kept.get(name, GroupSettings()).soft_cap,
            accounts=members[name],
        )
        for name in sorted({DEFAULT_GROUP, *kept, *members})
    ]


def _print(reports: list[GroupReport], *, json: bool) -> None:
    if json:
        print_json(reports)
        return
    print_table(
        ("GROUP", "STRATEGY", "SOFT CAP", "ACCOUNTS"),
        [
            (one.name, one.strategy, str(one.soft_cap or "none"), str(one.accounts))
            for one in reports
        ],
    )
