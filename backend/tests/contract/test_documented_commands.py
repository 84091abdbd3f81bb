"""The commands and programs in the documents do what the documents say, as they stand there."""

import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from kiro2api.emulator.server import demo_accounts
from kiro2api.protocol.wire import json
from tests.support.emulator import RunningEmulator
from tests.support.gateway import KEY, RunningGateway
from tests.support.tree import files, name

GATEWAY = re.compile(r"http://(?:localhost|127\.0\.0\.1):8080")
EMULATOR = "http://127.0.0.1:9000"
DOCUMENTS = [path for path in files() if path.suffix == ".md"]


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield the blocks of code of one language, each with the document it stands in."""
    for path in DOCUMENTS:
        for block in re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL):
            yield name(path), block


def calls_of(address: re.Pattern[str]) -> list[tuple[str, str]]:
    """Return the curl commands at that address, each once in a document."""
    found = [
        (document, command)
        for document, block in blocks("sh")
        for command in re.findall(r"^curl (?:\\\n|[^\n])*", block, re.MULTILINE)
        if address.search(command)
    ]
    return sorted(set(found))


def curl(command: str, replaced: Mapping[str, str]) -> Any:
    """Return the JSON that the command shows, with these texts replaced in it."""
    for old, new in replaced.items():
        command = command.replace(old, new)
    words = shlex.split(command.replace("\\\n", " "), comments=True)[1:]
    url = next(word for word in words if word.startswith("http"))
    values = list(pairwise(words))
    headers = dict(value.split(": ", 1) for option, value in values if option == "-H")
    body = next((value.encode() for option, value in values if option == "-d"), None)
    # Like curl, urllib says of a body that it is a form: nobody here may mind.
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return json.decode(answer.read())


@pytest.mark.parametrize(("document", "command"), calls_of(GATEWAY))
def test_a_call_in_a_document_is_answered(
    gateway: RunningGateway, document: str, command: str
) -> None:
    address = GATEWAY.search(command)
    assert address
    answer = curl(
        command, {address[0]: gateway.url, "your-api-key": KEY, "Bearer KEY": f"Bearer {KEY}"}
    )

    assert answer.keys() & {"content", "choices", "tokens"}


def test_the_calls_of_the_emulator_in_its_reference_are_answered(emulator: RunningEmulator) -> None:
    for account in demo_accounts():
        emulator.add_account(account.name, kind=account.kind)
    commands = calls_of(re.compile(re.escape(EMULATOR)))

    assert len(commands) == 3
    for _, command in commands:
        assert curl(command, {EMULATOR: emulator.url})


@pytest.mark.sdk
@pytest.mark.parametrize(
    ("document", "program"), [found for found in blocks("python") if GATEWAY.search(found[1])]
)
def test_a_program_in_a_document_prints_the_answer(
    gateway: RunningGateway, document: str, program: str
) -> None:
    program = GATEWAY.sub(gateway.url, program).replace("your-api-key", KEY)
    printed = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", program],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=30,
        check=True,
    )

    assert printed.stdout.strip() == "You said: 你好"


def test_the_settings_in_a_document_for_claude_code_are_json() -> None:
    (settings,) = [block for document, block in blocks("json") if "ANTHROPIC_BASE_URL" in block]

    assert json.decode(settings.encode(), dict[str, dict[str, str]])["env"]
