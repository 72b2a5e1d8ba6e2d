"""The shop as the demo leaves it, made once; tests that need another store make their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tracescape as ts
from support.shop_store import shop_store


@pytest.fixture(scope="session")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six healthy minutes of the shop and two degraded ones, called as the demo calls it."""
    file = tmp_path_factory.mktemp("shop") / "tracescape-demo.db"
    shop_store(file)
    return file


@pytest.fixture
def store(path: Path) -> Iterator[ts.Store]:
    with ts.open(path) as opened:
        yield opened
