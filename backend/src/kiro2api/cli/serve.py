"""`kiro2api serve`: read the settings, open the listener, run until told to stop."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from kiro2api import compose, logs
from kiro2api.config import SETTINGS, Installation, Settings, find_installation, load


def serve_command(words: Sequence[str]) -> None:
    """Serve with the flags in `words`; returns when the process was told to stop.

    Raises:
        SetupError: the program cannot start as it is set up.
    """
    flags, env_file = parse_flags(words)
    installation = find_installation(compose.environment())
    settings = load(flags, compose.environment(), installation=installation, env_file=env_file)
    run_gateway(settings, installation)


def run_gateway(settings: Settings, installation: Installation) -> None:
    """Run the gateway on an event loop of its own to its end."""
    logs.configure(settings.log_level.value, settings.log_format.value)
    compose.main_loop(lambda: compose.run(settings, installation, announce))


def announce(started: compose.Started) -> None:
    """Tell the person at the terminal where the gateway is, and a new client key: once, here."""
    lines = [f"kiro2api is listening on {started.url}"]
    if started.new_key:
        lines += [
            "",
            f"  Client key: {started.new_key}",
            "",
            "It was made now and is not shown again; `kiro2api keys reset` makes another.",
        ]
    print("\n".join(lines), flush=True)


def parse_flags(words: Sequence[str]) -> tuple[Mapping[str, Any], str | None]:
    """Return the settings given as flags, by field name, and the `--env-file`.

    Secrets have no flags: other users of the machine can read the command line of a process.
    """
    parser = argparse.ArgumentParser(
        prog="kiro2api serve",
        description="Serve Anthropic and OpenAI clients from the accounts in KIRO_AUTH_TOKEN.",
        epilog="Secrets are read from the environment or from .env, never from flags.",
        allow_abbrev=False,
    )
    parser.add_argument("--env-file", help="Read this file instead of .env.")
    for setting in SETTINGS:
        if not setting.about.secret:
            flag = "--" + setting.name.replace("_", "-")
            text = f"{setting.about.en} ({setting.about.env})".replace("%", "%%")
            parser.add_argument(flag, dest=setting.name, help=text, metavar="VALUE")
    given = vars(parser.parse_args(list(words)))
    return given, given.pop("env_file")
