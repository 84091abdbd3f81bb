"""`kiro2api explain`: who would serve a request, and why the others would not."""

import sys
from typing import Annotated

import typer

from kiro2api import compose
from kiro2api.cli.output import local_time, print_json, print_table
from kiro2api.cli.target import EXIT_NO, AsJson, EnvFile, Target, on_store, read_target
from kiro2api.gateway.explain import ExplainedAccount, Explanation, Question, explain_choice
from kiro2api.pool.group import DEFAULT_GROUP
from kiro2api.protocol.codewhisperer.models import ModelMap
from kiro2api.store.opening import Store

_HEAD = ("PLACE", "ACCOUNT", "WHY", "SINCE", "UNTIL", "WHAT HAPPENS NEXT")
_NOTE = (
    "This is what the database knows. Requests in flight, whose turn it is, and rests of less than "
    "half a minute are known to the running gateway alone."
)


def explain(
    group: Annotated[str, typer.Option(help="The group that is asked.")] = DEFAULT_GROUP,
    model: Annotated[str, typer.Option(help="The model, as clients name it; any, if none.")] = "",
    key: Annotated[str, typer.Option(help="The conversation, as the client names it.")] = "",
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Tell which account would serve a request, which ones after it, and why the others would not.

    Exit code 1 when nobody would.
    """
    target = read_target(env_file)
    question = Question(group=group, model=model, key=key)
    explanation = on_store(target, lambda store: _ask(target, store, question))
    if json:
        print_json(explanation)
    else:
        _print(explanation)
    if not explanation.serves:
        raise typer.Exit(EXIT_NO)


async def _ask(target: Target, store: Store, question: Question) -> Explanation:
    overrides = compose.read_model_overrides(target.settings.models, target.installation)
    return explain_choice(
        await store.accounts.accounts(),
        await store.groups.groups(),
        question,
        models=ModelMap(overrides),
        now=compose.SystemClock.wall(),
    )


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
