"""The client keys on the command line: of a real store, and beside a running gateway."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from kiro2api.cli.keys import KeyReport, NewKey
from kiro2api.compose import SystemClock
from kiro2api.config import SETTINGS
from tests.support.commands import Commands
from tests.support.emulator import RunningEmulator
from tests.support.gateway import (
    CHAT,
    MESSAGES,
    RunningGateway,
    StartGateway,
    anthropic_body,
    chat_body,
    gateway_environment,
)

DAY_S = 86_400.0


def test_a_new_key_is_shown_alone_and_once(commands: Commands) -> None:
    (shown,) = commands.run("keys", "create", "laptop").splitlines()

    assert "not shown again" in commands.error
    assert shown.startswith("k2a_")
    assert shown not in commands.run("keys", "list")
    assert shown.encode() not in commands.database.read_bytes()


def test_the_list_tells_what_each_key_opens_and_until_when(commands: Commands) -> None:
    before = time.time()
    commands.run("keys", "create", "all")
    commands.run(
        *("keys", "create", "some", "--group", "pro", "--group", "default"),
        *("--model", "claude-haiku-4-5", "--expires", "30d"),
    )
    everything, some = commands.json("keys", "list")

    assert (everything["groups"], everything["models"], everything["expires_at"]) == ([], [], None)
    assert everything["last_used_at"] is None
    assert before <= everything["created_at"] <= time.time()
    assert (some["name"], some["state"]) == ("some", "active")
    assert (some["groups"], some["models"]) == (["pro", "default"], ["claude-haiku-4-5"])
    assert some["expires_at"] == pytest.approx(before + 30 * DAY_S, abs=60)


def test_the_list_is_a_table_for_people(commands: Commands) -> None:
    assert commands.run("keys", "create", "mine")
    head, row = commands.run("keys", "list").splitlines()

    assert head.split()[:4] == ["KEY", "STATE", "GROUPS", "MODELS"]
    assert row.split()[:4] == ["mine", "active", "all", "all"]
    assert row.endswith("not yet")


def test_a_key_is_disabled_enabled_and_deleted(commands: Commands) -> None:
    commands.run("keys", "create", "mine")

    assert commands.run("keys", "disable", "mine") == "mine: disabled\n"
    assert commands.run("keys", "enable", "mine") == "mine: active\n"
    assert commands.run("keys", "delete", "mine") == "mine: deleted\n"
    assert commands.run("keys", "list") == "There is no key.\n"


def test_programs_get_the_key_that_they_have_changed(commands: Commands) -> None:
    commands.run("keys", "create", "mine")

    assert commands.json("keys", "disable", "mine")["state"] == "disabled"
    assert commands.json("keys", "delete", "mine")["name"] == "mine"


def test_a_key_whose_time_is_over_is_told_as_such(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.run("keys", "create", "mine", "--expires", "1h")
    later = time.time() + 3601
    monkeypatch.setattr(SystemClock, "wall", staticmethod(lambda: later))

    assert commands.json("keys", "list")[0]["state"] == "expired"


def test_a_rotated_key_is_another_secret_of_the_same_rights(commands: Commands) -> None:
    created = commands.json("keys", "create", "mine", "--group", "pro")
    rotated = commands.json("keys", "rotate", "mine")

    assert rotated["secret"] != created["secret"]
    assert rotated["key"] == created["key"]


@pytest.mark.parametrize(
    ("word", "at"),
    [
        ("12h", lambda now: now + DAY_S / 2),
        ("8w", lambda now: now + 56 * DAY_S),
        ("2099-01-31", lambda now: datetime(2099, 1, 31).timestamp()),
        ("2099-01-31T12:00:00+00:00", lambda now: 4_073_544_000.0),
    ],
)
def test_the_end_of_a_key_is_a_span_or_a_date(commands: Commands, word, at) -> None:  # type: ignore[no-untyped-def] # a table of lambdas
    new = commands.json("keys", "create", "mine", "--expires", word)

    assert new["key"]["expires_at"] == pytest.approx(at(time.time()), abs=60)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("create", "mine", "--expires", "soon"), "'soon' is no time"),
        (("create", "mine", "--expires", "2020-01-01"), "is over already"),
        (("create", "mine", "--expires", "0d"), "is over already"),
        (("create", "mine", "--group", "Not A Group"), "a group name consists of"),
        (("create", "default"), "the first start makes"),
        (("create", " mine"), "no space at the ends"),
        (("create", ""), "1 to 64"),
        (("create", "m" * 65), "1 to 64"),
        (("create", "taken"), "already"),
        (("rotate", "nobody"), "There are: taken."),
        (("disable", "nobody"), "There are: taken."),
        (("delete", "nobody"), "There are: taken."),
    ],
)
def test_a_wrong_use_is_refused(commands: Commands, words: tuple[str, ...], reason: str) -> None:
    commands.run("keys", "create", "taken")

    commands.run("keys", *words, code=2)

    assert reason in commands.error
    assert len(commands.json("keys", "list")) == 1


def test_a_secret_does_not_reach_a_log_by_way_of_a_repr() -> None:
    report = KeyReport(
        id="k1",
        name="mine",
        state="active",
        groups=(),
        models=(),
        created_at=None,
        expires_at=None,
        last_used_at=None,
    )

    assert repr(NewKey("k2a_secret", report)) == "NewKey(mine)"


# -------------------------------------------------------------------------- the generated key


def test_a_reset_prints_the_new_key_alone(commands: Commands) -> None:
    [first] = commands.run("keys", "reset").splitlines()
    [second] = commands.run("keys", "reset").splitlines()

    assert first != second
    assert "within a second" in commands.error
    assert [key["name"] for key in commands.json("keys", "list")] == ["default"]


def test_the_generated_key_is_rotated_and_deleted_like_others(commands: Commands) -> None:
    [first] = commands.run("keys", "reset").splitlines()
    [second] = commands.run("keys", "rotate", "default").splitlines()
    commands.run("keys", "delete", "default")

    assert first != second
    assert "The next start makes another one" in commands.error


@pytest.mark.parametrize("words", [("reset",), ("rotate", "default")])
def test_the_generated_key_is_not_made_anew_while_the_settings_name_the_key(
    commands: Commands, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    commands.run("keys", "reset")
    monkeypatch.setenv("KIRO_CLIENT_TOKEN", "my-key")

    commands.run("keys", *words, code=78)

    assert "KIRO_CLIENT_TOKEN is set" in commands.error


def test_a_refused_reset_makes_no_database(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIRO_CLIENT_TOKEN", "my-key")

    commands.run("keys", "reset", code=78)

    assert not commands.database.exists()


def test_the_list_tells_that_the_settings_replace_the_generated_key(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.run("keys", "reset")
    monkeypatch.setenv("KIRO_CLIENT_TOKEN", "my-key")

    assert commands.json("keys", "list")[0]["state"] == "replaced"
    commands.run("keys", "list")
    assert "KIRO_CLIENT_TOKEN is a client key as well" in commands.error


# -------------------------------------------------------------------------- beside a running gateway


@pytest.fixture
def beside(
    start_gateway: StartGateway,
    emulator: RunningEmulator,
    tmp_path: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
) -> RunningGateway:
    """A gateway with an account in each of two groups, on the store that the commands open."""
    entries = [
        emulator.add_account(name).auth_entry(name=name, group=group)
        for name, group in (("one", "default"), ("two", "pro"))
    ]
    gateway = start_gateway(entries)
    names = {setting.about.env for setting in SETTINGS} - {"KIRO_AUTH_TOKEN", "LOG_LEVEL"}
    for name, value in gateway_environment(tmp_path, emulator, []).items():
        if name in names:
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("KIRO_SECRET_KEY")
    return gateway


def status(gateway: RunningGateway, key: str, path: str = MESSAGES, **more: object) -> int:
    body = chat_body(**more) if path.endswith(CHAT) else anthropic_body(**more)
    return gateway.post(path, body, key=key).status


def test_a_running_gateway_lets_a_new_key_in_and_a_disabled_one_out(
    commands: Commands, beside: RunningGateway
) -> None:
    secret = commands.json("keys", "create", "mine")["secret"]
    beside.wait_for(lambda: status(beside, secret) == 200, "the new key")
    commands.run("keys", "disable", "mine")
    beside.wait_for(lambda: status(beside, secret) == 401, "the disabled key")
    commands.run("keys", "enable", "mine")
    beside.wait_for(lambda: status(beside, secret) == 200, "the enabled key")


def test_a_rotated_key_opens_by_its_new_secret_alone(
    commands: Commands, beside: RunningGateway
) -> None:
    old = commands.json("keys", "create", "mine")["secret"]
    beside.wait_for(lambda: status(beside, old) == 200, "the new key")
    new = commands.json("keys", "rotate", "mine")["secret"]
    beside.wait_for(lambda: status(beside, new) == 200, "the new secret")

    assert status(beside, old) == 401


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_a_key_opens_its_groups_and_models_alone(
    commands: Commands, beside: RunningGateway, path: str
) -> None:
    model = "claude-sonnet-4-20250514"
    words = ("keys", "create", "mine", "--group", "pro", "--model", model)
    secret = commands.json(*words)["secret"]
    beside.wait_for(lambda: status(beside, secret, f"/pro{path}") == 200, "the key")

    assert status(beside, secret, path) == 403
    assert status(beside, secret, f"/pro{path}", model="claude-haiku-4-5") == 403


def test_the_last_use_of_a_key_is_told(commands: Commands, beside: RunningGateway) -> None:
    secret = commands.json("keys", "create", "mine")["secret"]
    beside.wait_for(lambda: status(beside, secret) == 200, "the new key")
    beside.stop()

    (key,) = [key for key in commands.json("keys", "list") if key["name"] == "mine"]
    assert key["last_used_at"] == pytest.approx(time.time(), abs=30)
