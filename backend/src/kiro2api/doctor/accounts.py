"""Can the accounts serve, and was every entry of `KIRO_AUTH_TOKEN` understood?"""

from collections.abc import Sequence
from datetime import UTC, datetime

from kiro2api.config import Installation, Settings
from kiro2api.doctor.finding import Finding, fault, good, note
from kiro2api.errors import SetupError
from kiro2api.gateway.intake import Intake
from kiro2api.gateway.ports import StoredAccount
from kiro2api.gateway.telling import AccountReport, report_accounts
from kiro2api.pool.account import Standing
from kiro2api.store.credential_files import load_accounts

CHECK = "accounts"
_HOW_TO_ADD = "add one: KIRO_AUTH_TOKEN takes logins as JSON, or the path of a file with them"


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
        why = "without any every request is refused with 503"
        return [fault(CHECK, "there is no account", why=why, cure=_HOW_TO_ADD)]
    reports = [report for report in report_accounts(stored, now=now) if report.place]
    findings = [_verdict(report) for report in reports]
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
    if not report.enabled:
        return f"{report.next_step}: accounts enable {report.name}"
    if report.standing == Standing.NEEDS_LOGIN:
        return f"{report.next_step}, by a new token in KIRO_AUTH_TOKEN or in the file it came from"
    return report.next_step


def _unserved(group: str) -> Finding:
    return fault(
        CHECK,
        f"nobody can serve group {group} now",
        why="every request to it is refused",
        cure=f"cure one of its accounts; `explain --group {group}` shows them in order",
    )


def _time(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
