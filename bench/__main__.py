"""`python -m bench [--quick] [--save FILE]`: measures, and prints the results as tables."""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bench.plan import Plan, Run
from bench.tables import markdown


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, about a minute")
    parser.add_argument("--save", metavar="FILE", help="write the tables to this file too")
    asked = parser.parse_args()
    if not Path("/proc/self/schedstat").exists():
        sys.exit("The benchmark reads CPU times from /proc: it needs Linux.")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        results = uvloop.run(Run(Plan(quick=asked.quick), Path(folder), tell).measure())
    text = markdown(results)
    print(text)
    if asked.save:
        Path(asked.save).write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
