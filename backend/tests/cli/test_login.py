"""Logging in on the command line, at the emulator's sign-in services."""

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from kiro2api.protocol.codewhisperer.auth import AuthKind
from tests.support.commands import Commands
from tests.support.emulator import RunningEmulator
from tests.support.stores import SECRET_KEY, stored

START_URL = "https://acme.awsapps.com/start"
WAIT_S = 15.0


@pytest.fixture
def commands(
    commands: Commands, emulator: RunningEmulator, monkeypatch: pytest.MonkeyPatch
) -> Commands:
    """Commands whose login services are the emulator's, where devices are asked at once."""
    monkeypatch.setenv("KIRO_SOCIAL_ENDPOINT", emulator.url)
    monkeypatch.setenv("KIRO_OIDC_ENDPOINT", emulator.url)
    emulator.set_sign_in(device_interval_s=0.01)
    return commands


def person(emulator: RunningEmulator, kind: str, **settings: object) -> None:
    """Put the person with the account `me` at the browser."""
    emulator.add_account("me", kind=kind)
    emulator.set_sign_in(person="me", device_interval_s=0.01, **settings)


def test_a_builder_id_that_agrees_becomes_an_account(
    commands: Commands, emulator: RunningEmulator
) -> None:
    person(emulator, "builder_id")

    output = commands.run("login", "--builder-id")

    (account,) = stored(commands.database)
    assert account.credential.kind is AuthKind.BUILDER_ID
    assert account.credential.refresh_token == emulator.account("me").refresh_token
    assert (account.name, account.group, account.source) == ("Builder ID", "default", "login")
    assert output == f"The account Builder ID ({account.id}) was added.\n"
    assert emulator.violations() == []


def test_a_second_login_of_the_same_way_gets_a_name_of_its_own(
    commands: Commands, emulator: RunningEmulator
) -> None:
    person(emulator, "builder_id")
    commands.run("login", "--builder-id")
    emulator.add_account("other", kind="builder_id")
    emulator.set_sign_in(person="other", device_interval_s=0.01)
    commands.run("login", "--builder-id")

    assert [account.name for account in stored(commands.database)] == ["Builder ID", "Builder ID 2"]


def test_the_address_and_the_code_are_shown_beside_the_result(
    commands: Commands, emulator: RunningEmulator
) -> None:
    person(emulator, "builder_id")
    commands.run("login", "--builder-id")

    address, code, waiting = commands.error.splitlines()

    assert re.fullmatch(r"Open     https?://\S+", address)
    assert re.fullmatch(r"Compare  [A-Z0-9-]+", code)
    assert code.split()[1] in address
    assert waiting == "Waiting for 10:00 at most ..."


def test_a_login_at_an_organisation_is_of_its_region(
    commands: Commands, emulator: RunningEmulator
) -> None:
    person(emulator, "idc")
    words = ("--name", "work", "--group", "pro", "--region", "eu-west-1")

    answer = commands.json("login", "--idc", START_URL, *words)

    (account,) = stored(commands.database)
    assert (account.name, account.group) == ("work", "pro")
    assert (account.credential.region, account.credential.start_url) == ("eu-west-1", START_URL)
    assert answer == {
        "state": "approved",
        "reason": "",
        "id": account.id,
        "name": "work",
        "outcome": "added",
    }


def test_a_login_that_takes_its_time_is_waited_for(
    commands: Commands, emulator: RunningEmulator
) -> None:
    person(emulator, "builder_id", pending_polls=3)

    commands.run("login", "--builder-id")

    assert len(stored(commands.database)) == 1


def test_a_person_who_refuses_is_told_as_a_negative_answer(
    commands: Commands, emulator: RunningEmulator
) -> None:
    person(emulator, "builder_id", consent="deny")

    commands.run("login", "--builder-id", code=1)

    assert commands.error.endswith("No account: the person has refused.\n")
    assert stored(commands.database) == []


def test_a_code_that_nobody_compares_expires(commands: Commands, emulator: RunningEmulator) -> None:
    emulator.add_account("me", kind="builder_id")
    emulator.set_sign_in(device_interval_s=0.05, device_lifetime_s=1)

    answer = commands.json("login", "--builder-id", code=1)

    assert answer["reason"] == "nobody has agreed in time"


def test_a_service_that_is_away_is_told(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIRO_OIDC_ENDPOINT", "http://127.0.0.1:1")

    commands.run("login", "--builder-id", code=1)

    assert "could not be started" in commands.error


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "one of --social, --idc and --builder-id"),
        (("--builder-id", "--social", "google"), "one of --social"),
        (("--idc", "acme"), "begins with https://"),
        (("--idc", START_URL, "--region", "Frankfurt"), "--region"),
        (("--builder-id", "--group", "api"), "reserved"),
    ],
)
def test_wrong_words_are_refused_before_anything_is_asked(
    commands: Commands, emulator: RunningEmulator, words: tuple[str, ...], reason: str
) -> None:
    commands.run("login", *words, code=2)

    assert reason in commands.error
    assert emulator.records() == []


# ---------------------------------------------------------------------------------------- social


class Browser(io.StringIO):
    """Standard input at which somebody pastes where the shown address has led."""

    def __init__(self, emulator: RunningEmulator, *before: str, consent: str = "approve") -> None:
        super().__init__()
        self.emulator = emulator
        self.before = list(before)
        self.consent = consent
        self.shown: list[str] = []

    def readline(self, size: int | None = -1, /) -> str:
        if self.before:
            return self.before.pop(0)
        url = next(line for line in self.shown if line.startswith("Open")).split()[1]
        return self.emulator.sign_in("me", url=url, consent=self.consent) + "\n"


@pytest.fixture
def browse(monkeypatch: pytest.MonkeyPatch, emulator: RunningEmulator) -> Any:
    """Return what puts somebody with the account `me` at the browser."""
    emulator.add_account("me", kind="social")

    def start(*before: str, **options: str) -> Browser:
        browser = Browser(emulator, *before, **options)
        monkeypatch.setattr("kiro2api.cli.login._tell", browser.shown.append)
        monkeypatch.setattr("sys.stdin", browser)
        return browser

    return start


def test_a_pasted_address_becomes_an_account(
    commands: Commands, emulator: RunningEmulator, browse: Any
) -> None:
    browse()

    commands.run("login", "--social", "github")

    (account,) = stored(commands.database)
    assert account.credential.kind is AuthKind.SOCIAL
    assert (account.credential.provider, account.name) == ("Github", "GitHub")
    assert account.credential.refresh_token == emulator.account("me").refresh_token
    assert emulator.violations() == []


def test_a_wrong_address_is_explained_and_asked_for_again(commands: Commands, browse: Any) -> None:
    browser = browse("https://app.example/home\n", "\n")

    commands.run("login", "--social", "google")

    assert sum("There is no code in this address" in line for line in browser.shown) == 2
    assert len(stored(commands.database)) == 1


def test_an_input_that_ends_is_a_login_that_failed(commands: Commands, browse: Any) -> None:
    browse("")

    answer = commands.json("login", "--social", "google", code=1)

    assert (answer["state"], answer["reason"]) == ("failed", "no address was pasted")


def test_a_refusal_in_the_address_ends_the_login(commands: Commands, browse: Any) -> None:
    browse(consent="deny")

    assert commands.json("login", "--social", "google", code=1)["state"] == "failed"


def test_each_login_has_a_state_and_a_challenge_of_its_own(commands: Commands, browse: Any) -> None:
    queries = []
    for _ in range(2):
        browser = browse("")
        commands.run("login", "--social", "google", code=1)
        queries.append(parse_qs(urlsplit(browser.shown[0].split()[1]).query))

    for member in ("state", "code_challenge"):
        assert queries[0][member] != queries[1][member]


# -------------------------------------------------------------------------------------- terminal


class Terminal:
    """The program on a terminal, as a person has it."""

    def __init__(self, folder: Path, emulator: RunningEmulator, *words: str) -> None:
        ours, theirs = pty.openpty()
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TERM": "xterm",
            "KIRO_DB_PATH": str(folder / "k.db"),
            "KIRO_SECRET_KEY": SECRET_KEY,
            "KIRO_SOCIAL_ENDPOINT": emulator.url,
            "KIRO_OIDC_ENDPOINT": emulator.url,
        }
        command = [sys.executable, "-m", "kiro2api", *words, "--env-file", os.devnull]
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=env
        )
        os.close(theirs)
        self._fd = ours
        self.text = ""

    def until(self, wanted: str) -> str:
        """Return what is on the screen once `wanted` is."""
        end = time.monotonic() + WAIT_S
        while wanted not in self.text:
            assert time.monotonic() < end, self.text
            if select.select([self._fd], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self._fd, 4096).decode()
                except OSError:  # the program has ended
                    assert wanted in self.text, self.text
        return self.text

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


def test_a_terminal_shows_the_time_that_is_left(tmp_path: Path, emulator: RunningEmulator) -> None:
    emulator.add_account("me", kind="builder_id")
    emulator.set_sign_in(device_interval_s=0.1)
    terminal = Terminal(tmp_path, emulator, "login", "--builder-id")
    try:
        terminal.until("Waiting, 9:59 left")
        code = terminal.until("Compare").split("Compare")[1].split()[0]
        emulator.sign_in("me", user_code=code)
        terminal.until("was added.")
    finally:
        terminal.close()


def test_an_interrupt_ends_a_program_that_waits_for_an_address(
    tmp_path: Path, emulator: RunningEmulator
) -> None:
    terminal = Terminal(tmp_path, emulator, "login", "--social", "google")
    try:
        terminal.until("Address:")
        time.sleep(0.1)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.process.wait(timeout=WAIT_S) == 130
    finally:
        terminal.close()
