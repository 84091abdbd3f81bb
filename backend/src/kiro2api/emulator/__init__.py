"""A faithful fake upstream for the demo and for tests; imported by nobody but the command line."""

from kiro2api.emulator.accounts import AccountKind, AccountSpec
from kiro2api.emulator.profile import ProfileName
from kiro2api.emulator.server import (
    Emulator,
    EmulatorOptions,
    Tls,
    demo_accounts,
    run,
    serve,
)

__all__ = [
    "AccountKind",
    "AccountSpec",
    "Emulator",
    "EmulatorOptions",
    "ProfileName",
    "Tls",
    "demo_accounts",
    "run",
    "serve",
]
