"""Gateways that are forked from a process with all imports done: most of what a start costs."""

import atexit
import functools
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

_PROGRAM = Path(__file__).with_name("forking.py")


class ForkedProcess:
    """A forked gateway, with what `subprocess.Popen` has for a child."""

    def __init__(self, told: socket.socket, stdout: IO[bytes]) -> None:
        self.stdout = stdout
        self.returncode: int | None = None
        self._told = told
        self.pid = self._number()

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._look(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("kiro2api", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout_s)[0]:
            self.returncode = self._number()
            self._told.close()
        return self.returncode

    def _number(self) -> int:
        return int.from_bytes(self._told.recv(8), "little", signed=True)


def fork_gateway(
    words: Sequence[str], *, environment: Mapping[str, str], cwd: Path, stderr: IO[bytes]
) -> ForkedProcess:
    """Start `kiro2api` with these words, as a process with exactly this environment."""
    message = {"words": [*words], "environment": {**environment}, "cwd": str(cwd)}
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    descriptors = [writing, stderr.fileno(), theirs.fileno()]
    socket.send_fds(_forking_process(), [json.dumps(message).encode()], descriptors)
    os.close(writing)
    theirs.close()
    return ForkedProcess(ours, os.fdopen(reading, "rb"))


@functools.cache
def _forking_process() -> socket.socket:
    """Return the way to the process that forks; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    source = os.pathsep.join(path for path in sys.path if path.endswith("src"))
    process = subprocess.Popen(
        [sys.executable, str(_PROGRAM), str(theirs.fileno())],
        env=kept | {"PYTHONPATH": source},
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
    )
    theirs.close()

    @atexit.register
    def end() -> None:
        ours.close()
        process.wait()

    return ours
