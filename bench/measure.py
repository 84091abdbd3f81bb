"""The measurements: each returns one number of one program."""

import asyncio
import ssl
import statistics
import time
from pathlib import Path

import msgspec

from bench import workloads
from bench.load import Client, Crowd, request_bytes
from bench.programs import Emulator, Program, start_gateway

CONNECTIONS = 8
SETTLE_S = 0.3
# Streams open at this pace: faster, the start of the late ones would fall into what is measured.
OPENED_PER_S = 400


class Variant(msgspec.Struct):
    """One program under test, and how it is asked for each kind of work."""

    name: str
    program: Program
    path: str
    headers: dict[str, str]
    # By workload.
    bodies: dict[str, bytes]
    # What stands once in each event that it sends.
    mark: bytes
    # What a workload adds to the path, for a program that the emulator does not tell what to do.
    words: dict[str, str] = {}
    tls: ssl.SSLContext | None = None

    async def crowd(self, workload: str, *, size: int) -> Crowd:
        """Return clients that are going to ask for `workload`."""
        path = self.path + self.words.get(workload, "")
        request = request_bytes(path, self.bodies[workload], self.headers)
        return await Crowd.connect(self.program.port, request, self.mark, size=size, tls=self.tls)


class Paced(msgspec.Struct, frozen=True):
    """How many streams, how often each says something, for how long it is measured."""

    streams: int
    every_s: float
    measured_s: float


async def cpu_per_request_us(variant: Variant, workload: str, *, times: int) -> float:
    """Return the CPU time of one request in microseconds."""
    crowd = await variant.crowd(workload, size=CONNECTIONS)
    try:
        await crowd.ask(2)
        each = max(times // CONNECTIONS, 1)
        before = variant.program.cpu_ns()
        await crowd.ask(each)
        return (variant.program.cpu_ns() - before) / (each * CONNECTIONS) / 1000
    finally:
        crowd.close()


async def cpu_per_paced_event_us(variant: Variant, paced: Paced) -> tuple[float, float]:
    """Return the CPU time of one event in microseconds, and how many events came in one piece."""
    crowd = await variant.crowd("paced", size=paced.streams)
    try:
        # The extra half of a period spreads the events of all streams evenly over the period.
        await crowd.open(over_s=paced.streams / OPENED_PER_S + paced.every_s / 2)
        await crowd.until_all_have(3)
        await asyncio.sleep(SETTLE_S)
        marks, reads, before = crowd.marks, crowd.reads, variant.program.cpu_ns()
        await asyncio.sleep(paced.measured_s)
        spent, events = variant.program.cpu_ns() - before, crowd.marks - marks
        crowd.check()
        return spent / events / 1000, events / (crowd.reads - reads)
    finally:
        crowd.close()
        await asyncio.sleep(SETTLE_S)


async def cpu_per_burst_event_us(variant: Variant, *, times: int) -> float:
    """Return the CPU time of one event of streams that come as fast as they can."""
    crowd = await variant.crowd("burst", size=1)
    try:
        await crowd.ask(1)
        marks, before = crowd.marks, variant.program.cpu_ns()
        await crowd.ask(times)
        return (variant.program.cpu_ns() - before) / (crowd.marks - marks) / 1000
    finally:
        crowd.close()


async def first_text_ms(variant: Variant, *, times: int) -> float:
    """Return the time from a request to the first text of its answer, one request at a time."""
    crowd = await variant.crowd("answer", size=1)
    try:
        await crowd.ask(3)
        took = [await _first_text_s(crowd, crowd.clients[0]) for _ in range(times)]
    finally:
        crowd.close()
    return statistics.median(took) * 1000


async def _first_text_s(crowd: Crowd, client: Client) -> float:
    client.marks = 0
    started = time.perf_counter()
    await crowd.ask(1)
    return client.first_mark_at - started


async def memory_per_idle_stream_kib(
    emulator: Emulator, variant: Variant, *, streams: int
) -> float:
    """Return how much memory an open, silent stream holds; the program must have been started anew."""
    emulator.behave(workloads.ANSWER)
    warm = await variant.crowd("answer", size=4)
    await warm.ask(10)
    warm.close()
    await asyncio.sleep(SETTLE_S)
    emulator.behave(workloads.IDLE)
    before = variant.program.resident_bytes()
    crowd = await variant.crowd("answer", size=streams)
    try:
        await crowd.open(over_s=streams / OPENED_PER_S)
        await crowd.until_all_have(1)
        await asyncio.sleep(SETTLE_S)
        held = variant.program.resident_bytes() - before
    finally:
        crowd.close()
        emulator.open_idle_gate()
        await asyncio.sleep(SETTLE_S)
    return held / streams / 1024


async def start_ms(emulator: Emulator, variant: Variant, folder: Path) -> tuple[float, float]:
    """Return the time from the start of a gateway to its first whole answer, and the CPU's share.

    Its database is in `folder`.
    """
    started = time.perf_counter()
    program = start_gateway(emulator, folder, version="auto")
    try:
        crowd = await msgspec.structs.replace(variant, program=program).crowd("answer", size=1)
        await crowd.ask(1)
        took, spent = time.perf_counter() - started, program.cpu_ns()
        crowd.close()
    finally:
        program.stop()
    return took * 1000, spent / 1e6
