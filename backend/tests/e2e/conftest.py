"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.claude_code import PROGRAM, ClaudeCode, StartClaude
from tests.support.gateway import RunningGateway
from tests.support.wiretap import tapped


@pytest.fixture
def start_claude(tmp_path: Path) -> Iterator[StartClaude]:
    """Put Claude Code in front of a gateway until the test ends."""
    if not Path(PROGRAM).is_file():
        pytest.fail("CLAUDE_CODE names no program: `make e2e` installs it and says where it is")
    with ExitStack() as stack:

        def start(gateway: RunningGateway) -> ClaudeCode:
            return ClaudeCode(tmp_path / "claude", stack.enter_context(tapped(gateway.url)))

        yield start


@pytest.fixture
def claude(start_claude: StartClaude, gateway: RunningGateway) -> ClaudeCode:
    """Claude Code in front of the shared gateway."""
    return start_claude(gateway)
