"""The launcher `backend/kiro2api`, tried in small trees of its own, without any network."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

LAUNCHER = Path(__file__).parents[1] / "kiro2api"
PROGRAM = """
import importlib.metadata, os, sys
installed = sorted(d.name for d in importlib.metadata.distributions())
print(sys.argv[1:], os.getcwd(), sys.prefix, "tiny" in installed, sep="|")
"""


def make_tree(folder: Path) -> Path:
    """Return the launcher of a new backend folder that needs no packages and says how it runs."""
    backend = folder / "backend"
    (backend / "requirements").mkdir(parents=True)
    (backend / "src" / "kiro2api").mkdir(parents=True)
    (backend / "requirements" / "runtime.txt").write_text("# nothing is needed\n")
    (backend / "src" / "kiro2api" / "__init__.py").touch()
    (backend / "src" / "kiro2api" / "__main__.py").write_text(PROGRAM)
    return shutil.copy2(LAUNCHER, backend / "kiro2api")


def run(
    launcher: Path, *arguments: str, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the launcher with a clean environment and return what it printed."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(launcher.parent), "PIP_NO_INDEX": "1"}
    clean["KIRO2API_PYTHON"] = sys.executable
    return subprocess.run(
        [launcher, *arguments],
        cwd=cwd or launcher.parent,
        env=clean | environment,
        text=True,
        capture_output=True,
        timeout=50,
    )


def tiny_wheel(folder: Path) -> str:
    """Return a requirement line, with its hash, for a package made here."""
    wheel = folder / "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny.py", "")
        archive.writestr(
            "tiny-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1\n"
        )
        archive.writestr(
            "tiny-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny-1.dist-info/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return f"tiny @ {wheel.as_uri()} --hash=sha256:{digest}\n"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree whose environment exists already; tests copy it, which is quicker than making one."""
    launcher = make_tree(tmp_path_factory.mktemp("prepared"))
    assert run(launcher).returncode == 0
    return launcher.parent


@pytest.fixture
def launcher(prepared: Path, tmp_path: Path) -> Path:
    """The launcher of a private copy of the prepared tree."""
    shutil.copytree(prepared, tmp_path / "backend", symlinks=True)
    return tmp_path / "backend" / "kiro2api"


def test_the_first_start_makes_the_environment_and_runs_the_program(tmp_path: Path) -> None:
    launcher = make_tree(tmp_path)

    done = run(launcher, "serve", "--port", "1 2")

    assert (
        done.stdout
        == f"['serve', '--port', '1 2']|{launcher.parent}|{launcher.parent}/.venv|False\n"
    )
    assert "preparing" in done.stderr


def test_a_later_start_prepares_nothing(launcher: Path) -> None:
    done = run(launcher, KIRO2API_PYTHON="/nowhere/python")

    assert (done.returncode, done.stderr) == (0, "")


def test_it_starts_from_any_folder_through_relative_and_absolute_links(
    launcher: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "relative").symlink_to("../backend/kiro2api")
    (tmp_path / "bin" / "absolute").symlink_to(tmp_path / "bin" / "relative")

    for link in ("relative", "absolute"):
        done = run(tmp_path / "bin" / link, cwd=Path("/"))
        assert done.stdout == f"[]|/|{launcher.parent}/.venv|False\n", done.stderr


def test_files_of_the_current_folder_never_stand_in_for_modules(
    launcher: Path, tmp_path: Path
) -> None:
    (tmp_path / "importlib.py").write_text("raise SystemExit('shadowed')")

    assert run(launcher, cwd=tmp_path).returncode == 0


def test_changed_requirements_are_installed_at_the_next_start(
    launcher: Path, tmp_path: Path
) -> None:
    (launcher.parent / "requirements" / "runtime.txt").write_text(tiny_wheel(tmp_path))

    assert run(launcher).stdout.endswith("|True\n")
    assert run(launcher).stderr == ""


def test_a_wrong_hash_stops_the_start_and_the_next_start_tries_again(
    launcher: Path, tmp_path: Path
) -> None:
    line = tiny_wheel(tmp_path)
    requirements = launcher.parent / "requirements" / "runtime.txt"
    requirements.write_text(line[:-5] + "0000\n")

    refused = run(launcher)
    requirements.write_text(line)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "could not be prepared" in refused.stderr
    assert run(launcher).stdout.endswith("|True\n")


def test_requirements_of_the_tests_are_added_and_stay_when_runtime_changes(
    launcher: Path, tmp_path: Path
) -> None:
    requirements = launcher.parent / "requirements"
    (requirements / "dev.txt").write_text(tiny_wheel(tmp_path))

    prepared = run(launcher, KIRO2API_PREPARE="dev")
    (requirements / "runtime.txt").write_text("# changed\n")

    assert (prepared.returncode, prepared.stdout) == (0, "")
    assert run(launcher).stdout.endswith("|True\n")


def test_a_half_made_environment_is_made_again(launcher: Path) -> None:
    venv = launcher.parent / ".venv"
    shutil.rmtree(next(venv.glob("lib/python*/site-packages/pip")))
    (venv / ".runtime.txt").unlink()
    (venv / "half").touch()

    done = run(launcher)

    assert done.returncode == 0, done.stderr
    assert not (venv / "half").exists()


def test_an_environment_whose_python_is_gone_is_made_again(launcher: Path) -> None:
    python = launcher.parent / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.11")

    assert run(launcher).returncode == 0


def test_starts_at_the_same_time_prepare_once(tmp_path: Path) -> None:
    launcher = make_tree(tmp_path)

    with ThreadPoolExecutor(3) as threads:
        done = list(threads.map(lambda _: run(launcher), range(3)))

    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    assert sum("preparing" in one.stderr for one in done) == 1


def test_a_checkout_that_moved_still_starts(launcher: Path, tmp_path: Path) -> None:
    moved = launcher.parent.rename(tmp_path / "elsewhere")

    assert run(moved / "kiro2api").returncode == 0


@pytest.fixture
def fake_python(tmp_path: Path) -> Callable[[str], str]:
    """Return a maker of programs that answer as a Python that lacks something."""

    def make(script: str) -> str:
        path = tmp_path / "fake python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_an_old_python_is_refused_in_one_sentence(
    tmp_path: Path, fake_python: Callable[[str], str]
) -> None:
    done = run(make_tree(tmp_path), KIRO2API_PYTHON=fake_python("exit 1"))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "3.11" in done.stderr


def test_a_python_without_venv_is_refused_with_the_package_to_install(
    tmp_path: Path, fake_python: Callable[[str], str]
) -> None:
    lacking = 'case "$2" in *ensurepip*) exit 1 ;; esac'

    done = run(make_tree(tmp_path), KIRO2API_PYTHON=fake_python(lacking))

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "python3-venv" in done.stderr


def test_no_python_at_all_is_said_in_one_sentence(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("dirname", "readlink", "cmp"):
        (tools / tool).symlink_to(str(shutil.which(tool)))

    done = run(make_tree(tmp_path), PATH=str(tools), KIRO2API_PYTHON="")

    assert done.stderr == (
        "kiro2api: Python 3.11 or newer is needed: install it, or name it in KIRO2API_PYTHON.\n"
    )
