"""Fixtures of the tests that talk to the running program."""

from tests.support.database import database
from tests.support.hasty import hasty, hasty_process

__all__ = ["database", "hasty", "hasty_process"]
