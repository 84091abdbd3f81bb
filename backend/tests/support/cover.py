"""The coverage gates of the pure core: `python -m tests.support.cover`, behind `make cover`.

One run of the core's tests remembers which test reached which branch. Then each file where a
hole would be dear must be covered whole by its own test file, and every other file of the core
nearly so by all of them.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from coverage import Coverage

BACKEND = Path(__file__).parents[2]
PACKAGE = BACKEND / "src" / "kiro2api"
CORE = ("protocol", "pool")
# Bytes on the wire, repair of histories, meaning of faults, moves of the pool.
WHOLE_BY_ITS_OWN_TESTS = (
    "protocol/wire/*.py",
    "protocol/chat/history.py",
    "protocol/codewhisperer/fault.py",
    "pool/transitions.py",
)
WHOLE, NEARLY = 100.0, 95.0
AT_IMPORT = "^$"


def main() -> int:
    """Return 0 when every gate holds; print the holes otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        data_file = Path(folder) / "coverage"
        if code := run_core_tests(data_file):
            return code
        coverage = Coverage(data_file=str(data_file), config_file=str(BACKEND / "pyproject.toml"))
        coverage.load()
        failures = list(find_holes(coverage, Path(folder) / "report.json"))
    print("\n".join(failures) or "coverage: every gate of the core holds")
    return bool(failures)


def run_core_tests(data_file: Path) -> int:
    """Run the tests of the core with coverage, each line marked with its test; return the code."""
    folders = [f"tests/{layer}" for layer in CORE]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *folders]
    command += ["--cov=kiro2api", "--cov-branch", "--cov-context=test", "--cov-report="]
    return subprocess.run(
        command, cwd=BACKEND, env={**os.environ, "COVERAGE_FILE": str(data_file)}
    ).returncode


def find_holes(coverage: Coverage, report: Path) -> Iterator[str]:
    """Yield one line for each file below its gate."""
    dear = {path for pattern in WHOLE_BY_ITS_OWN_TESTS for path in sorted(PACKAGE.glob(pattern))}
    for pattern in WHOLE_BY_ITS_OWN_TESTS:
        if not any(PACKAGE.glob(pattern)):
            yield f"{pattern}: no such file, so its gate is empty"
    for layer in CORE:
        for path in sorted((PACKAGE / layer).rglob("*.py")):
            if path in dear:
                contexts, wanted = [AT_IMPORT, "^" + re.escape(own_tests(path)) + "::"], WHOLE
            else:
                contexts, wanted = [], NEARLY
            yield from judge(coverage, path, contexts=contexts, wanted=wanted, report=report)


def judge(
    coverage: Coverage, path: Path, *, contexts: list[str], wanted: float, report: Path
) -> Iterator[str]:
    """Yield the holes of one file when its percentage is below the wanted one."""
    coverage.json_report(
        outfile=str(report), include=[str(path)], contexts=contexts, ignore_errors=False
    )
    (measured,) = json.loads(report.read_text())["files"].values()
    percent = measured["summary"]["percent_covered"]
    if percent < wanted:
        judges = "by its own tests, " if contexts else ""
        yield (
            f"{path.relative_to(PACKAGE)}: {percent:.1f} % {judges}of {wanted:.0f} %; "
            f"lines {shown(measured['missing_lines'])}; "
            f"branches {shown(f'{a}-{b}' for a, b in measured['missing_branches'])}"
        )


def shown(holes: Iterable[object]) -> str:
    """Return the first holes as text: whoever mends them sees the next ones then."""
    words = [str(hole) for hole in holes]
    return ", ".join(words[:10]) + (f" and {len(words) - 10} more" if len(words) > 10 else "")


def own_tests(path: Path) -> str:
    """Return the test file that mirrors a source file, as pytest names it."""
    inside = path.relative_to(PACKAGE)
    return (Path("tests") / inside.parent / f"test_{inside.name}").as_posix()


if __name__ == "__main__":
    sys.exit(main())
