"""What the program takes from the machine."""

import asyncio

from kiro2api.compose.system import SystemChance, SystemClock, main_loop


def test_the_work_runs_on_the_fast_loop() -> None:
    seen: list[str] = []

    async def work() -> None:
        seen.append(type(asyncio.get_running_loop()).__module__)

    main_loop(work)

    assert seen == ["uvloop"]


def test_the_clock_and_the_chance_are_the_machines() -> None:
    clock, chance = SystemClock(), SystemChance()

    assert clock.wall() > 1_700_000_000
    assert clock.monotonic() <= clock.monotonic()
    assert 0 <= chance.fraction() < 1
    assert chance.uuid() != chance.uuid()


def test_the_clock_sleeps() -> None:
    clock = SystemClock()

    async def slept_s() -> float:
        before = clock.monotonic()
        await clock.sleep(0.01)
        return clock.monotonic() - before

    assert 0.01 <= asyncio.run(slept_s()) < 1
