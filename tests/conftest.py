"""Settings for the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from support.display import x_server
from tracescape_native.memory import INTERPRETED

# The first example of a test may compile a kernel, which takes seconds.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """With ``NUMBA_DISABLE_JIT=1`` kernels run as plain Python, which warns where words wrap around."""
    if INTERPRETED:
        config.addinivalue_line("filterwarnings", "ignore:overflow encountered:RuntimeWarning")


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of an X display that windows can open on."""
    with x_server() as name:
        yield name
