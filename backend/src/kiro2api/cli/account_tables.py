"""Accounts as a person at the terminal reads them."""

import shlex
from collections.abc import Sequence

import msgspec

from kiro2api.cli.output import local_time, one_line, print_table
from kiro2api.gateway.checkup import Step
from kiro2api.gateway.telling import DISABLED, AccountReport, QuotaReport
from kiro2api.pool.account import Standing

_HEAD = ("#", "ACCOUNT", "GROUP", "STATE", "CREDITS", "WHY", "SINCE", "UNTIL", "WHAT HAPPENS NEXT")
# What a person types when the next step is a person's.
_CURES = {
    DISABLED: "kiro2api accounts enable {name}",
    Standing.NEEDS_LOGIN.value: "kiro2api login",
    Standing.SUSPENDED.value: "kiro2api accounts test {name}",
    Standing.NOT_ENTITLED.value: "kiro2api accounts test {name}",
}


class CheckedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What the test of an account has found, and the account after it."""

    passed: bool
    steps: tuple[Step, ...]
    account: AccountReport


def print_accounts(reports: Sequence[AccountReport]) -> None:
    """Print one line per account."""
    if not reports:
        print("There is no account.")
        return
    print_table(_HEAD, [_row(report) for report in reports])


def print_account(report: AccountReport) -> None:
    """Print everything about one account, one line each; what there is not has no line."""
    rows = [
        ("name", report.name),
        ("id", report.id),
        ("group", report.group),
        ("place", str(report.place or "")),
        ("login", f"{report.auth}, {report.region}"),
        ("came from", report.source),
        ("state", report.standing),
        ("why", _reason(report)),
        ("since", local_time(report.since)),
        ("until", local_time(report.until)),
        ("what happens next", _next_step(report)),
        ("credits", _credits_in_full(report.quota)),
        ("soft cap", str(report.soft_cap) if report.soft_cap else "the group's"),
        ("profile", report.profile_arn or "none"),
        ("route", report.route),
        ("access token until", local_time(report.token_expires_at)),
        ("models", "unknown" if report.models is None else str(report.models)),
        *(
            ("refused model", f"{one.model} until {local_time(one.until)}: {one.reason}")
            for one in report.refused
        ),
    ]
    print_table(("WHAT", "VALUE"), [row for row in rows if row[1]])


def print_changed(reports: Sequence[AccountReport], done: str) -> None:
    """Print what the accounts are after a change."""
    for report in reports:
        where = f"place {report.place} of group {report.group}" if report.place else "out"
        print(f"{one_line(report.name)}: {done}, {where}, {report.standing}")


def print_checks(checked: Sequence[CheckedAccount]) -> None:
    """Print what a test has found, one line per account and step."""
    if not checked:
        print("There is no account.")
        return
    rows = []
    for one in checked:
        for step in one.steps:
            result = "ok" if step.passed else "failed"
            rows.append((one.account.name, step.name, result, step.detail))
        state = "; ".join(filter(None, (_reason(one.account), _next_step(one.account))))
        rows.append((one.account.name, "state", one.account.standing, state))
    print_table(("ACCOUNT", "STEP", "RESULT", "DETAIL"), rows)


def _row(report: AccountReport) -> tuple[str, ...]:
    return (
        str(report.place or "-"),
        report.name,
        report.group,
        report.standing,
        _credits(report.quota),
        _reason(report),
        local_time(report.since),
        local_time(report.until),
        _next_step(report),
    )


def _reason(report: AccountReport) -> str:
    if report.reason or not report.refused:
        return report.reason
    return "refused: " + ", ".join(one.model for one in report.refused)


def _next_step(report: AccountReport) -> str:
    cure = _CURES.get(report.standing)
    if cure is None or not report.next_step:
        return report.next_step
    return f"{report.next_step}: {cure.format(name=shlex.quote(report.name))}"


def _credits(quota: QuotaReport | None) -> str:
    if quota is None:
        return "unknown"
    return f"{quota.remaining:g} (old)" if quota.stale else f"{quota.remaining:g}"


def _credits_in_full(quota: QuotaReport | None) -> str:
    if quota is None:
        return "unknown"
    renews = f", renewed at {local_time(quota.resets_at)}" if quota.resets_at else ""
    plan = f" of {quota.plan}" if quota.plan else ""
    return (
        f"{quota.remaining:g} left, {quota.used:g} of {quota.limit:g}{plan} used{renews}, "
        f"asked at {local_time(quota.fetched_at)}{' (old)' if quota.stale else ''}"
    )
