"""What the program takes from the machine: its clocks, its chance, its environment, its loop."""

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping


class SystemClock:
    """The machine's clocks; one for the whole program."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)  # noqa: TID251 - the one place where time comes from

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s`."""
        await asyncio.sleep(delay_s)


class SystemChance:
    """The machine's randomness; one for the whole program.

    Its ids are unique and not secret. So they come from one generator that the machine seeds:
    asking the kernel for each of the five ids of a request costs four times as much.
    """

    def __init__(self) -> None:
        source = random.Random()
        self.fraction = source.random
        self._bits = source.getrandbits

    def uuid(self) -> str:
        """Return a new random UUID as text."""
        digits = f"{self._bits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def id(self) -> str:
        """Return a new random id of 24 hexadecimal digits."""
        return f"{self._bits(96):024x}"


def main_loop(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` on the fast event loop to its end."""
    import uvloop

    async def _main() -> None:
        await work()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())


def environment() -> Mapping[str, str]:
    """Return the process's environment; the program reads it nowhere else."""
    return os.environ
