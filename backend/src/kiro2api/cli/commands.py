"""The commands beside `serve`."""

from typing import Annotated

import typer

from kiro2api import __version__
from kiro2api.cli.accounts import accounts
from kiro2api.cli.db import db
from kiro2api.cli.doctor import doctor
from kiro2api.cli.explain import explain
from kiro2api.cli.groups import groups
from kiro2api.cli.import_export import accounts_export, accounts_import
from kiro2api.cli.keys import keys
from kiro2api.cli.login import login
from kiro2api.cli.models import models
from kiro2api.cli.output import print_json
from kiro2api.cli.serve import serve_command
from kiro2api.cli.target import AsJson, EnvFile, read_target
from kiro2api.config import SETTINGS, settings_table

app = typer.Typer(
    name="kiro2api",
    help="A gateway that lets Anthropic and OpenAI clients use your own Kiro accounts.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config = typer.Typer(help="Settings.")
app.add_typer(keys, name="keys")
app.add_typer(config, name="config")
app.add_typer(db, name="db")
app.add_typer(accounts, name="accounts")
app.add_typer(groups, name="groups")
accounts.command("import")(accounts_import)
accounts.command("export")(accounts_export)
app.command()(login)
app.command()(explain)
app.command()(doctor)
app.command()(models)

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


@config.command("print")
def config_print(
    origin: Annotated[bool, typer.Option(help="Say where each value comes from.")] = False,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Print the settings as they are now; secrets are masked."""
    settings = read_target(env_file).settings
    if json:
        print_json(
            [
                {
                    "name": setting.about.env,
                    "value": settings.shown(setting.name),
                    "origin": settings.origin_of(setting.name),
                }
                for setting in SETTINGS
            ]
        )
        return
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
