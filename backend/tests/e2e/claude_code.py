"""Real Claude Code, headless, in a home of its own, with every byte that it says and hears kept."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.support.gateway import KEY, RunningGateway
from tests.support.sse import check_anthropic_stream
from tests.support.wiretap import Exchange, Wiretap

PROGRAM = os.environ.get("CLAUDE_CODE", "")
LIMIT_S = 50.0


class Run(msgspec.Struct, frozen=True):
    """What one run of the program left behind."""

    code: int
    said: str
    complained: str
    took_s: float
    exchanges: list[Exchange]

    def asked(self, path: str = "/messages?beta=true") -> list[Exchange]:
        """Return the exchanges whose path ends so: by default the turns of conversations."""
        return [exchange for exchange in self.exchanges if exchange.path.endswith(path)]


class ClaudeCode:
    """The program in one home and one working folder, tapped on its way to one gateway."""

    def __init__(self, folder: Path, tap: Wiretap) -> None:
        self._home, self.work = folder / "home", folder / "work"
        self._home.mkdir(parents=True)
        self.work.mkdir()
        self._tap = tap

    def run(self, prompt: str, *options: str, base: str = "", **environment: str) -> Run:
        """Return what became of `claude -p`; `base` follows the address in the base URL.

        The key is shown as `ANTHROPIC_API_KEY` unless `environment` says how.
        """
        known = len(self._tap.exchanges())
        if not any(name in environment for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")):
            environment["ANTHROPIC_API_KEY"] = KEY
        started = time.monotonic()
        done = subprocess.run(
            [PROGRAM, "-p", prompt, "--dangerously-skip-permissions", *options],
            cwd=self.work,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self._home),
                "ANTHROPIC_BASE_URL": self._tap.url + base,
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
                "IS_SANDBOX": "1",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
        )
        took_s = time.monotonic() - started
        exchanges = self._tap.exchanges()[known:]
        for exchange in exchanges:
            if exchange.is_stream:
                check_anthropic_stream(exchange.events)
        return Run(done.returncode, done.stdout.strip(), done.stderr, took_s, exchanges)


def call(tool: str, **given: Any) -> str:
    """Return the words that make the emulated model call a tool."""
    return f"[[CALL {tool} {json.dumps(given)}]]"


StartClaude = Callable[[RunningGateway], ClaudeCode]
