"""Findings: each weight has its own maker."""

from kiro2api.doctor.finding import Finding, Verdict, fault, good, note


def test_what_is_well_needs_no_cure() -> None:
    assert good("port", "free") == Finding(check="port", verdict=Verdict.OK, what="free")


def test_a_note_and_a_fault_tell_why_and_what_to_do() -> None:
    told = {"why": "w", "cure": "c"}

    assert note("port", "x", **told).verdict is Verdict.NOTE
    assert fault("port", "x", **told).verdict is Verdict.FAULT
    assert (fault("port", "x", **told).why, fault("port", "x", **told).cure) == ("w", "c")
