"""Fixtures for the tests of commands."""

from tests.support.commands import commands

__all__ = ["commands"]
