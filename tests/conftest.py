"""Settings for the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.display import x_server

# The first example of a test may compile a kernel, which takes seconds.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of an X display that windows can open on."""
    with x_server() as name:
        yield name
