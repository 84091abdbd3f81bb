"""The documents: what they say about the program is what the program does."""

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from kiro2api import __version__
from kiro2api.emulator.accounts import AccountSpec
from kiro2api.emulator.behaviour import Behaviour
from kiro2api.emulator.control import _ROUTES, PREFIX
from kiro2api.emulator.profile import KNOWN_RULES
from kiro2api.emulator.server import EmulatorOptions
from kiro2api.emulator.steps import Step
from kiro2api.errors import FaultKind
from kiro2api.gateway.ledger import AttemptNote, RequestRecord
from kiro2api.gateway.outcome import STATUSES
from kiro2api.logs import LogEvent
from kiro2api.pool.account import Standing
from kiro2api.protocol.chat.events import Usage
from tests.support.documents import GENERATED, READMES, part, with_current_parts
from tests.support.tree import ROOT, SOURCE, files, name

MARKDOWN = [path for path in files() if path.suffix == ".md"]


def document(path: str) -> str:
    return (ROOT / path).read_text()


def first_cells(table: str) -> list[str]:
    """Return the words in back quotes of the first cell of each row."""
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`(.*?)`", cell)]


@pytest.mark.parametrize("file", GENERATED)
def test_the_generated_parts_are_current(file: str) -> None:
    """When they are not, `make docs` writes them."""
    text = document(file)

    assert all(part(text, name).strip() for name in GENERATED[file])
    assert with_current_parts(text, GENERATED[file]) == text


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
    layers = "admin|cli|compose|config|doctor|emulator|gateway|logs|metrics|pool|protocol|secrets|server|store|upstream"
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


# ------------------------------------------------------------------------------------- references


def test_every_event_of_the_log_is_explained_with_its_level() -> None:
    table = part(document("docs/reference/log.md"), "events")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE)

    assert rows == [(event.value, event.level) for event in LogEvent]


def test_every_member_of_the_line_of_a_request_is_explained() -> None:
    record = RequestRecord("req_1", started_s=0.0)
    record.attempts += [AttemptNote("first"), AttemptNote("second")]
    record.first_event_s, record.stop_reason = 1.0, "end_turn"
    record.usage = Usage(1, 1, credits=0.1)
    record.is_partial, record.skipped_events = True, 1

    members = first_cells(part(document("docs/reference/log.md"), "members"))

    assert sorted(members) == sorted(record.fields(2.0))


def test_every_kind_of_fault_is_explained_with_its_status() -> None:
    table = part(document("docs/reference/errors.md"), "faults")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+|its own|\d+)", table, re.MULTILINE))
    of_its_own = {FaultKind.OVERLOADED: "its own", FaultKind.NETWORK: "502"}

    assert rows == {kind.value: of_its_own.get(kind, str(STATUSES[kind])) for kind in FaultKind}


def test_every_standing_is_explained() -> None:
    table = part(document("docs/how-to/accounts.md"), "standings")

    assert first_cells(table) == [*Standing, "disabled"]


EMULATOR = "docs/reference/emulator.md"


@pytest.mark.parametrize(
    ("name", "struct"), [("account", AccountSpec), ("behaviour", Behaviour)], ids=str
)
def test_every_member_of_the_emulators_bodies_is_explained(
    name: str, struct: type[msgspec.Struct]
) -> None:
    members = first_cells(part(document(EMULATOR), name))

    assert sorted(members) == sorted(struct.__struct_encode_fields__)


def test_every_step_of_the_emulator_is_explained_with_all_its_members() -> None:
    table = part(document(EMULATOR), "steps")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \| ", table, re.MULTILINE))
    steps = {str(step.__struct_config__.tag): step for step in get_args(Step)}

    assert rows.keys() - {"do"} == steps.keys()
    unnamed = [
        f"{name}.{member}"
        for name, step in steps.items()
        for member in step.__struct_encode_fields__
        if f"`{member}`" not in rows[name]
    ]
    assert unnamed == []


def test_every_demand_of_the_emulator_is_explained() -> None:
    demands = first_cells(
        re.sub(r"\| [^|]* \| [^|]* \|$", "|", part(document(EMULATOR), "demands"))
    )

    assert set(demands) == KNOWN_RULES


def test_every_option_of_the_emulator_is_explained() -> None:
    options = {f"--{name.replace('_', '-')}" for name in EmulatorOptions.__struct_encode_fields__}

    assert options == set(re.findall(r"`(--[a-z-]+)`", document(EMULATOR)))


def test_every_request_of_the_emulators_control_is_explained() -> None:
    named = set(re.findall(rf"`([A-Z]+) {PREFIX}([a-z]*)", document(EMULATOR)))

    assert named == set(_ROUTES)
