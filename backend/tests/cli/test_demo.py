"""`kiro2api demo`: it answers as printed, whatever the operator's settings, and leaves nothing."""

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kiro2api.cli import demo
from kiro2api.protocol.wire import json

WAIT_S = 20.0


class RunningDemo(msgspec.Struct, frozen=True):
    """A demo as a person at the terminal has it."""

    process: "subprocess.Popen[str]"
    printed: str
    temporary: Path


@pytest.fixture
def running(tmp_path: Path) -> Iterator[RunningDemo]:
    """A demo on a free port, started by somebody whose own settings are of no use to it."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path.endswith("src")),
        "TMPDIR": str(temporary),
        "KIRO_AUTH_TOKEN": "no JSON",
        "KIRO_CLIENT_TOKEN": "of-another-gateway",
        "KIRO_PROXY_URL": "http://127.0.0.1:1",
        "KIRO_DB_PATH": str(tmp_path / "precious.db"),
    }
    command = [sys.executable, "-m", "kiro2api", "demo", "--port", "0"]
    with subprocess.Popen(
        command,
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        watch = threading.Timer(WAIT_S, process.kill)
        watch.start()
        try:
            yield RunningDemo(process, read_to_end_of_text(process), temporary)
        finally:
            process.kill()
            watch.cancel()
    assert not (tmp_path / "precious.db").exists()


def read_to_end_of_text(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    return "".join(lines)


def test_the_printed_call_answers_and_nothing_is_left_on_disk(running: RunningDemo) -> None:
    found = re.search(r"curl .*?}'\n", running.printed, re.DOTALL)
    assert found, running.printed
    _, url, _, header, _, body = shlex.split(found[0].replace("\\\n", " "))
    name, value = header.split(": ")
    asked = urllib.request.Request(url, data=body.encode(), headers={name: value})
    with urllib.request.urlopen(asked, timeout=WAIT_S) as response:
        answer = json.decode(response.read())
    assert answer["content"] == [{"type": "text", "text": "You said: Hello"}]

    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=WAIT_S) == 0
    assert list(running.temporary.iterdir()) == []


def test_the_text_says_that_no_model_answers() -> None:
    told = demo.text("http://127.0.0.1:8080", "k2a_key", "http://127.0.0.1:9000")

    assert "built-in fake upstream (http://127.0.0.1:9000), not from a model" in told
    assert "ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_API_KEY=k2a_key claude" in told
