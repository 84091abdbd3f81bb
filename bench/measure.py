"""The measurements: each returns one number of one program."""

import asyncio
import statistics
import time
from pathlib import Path

import msgspec

from bench import workloads
from bench.load import Client, Crowd, request_bytes
from bench.programs import Emulator, Program, start_gateway

CONNECTIONS = 8
SETTLE_S = 0.3


class Variant(msgspec.Struct):
    """One program under test, and how it is asked for each kind of work."""

    name: str
    program: Program
    # Path and headers of its requests; bodies by workload.
    path: str
    headers: dict[str, str]
    bodies: dict[str, bytes]
    # What stands once in each event that it sends.
    mark: bytes
    # What a workload adds to the path, for a program that is not told by the emulator.
    words: dict[str, str] = {}

    def request(self, workload: str) -> bytes:
        """Return the request for `workload` as bytes."""
        return request_bytes(self.path + self.words.get(workload, ""), self.bodies[workload], self.headers)


class Paced(msgspec.Struct, frozen=True):
    """How many streams, how often each says something, for how long it is measured."""

    streams: int
    every_s: float
    measured_s: float


async def cpu_per_request_us(variant: Variant, workload: str, *, times: int) -> float:
    """Return the CPU time of one request in microseconds."""
    crowd = await Crowd.connect(
        variant.program.port, variant.request(workload), variant.mark, size=CONNECTIONS
    )
    try:
        await crowd.ask(2)
        before = variant.program.cpu_ns()
        each = max(times // CONNECTIONS, 1)
        await crowd.ask(each)
        spent = variant.program.cpu_ns() - before
        return spent / (each * CONNECTIONS) / 1000
    finally:
        crowd.close()


async def cpu_per_paced_event_us(variant: Variant, paced: Paced) -> tuple[float, float]:
    """Return the CPU time of one event in microseconds, and how many events came in one piece."""
    crowd = await Crowd.connect(
        variant.program.port, variant.request("paced"), variant.mark, size=paced.streams
    )
    try:
        # Evenly over a few periods, so that the streams' events are spread over the whole period.
        await crowd.open(over_s=1.0 + paced.every_s / 2)
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
    crowd = await Crowd.connect(
        variant.program.port, variant.request("burst"), variant.mark, size=1
    )
    try:
        await crowd.ask(1)
        marks, before = crowd.marks, variant.program.cpu_ns()
        await crowd.ask(times)
        return (variant.program.cpu_ns() - before) / (crowd.marks - marks) / 1000
    finally:
        crowd.close()


async def first_text_ms(variant: Variant, *, times: int) -> float:
    """Return the time from a request to the first text of its answer, one request at a time."""
    request = variant.request("answer")
    crowd = await Crowd.connect(variant.program.port, request, variant.mark, size=1)
    client = crowd.clients[0]
    try:
        await crowd.ask(3)
        took = [await _first_text_s(crowd, client) for _ in range(times)]
    finally:
        crowd.close()
    return statistics.median(took) * 1000


async def _first_text_s(crowd: Crowd, client: Client) -> float:
    client.marks = 0
    started = time.perf_counter()
    await crowd.ask(1)
    return client.first_byte_at - started


def direct_first_text_ms(emulator: Emulator, path: str, relayed: Variant, *, times: int) -> float:
    """Return the same of the emulator itself, over a connection that is kept."""
    connection = emulator.connect()
    body, headers = relayed.bodies["answer"], relayed.headers
    took = []
    try:
        for _ in range(times):
            started = time.perf_counter()
            connection.request("POST", path, body=body, headers=headers)
            response = connection.getresponse()
            response.read1(65536)
            took.append(time.perf_counter() - started)
            response.read()
    finally:
        connection.close()
    return statistics.median(took) * 1000


async def memory_per_idle_stream_kib(
    emulator: Emulator, variant: Variant, *, streams: int
) -> float:
    """Return how much memory an open, silent stream holds; `variant` must have been started anew."""
    request = variant.request("answer")
    emulator.behave(workloads.ANSWER)
    warm = await Crowd.connect(variant.program.port, request, variant.mark, size=4)
    await warm.ask(10)
    warm.close()
    await asyncio.sleep(SETTLE_S)
    emulator.behave(workloads.IDLE)
    before = variant.program.resident_bytes()
    crowd = await Crowd.connect(variant.program.port, request, variant.mark, size=streams)
    try:
        await crowd.open(over_s=streams / 400)
        await crowd.until_all_have(1)
        await asyncio.sleep(1.0)
        held = variant.program.resident_bytes() - before
    finally:
        crowd.close()
        emulator.open_idle_gate()
        await asyncio.sleep(SETTLE_S)
    return held / streams / 1024


async def start_ms(emulator: Emulator, variant: Variant, folder: Path) -> float:
    """Return the time from the start of a gateway, its database there, to its first answer's end."""
    started = time.perf_counter()
    program = start_gateway(emulator, folder, version="auto")
    try:
        crowd = await Crowd.connect(program.port, variant.request("answer"), variant.mark, size=1)
        await crowd.ask(1)
        took = time.perf_counter() - started
        crowd.close()
    finally:
        program.stop()
    return took * 1000
