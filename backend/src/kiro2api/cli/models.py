"""`kiro2api models`: what a group offers, and which accounts have it."""

from collections.abc import Sequence
from typing import Annotated

import typer

from kiro2api import compose
from kiro2api.cli.output import print_json, print_table
from kiro2api.cli.target import EXIT_NO, AsJson, EnvFile, Target, on_store, read_target
from kiro2api.gateway.catalogue import restore_models
from kiro2api.gateway.offer import OfferedModel, offered_models
from kiro2api.gateway.roster import make_entry
from kiro2api.pool.group import DEFAULT_GROUP
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.codewhisperer.models import ModelMap
from kiro2api.store.opening import Store

_HEAD = ("MODEL", "UPSTREAM", "INPUT TOKENS", "ACCOUNTS", "REFUSED BY")


def models(
    group: Annotated[str, typer.Option(help="The group that is asked.")] = DEFAULT_GROUP,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """List the models of a group, from the lists that its accounts were sent last.

    Exit code 1 when no account of the group could be asked.
    """
    target = read_target(env_file)
    offered = on_store(target, lambda store: _offered(target, store, group))
    if json:
        print_json(offered)
    else:
        _print(offered, group)
    if not any(model.accounts for model in offered):
        raise typer.Exit(EXIT_NO)


async def _offered(target: Target, store: Store, group: str) -> tuple[OfferedModel, ...]:
    entries = []
    for stored in await store.accounts.accounts():
        # By the wall clock: nothing here waits for anything.
        entry = make_entry(stored, endpoints=Endpoints(), wall_to_monotonic_s=0.0)
        entry.models = restore_models(stored.models)
        entries.append(entry)
    overrides = compose.read_model_overrides(target.settings.models, target.installation)
    now = compose.SystemClock.wall()
    return offered_models(entries, group, models=ModelMap(overrides), now=now)


def _print(offered: Sequence[OfferedModel], group: str) -> None:
    if not any(model.accounts or model.refused for model in offered):
        print(f"Group {group} has no account that serves; these are offered by name:\n")
    print_table(_HEAD, [_row(model) for model in offered])


def _row(model: OfferedModel) -> tuple[str, ...]:
    return (
        model.id,
        ", ".join(model.upstream),
        str(model.window_tokens),
        ", ".join(model.accounts) or "none",
        ", ".join(model.refused),
    )
