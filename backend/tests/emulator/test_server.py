"""The emulator as a server: its listeners, its versions of HTTP, its life."""

from tests.support.emulator import RunningEmulator


def test_a_reset_leaves_no_account(emulator: RunningEmulator) -> None:
    emulator.add_account("one")
    emulator.reset()

    assert emulator.counters().requests == 0
