"""Fixtures of the tests that talk to the running program."""

from tests.support.hasty import hasty, hasty_process

__all__ = ["hasty", "hasty_process"]
