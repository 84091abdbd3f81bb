"""Background tasks with an owner."""

import asyncio

from kiro2api.gateway.tasks import TaskOwner


def test_an_error_that_nobody_awaits_is_reported() -> None:
    errors: list[BaseException] = []

    async def work() -> None:
        raise ValueError("broken")

    async def scene() -> None:
        owner = TaskOwner(errors.append)
        owner.start(work())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await owner.close()

    asyncio.run(scene())

    assert [str(error) for error in errors] == ["broken"]


def test_closing_ends_what_still_runs() -> None:
    async def scene() -> asyncio.Task[None]:
        owner = TaskOwner(lambda error: None)
        task = owner.start(asyncio.sleep(60))
        await asyncio.sleep(0)
        await owner.close()
        return task

    assert asyncio.run(scene()).cancelled()


def test_what_ends_within_the_grace_is_not_cancelled() -> None:
    async def scene() -> tuple[asyncio.Task[None], asyncio.Task[None]]:
        owner = TaskOwner(lambda error: None)
        short, long = owner.start(asyncio.sleep(0.01)), owner.start(asyncio.sleep(60))
        await owner.close(grace_s=0.1)
        return short, long

    short, long = asyncio.run(scene())

    assert (short.done(), short.cancelled()) == (True, False)
    assert long.cancelled()


def test_a_finished_task_gives_its_result() -> None:
    async def work() -> int:
        return 7

    async def scene() -> int:
        return await TaskOwner(lambda error: None).start(work())

    assert asyncio.run(scene()) == 7
