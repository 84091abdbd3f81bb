"""The files of the checkout, for the tests that judge its shape."""

import ast
import subprocess
from functools import cache
from pathlib import Path

BACKEND = Path(__file__).parents[2]
ROOT = BACKEND.parent
SOURCE = BACKEND / "src" / "kiro2api"
TESTS = BACKEND / "tests"
# The previous generation of the Anthropic SDK, put there by `make test`: a PYTHONPATH for a process.
ANTHROPIC_0 = ROOT / ".tools" / "anthropic-0.125.0"


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is, or could be, committed."""
    listed = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    paths = (ROOT / name for name in listed.split("\0") if name)
    return tuple(sorted({path for path in paths if path.is_file()}))


@cache
def python_files(under: Path = ROOT) -> tuple[Path, ...]:
    """Return the Python files of one folder."""
    return tuple(path for path in files() if path.suffix == ".py" and path.is_relative_to(under))


@cache
def syntax(path: Path) -> ast.Module:
    """Return the syntax tree of one file."""
    return ast.parse(path.read_text())


def name(path: Path) -> str:
    """Return a path as a message should show it."""
    return path.relative_to(ROOT).as_posix()
