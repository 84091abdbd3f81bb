"""Who would serve, asked on the command line of a real store."""

import time
from pathlib import Path
from typing import Any

import pytest

from kiro2api.cli import main, target
from kiro2api.config import SETTINGS, Installation
from kiro2api.gateway.ports import GroupSettings
from kiro2api.pool.account import Condition, Standing
from kiro2api.protocol.wire.json import decode
from kiro2api.store.opening import Store
from tests.support.stores import SECRET_KEY, social, with_store

MODEL = "claude-sonnet-4-20250514"


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the database of an installation of its own will be."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.about.env, raising=False)
    monkeypatch.setenv("KIRO_SECRET_KEY", SECRET_KEY)
    found = Installation(tmp_path, tmp_path / "data", (tmp_path,))
    monkeypatch.setattr(target, "find_installation", lambda environ: found)
    return tmp_path / "data" / "kiro2api.db"


def fill(database: Path, **conditions: Condition) -> None:
    """Put the accounts one, two and three into the store, in these conditions."""
    entries = [
        social(f"token {name}", index=index, name=name)
        for index, name in enumerate(["one", "two", "three"])
    ]

    async def work(store: Store) -> None:
        await store.accounts.sync_configured(entries)
        for stored in await store.accounts.accounts():
            if stored.name in conditions:
                await store.accounts.save_condition(stored.id, conditions[stored.name])

    with_store(database, work)


def run(*words: str) -> int:
    """Run the command and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["explain", *words])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """Return the JSON answer by member; `accounts` become (name, place) pairs with their rows."""
    run(*words, "--json")
    answer: dict[str, Any] = decode(capsys.readouterr().out)
    return answer


def test_the_candidates_come_in_order_and_the_excluded_ones_with_their_reason(
    capsys: pytest.CaptureFixture[str], database: Path
) -> None:
    now = time.time()
    fill(database, one=Condition(Standing.DRAINED, "month used up", now - 60, now + 900))

    code = run("--model", MODEL)

    title, _, head, *rows = capsys.readouterr().out.splitlines()
    assert code == 0
    assert title == f"Group default, sequential, {MODEL}:"
    assert head.startswith("PLACE  ACCOUNT")
    assert [row.split()[:2] for row in rows] == [["1", "two"], ["2", "three"], ["-", "one"]]
    assert "month used up" in rows[2]
    assert rows[2].endswith("it returns by itself")


def test_the_note_on_what_only_the_gateway_knows_is_no_part_of_the_answer(
    capsys: pytest.CaptureFixture[str], database: Path
) -> None:
    fill(database)

    run()

    captured = capsys.readouterr()
    assert "running gateway" in captured.err
    assert "running gateway" not in captured.out


def test_programs_get_json(capsys: pytest.CaptureFixture[str], database: Path) -> None:
    now = time.time()
    fill(database, two=Condition(Standing.SUSPENDED, "locked", now))

    answer = told(capsys, "--model", MODEL)

    accounts = answer.pop("accounts")
    assert answer == {"group": "default", "strategy": "sequential", "model": MODEL, "key": ""}
    assert [(one["name"], one["place"]) for one in accounts] == [
        ("one", 1),
        ("three", 2),
        ("two", None),
    ]
    assert accounts[0]["model"] == "CLAUDE_SONNET_4_20250514_V1_0"
    assert (accounts[2]["reason"], accounts[2]["since"]) == ("locked", now)


def test_the_strategy_of_the_group_and_the_key_decide(
    capsys: pytest.CaptureFixture[str], database: Path
) -> None:
    fill(database)
    settings = GroupSettings(strategy="round_robin")
    with_store(database, lambda store: store.groups.set_group("default", settings))

    answers = [told(capsys, "--key", f"session {number}") for number in range(12)]

    assert {answer["strategy"] for answer in answers} == {"round_robin"}
    assert {answer["accounts"][0]["name"] for answer in answers} == {"one", "two", "three"}


def test_the_operators_own_map_of_models_counts(
    capsys: pytest.CaptureFixture[str], database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database)
    monkeypatch.setenv("KIRO_MODELS", '{"mine": "claude-haiku-4.5"}')

    assert told(capsys, "--model", "mine")["accounts"][0]["model"] == "claude-haiku-4.5"


def test_a_script_sees_that_nobody_would_serve(
    capsys: pytest.CaptureFixture[str], database: Path
) -> None:
    locked = Condition(Standing.SUSPENDED, "locked", time.time())
    fill(database, one=locked, two=locked, three=locked)

    assert run() == 1
    assert "Nobody would serve any model in group default:" in capsys.readouterr().out


def test_a_group_without_accounts_is_told_as_such(
    capsys: pytest.CaptureFixture[str], database: Path
) -> None:
    fill(database)

    assert run("--group", "pro") == 1
    assert capsys.readouterr().out == "Group pro has no account.\n"


def test_asking_makes_no_database(capsys: pytest.CaptureFixture[str], database: Path) -> None:
    assert run() == 78
    assert "There is no database" in capsys.readouterr().err
    assert not database.exists()
