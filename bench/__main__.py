"""`python -m bench [--quick]`: measures the gateway beside bare programs and prints a table."""

import argparse
import asyncio
import contextlib
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from bench import measure, workloads
from bench.measure import Paced, Variant
from bench.programs import (
    Emulator,
    Program,
    run_emulator,
    start_bare_app,
    start_bare_relay,
    start_gateway,
)
from bench.table import Results, markdown
from kiro2api.protocol.wire.json import encode

GENERATE = "/generateAssistantResponse"
# Hop-by-hop headers, and those that the transport sets anew.
OWN_HEADERS = frozenset({"host", "content-length", "connection", "authorization"})
SIZES = {"answer": 0, "100k": 100_000, "1m": 1_000_000}


class Plan:
    """How much is measured; one for the run."""

    def __init__(self, *, quick: bool) -> None:
        self.rounds = 2 if quick else 5
        self.requests = 600 if quick else 1200
        self.big_requests = {"100k": 24 if quick else 48, "1m": 8 if quick else 16}
        self.paced = Paced(streams=200, every_s=workloads.EVERY_MS / 1000, measured_s=1.5 if quick else 3.0)
        self.burst_events = 10_000
        self.bursts = 2 if quick else 4
        self.latencies = 60 if quick else 200
        self.idle_streams = 500
        self.starts = 2 if quick else 5


async def run(plan: Plan, folder: Path) -> Results:
    """Return all measurements."""
    results = Results()
    with contextlib.ExitStack() as stack:
        emulator = stack.enter_context(run_emulator(folder))
        variants = await _variants(emulator, folder, stack)
        _say("idle streams")
        await _idle_streams(emulator, variants, folder, plan, results)
        for number in range(plan.rounds):
            _say(f"round {number + 1} of {plan.rounds}")
            await _requests(emulator, variants, plan, results)
            await _streams(emulator, variants, plan, results)
        _say("latency and start")
        await _latencies(emulator, variants, plan, results)
        for _ in range(plan.starts):
            took = await measure.start_ms(emulator, variants["gateway 1.1"], folder / "1.1")
            results.add("start to first answer, ms", "gateway 1.1", took)
        if violations := emulator.violations():
            raise RuntimeError(f"the upstream saw what it never should: {violations[:3]}")
    return results


async def _variants(
    emulator: Emulator, folder: Path, stack: contextlib.ExitStack
) -> dict[str, Variant]:
    """Return the programs under test, running."""

    def running(program: Program) -> Program:
        stack.callback(program.stop)
        return program

    variants = {}
    for version in ("1.1", "2"):
        program = running(start_gateway(emulator, folder / version, version=version))
        variants[f"gateway {version}"] = _gateway_variant(f"gateway {version}", program)
    bodies, headers = await _recorded(emulator, variants["gateway 1.1"])
    lines = [f"{name}: {value}" for name, value in headers.items()]
    for version in ("1.1", "2"):
        url = emulator.url + GENERATE
        program = running(start_bare_relay(emulator, url, lines, version=version))
        variants[f"relay {version}"] = Variant(
            f"relay {version}", program, "/relay", headers, bodies, b"assistantResponseEvent"
        )
    small = dict.fromkeys(bodies, bodies["answer"])
    words = {"answer": "/answer", "paced": f"/paced/{workloads.ENDLESS}/{workloads.EVERY_MS}"}
    mark = b"event: content_block_delta"
    variants["app"] = Variant("app", running(start_bare_app()), "", {}, small, mark, words)
    return variants


def _gateway_variant(name: str, program: Program) -> Variant:
    bodies = {
        workload: workloads.agent_body(size) if size else workloads.tiny_body()
        for workload, size in SIZES.items()
    }
    bodies["paced"] = bodies["burst"] = bodies["answer"]
    headers = {"authorization": f"Bearer {workloads.KEY}", "anthropic-version": "2023-06-01"}
    mark = b"event: content_block_delta"
    return Variant(name, program, "/v1/messages?beta=true", headers, bodies, mark)


async def _recorded(
    emulator: Emulator, gateway: Variant
) -> tuple[dict[str, bytes], dict[str, str]]:
    """Return what the gateway sends upstream: the relay shall send the same."""
    bodies: dict[str, bytes] = {}
    headers: dict[str, str] = {}
    for workload in gateway.bodies:
        emulator.behave(workloads.ANSWER)
        crowd = await measure.Crowd.connect(
            gateway.program.port, gateway.request(workload), gateway.mark, size=1
        )
        await crowd.ask(1)
        crowd.close()
        (record,) = emulator.tell("GET", "records?operation=generate")
        bodies[workload] = encode(record["body"])
        headers = {n: v for n, v in record["headers"].items() if n not in OWN_HEADERS}
    account: dict[str, Any] = emulator.tell("GET", "accounts/bench")
    headers["authorization"] = f"Bearer {account['access_tokens'][-1]['token']}"
    return bodies, headers


async def _requests(
    emulator: Emulator, variants: dict[str, Variant], plan: Plan, results: Results
) -> None:
    emulator.behave(workloads.ANSWER)
    for variant in variants.values():
        took = await measure.cpu_per_request_us(variant, "answer", times=plan.requests)
        results.add("tiny request, us", variant.name, took)
        _say(f"tiny {variant.name} {took}")
    for workload, times in plan.big_requests.items():
        for name, variant in variants.items():
            if name != "app":
                took = await measure.cpu_per_request_us(variant, workload, times=times)
                results.add(f"{workload} request, ms", name, took / 1000)
                _say(f"{workload} {name} {took}")


async def _streams(
    emulator: Emulator, variants: dict[str, Variant], plan: Plan, results: Results
) -> None:
    paced = plan.paced
    behaviour = workloads.paced(workloads.ENDLESS, every_s=paced.every_s)
    emulator.behave(behaviour)
    for variant in variants.values():
        took, together = await measure.cpu_per_paced_event_us(variant, paced)
        _say(f"paced {variant.name} {took} {together}")
        results.add("paced event, us", variant.name, took)
        results.add("paced events in one write", variant.name, together)
    emulator.behave(workloads.paced(plan.burst_events, every_s=0.0))
    for name, variant in variants.items():
        if name != "app":
            took = await measure.cpu_per_burst_event_us(variant, times=plan.bursts)
            results.add("burst event, us", name, took)


async def _latencies(
    emulator: Emulator, variants: dict[str, Variant], plan: Plan, results: Results
) -> None:
    emulator.behave(workloads.ANSWER)
    direct = measure.direct_first_text_ms(
        emulator, GENERATE, variants["relay 1.1"], times=plan.latencies
    )
    for name, variant in variants.items():
        if name != "app":
            took = await measure.first_text_ms(variant, times=plan.latencies)
            results.add("first text, added ms", name, took - direct)


async def _idle_streams(
    emulator: Emulator,
    variants: dict[str, Variant],
    folder: Path,
    plan: Plan,
    results: Results,
) -> None:
    for version in ("1.1", "2"):
        program = start_gateway(emulator, folder / version, version=version)
        name = f"gateway {version}"
        try:
            held = await measure.memory_per_idle_stream_kib(
                emulator, _gateway_variant(name, program), streams=plan.idle_streams
            )
        finally:
            program.stop()
        results.add("memory per idle stream, KiB", name, held)


def _say(what: str) -> None:
    print(f"{time.process_time():6.1f} {time.monotonic() - T0:6.1f} {what}", file=sys.stderr, flush=True)
T0 = time.monotonic()


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under 90 s")
    quick = parser.parse_args().quick
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        results = uvloop.run(run(Plan(quick=quick), Path(folder)))
    print(markdown(results))


if __name__ == "__main__":
    main()
