"""Tries all claims with the SDK that this process finds, and prints what became of each as JSON.

`python anthropic_generation.py GATEWAY_URL EMULATOR_URL`; the generation is chosen by PYTHONPATH.
"""

import sys
import traceback

import anthropic

from kiro2api.protocol.wire import json
from tests.sdk.anthropic_claims import CLAIMS, Claim, prove
from tests.support.emulator import RunningEmulator
from tests.support.wiretap import tapped


def main(gateway_url: str, emulator_url: str) -> None:
    """Print the SDK's version and the traceback of each claim, "" for those that hold."""
    emulator = RunningEmulator(emulator_url)
    outcomes = {name: outcome(claim, gateway_url, emulator) for name, claim in CLAIMS.items()}
    print(json.encode({"version": anthropic.__version__, "outcomes": outcomes}).decode())


def outcome(claim: Claim, gateway_url: str, emulator: RunningEmulator) -> str:
    """Return "" when the claim holds, else where it fails."""
    emulator.clear_queue()
    emulator.forget_records()
    try:
        with tapped(gateway_url) as tap:
            prove(claim, tap, emulator)
        assert emulator.violations() == []
    except Exception:  # noqa: BLE001 - whatever it is, the test of that claim shows it
        return traceback.format_exc()
    return ""


if __name__ == "__main__":
    main(*sys.argv[1:])
