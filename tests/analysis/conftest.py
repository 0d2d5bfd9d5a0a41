"""Fixtures of the strain tests."""

import pytest
from known_strain import known_dot


@pytest.fixture(scope="session")
def embedded():
    """The known dot in its 8×8×8 box."""
    return known_dot()
