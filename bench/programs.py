"""The programs under test, each a process of its own, with its CPU time and its memory."""

import asyncio
import contextlib
import http.client
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench import workloads
from kiro2api.protocol.wire import json

START_S = 30.0
STOP_S = 10.0


class Program:
    """A running process that listens on a port of 127.0.0.1; lives as long as the process."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port

    def cpu_ns(self) -> int:
        """Return the CPU time of all its threads, in nanoseconds."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())

    def resident_bytes(self) -> int:
        """Return the memory that it holds."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        """End it, gently first."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Emulator:
    """The emulated service over TLS, and the part of its control API that a benchmark needs."""

    def __init__(self, program: Program, ca_file: Path) -> None:
        self.program = program
        self.url = f"https://127.0.0.1:{program.port}"
        self.ca_file = ca_file
        self.tls = ssl.create_default_context(cafile=str(ca_file))

    def tell(self, method: str, path: str, body: object = None) -> Any:
        """Return what the control API answers."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.program.port, timeout=START_S, context=self.tls
        )
        try:
            data = None if body is None else json.encode(body)
            connection.request(method, f"/_emulator/{path}", body=data)
            response = connection.getresponse()
            answer = json.decode(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{method} {path}: {response.status} {answer}")
        return answer

    def behave(self, behaviour: Mapping[str, object]) -> None:
        """Answer every generation call so from now on."""
        self.tell("DELETE", "behaviours")
        self.tell("DELETE", "records")
        self.tell("POST", "behaviours", behaviour)

    async def until_idle(self) -> None:
        """Return when no stream is open any more: one left over would disturb what comes next."""
        until = time.monotonic() + STOP_S
        while self.tell("GET", "counters")["in_flight"]:
            if time.monotonic() > until:
                raise RuntimeError("a program under test goes on after its client has left")
            await asyncio.sleep(0.05)

    def violations(self) -> list[Any]:
        """Return what a good client would never have sent."""
        return list(self.tell("GET", "violations"))

    def open_idle_gate(self) -> None:
        """Let the idle streams end."""
        self.tell("POST", "gates", {"name": "idle"})


@contextlib.contextmanager
def run_emulator(folder: Path) -> Iterator[Emulator]:
    """Run an emulator with one account, `bench`."""
    ca_file = folder / "ca.pem"
    command = ["-m", "kiro2api.emulator", "--accounts", "[]", "--tls", "self-signed"]
    program = _start([*command, "--ca-file", str(ca_file)], {}, r'"url":"https://[^"]*:(\d+)"')
    emulator = Emulator(program, ca_file)
    account = {"name": "bench", "rotation": "same", "access_lifetime_s": 86_400.0}
    emulator.tell("POST", "accounts", account)
    try:
        yield emulator
    finally:
        program.stop()


def start_bare_app() -> Program:
    """Start the app that asks nobody."""
    return _start(["-m", "bench.bare_app"], {}, r"^(\d+)$")


def start_bare_relay(emulator: Emulator, url: str, headers: list[str], *, version: str) -> Program:
    """Start the relay that passes bytes on to `url`."""
    target = {
        "url": url,
        "headers": headers,
        "ca_file": str(emulator.ca_file),
        "version": version,
    }
    spelled = json.encode(target).decode()
    return _start(["-m", "bench.bare_relay"], {"RELAY_TARGET": spelled}, r"^(\d+)$")


def start_gateway(emulator: Emulator, folder: Path, *, version: str) -> Program:
    """Start a gateway whose database is in `folder`."""
    folder.mkdir(exist_ok=True)
    account = emulator.tell("GET", "accounts/bench")
    entry = {"auth": "Social", "name": "bench", "refreshToken": account["refresh_token"]}
    environment = {
        "HOME": str(folder),
        "HOST": "127.0.0.1",
        "PORT": "0",
        "LOG_FORMAT": "json",
        "KIRO_CLIENT_TOKEN": workloads.KEY,
        "KIRO_AUTH_TOKEN": json.encode([entry]).decode(),
        "KIRO_DB_PATH": str(folder / "kiro2api.db"),
        "KIRO_API_ENDPOINT": emulator.url,
        "KIRO_SOCIAL_ENDPOINT": emulator.url,
        "KIRO_HTTP_VERSION": version,
        "SSL_CERT_FILE": str(emulator.ca_file),
    }
    return _start(["-m", "kiro2api"], environment, r"listening on http://\S+:(\d+)")


def _start(arguments: list[str], environment: Mapping[str, str], port: str) -> Program:
    """Start a Python program and wait for the line that tells its port."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment},
    )
    assert process.stdout is not None
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        line = process.stdout.readline().decode()
        if found := re.search(port, line.rstrip("\n")):
            return Program(process, int(found[1]))
        if not line:
            break
    process.kill()
    raise RuntimeError(f"did not start: {arguments}")
