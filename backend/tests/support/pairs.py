"""Accounts that one test may spoil: a gateway with many groups of two accounts each."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest

from tests.support.emulator import run_emulator
from tests.support.gateway import Response, RunningGateway, run_gateway
from tests.support.talk import Way

ADMIN = "admin-654321"
GROUPS = [f"pair{number}" for number in range(64)]


class Pair(msgspec.Struct, frozen=True):
    """A group whose two accounts belong to one test alone; `first` stands before `second`."""

    gateway: RunningGateway
    group: str

    @property
    def first(self) -> str:
        return f"{self.group}-1"

    @property
    def second(self) -> str:
        return f"{self.group}-2"

    def path(self, path: str) -> str:
        """Return `path` under the group."""
        return f"/{self.group}{path}"

    def ask(self, way: Way, content: object = "Hello", **more: Any) -> Response:
        """Ask the group."""
        return way.ask(self.gateway, content, path=self.path(way.path), **more)

    def queue(self, account: str, **behaviour: object) -> None:
        """Tell the upstream what the next calls of `account` get."""
        self.gateway.emulator.queue(account=account, **behaviour)

    def queue_for_both(self, **behaviour: object) -> None:
        """Tell the upstream what all further calls of either account get."""
        for account in (self.first, self.second):
            self.queue(account, times=0, **behaviour)

    def calls(self) -> list[str]:
        """Return the accounts of all generation calls so far, in order, whatever their group."""
        return [record.account for record in self.gateway.emulator.generations()]

    def account(self, name: str) -> dict[str, Any]:
        """Return the account as the operator sees it."""
        return self.gateway.account(name)


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Pair]]:
    """The unused pairs of this test worker; there are always more."""
    with ExitStack() as running:
        yield _pairs(running, tmp_path_factory)


def _pairs(running: ExitStack, folders: pytest.TempPathFactory) -> Iterator[Pair]:
    while True:
        emulator = running.enter_context(run_emulator())
        entries = []
        for group in GROUPS:
            for number in (1, 2):
                account = emulator.add_account(
                    f"{group}-{number}", rotation="same", access_lifetime_s=86_400
                )
                entries.append(account.auth_entry(name=account.name, group=group))
        gateway = running.enter_context(
            run_gateway(folders.mktemp("pairs"), emulator, entries, KIRO_ADMIN_TOKEN=ADMIN)
        )
        yield from (Pair(gateway, group) for group in GROUPS)


@pytest.fixture
def pair(pairs: Iterator[Pair]) -> Iterator[Pair]:
    """Two fresh accounts in a group of their own, for tests that move accounts."""
    pair = next(pairs)
    emulator = pair.gateway.emulator
    emulator.clear_queue()
    emulator.forget_records()
    yield pair
    violations = emulator.violations()
    assert violations == [], violations
