"""The command line: `kiro2api` alone serves, other words are commands."""

import sys
from collections.abc import Sequence

from kiro2api import __version__
from kiro2api.errors import SetupError, StoreError

# What `sysexits.h` calls a configuration error.
EXIT_SETUP = 78
EXIT_STORE = 74


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that `arguments` (by default the process's own) ask for, and exit.

    Exit codes: 0 done, 2 wrong usage, 74 the database refused, 78 the set-up must be changed.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _run(words)
    except SetupError as error:
        _stop(error, EXIT_SETUP)
    except StoreError as error:
        _stop(error, EXIT_STORE)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(words: list[str]) -> None:
    if words == ["--version"]:
        print(f"kiro2api {__version__}")
    elif words[:1] == ["serve"] or not words or _is_setting_flag(words[0]):
        # Starting must be fast: the libraries of the other commands stay out of it.
        from kiro2api.cli.serve import serve_command

        serve_command(words[1:] if words[:1] == ["serve"] else words)
    else:
        from kiro2api.cli.commands import app

        app(words, prog_name="kiro2api")


def _is_setting_flag(word: str) -> bool:
    return word.startswith("--") and word not in ("--help", "--version")


def _stop(error: Exception, code: int) -> None:
    print(f"kiro2api: {error}", file=sys.stderr)
    sys.exit(code)
