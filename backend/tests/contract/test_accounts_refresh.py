"""Refreshes under fire: two processes on one database, kills, and a holder that sleeps.

Cases 8 and 9 of the field, faults F23 to F25.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.database import Database
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway
from tests.support.talk import MIXED, WHOLE, Way

AN_HOUR_S = 3600.0


def in_threads(*jobs: Callable[[], object]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def assert_unharmed(emulator: RunningEmulator) -> None:
    """No refresh ran beside another one of its account, and no dead token was shown."""
    counters = emulator.counters()
    assert counters.max_parallel_refreshes == 1
    assert counters.dead_token_uses == 0
    assert emulator.violations() == []


# ------------------------------------------------------------------------------------ storms


@pytest.mark.parametrize("kind", ["social", "idc"])
def test_a_storm_over_two_processes_with_tokens_of_a_second_burns_no_login(
    start_gateway: StartGateway, emulator: RunningEmulator, kind: str
) -> None:
    accounts = [
        emulator.add_account(name, kind=kind, access_lifetime_s=1.0, refresh_latency_s=0.05)
        for name in ("one", "two")
    ]
    gateways = [start_gateway(accounts), start_gateway(accounts)]
    statuses: list[int] = []

    def client(gateway: RunningGateway, way: Way) -> Callable[[], None]:
        return lambda: statuses.extend(way.ask(gateway).status for _ in range(8))

    in_threads(*[client(gateway, way) for gateway in gateways for way in MIXED])

    assert statuses == [200] * 32
    assert len(emulator.refreshes()) > 4
    assert_unharmed(emulator)
    assert {a["standing"] for gateway in gateways for a in gateway.accounts()} == {"ready"}


def test_after_an_idle_night_two_processes_make_one_refresh(
    start_gateway: StartGateway, emulator: RunningEmulator
) -> None:
    """What one has refreshed, the other takes from the store; the one that is late waits."""
    account = emulator.add_account("one", refresh_latency_s=0.3)
    gateways = [start_gateway(account), start_gateway(account)]
    assert [gateway.messages().status for gateway in gateways] == [200, 200]
    emulator.advance_clock(9 * AN_HOUR_S)
    emulator.forget_records()
    statuses: list[int] = []
    in_threads(
        *[
            lambda gateway=gateway, way=way: statuses.append(way.ask(gateway).status)
            for gateway in gateways
            for way in MIXED
        ]
    )

    assert statuses == [200] * 4
    assert len(emulator.refreshes()) == 1
    assert_unharmed(emulator)


# ------------------------------------------------------------------------- a holder that sleeps


class Asleep:
    """A first process that is stopped in a refresh whose answer waits for it, and a second one."""

    def __init__(self, first: RunningGateway, second: RunningGateway, database: Database) -> None:
        self.first = first
        self.second = second
        self._database = database
        self._statuses: list[int] = []
        self._asking = threading.Thread(
            target=lambda: self._statuses.append(first.messages().status)
        )

    def fall_asleep(self, emulator: RunningEmulator) -> None:
        """Return once the first process has the lease, has asked, and hears nothing any more."""
        emulator.advance_clock(2 * AN_HOUR_S)
        before = emulator.account("one").refreshes
        asked = len(emulator.refreshes())
        self._asking.start()
        emulator.wait_for(lambda: len(emulator.refreshes()) > asked, what="a refresh")
        os.kill(self.first.process.pid, signal.SIGSTOP)
        emulator.wait_for(
            lambda: emulator.account("one").refreshes > before, what="a rotation nobody heard of"
        )
        # Ten seconds pass.
        self._database.ask("UPDATE leases SET until = 0")

    def wake(self) -> int:
        """Return what the client of the first process gets in the end."""
        os.kill(self.first.process.pid, signal.SIGCONT)
        self._asking.join()
        return self._statuses[0]


@pytest.fixture
def asleep(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database, rotation: str
) -> Iterator[Asleep]:
    account = emulator.add_account("one", rotation=rotation, refresh_latency_s=0.3)
    first = start_gateway(account)
    assert first.messages().status == 200
    first.wait_until_settled()
    second = start_gateway(account)
    asleep = Asleep(first, second, database)
    asleep.fall_asleep(emulator)
    yield asleep
    os.kill(first.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("rotation", ["grace"])
def test_a_holder_that_wakes_after_its_lease_does_not_overwrite_the_next_ones_login(
    asleep: Asleep, emulator: RunningEmulator, database: Database
) -> None:
    statuses = [way.ask(asleep.second).status for way in WHOLE]
    saved = database.account("one")
    woken = asleep.wake()
    after = database.account("one")

    assert statuses == [200, 200]
    assert woken == 200
    assert (after.version, after.credential) == (saved.version, saved.credential)
    assert after.credential.refresh_token == emulator.account("one").refresh_token
    assert [way.ask(asleep.first).status for way in WHOLE] == [200, 200]


@pytest.mark.parametrize("rotation", ["strict"])
def test_a_holder_that_wakes_with_the_only_good_login_brings_the_account_back(
    asleep: Asleep, emulator: RunningEmulator, database: Database
) -> None:
    """The other process was refused with the login that the sleeping one had just replaced."""
    assert [way.ask(asleep.second).status for way in WHOLE] == [503, 503]
    assert asleep.second.account("one")["standing"] == "needs_login"
    database.wait_for("SELECT count(condition) FROM accounts")
    asleep.wake()
    for gateway in (asleep.first, asleep.second):
        gateway.wait_for(lambda g=gateway: g.account("one")["usable"], "the account back")

    assert [way.ask(asleep.second).status for way in WHOLE] == [200, 200]
    assert [way.ask(asleep.first).status for way in WHOLE] == [200, 200]


# --------------------------------------------------------------------------------------- kills


Moment = Callable[[RunningGateway, RunningEmulator], None]


def when_saved(gateway: RunningGateway, emulator: RunningEmulator) -> None:
    emulator.wait_for(lambda: len(emulator.generations()) == 2, what="a call with the new token")


def when_asked(gateway: RunningGateway, emulator: RunningEmulator) -> None:
    emulator.wait_for(lambda: len(emulator.refreshes()) == 1, what="a refresh")


def when_rotated(gateway: RunningGateway, emulator: RunningEmulator) -> None:
    """Return with the process stopped: it has not heard of the new login that there is."""
    when_asked(gateway, emulator)
    os.kill(gateway.process.pid, signal.SIGSTOP)
    emulator.wait_for(lambda: emulator.account("one").refreshes == 2, what="the rotation")


def killed_in_a_refresh(
    start_gateway: StartGateway, emulator: RunningEmulator, moment: Moment, *, rotation: str
) -> EmulatedAccount:
    """Run a gateway, have a request need a refresh, and kill it at `moment`; return its account."""
    account = emulator.add_account("one", rotation=rotation, refresh_latency_s=0.3)
    gateway = start_gateway(account)
    assert gateway.messages().status == 200
    gateway.wait_until_settled()
    emulator.advance_clock(2 * AN_HOUR_S)
    emulator.forget_records()
    client = threading.Thread(target=lambda: swallow(gateway))
    client.start()
    moment(gateway, emulator)
    gateway.kill()
    client.join()
    emulator.forget_records()
    return account


def swallow(gateway: RunningGateway) -> None:
    try:
        gateway.messages()
    except OSError:
        return


def restarted(
    start_gateway: StartGateway, account: EmulatedAccount, database: Database
) -> RunningGateway:
    """Return the next process, ten seconds after the end of the first one's lease."""
    database.ask("UPDATE leases SET until = 0")
    return start_gateway(account)


def test_a_kill_after_the_refresh_is_saved_costs_nothing(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = killed_in_a_refresh(start_gateway, emulator, when_saved, rotation="strict")
    after = restarted(start_gateway, account, database)

    assert [way.ask(after).status for way in MIXED] == [200, 200]
    assert emulator.refreshes() == []
    assert_unharmed(emulator)


def test_a_kill_before_the_upstream_has_rotated_costs_nothing(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = killed_in_a_refresh(start_gateway, emulator, when_asked, rotation="strict")
    after = restarted(start_gateway, account, database)

    assert [way.ask(after).status for way in MIXED] == [200, 200]
    assert len(emulator.refreshes()) == 1
    assert_unharmed(emulator)


def test_a_kill_between_rotation_and_saving_leaves_an_account_that_says_it_needs_a_login(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    """The one window: nobody has heard of the new login."""
    account = killed_in_a_refresh(start_gateway, emulator, when_rotated, rotation="strict")
    after = restarted(start_gateway, account, database)
    answers = [way.ask(after).status for way in WHOLE]
    told = after.account("one")

    assert answers == [503, 503]
    assert (told["standing"], told["until"]) == ("needs_login", None)
    assert told["reason"]
    assert emulator.account("one").dead_token_uses == 1


def test_a_kill_in_that_window_costs_nothing_where_the_old_login_lives_on(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = killed_in_a_refresh(start_gateway, emulator, when_rotated, rotation="grace")
    after = restarted(start_gateway, account, database)

    assert [way.ask(after).status for way in MIXED] == [200, 200]
    assert_unharmed(emulator)


def test_the_lease_of_a_killed_process_does_not_keep_the_next_one_waiting_for_ever(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> None:
    account = killed_in_a_refresh(start_gateway, emulator, when_asked, rotation="strict")
    (lease_s,) = database.ask("SELECT until - taken_at FROM leases")[0]
    database.ask("UPDATE leases SET until = until - 9.0")
    after = start_gateway(account)

    assert lease_s == 10.0
    assert after.messages().status == 200
