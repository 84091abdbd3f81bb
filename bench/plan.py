"""What is measured, in which order: the programs take turns in each round."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import measure, workloads
from bench.measure import Paced, Variant
from bench.programs import (
    Program,
    run_emulator,
    start_bare_app,
    start_bare_relay,
    start_gateway,
)
from bench.tables import TOGETHER, TOO_MANY_TOGETHER, Results
from kiro2api.protocol.wire.json import encode

GENERATE = "/generateAssistantResponse"
VERSIONS = ("1.1", "2")
# Headers that the relay's transport sets anew, and the one that the emulator does not record.
OWN_HEADERS = frozenset({"host", "content-length", "connection", "authorization"})
SIZES = {"answer": 0, "100k": 100_000, "1m": 1_000_000}
# How often a paced measurement is made anew when the machine was too busy for it.
TRIES = 2
LABELS = {"100k": "100 KB request, ms", "1m": "1 MB request, ms"}


class Plan:
    """How much is measured; one for the run."""

    def __init__(self, *, quick: bool) -> None:
        self.rounds = 1 if quick else 4
        self.requests = 800 if quick else 1200
        self.big_requests = {"100k": 16 if quick else 32, "1m": 8}
        self.paced = Paced(streams=200, every_s=workloads.EVERY_MS / 1000, measured_s=2.0)
        self.burst_events = 10_000
        self.bursts = 4
        self.latencies = 50
        self.idle_streams = 500
        self.starts = 1 if quick else 5


class Run:
    """One run of the plan; lives as long as its programs."""

    def __init__(self, plan: Plan, folder: Path, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._tell = tell
        self._results = Results()
        self._variants: dict[str, Variant] = {}

    async def measure(self) -> Results:
        """Return all measurements."""
        with contextlib.ExitStack() as stack:
            self._emulator = stack.enter_context(run_emulator(self._folder))
            await self._start_programs(stack)
            for number in range(self._plan.rounds):
                self._tell(f"round {number + 1} of {self._plan.rounds}: requests")
                await self._requests()
                await self._latencies()
                self._tell(f"round {number + 1} of {self._plan.rounds}: streams")
                await self._streams()
            self._tell("memory and start")
            await self._idle_streams()
            await self._starts()
            if violations := self._emulator.violations():
                raise RuntimeError(f"the upstream saw what it never should: {violations[:3]}")
        return self._results

    # ------------------------------------------------------------------------------ programs

    async def _start_programs(self, stack: contextlib.ExitStack) -> None:
        def running(program: Program) -> Program:
            stack.callback(program.stop)
            return program

        variants, emulator = self._variants, self._emulator
        for version in VERSIONS:
            name = f"gateway {version}"
            program = running(start_gateway(emulator, self._folder / version, version=version))
            variants[name] = gateway_variant(name, program)
        bodies, headers = await self._recorded(variants["gateway 1.1"])
        lines = [f"{name}: {value}" for name, value in headers.items()]
        mark = b"assistantResponseEvent"
        for version in VERSIONS:
            name, url = f"relay {version}", emulator.url + GENERATE
            program = running(start_bare_relay(emulator, url, lines, version=version))
            variants[name] = Variant(name, program, "/", {}, bodies, mark)
        self._direct = Variant(
            "direct", emulator.program, GENERATE, headers, bodies, mark, tls=emulator.tls
        )
        words = {"answer": "/answer", "paced": f"/paced/{workloads.EVERY_MS}"}
        small = dict.fromkeys(bodies, bodies["answer"])
        program = running(start_bare_app())
        variants["app"] = Variant("app", program, "", {}, small, b"event: content", words)

    async def _recorded(self, gateway: Variant) -> tuple[dict[str, bytes], dict[str, str]]:
        """Return what the gateway sends upstream: the relay shall send the same."""
        bodies: dict[str, bytes] = {}
        headers: dict[str, str] = {}
        for workload in gateway.bodies:
            self._emulator.behave(workloads.ANSWER)
            crowd = await gateway.crowd(workload, size=1)
            await crowd.ask(1)
            crowd.close()
            (record,) = self._emulator.tell("GET", "records?operation=generate")
            bodies[workload] = encode(record["body"])
            headers = {n: v for n, v in record["headers"].items() if n not in OWN_HEADERS}
        account: dict[str, Any] = self._emulator.tell("GET", "accounts/bench")
        headers["authorization"] = f"Bearer {account['access_tokens'][-1]['token']}"
        return bodies, headers

    @property
    def _with_upstream(self) -> list[Variant]:
        return [variant for name, variant in self._variants.items() if name != "app"]

    # -------------------------------------------------------------------------- measurements

    async def _requests(self) -> None:
        self._emulator.behave(workloads.ANSWER)
        for variant in self._variants.values():
            times = self._plan.requests
            took = await measure.cpu_per_request_us(variant, "answer", times=times)
            self._results.add("tiny request, us", variant.name, took)
        for workload, times in self._plan.big_requests.items():
            for variant in self._with_upstream:
                took = await measure.cpu_per_request_us(variant, workload, times=times)
                self._results.add(LABELS[workload], variant.name, took / 1000)

    async def _streams(self) -> None:
        paced = self._plan.paced
        self._emulator.behave(workloads.paced(workloads.ENDLESS, every_s=paced.every_s))
        for variant in self._variants.values():
            for _ in range(TRIES):
                took, together = await measure.cpu_per_paced_event_us(variant, paced)
                await self._emulator.until_idle()
                if together <= TOO_MANY_TOGETHER:
                    break
            self._results.add("paced event, us", variant.name, took)
            self._results.add(TOGETHER, variant.name, together)
        self._emulator.behave(workloads.paced(self._plan.burst_events, every_s=0.0))
        for variant in self._with_upstream:
            took = await measure.cpu_per_burst_event_us(variant, times=self._plan.bursts)
            self._results.add("burst event, us", variant.name, took)

    async def _latencies(self) -> None:
        self._emulator.behave(workloads.ANSWER)
        direct = await measure.first_text_ms(self._direct, times=self._plan.latencies)
        for variant in self._with_upstream:
            took = await measure.first_text_ms(variant, times=self._plan.latencies)
            self._results.add("first text, added ms", variant.name, took - direct)

    async def _idle_streams(self) -> None:
        for version in VERSIONS:
            name = f"gateway {version}"
            program = start_gateway(self._emulator, self._folder / version, version=version)
            try:
                held = await measure.memory_per_idle_stream_kib(
                    self._emulator,
                    gateway_variant(name, program),
                    streams=self._plan.idle_streams,
                )
            finally:
                program.stop()
            self._results.add("memory per idle stream, KiB", name, held)

    async def _starts(self) -> None:
        self._emulator.behave(workloads.ANSWER)
        folder = self._folder / "start"
        # The first start makes the database.
        start_gateway(self._emulator, folder, version="auto").stop()
        for _ in range(self._plan.starts):
            variant = self._variants["gateway 1.1"]
            took, spent = await measure.start_ms(self._emulator, variant, folder)
            self._results.add("start to first answer, ms", "gateway 1.1", took)
            self._results.add("start to first answer, CPU ms", "gateway 1.1", spent)


def gateway_variant(name: str, program: Program) -> Variant:
    """Return the gateway as a coding agent asks it."""
    bodies = {
        workload: workloads.agent_body(size) if size else workloads.tiny_body()
        for workload, size in SIZES.items()
    }
    bodies["paced"] = bodies["burst"] = bodies["answer"]
    headers = {"authorization": f"Bearer {workloads.KEY}", "anthropic-version": "2023-06-01"}
    mark = b"event: content_block_delta"
    return Variant(name, program, "/v1/messages?beta=true", headers, bodies, mark)
