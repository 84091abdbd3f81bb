"""Fixtures that every folder of tests may use, and how many examples the property tests take."""

import os

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "tests.support.emulator",
    "tests.support.gateway",
    "tests.support.pairs",
    "tests.support.patient",
]

# How long an example takes says more about the machine than about the program.
_BUSY_MACHINE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
# The same few examples in every run, so that a run fails for what was changed and nothing else;
# `HYPOTHESIS_PROFILE=thorough` looks for new ones.
settings.register_profile("quick", max_examples=25, derandomize=True, **_BUSY_MACHINE)
settings.register_profile("thorough", max_examples=1000, **_BUSY_MACHINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
