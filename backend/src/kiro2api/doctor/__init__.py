"""The doctor: checks of an installation and its surroundings, each finding with its cure."""

from kiro2api.doctor.examine import examine
from kiro2api.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]
