"""`kiro2api explain`: who would serve a request, and why the others would not."""

import asyncio
import sys
from typing import Annotated

import typer

from kiro2api import compose, logs
from kiro2api.cli.output import local_time, print_json, print_table
from kiro2api.config import Installation, Settings, database_path, find_installation, load
from kiro2api.errors import SetupError
from kiro2api.gateway.explain import ExplainedAccount, Explanation, Question, explain_choice
from kiro2api.pool.group import DEFAULT_GROUP
from kiro2api.protocol.codewhisperer.models import ModelMap
from kiro2api.store.opening import open_store

# What scripts see when nobody would serve.
EXIT_NOBODY = 1
_HEAD = ("PLACE", "ACCOUNT", "WHY", "SINCE", "UNTIL", "WHAT HAPPENS NEXT")
_NOTE = (
    "This is what the database knows. Requests in flight, whose turn it is, and rests of less than "
    "half a minute are known to the running gateway alone."
)


def explain(
    group: Annotated[str, typer.Option(help="The group that is asked.")] = DEFAULT_GROUP,
    model: Annotated[str, typer.Option(help="The model, as clients name it; any, if none.")] = "",
    key: Annotated[str, typer.Option(help="The conversation, as the client names it.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    env_file: Annotated[
        str | None, typer.Option(help="Read this file instead of .env, as `serve` was told to.")
    ] = None,
) -> None:
    """Tell which account would serve a request, which ones after it, and why the others would not.

    Exit code 1 when nobody would.
    """
    environ = compose.environment()
    installation = find_installation(environ)
    settings = load({}, environ, installation=installation, env_file=env_file)
    logs.configure(settings.log_level.value, settings.log_format.value)
    question = Question(group=group, model=model, key=key)
    explanation = asyncio.run(_ask(settings, installation, question))
    if json:
        print_json(explanation)
    else:
        _print(explanation)
    if not explanation.serves:
        raise typer.Exit(EXIT_NOBODY)


async def _ask(settings: Settings, installation: Installation, question: Question) -> Explanation:
    path = database_path(settings, installation)
    if not path.exists():
        raise SetupError(f"There is no database {path} yet: start the gateway once.")
    store = await open_store(path, secret_key=settings.secret_key)
    try:
        return explain_choice(
            await store.accounts.accounts(),
            await store.groups.groups(),
            question,
            models=ModelMap(compose.read_model_overrides(settings.models, installation)),
            now=compose.SystemClock.wall(),
        )
    finally:
        await store.close()


def _print(explanation: Explanation) -> None:
    """Print the explanation for a person: a sentence, then one line per account."""
    asked = explanation.model or "any model"
    if not explanation.accounts:
        print(f"Group {explanation.group} has no account.")
        return
    if explanation.serves:
        print(f"Group {explanation.group}, {explanation.strategy}, {asked}:\n")
    else:
        print(f"Nobody would serve {asked} in group {explanation.group}:\n")
    print_table(_HEAD, [_row(account) for account in explanation.accounts])
    print(f"\n{_NOTE}", file=sys.stderr)


def _row(account: ExplainedAccount) -> tuple[str, ...]:
    return (
        "-" if account.place is None else str(account.place),
        account.name,
        account.reason,
        local_time(account.since),
        local_time(account.until),
        account.next_step,
    )
