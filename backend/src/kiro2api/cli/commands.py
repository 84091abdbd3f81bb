"""The commands beside `serve`."""

import asyncio
import sys
from typing import Annotated

import typer

from kiro2api import __version__, compose, logs
from kiro2api.cli.accounts import accounts
from kiro2api.cli.db import db
from kiro2api.cli.explain import explain
from kiro2api.cli.serve import serve_command
from kiro2api.config import SETTINGS, Settings, find_installation, load, settings_table
from kiro2api.errors import SetupError

app = typer.Typer(
    name="kiro2api",
    help="A gateway that lets Anthropic and OpenAI clients use your own Kiro accounts.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Client keys.")
config = typer.Typer(help="Settings.")
app.add_typer(keys, name="keys")
app.add_typer(config, name="config")
app.add_typer(db, name="db")
app.add_typer(accounts, name="accounts")
app.command()(explain)

_EnvFile = Annotated[
    str | None, typer.Option(help="Read this file instead of .env, as `serve` was told to.")
]
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command(context_settings={**_PASS_ON, "help_option_names": []})
def serve(context: typer.Context) -> None:
    """Serve clients (also the meaning of no command); `serve --help` lists the flags."""
    serve_command(context.args)


@app.command(context_settings=_PASS_ON)
def emulator(context: typer.Context) -> None:
    """Run the built-in fake upstream; prints its URL as one JSON line.

    Options, each followed by its value: --host, --port (0: a free one), --profile, --seed,
    --accounts (JSON), --tls (off, self-signed, files), --ca-file, --certificate-file, --key-file,
    --alpn, --max-streams.
    """
    from kiro2api.emulator.__main__ import main as emulator_main

    emulator_main(context.args)


@app.command()
def demo(
    port: Annotated[
        int | None, typer.Option(help="The port to listen on (PORT, else 8080).")
    ] = None,
) -> None:
    """Run the gateway on the built-in fake upstream: try it without an account."""
    from kiro2api.cli.demo import run_demo

    run_demo(port)


@keys.command("reset")
def keys_reset(env_file: _EnvFile = None) -> None:
    """Make a new client key and show it; the generated one before it opens nothing any more."""
    settings = _settings(env_file)
    if settings.client_token:
        raise SetupError(
            "KIRO_CLIENT_TOKEN is set, so it is the client key: change it there, or unset it first."
        )
    installation = find_installation(compose.environment())
    print(asyncio.run(compose.reset_client_key(settings, installation)))
    print("A gateway that is running takes it from its next start on.", file=sys.stderr)


@config.command("print")
def config_print(
    origin: Annotated[bool, typer.Option(help="Say where each value comes from.")] = False,
    env_file: _EnvFile = None,
) -> None:
    """Print the settings as they are now; secrets are masked."""
    settings = _settings(env_file)
    for setting in SETTINGS:
        line = f"{setting.about.env}={settings.shown(setting.name)}"
        if origin:
            line += f"    # {settings.origin_of(setting.name)}"
        print(line)


@config.command("docs")
def config_docs(
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
) -> None:
    """Print the table of settings as Markdown."""
    print(settings_table("zh" if language == "zh" else "en"))


@app.command()
def version() -> None:
    """Print the version."""
    print(f"kiro2api {__version__}")


def _settings(env_file: str | None) -> Settings:
    environ = compose.environment()
    installation = find_installation(environ)
    settings = load({}, environ, installation=installation, env_file=env_file)
    logs.configure(settings.log_level.value, settings.log_format.value)
    return settings
