"""The lighter parts of a connection keep what uvicorn's own promise."""

import asyncio

import pytest

from kiro2api.server.flow import EdgeEvent, EdgeFlow
from tests.server.listening import run


class Reading:
    """Stands for a transport: counts how its reading was stopped and started."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")


def flow() -> tuple[EdgeFlow, Reading]:
    transport = Reading()
    return EdgeFlow(transport), transport  # type: ignore[arg-type]


def test_reading_is_paused_and_resumed_once() -> None:
    control, transport = flow()
    for _ in range(2):
        control.pause_reading()
    for _ in range(2):
        control.resume_reading()

    assert transport.calls == ["pause", "resume"]


def test_writers_wait_while_writing_is_paused_and_all_go_on_together() -> None:
    async def work() -> list[bool]:
        control, _ = flow()
        await control.drain()
        control.pause_writing()
        writers = [asyncio.create_task(control.drain()) for _ in range(3)]
        await asyncio.sleep(0.01)
        writers[0].cancel()
        await asyncio.sleep(0.01)
        before = [writer.done() for writer in writers]
        control.resume_writing()
        await asyncio.wait(writers, timeout=1)
        assert not control.write_paused
        return before + [writer.done() and not writer.cancelled() for writer in writers]

    assert run(work()) == [True, False, False, False, True, True]


def test_a_writer_that_is_paused_again_at_once_waits_on() -> None:
    async def work() -> bool:
        control, _ = flow()
        control.pause_writing()
        writer = asyncio.create_task(control.drain())
        await asyncio.sleep(0.01)
        control.resume_writing()
        control.pause_writing()
        await asyncio.sleep(0.01)
        waits = not writer.done()
        control.resume_writing()
        await asyncio.wait_for(writer, 1)
        return waits

    assert run(work())


def test_an_event_wakes_its_waiter_and_can_be_used_again() -> None:
    async def work() -> list[bool]:
        event = EdgeEvent()
        woken: list[bool] = []
        for _ in range(2):
            waiter = asyncio.create_task(event.wait())
            await asyncio.sleep(0.01)
            assert not waiter.done()
            event.set()
            event.set()
            woken.append(await asyncio.wait_for(waiter, 1))
            woken.append(await event.wait())
            event.clear()
        return woken

    assert run(work()) == [True] * 4


def test_a_waiter_that_is_cancelled_leaves_the_event_as_it_was() -> None:
    async def work() -> bool:
        event = EdgeEvent()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(event.wait(), 0.01)
        event.set()
        return await event.wait()

    assert run(work())
