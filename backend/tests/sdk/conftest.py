"""Gateways for the vendors' libraries: the shared one, and one whose accounts all fail."""

from collections.abc import Iterator

import pytest

from tests.support.emulator import run_emulator
from tests.support.gateway import RunningGateway, run_gateway
from tests.support.wiretap import Wiretap, tapped

# What the only account of a group gets for every call; the group has the same name.
FAULTS: dict[str, dict[str, object]] = {
    "limited": {"error": "user_rate_header"},
    "used_up": {"error": "quota_monthly"},
    "crowded": {"error": "model_capacity"},
    "on_hold": {"error": "suspended"},
    "not_entitled": {"error": "feature_not_supported"},
    "refusing": {"error": "bad_request"},
    "too_long": {"error": "context_too_long"},
    "no_model": {"error": "invalid_model"},
    "broken": {"error": "internal"},
    "away": {"error": "unavailable"},
    "late": {"error": "gateway_timeout"},
    "silent": {"scenario": "empty"},
    "cutting": {"scenario": "reset_after_text"},
}


@pytest.fixture
def tap(gateway: RunningGateway) -> Iterator[Wiretap]:
    """Stands before the shared gateway and keeps every byte."""
    with tapped(gateway.url) as tap:
        yield tap


@pytest.fixture(scope="session")
def failing_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with one group for each of `FAULTS`; what its accounts get never changes."""
    with run_emulator() as emulator:
        entries = [emulator.add_account(name).auth_entry(name=name, group=name) for name in FAULTS]
        folder = tmp_path_factory.mktemp("failing")
        with run_gateway(folder, emulator, entries) as gateway:
            gateway.wait_until_settled()
            for name, behaviour in FAULTS.items():
                emulator.queue(account=name, times=0, **behaviour)
            yield gateway


@pytest.fixture
def failing_tap(failing_gateway: RunningGateway) -> Iterator[Wiretap]:
    """Stands before the gateway whose accounts all fail."""
    failing_gateway.emulator.forget_records()
    with tapped(failing_gateway.url) as tap:
        yield tap
