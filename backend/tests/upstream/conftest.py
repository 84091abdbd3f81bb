"""Fixtures of the upstream's tests."""

import pytest

from tests.upstream.peers import Certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return a certificate that the tests' servers show."""
    return Certificate(tmp_path_factory.mktemp("tls"))
