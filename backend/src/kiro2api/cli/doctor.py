"""`kiro2api doctor`: what is wrong with this installation and around it, and how to cure it."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from kiro2api import compose, logs
from kiro2api.cli.output import print_json, print_table
from kiro2api.cli.target import EXIT_NO, AsJson, EnvFile, refuse
from kiro2api.config import find_installation
from kiro2api.doctor import Finding, Verdict, examine
from kiro2api.doctor.examine import Wishes
from kiro2api.errors import SetupError

_MODEL = "claude-sonnet-4-20250514"
# No user, no password: what is printed here is pasted into reports.
_PUBLIC_ADDRESS = re.compile(r"https?://[^\s/?#@]+(/[^\s?#]*)?")
_MARKS = {Verdict.OK: "ok", Verdict.NOTE: "note", Verdict.FAULT: "FAULT"}


def doctor(
    url: Annotated[
        str,
        typer.Option(help="The public address: a stream is sent through it, which costs credits."),
    ] = "",
    key_file: Annotated[
        str, typer.Option(help="A file with the client key for --url; - for standard input.")
    ] = "",
    model: Annotated[str, typer.Option(help="The model that is asked through --url.")] = _MODEL,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Look for faults: settings, data, port, certificates, proxy, hosts, clock, accounts.

    Works with or without a running gateway. Exit code 1 when a fault was found.
    """
    if url and not _PUBLIC_ADDRESS.fullmatch(url):
        refuse("--url must be an address such as https://host or https://host/path, without user.")
    environ = compose.environment()
    # The findings tell it all: a log between them would tell it twice.
    logs.configure("error", "auto")
    wishes = Wishes(url=url, key=_read_key(key_file) if key_file else "", model=model)
    findings = asyncio.run(
        examine(environ, find_installation(environ), env_file=env_file, wishes=wishes)
    )
    if json:
        print_json({"findings": findings, "faults": _count(findings, Verdict.FAULT)})
    else:
        _print(findings)
    if _count(findings, Verdict.FAULT):
        raise typer.Exit(EXIT_NO)


def _read_key(file: str) -> str:
    if file == "-":
        return sys.stdin.readline().strip()
    try:
        return Path(file).expanduser().read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{file}, which --key-file names, cannot be read: {error}.") from None


def _print(findings: list[Finding]) -> None:
    print_table(
        ("CHECK", "VERDICT", "FOUND"),
        [(found.check, _MARKS[found.verdict], found.what) for found in findings],
    )
    for found in findings:
        if found.verdict is not Verdict.OK:
            print(f"\n{_MARKS[found.verdict]}: {found.what}")
            print(f"  why:  {found.why}")
            print(f"  cure: {found.cure}")
    print(f"\n{_counted(findings, Verdict.FAULT)}, {_counted(findings, Verdict.NOTE)}.")


def _counted(findings: list[Finding], verdict: Verdict) -> str:
    number = _count(findings, verdict)
    return f"{number} {verdict}{'' if number == 1 else 's'}"


def _count(findings: list[Finding], verdict: Verdict) -> int:
    return sum(found.verdict is verdict for found in findings)
