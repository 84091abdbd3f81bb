"""A program that has imported the gateway, and becomes one for each message: a start without imports.

It knows nothing of the tests. Its one argument is the number of the socket that it listens to.
"""

import gc
import json
import os
import signal
import socket
import sys
from types import FrameType
from typing import Any

import kiro2api.cli.serve  # noqa: F401 - what takes the time of a start
from kiro2api.cli import main

MAX_MESSAGE_BYTES = 1 << 20


def listen(asked: socket.socket) -> None:
    """Make a gateway of each message until nobody is left to send one; gateways exit in here.

    With a message come its standard output, its standard error and a socket, which gets the id of
    the process and, in the end, its exit code.
    """
    gc.freeze()
    signal.signal(signal.SIGCHLD, _bury)
    while True:
        message, descriptors, _, _ = socket.recv_fds(asked, MAX_MESSAGE_BYTES, 3)
        if not message:
            return
        if os.fork() == 0:
            asked.close()
            _start(json.loads(message), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _bury(_number: int, _frame: FrameType | None) -> None:
    """Take leave of children that have ended, and so count what they took as our own."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _start(wanted: dict[str, Any], output: int, errors: int, told: int) -> None:
    """Start a gateway, tell how it fares, and exit with it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        os.dup2(output, 1)
        os.dup2(errors, 2)
        os.closerange(3, max(output, errors, told) + 1)
        os.chdir(wanted["cwd"])
        os.environ.clear()
        os.environ.update(wanted["environment"])
        sys.argv = ["kiro2api", *wanted["words"]]
        main()
        sys.exit()
    os.close(output)
    os.close(errors)
    os.write(told, pid.to_bytes(8, "little", signed=True))
    _, status = os.waitpid(pid, 0)
    try:
        os.write(told, os.waitstatus_to_exitcode(status).to_bytes(8, "little", signed=True))
    finally:
        os._exit(0)


if __name__ == "__main__":
    listen(socket.socket(fileno=int(sys.argv[1])))
