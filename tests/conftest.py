"""Settings for the whole suite."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from types import ModuleType

import pytest
import uvicorn.server
from hypothesis import settings

from support.display import x_server
from support.kernels import compile_kernels
from tracescape_native.memory import INTERPRETED

#: Seconds of a processor that files take, those of ten and more.
SECONDS = {
    "app/test_page_browser.py": 105,
    "app/test_xr.py": 80,
    "analytics/test_rollups.py": 55,
    "native/test_scan_bounds.py": 32,
    "analytics/test_lately.py": 30,
    "render/test_window.py": 40,
    "app/test_page_questions.py": 40,
    "storage/test_conformance.py": 33,
    "test_wheel.py": 19,
    "storage/test_compaction.py": 32,
    "render/test_ride_window.py": 27,
    "app/test_past.py": 15,
    "app/test_cli.py": 25,
    "app/test_demo.py": 20,
    "app/test_faults.py": 19,
    "storage/test_search.py": 19,
    "render/test_time_window.py": 18,
    "render/test_inside_window.py": 18,
    "app/test_cli_questions.py": 18,
    "analytics/test_compare.py": 18,
    "app/test_wrong_input.py": 18,
    "analytics/test_timeline.py": 16,
    "ingest/test_fast_spans.py": 16,
    "app/test_view.py": 16,
    "storage/test_query.py": 13,
    "storage/test_attribute_columns.py": 15,
    "app/test_query_endpoint.py": 13,
    "app/test_shop_diagnosis.py": 14,
    "native/test_interpreted.py": 11,
    "app/test_hostile_clients.py": 13,
    "app/test_riding.py": 12,
    "analytics/test_topology.py": 12,
    "app/test_exploring.py": 12,
}

# The first example of a test may compile a kernel, which takes seconds. Examples are the same in every run:
# if one fails, a change is at fault and not dice. `./dev test --hypothesis-profile=explore` looks for others.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("explore", deadline=None, derandomize=False, max_examples=200, print_blob=True)
settings.load_profile("suite")


class _Hasty(ModuleType):
    """asyncio as uvicorn sees it, which sleeps a fifth of a second in all before it has ended."""

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


uvicorn.server.asyncio = _Hasty("asyncio")


def pytest_configure(config: pytest.Config) -> None:
    """With ``NUMBA_DISABLE_JIT=1`` kernels run as plain Python, which warns where words wrap around."""
    if hasattr(config.option, "loadscopereorder"):  # pytest-xdist would begin with the files of most tests
        config.option.loadscopereorder = False
    if INTERPRETED:
        config.addinivalue_line("filterwarnings", "ignore:overflow encountered:RuntimeWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first: at the end it would keep one worker, and the others nothing to do."""
    items.sort(key=lambda item: -SECONDS.get(item.nodeid.partition("::")[0].removeprefix("tests/"), 0))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Before the workers of a whole run begin."""
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not INTERPRETED:
        compile_kernels()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests wait for processes, disks and clocks as well."""
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ours + 1


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """The name of an X display that windows can open on."""
    with x_server() as name:
        yield name
