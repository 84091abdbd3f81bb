"""The pinned requirements: whole, hashed, and the same for the program and its tests."""

import re
import tomllib

import pytest

from tests.support.tree import BACKEND, ROOT

REQUIREMENTS = BACKEND / "requirements"
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)( ; .*)?$")


def pins(file: str) -> dict[str, str]:
    """Return the version of each package pinned in one file."""
    blocks = read_blocks(file)
    return {match[1]: match[2] for block in blocks if (match := PIN.match(block[0]))}


def read_blocks(file: str) -> list[list[str]]:
    """Return each entry of a requirements file: its pin, then its hashes."""
    text = (REQUIREMENTS / file).read_text()
    entries = re.sub(r"\s+#.*", "", text).replace(" \\\n", "\n").split("\n")
    blocks: list[list[str]] = []
    for line in filter(None, (entry.rstrip() for entry in entries)):
        if line.startswith(" "):
            blocks[-1].append(line.strip())
        else:
            blocks.append([line])
    return blocks


@pytest.mark.parametrize("file", ["runtime.txt", "dev.txt", "anthropic-0.txt"])
def test_every_entry_is_one_version_with_hashes_and_nothing_else(file: str) -> None:
    wrong = [
        block
        for block in read_blocks(file)
        if not PIN.match(block[0])
        or len(block) < 2
        or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in block[1:])
    ]

    assert wrong == []


def test_the_tests_run_on_the_versions_that_users_get() -> None:
    runtime, dev = pins("runtime.txt"), pins("dev.txt")

    assert {package: dev.get(package) for package in runtime} == runtime


def test_every_declared_dependency_is_pinned() -> None:
    project = tomllib.loads((BACKEND / "pyproject.toml").read_text())
    runtime = {re.split(r"[\[<>=]", entry)[0] for entry in project["project"]["dependencies"]}
    dev = {re.split(r"[\[<>=]", entry)[0] for entry in project["dependency-groups"]["dev"]}

    assert (runtime - pins("runtime.txt").keys(), dev - pins("dev.txt").keys()) == (set(), set())


def test_clients_are_installed_at_one_version() -> None:
    makefile = (ROOT / "Makefile").read_text()

    assert re.search(r"^CLAUDE_CODE_VERSION := \d+\.\d+\.\d+$", makefile, re.MULTILINE)
