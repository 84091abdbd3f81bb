"""A gateway that waits for nothing long, for tests of faults and silences."""

from collections.abc import Iterator

import pytest

from tests.support.emulator import run_emulator
from tests.support.gateway import RunningGateway, run_gateway

FIRST_EVENT_S = 1.0
IDLE_S = 1.0
COMMIT_S = 0.4
PING_S = 0.3
# The gateway looks at its streams twice a second, at its transfers four times.
SWEEP_S = 0.5


@pytest.fixture(scope="session")
def hasty_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """The hasty gateway of this test worker, with an emulator of its own."""
    with run_emulator() as emulator:
        entries = [
            emulator.add_account(name, access_lifetime_s=86_400).auth_entry(name=name)
            for name in ("alpha", "beta")
        ]
        settings = {
            "KIRO_FIRST_EVENT_TIMEOUT": str(FIRST_EVENT_S),
            "KIRO_IDLE_TIMEOUT": str(IDLE_S),
            "KIRO_STATUS_COMMIT": str(COMMIT_S),
            "KIRO_PING_INTERVAL": str(PING_S),
        }
        folder = tmp_path_factory.mktemp("hasty")
        with run_gateway(folder, emulator, entries, **settings) as gateway:
            gateway.wait_until_settled()
            yield gateway


@pytest.fixture
def hasty(hasty_process: RunningGateway) -> Iterator[RunningGateway]:
    """A hasty gateway with the accounts alpha and beta.

    It is shared by the tests of a worker: a test may let each account fail once, and the reply at
    the end makes the gateway forget it.
    """
    emulator = hasty_process.emulator
    emulator.clear_queue()
    emulator.forget_records()
    yield hasty_process
    violations = emulator.violations()
    emulator.clear_queue()
    assert hasty_process.messages("Well again?").status == 200
    assert violations == [], violations
