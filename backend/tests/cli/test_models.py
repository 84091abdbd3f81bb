"""The models on the command line."""

import time

from kiro2api.pool.account import Condition, ModelRefusal
from kiro2api.protocol.codewhisperer.models import UpstreamModel, write_models
from kiro2api.store.opening import Store
from tests.support.commands import Commands
from tests.support.stores import with_store

PUBLIC = "claude-sonnet-4-20250514"
REFUSED = Condition(models={PUBLIC: ModelRefusal(time.time() + 900, "not in the plan")})


def know_models(commands: Commands, *ids: str) -> None:
    """Let every account in the store have these models on its list."""
    models = write_models([UpstreamModel(one, one.title(), window_tokens=1000) for one in ids])

    async def work(store: Store) -> None:
        for account in await store.accounts.accounts():
            await store.accounts.save_models(account.id, models=models, fetched_at=1.0)

    with_store(commands.database, work)


def test_the_models_of_a_group_come_with_the_accounts_that_have_them(commands: Commands) -> None:
    commands.fill("one", "two", two=REFUSED)
    know_models(commands, "brand-new")

    models = {model["id"]: model for model in commands.json("models")}

    assert (models[PUBLIC]["accounts"], models[PUBLIC]["refused"]) == (["one"], ["two"])
    assert models["brand-new"]["accounts"] == ["one", "two"]
    assert models["brand-new"]["window_tokens"] == 1000


def test_the_models_are_a_table_for_people(commands: Commands) -> None:
    commands.fill("one")
    know_models(commands, "brand-new")

    head, *rows = commands.run("models").splitlines()

    assert head.split()[:3] == ["MODEL", "UPSTREAM", "INPUT"]
    assert rows[-1].split() == ["brand-new", "brand-new", "1000", "one"]


def test_a_script_sees_that_nobody_could_be_asked(commands: Commands) -> None:
    commands.fill("one")

    told = commands.run("models", "--group", "pro", code=1)

    assert told.startswith("Group pro has no account that serves")
