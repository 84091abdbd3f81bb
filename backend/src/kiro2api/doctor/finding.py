"""What a check has found: what, why, and the cure."""

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """How much a finding weighs: a fault must be cured, a note is worth knowing."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a check has found; `why` and `cure` are "" for what is well."""

    check: str
    verdict: Verdict
    what: str
    why: str = ""
    cure: str = ""


def good(check: str, what: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check=check, verdict=Verdict.OK, what=what)


def note(check: str, what: str, *, why: str, cure: str) -> Finding:
    """Return a finding that hinders nobody now."""
    return Finding(check=check, verdict=Verdict.NOTE, what=what, why=why, cure=cure)


def fault(check: str, what: str, *, why: str, cure: str) -> Finding:
    """Return a finding that must be cured."""
    return Finding(check=check, verdict=Verdict.FAULT, what=what, why=why, cure=cure)
