"""Can the accounts serve, and was every entry of `KIRO_AUTH_TOKEN` understood?"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime

from kiro2api.config import Installation, Settings
from kiro2api.doctor.finding import Finding, fault, good, note
from kiro2api.errors import SetupError
from kiro2api.gateway.following import FOLLOW
from kiro2api.gateway.intake import Intake
from kiro2api.gateway.ports import StoredAccount
from kiro2api.gateway.telling import DISABLED, AccountReport, report_accounts
from kiro2api.pool.account import Standing
from kiro2api.store.credential_files import load_accounts

CHECK = "accounts"
_HOW_TO_ADD = "add one: kiro2api login, kiro2api accounts import FILE, or KIRO_AUTH_TOKEN"
# What a person types when the next step is a person's.
_COMMANDS = {
    DISABLED: "kiro2api accounts enable {name}",
    Standing.NEEDS_LOGIN.value: "kiro2api login, or a new token where the old one came from",
    Standing.SUSPENDED.value: "kiro2api accounts test {name}",
    Standing.NOT_ENTITLED.value: "kiro2api accounts test {name}",
}


def check_entries(settings: Settings, installation: Installation) -> tuple[Intake, list[Finding]]:
    """Return what `KIRO_AUTH_TOKEN` holds, and which of its entries the start would skip."""
    try:
        intake = load_accounts(settings.auth_token, installation, region=settings.region)
    except SetupError as error:
        why = "the gateway does not start with it"
        cure = "correct KIRO_AUTH_TOKEN; docs/how-to/accounts.md shows its forms"
        return Intake(), [fault(CHECK, str(error), why=why, cure=cure)]
    return intake, [
        fault(
            CHECK,
            f"KIRO_AUTH_TOKEN, {problem}",
            why="the entry is skipped at the start, so its account does not serve",
            cure="correct the entry, or remove it",
        )
        for problem in intake.problems
    ]


def check_accounts(stored: Sequence[StoredAccount], intake: Intake, *, now: float) -> list[Finding]:
    """Return the verdict on each account, at wall time `now`, and which groups nobody serves."""
    if not stored:
        if intake.entries:
            return [good(CHECK, f"the next start takes in {len(intake.entries)}")]
        why = "without one, every request is refused with 503"
        return [fault(CHECK, "there is no account", why=why, cure=_HOW_TO_ADD)]
    reports = [report for report in report_accounts(stored, now=now) if report.place]
    findings = [_verdict(report) for report in reports]
    findings += _unreadable_files(reports)
    served = {report.group for report in reports if report.usable}
    groups = dict.fromkeys(report.group for report in reports)
    return findings + [_unserved(group) for group in groups if group not in served]


def _verdict(report: AccountReport) -> Finding:
    name = f"{report.name} ({report.group})"
    if report.usable:
        return good(CHECK, f"{name} can serve")
    since = "" if report.since is None else f" since {_time(report.since)}"
    until = "" if report.until is None else f" until {_time(report.until)}"
    # What ends by itself, or was a person's wish, hinders nobody who does not know it.
    weigh = fault if report.enabled and report.until is None else note
    return weigh(
        CHECK,
        f"{name} is {report.standing}{since}{until}",
        why=report.reason,
        cure=_cure(report),
    )


def _cure(report: AccountReport) -> str:
    command = _COMMANDS.get(report.standing)
    if command is None:
        return report.next_step
    return f"{report.next_step}: {command.format(name=report.name)}"


def _unreadable_files(reports: Sequence[AccountReport]) -> list[Finding]:
    paths = dict.fromkeys(r.source for r in reports if r.source.startswith(FOLLOW))
    return [
        note(
            CHECK,
            f"{path} cannot be read, but an account follows it",
            why="a login that another program makes there is not taken over",
            cure=f"let the gateway's user read it, or import it again: kiro2api accounts import {path}",
        )
        for path in (source.removeprefix(FOLLOW) for source in paths)
        if not os.access(path, os.R_OK)
    ]


def _unserved(group: str) -> Finding:
    return fault(
        CHECK,
        f"nobody can serve group {group} now",
        why="every request to it is refused",
        cure=f"cure one of its accounts; `kiro2api explain --group {group}` shows them in order",
    )


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
