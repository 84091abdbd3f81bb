"""The accounts on the command line: of a real store, and beside a running gateway."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kiro2api.cli.accounts import REMOVED_BY_PERSON
from kiro2api.config import SETTINGS
from kiro2api.pool.account import Condition, Standing
from kiro2api.store.opening import Store
from tests.support.commands import Commands
from tests.support.emulator import RunningEmulator
from tests.support.gateway import (
    NO_ENV_FILE,
    RunningGateway,
    StartGateway,
    gateway_environment,
)
from tests.support.stores import imported, start, stored, with_store

NOW = time.time()
SUSPENDED = Condition(Standing.SUSPENDED, "locked", NOW - 60)
DRAINED = Condition(Standing.DRAINED, "month used up", NOW - 60, NOW + 900)


def by_name(reports: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {report["name"]: report for report in reports}


# ------------------------------------------------------------------------------------ list and show


def test_the_list_tells_state_reason_since_until_and_what_happens_next(commands: Commands) -> None:
    commands.fill("one", "two", two=DRAINED)

    head, one, two = commands.run("accounts", "list").splitlines()

    assert head.split()[:5] == ["#", "ACCOUNT", "GROUP", "STATE", "CREDITS"]
    assert one.split() == ["1", "one", "default", "ready", "unknown"]
    assert two.split()[:5] == ["2", "two", "default", "drained", "unknown"]
    assert "month used up" in two
    assert two.endswith("it returns by itself")


def test_programs_get_the_list_as_json(commands: Commands) -> None:
    commands.fill("one", "two", two=DRAINED)

    one, two = commands.json("accounts", "list")

    assert (one["name"], one["standing"], one["place"]) == ("one", "ready", 1)
    assert (two["standing"], two["since"], two["until"]) == ("drained", NOW - 60, NOW + 900)


def test_the_list_can_be_that_of_one_group(commands: Commands) -> None:
    commands.fill("one", group="pro")

    assert len(commands.json("accounts", "list", "--group", "pro")) == 1
    assert commands.run("accounts", "list", "--group", "default") == "There is no account.\n"


def test_the_next_step_of_a_person_comes_with_its_command(commands: Commands) -> None:
    commands.fill("one", one=SUSPENDED)

    assert commands.run("accounts", "list").rstrip().endswith("kiro2api accounts test one")


def test_one_account_is_shown_without_its_secrets(commands: Commands) -> None:
    commands.fill("one", one=SUSPENDED)

    shown = commands.run("accounts", "show", "one")

    assert "token 0" not in shown
    rows = dict(line.split("  ", 1) for line in shown.splitlines())
    values = {name: value.strip() for name, value in rows.items()}
    assert values["state"] == "suspended"
    assert values["why"] == "locked"
    assert values["login"] == "Social, us-east-1"
    assert values["came from"] == "configuration"


def test_an_id_names_an_account_as_well(commands: Commands) -> None:
    commands.fill("one", "two")
    two = stored(commands.database)[1]

    assert commands.json("accounts", "show", two.id)["name"] == "two"


def test_an_ambiguous_name_is_refused_with_the_candidates(commands: Commands) -> None:
    commands.fill("same", "same")
    ids = [account.id for account in stored(commands.database)]

    commands.run("accounts", "disable", "same", code=2)

    assert all(f"{account_id} (group default)" in commands.error for account_id in ids)
    assert all(account.enabled for account in stored(commands.database))


def test_a_wrong_name_among_right_ones_changes_nothing(commands: Commands) -> None:
    commands.fill("one")

    commands.run("accounts", "disable", "one", "two", code=2)

    assert stored(commands.database)[0].enabled


# --------------------------------------------------------------------------------------- decisions


def test_a_disabled_account_stays_so_at_the_next_start_until_it_is_enabled(
    commands: Commands,
) -> None:
    commands.fill("one")
    assert commands.run("accounts", "disable", "one") == (
        "one: disabled, place 1 of group default, disabled\n"
    )
    commands.fill("one")
    (disabled,) = commands.json("accounts", "list")
    (enabled,) = commands.json("accounts", "enable", "one")

    assert (disabled["standing"], enabled["standing"]) == ("disabled", "ready")


def test_to_enable_an_account_forgets_what_has_kept_it_out(commands: Commands) -> None:
    commands.fill("one", one=SUSPENDED)

    (report,) = commands.json("accounts", "enable", "one")

    assert (report["standing"], report["usable"]) == ("ready", True)


def test_a_removed_account_stays_out_and_is_listed_only_on_demand(commands: Commands) -> None:
    commands.fill("one", "two")
    (removed,) = commands.json("accounts", "remove", "one")
    commands.fill("one", "two")

    assert (removed["standing"], removed["reason"]) == ("removed", REMOVED_BY_PERSON)
    assert list(by_name(commands.json("accounts", "list"))) == ["two"]
    assert list(by_name(commands.json("accounts", "list", "--all"))) == ["two", "one"]


def test_an_account_is_moved_to_a_group_and_a_place(commands: Commands) -> None:
    commands.fill("one", "two", "three")

    commands.run("accounts", "move", "three", "--group", "pro", "--place", "1", "--soft-cap", "4")

    reports = commands.json("accounts", "list")
    assert [report["name"] for report in reports] == ["three", "one", "two"]
    assert (reports[0]["group"], reports[0]["soft_cap"]) == ("pro", 4)


def test_an_account_gets_a_new_name_and_a_soft_cap(commands: Commands) -> None:
    commands.fill("one")

    commands.run("accounts", "edit", "one", "--name", " mine ", "--soft-cap", "2")

    (report,) = commands.json("accounts", "list")
    assert (report["name"], report["soft_cap"]) == ("mine", 2)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("move", "one"), "say where to"),
        (("move", "one", "--group", "Not A Group"), "a group name consists of"),
        (("move", "one", "--group", "models"), "reserved"),
        (("move", "one", "--place", "0"), "place"),
        (("edit", "one"), "say what to change"),
        (("edit", "one", "--name", " "), "one character or more"),
        (("edit", "one", "--soft-cap", "-1"), "soft-cap"),
        (("disable",), "ACCOUNT"),
    ],
)
def test_a_wrong_use_is_refused(commands: Commands, words: tuple[str, ...], reason: str) -> None:
    commands.fill("one")

    commands.run("accounts", *words, code=2)

    assert reason in commands.error


def test_asking_makes_no_database(commands: Commands) -> None:
    commands.run("accounts", "list", code=78)

    assert "There is no database" in commands.error
    assert not commands.database.exists()


# -------------------------------------------------------------------------------------------- test


@pytest.fixture
def upstream(emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch) -> RunningEmulator:
    """The emulator, which the commands of a test call."""
    for plane in ("API", "SOCIAL", "OIDC"):
        monkeypatch.setenv(f"KIRO_{plane}_ENDPOINT", emulator.url)
    return emulator


def bring(commands: Commands, emulator: RunningEmulator, name: str, *conditions: Condition) -> None:
    """Put one emulated account into the store, in this condition."""
    account = emulator.add_account(name)
    commands.fill()

    async def work(store: Store) -> None:
        new = imported(account.refresh_token, name=name)
        added = await store.accounts.add(new)
        for condition in conditions:
            await store.accounts.save_condition(added.id, condition)

    with_store(commands.database, work)


def test_an_account_that_works_is_refreshed_and_put_back(
    commands: Commands, upstream: RunningEmulator
) -> None:
    bring(commands, upstream, "one", SUSPENDED)

    (checked,) = commands.json("accounts", "test", "one")

    assert checked["passed"]
    assert [step["name"] for step in checked["steps"]] == ["login", "models", "credits"]
    assert (checked["account"]["standing"], checked["account"]["reason"]) == ("ready", "")
    assert len(upstream.refreshes(account="one")) == 1
    (account,) = stored(commands.database)
    assert account.credential.refresh_token == upstream.account("one").refresh_token
    assert account.condition is None or account.condition.standing is Standing.READY


def test_what_a_test_has_found_is_a_table_for_people(
    commands: Commands, upstream: RunningEmulator
) -> None:
    bring(commands, upstream, "one")

    lines = [line.split() for line in commands.run("accounts", "test").splitlines()]

    assert [line[:3] for line in lines] == [
        ["ACCOUNT", "STEP", "RESULT"],
        ["one", "login", "ok"],
        ["one", "models", "ok"],
        ["one", "credits", "ok"],
        ["one", "state", "ready"],
    ]


def test_a_person_at_a_terminal_sees_which_account_is_being_tested(
    commands: Commands, upstream: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(commands, upstream, "one")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    commands.run("accounts", "test")

    assert "testing one ..." in commands.error


def test_a_script_sees_that_one_of_all_accounts_fails(
    commands: Commands, upstream: RunningEmulator
) -> None:
    bring(commands, upstream, "one")
    start(commands.database)
    with_store(commands.database, lambda s: s.accounts.add(imported("dead", name="two")))

    checked = commands.json("accounts", "test", code=1)

    assert [(one["account"]["name"], one["passed"]) for one in checked] == [
        ("one", True),
        ("two", False),
    ]
    assert checked[1]["account"]["standing"] == "needs_login"
    assert "logs it in again" in checked[1]["account"]["next_step"]


# -------------------------------------------------------------------------- beside a running gateway


@pytest.fixture
def beside(
    start_gateway: StartGateway,
    upstream: RunningEmulator,
    tmp_path: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
) -> RunningGateway:
    """A gateway with the accounts one and two, on the store that the commands of the test open."""
    pair = [upstream.add_account(name) for name in ("one", "two")]
    gateway = start_gateway(pair)
    names = {setting.about.env for setting in SETTINGS} - {"KIRO_AUTH_TOKEN", "LOG_LEVEL"}
    for name, value in gateway_environment(tmp_path, upstream, []).items():
        if name in names:
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("KIRO_SECRET_KEY")
    gateway.wait_until_settled()
    return gateway


def test_the_running_gateway_serves_from_another_account_after_a_decision(
    commands: Commands, beside: RunningGateway
) -> None:
    assert beside.messages().status == 200
    commands.run("accounts", "disable", "one")
    beside.wait_for(lambda: not beside.account("one")["enabled"], "the change")
    assert beside.messages().status == 200

    served = [record.account for record in beside.emulator.generations()]
    assert served == ["one", "two"]


def test_an_account_that_was_moved_serves_its_new_group_alone(
    commands: Commands, beside: RunningGateway
) -> None:
    commands.run("accounts", "move", "one", "--group", "pro")
    beside.wait_for(lambda: beside.account("one")["group"] == "pro", "the change")
    assert beside.messages(path="/pro/v1/messages").status == 200
    assert beside.messages().status == 200

    assert [record.account for record in beside.emulator.generations()] == ["one", "two"]


def test_a_removed_account_leaves_the_running_gateway(
    commands: Commands, beside: RunningGateway
) -> None:
    commands.run("accounts", "remove", "one")
    beside.wait_for(lambda: list(by_name(beside.accounts())) == ["two"], "the change")

    assert beside.messages().status == 200


def test_a_test_beside_the_gateway_hands_its_token_over_and_ends_a_suspension(
    commands: Commands, beside: RunningGateway, upstream: RunningEmulator
) -> None:
    with_condition(commands, "one", SUSPENDED)
    beside.wait_for(lambda: beside.account("one")["standing"] == "suspended", "the verdict")
    commands.run("accounts", "test", "one")
    beside.wait_for(lambda: beside.account("one")["standing"] == "ready", "the recovery")
    assert beside.messages().status == 200

    (generation,) = upstream.generations()
    counters = upstream.counters()
    assert generation.account == "one"
    assert (counters.max_parallel_refreshes, counters.dead_token_uses) == (1, 0)


def test_tests_at_one_time_refresh_one_after_the_other(
    beside: RunningGateway, upstream: RunningEmulator, tmp_path: Path
) -> None:
    environment = gateway_environment(tmp_path, upstream, [])
    before = len(upstream.refreshes(account="one"))
    words = (sys.executable, "-m", "kiro2api", "accounts", "test", "one", *NO_ENV_FILE)
    tests = [subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL) for _ in range(3)]

    assert [test.wait(timeout=30) for test in tests] == [0, 0, 0]
    assert len(upstream.refreshes(account="one")) > before
    counters = upstream.counters()
    assert (counters.max_parallel_refreshes, counters.dead_token_uses) == (1, 0)
    assert beside.messages().status == 200


def with_condition(commands: Commands, name: str, condition: Condition) -> None:
    """Put a verdict on an account in the store, as another process would."""
    account_id = commands.json("accounts", "show", name)["id"]
    path = commands.database.parent.parent / "kiro2api.db"

    with_store(path, lambda s: s.accounts.save_condition(account_id, condition), secret_key="")
