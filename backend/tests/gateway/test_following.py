"""Accounts that follow the file of another program."""

import asyncio

import pytest

from kiro2api.errors import SetupError
from kiro2api.gateway.following import LOOK_S, Following, follow_problem
from kiro2api.gateway.intake import Intake, Reading, read_entries
from kiro2api.gateway.ports import NewAccount
from tests.support.fakes import FakeClock, FakeStore, stored_account

PATH = "/home/someone/data.sqlite3"
SOCIAL = {"auth": "Social", "refreshToken": "theirs"}
KEY = {"auth": "ApiKey", "apiKey": "ksk_1"}
IDC = {"auth": "IdC", "refreshToken": "t", "clientId": "i", "clientSecret": "s"}


class FakeFiles:
    """One file that a test changes."""

    def __init__(self, *entries: object) -> None:
        self.entries = list(entries)
        self.number = 0
        self.reads = 0
        self.is_away = False

    def write(self, *entries: object) -> None:
        self.entries = list(entries)
        self.number += 1

    async def state(self, path: str) -> str:
        return f"{path} {self.number} {self.is_away}"

    async def read(self, path: str) -> Intake:
        self.reads += 1
        if self.is_away:
            raise SetupError("it is not there")
        return read_entries(self.entries, Reading())


class Taking(FakeStore):
    """A store that notes what it is given."""

    def __init__(self, *sources: str) -> None:
        accounts = [stored_account(f"a{n}", source=source) for n, source in enumerate(sources)]
        super().__init__(*accounts)
        self.taken: list[NewAccount] = []

    async def add(self, new: NewAccount):  # type: ignore[no-untyped-def]
        self.taken.append(new)


class Scene:
    """A store, a file, and what follows it."""

    def __init__(self, *sources: str) -> None:
        self.store = Taking(*(sources or (f"follow:{PATH}",)))
        self.files = FakeFiles(SOCIAL)
        self.following = Following(store=self.store, files=self.files, clock=FakeClock())

    def look(self) -> list[str]:
        """Look once, and return the refresh tokens that the store was given."""
        self.store.taken.clear()
        asyncio.run(self.following.look())
        return [new.credential.refresh_token for new in self.store.taken]


def test_what_a_followed_file_holds_is_given_to_the_store() -> None:
    scene = Scene()

    assert scene.look() == ["theirs"]
    assert scene.store.taken[0].source == f"follow:{PATH}"


def test_a_file_that_has_not_changed_is_not_read_again() -> None:
    scene = Scene()
    scene.look()

    assert (scene.look(), scene.files.reads) == ([], 1)


def test_a_file_that_has_changed_is_read_again() -> None:
    scene = Scene()
    scene.look()
    scene.files.write(SOCIAL | {"refreshToken": "new"})

    assert scene.look() == ["new"]


@pytest.mark.parametrize("source", ["import", "login", "configuration"])
def test_accounts_that_follow_nothing_have_no_file_read(source: str) -> None:
    scene = Scene(source)

    assert (scene.look(), scene.files.reads) == ([], 0)


def test_logins_of_another_kind_in_the_file_were_not_asked_for() -> None:
    scene = Scene()
    scene.files.write(SOCIAL, IDC)

    assert scene.look() == ["theirs"]


def test_an_account_that_was_removed_is_not_brought_back() -> None:
    scene = Scene()
    asyncio.run(scene.store.remove("a0", "a person"))
    asyncio.run(scene.following.bring_up(PATH))

    assert scene.store.taken == []


def test_a_file_that_cannot_be_read_is_tried_again_when_it_is_back() -> None:
    scene = Scene()
    scene.files.is_away = True
    assert (scene.look(), scene.look(), scene.files.reads) == ([], [], 1)

    scene.files.is_away = False

    assert scene.look() == ["theirs"]


def test_what_the_store_did_not_take_is_given_to_it_again() -> None:
    scene = Scene()
    scene.store.is_away = True
    with pytest.raises(Exception, match="away"):
        scene.look()
    scene.store.is_away = False

    assert scene.look() == ["theirs"]


def test_a_store_that_is_away_does_not_end_the_looking() -> None:
    scene = Scene()
    clock = FakeClock()
    scene.following = Following(store=scene.store, files=scene.files, clock=clock)
    scene.store.is_away = True

    async def sleep(delay_s: float) -> None:
        clock.slept.append(delay_s)
        scene.store.is_away = len(clock.slept) == 1
        if len(clock.slept) == 3:
            raise asyncio.CancelledError

    clock.sleep = sleep  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scene.following.run_forever())

    assert clock.slept == [LOOK_S] * 3
    assert len(scene.store.taken) == 1


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([SOCIAL, IDC], ""),
        ([], ""),
        ([SOCIAL, SOCIAL | {"refreshToken": "other"}], "several logins of one kind"),
        ([IDC, IDC | {"auth": "BuilderId", "clientId": "j"}], "several logins of one kind"),
        ([KEY], "a key never changes"),
    ],
)
def test_only_files_with_one_login_of_a_kind_can_be_followed(
    entries: list[object], problem: str
) -> None:
    assert problem in follow_problem(read_entries(entries, Reading()))
    assert bool(problem) == bool(follow_problem(read_entries(entries, Reading())))
