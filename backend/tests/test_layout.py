"""The shape of the project: what no linter sees, and what every new file must keep."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tree import ROOT, SOURCE, TESTS, files, name, python_files, syntax

WALL_LINES = 600
FUNCTION_LINES_P90 = 39

# Modules that are tested through others, each with its reason.
WITHOUT_OWN_TESTS: dict[str, str] = {
    "errors.py": "names and fields only; each is raised and read in the tests of its layer",
    "gateway/ports.py": "protocols and records only; the adapters are tested to implement them",
    "__main__.py": "one call; the tests of the command line start it as a program",
    "emulator/__main__.py": "the emulator's own fixture starts it as a program",
    "store/migrations/": "run by every test that opens a database",
}
# Folders and files of tests that judge the whole and mirror nothing.
WHOLE_PROGRAM_TESTS = {"contract", "corpus", "sdk", "e2e", "support"}
PROJECT_TESTS = {"test_layout.py", "test_launcher.py", "test_documents.py", "test_requirements.py"}
PROJECT_TESTS |= {"test_containers.py"}

# Modules whose business is to own tasks: they start them, keep them, and end them.
TASK_OWNERS = {"gateway/tasks.py"}

VAGUE = ("util", "utils", "common", "helper", "helpers", "core", "manager", "handler", "processor")


def test_every_module_with_code_has_its_own_test_file() -> None:
    lacking = [
        name(path)
        for path in python_files(SOURCE)
        if has_code(path)
        and not path.relative_to(SOURCE).as_posix().startswith(tuple(WITHOUT_OWN_TESTS))
        and not any(test.exists() for test in own_tests(path))
    ]

    assert lacking == []


def test_every_exception_from_the_mirror_still_exists() -> None:
    assert [path for path in WITHOUT_OWN_TESTS if not (SOURCE / path).exists()] == []


def test_every_test_file_mirrors_a_module() -> None:
    strays = [
        name(path)
        for path in python_files(TESTS)
        if path.name.startswith("test_")
        and path.relative_to(TESTS).parts[0] not in WHOLE_PROGRAM_TESTS | PROJECT_TESTS
        and not mirrors_something(path)
    ]

    assert strays == []


def test_no_file_reaches_the_wall() -> None:
    long = {
        name(p): n for p in python_files() if (n := len(p.read_text().splitlines())) >= WALL_LINES
    }

    assert long == {}


def test_functions_are_short() -> None:
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in python_files(SOURCE)
        for node in functions(path)
        if node.end_lineno is not None
    )

    assert lengths[int(len(lengths) * 0.9)] <= FUNCTION_LINES_P90


def test_names_say_what_a_thing_does() -> None:
    modules = [
        name(path)
        for path in python_files(SOURCE)
        if set(path.relative_to(SOURCE).with_suffix("").parts[-1].split("_")) & set(VAGUE)
        or set(path.relative_to(SOURCE).parts[:-1]) & set(VAGUE)
    ]
    classes = [
        f"{name(path)}: {node.name}"
        for path in python_files(SOURCE)
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.ClassDef) and node.name.lower().endswith(VAGUE)
    ]

    assert modules + classes == []


def test_tasks_are_started_outside_a_group_only_by_their_owner() -> None:
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in python_files(SOURCE)
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Attribute)
        and node.attr == "create_task"
        and re.search("loop|asyncio", ast.unparse(node.value))
    }

    assert found == TASK_OWNERS


def test_every_ignore_has_a_reason_beside_it() -> None:
    bare = re.compile(
        r"#\s*(noqa(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?|type:\s*ignore(\[[\w, -]+\])?)\s*$"
    )
    found = [
        f"{name(path)}:{number}"
        for path in python_files(SOURCE)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if bare.search(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    "pattern",
    [
        r"py[p]i\.org|python[h]osted|registry\.npm[j]s|crates[.]io|proxy\.gol[a]ng|deb\.debi[a]n",
        r"(^|[^A-Za-z0-9_.])/(wor[k]|far[m]|roo[t])/",
        r'"resolve[d]":',
    ],
    ids=["registry hosts", "paths of one machine", "addresses in lock files"],
)
def test_no_file_names(pattern: str) -> None:
    assert list(grep(pattern, files())) == []


def test_nothing_is_left_for_later() -> None:
    pattern = r"\bTOD[O]\b|\bFIXM[E]\b|\bXX[X]\b|NotImplemente[d]Error|pytest\.mark\.(ski[p]|xfai[l])|pytest\.ski[p]"

    assert list(grep(pattern, python_files())) == []


@pytest.mark.parametrize(
    "path",
    [
        "backend/kiro2api",
        "backend/src/kiro2api/__main__.py",
        "backend/data/.gitkeep",
        "frontend/README.md",
    ],
)
def test_git_does_not_swallow(path: str) -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT)

    assert ignored.returncode == 1


@pytest.mark.parametrize(
    "path",
    [".env", "backend/data/kiro2api.db", "backend/data/secret.key", "backend/.venv/bin/python"],
)
def test_git_keeps_out(path: str) -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "--no-index", path], cwd=ROOT)

    assert ignored.returncode == 0


def has_code(path: Path) -> bool:
    """Tell whether a module does something: records, ports and tables alone do not."""
    return any(
        not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for function in functions(path)
        for statement in function.body
    )


def own_tests(path: Path) -> list[Path]:
    """Return where the tests of a module may be; a package's own code is tested by its name."""
    inside = path.relative_to(SOURCE)
    if inside.name == "__init__.py":
        package = f"test_{inside.parent.name}.py"
        return [TESTS / inside.parent / package, TESTS / inside.parent.parent / package]
    return [TESTS / inside.parent / f"test_{inside.name}"]


def mirrors_something(test: Path) -> bool:
    """Tell whether `test_NAME.py` or `test_NAME_more.py` stands where NAME stands in the source."""
    folder = SOURCE / test.relative_to(TESTS).parent
    stem = test.stem.removeprefix("test_")
    if stem.startswith(folder.name):
        return (folder / "__init__.py").exists()
    words = stem.split("_")
    starts = ("_".join(words[:n]) for n in range(1, len(words) + 1))
    return any((folder / f"{start}.py").exists() or (folder / start).is_dir() for start in starts)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of one file."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def grep(pattern: str, paths: tuple[Path, ...]) -> Iterator[str]:
    """Yield place and line of each match in the text files among `paths`."""
    wanted = re.compile(pattern)
    for path in paths:
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            if wanted.search(line):
                yield f"{name(path)}:{number}: {line[:160]}"
