"""Background tasks with an owner: none outlives it, none fails unseen."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

T = TypeVar("T")


class TaskOwner:
    """Keeps the tasks that it started until they end; lives as long as the part that owns it."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[object]] = set()
        self._on_error = on_error

    def start(self, work: Coroutine[object, object, T]) -> "asyncio.Task[T]":
        """Return the running task of `work`; its error is reported even if nobody awaits it."""
        task = asyncio.create_task(work)  # noqa: TID251 - this is the owner
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[object]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)

    async def close(self, *, grace_s: float = 0.0) -> None:
        """Return when all tasks have ended; what still runs after `grace_s` is cancelled."""
        if self._tasks and grace_s > 0:
            await asyncio.wait(self._tasks, timeout=grace_s)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
