"""A database that is locked, full or damaged while the gateway serves (faults F16 to F18)."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.database import Database
from tests.support.emulator import RunningEmulator
from tests.support.gateway import RunningGateway, StartGateway
from tests.support.stores import locked
from tests.support.talk import WAYS, WHOLE

AN_HOUR_S = 3600.0


@pytest.fixture
def running(
    start_gateway: StartGateway, emulator: RunningEmulator, database: Database
) -> RunningGateway:
    """Return a gateway of one account that has done all that it does by itself at first."""
    gateway = start_gateway(emulator.add_account("one"))
    database.wait_for("SELECT quota_fetched_at > 0 AND models_fetched_at > 0 FROM accounts")
    assert gateway.messages().status == 200
    database.wait_for("SELECT route != '' FROM accounts")
    emulator.forget_records()
    return gateway


@contextmanager
def full_disk(gateway: RunningGateway) -> Iterator[None]:
    """Let the process write nothing more to any file, its log among them."""
    pid = gateway.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def test_requests_are_served_while_another_program_locks_the_database(
    running: RunningGateway, database: Database
) -> None:
    with locked(database.path):
        assert [way.ask(running).status for way in WAYS] == [200] * 4


def test_requests_are_served_while_the_disk_is_full(running: RunningGateway) -> None:
    with full_disk(running):
        assert [way.ask(running).status for way in WAYS] == [200] * 4
    assert running.messages().status == 200


def assert_back(gateway: RunningGateway, emulator: RunningEmulator) -> None:
    """The account works again, with one refresh, and its login was never shown twice."""
    gateway.wait_for(lambda: gateway.account("one")["usable"], "the account back")
    assert [way.ask(gateway).status for way in WHOLE] == [200, 200]
    assert len(emulator.refreshes()) == 1
    assert emulator.counters().dead_token_uses == 0


def test_no_refresh_begins_that_a_locked_database_could_not_keep(
    running: RunningGateway, emulator: RunningEmulator, database: Database
) -> None:
    """Both dialects ask at once: each waits the five seconds that another program may take."""
    emulator.advance_clock(2 * AN_HOUR_S)
    statuses: list[int] = []
    clients = [
        threading.Thread(target=lambda way=way: statuses.append(way.ask(running).status))
        for way in WHOLE
    ]
    with locked(database.path):
        for client in clients:
            client.start()
        for client in clients:
            client.join()

    assert statuses == [503, 503]
    assert emulator.refreshes() == []
    assert_back(running, emulator)


def test_no_refresh_begins_that_a_full_disk_could_not_keep(
    running: RunningGateway, emulator: RunningEmulator
) -> None:
    emulator.advance_clock(2 * AN_HOUR_S)
    with full_disk(running):
        statuses = [way.ask(running).status for way in WHOLE]

    assert statuses == [503, 503]
    assert emulator.refreshes() == []
    assert_back(running, emulator)


def test_a_verdict_that_a_locked_database_did_not_take_is_kept_when_it_can_be(
    running: RunningGateway,
    start_gateway: StartGateway,
    emulator: RunningEmulator,
    database: Database,
) -> None:
    emulator.queue(error="credit_rate")
    with locked(database.path):
        assert running.messages().status == 429
        running.wait_for(lambda: running.log_lines("store_write_failed"), "a failed write")
        assert running.account("one")["standing"] == "cooling"
    database.wait_for("SELECT count(condition) FROM accounts")
    running.kill()
    after = start_gateway(emulator.account("one"))

    assert after.account("one")["standing"] == "cooling"


def test_a_damaged_database_does_not_end_the_serving_and_the_next_start_says_one_sentence(
    running: RunningGateway, start_gateway: StartGateway, database: Database
) -> None:
    size = database.path.stat().st_size
    for path in (database.path, database.path.with_name(database.path.name + "-wal")):
        with path.open("r+b") as file:
            file.write(b"\xa5" * max(size, 1))
    assert [way.ask(running).status for way in WAYS] == [200] * 4
    damaged = database.path.read_bytes()
    running.kill()
    with pytest.raises(pytest.fail.Exception, match=r"damaged or no database: put it back"):
        start_gateway(())

    assert database.path.read_bytes() == damaged
