"""The documents: what they say about the program is what the program does."""

import json
import re
from pathlib import Path

import pytest

from kiro2api import __version__
from tests.support.documents import READMES, with_current_table
from tests.support.tree import ROOT, SOURCE, files, name

MARKDOWN = [path for path in files() if path.suffix == ".md"]


@pytest.mark.parametrize("file", READMES)
def test_the_table_of_settings_is_current(file: str) -> None:
    """When it is not, `make docs` writes it."""
    text = (ROOT / file).read_text()

    assert "| `KIRO_AUTH_TOKEN` |" in text
    assert with_current_table(text, READMES[file]) == text


@pytest.mark.parametrize("document", MARKDOWN, ids=name)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    broken = [target for target in targets if not leads_somewhere(document, target)]

    assert broken == []


def leads_somewhere(document: Path, target: str) -> bool:
    """Tell whether a link names a file that exists and a heading in it."""
    if re.match(r"[a-z]+:", target):
        return True
    file, _, heading = target.partition("#")
    path = document.parent / file if file else document
    return path.exists() and (not heading or heading in anchors(path))


def anchors(path: Path) -> set[str]:
    """Return the names under which the headings of a document can be reached."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_task_that_a_document_names_exists() -> None:
    tasks = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (name(path), task)
        for path in MARKDOWN
        for task in re.findall(r"(?:`|^)make ([a-z0-9]+)", path.read_text(), re.MULTILINE)
    }

    assert {place for place in named if place[1] not in tasks} == set()


def test_every_module_that_the_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text() + (ROOT / "README.md").read_text()
    layers = "admin|cli|compose|config|emulator|gateway|logs|metrics|pool|protocol|secrets|server|store|upstream"
    named = set(re.findall(rf"`((?:{layers})(?:/[a-z0-9_/]+)?(?:\.py)?)/?`", text))

    assert named
    assert {path for path in named if not is_module(path)} == set()


def is_module(path: str) -> bool:
    """Tell whether `gateway/relay`, `config.py` or `pool` is there."""
    return (SOURCE / path).exists() or (SOURCE / f"{path}.py").exists()


def test_both_readmes_have_the_same_parts() -> None:
    english, chinese = ((ROOT / file).read_text() for file in READMES)

    for mark in (r"^#+ ", r"^\| ", r"^```", r"^(?:\./|make |export |curl )"):
        assert len(re.findall(mark, english, re.MULTILINE)) == len(
            re.findall(mark, chinese, re.MULTILINE)
        ), mark


def test_the_changelog_knows_the_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_windows_of_the_models_are_the_ones_that_the_program_assumes() -> None:
    models = json.loads((SOURCE / "protocol" / "codewhisperer" / "models.json").read_text())
    section = (ROOT / "docs" / "reference" / "upstream.md").read_text().split("## Models")[1]
    rows = re.findall(r"^\| (`.*?`) \| (\d+)([kM]) \|", section, re.MULTILINE)
    written = {
        model: int(number) * (1_000 if unit == "k" else 1_000_000)
        for ids, number, unit in rows
        for model in re.findall(r"`(.*?)`", ids)
    }

    assert written == {model["id"]: model["window_tokens"] for model in models["known"]}
