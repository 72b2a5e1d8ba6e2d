"""The page's sources with packages, a shop that is always the same, and what a script saw in a browser."""

from __future__ import annotations

import fcntl
import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.shop_store import MINUTE_NS, quick_store
from tracescape.collector import Collector
from tracescape.shop import Fault, ShopConfig

SOURCES = Path(__file__).parents[2] / "render" / "web"
SCRIPTS = Path(__file__).parent.parent / "js" / "page"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
NOW_NS = 1_790_000_000_000_000_000
"""When somebody walks through the page, however long that takes."""


@contextmanager
def stopped_clock(now_ns: int = NOW_NS) -> Iterator[None]:
    """Collectors of this process, and browsers that are started from here, have this time meanwhile."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: now_ns)
        yield


@contextmanager
def _made_once(folder: Path, name: str) -> Iterator[tuple[Path, bool]]:
    # What all workers of a run share, and whether it is there already; one of them makes it, the others wait.
    depth = 1 if "PYTEST_XDIST_WORKER" in os.environ else 0
    shared = folder.parents[depth] / name
    with (folder.parents[depth] / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = shared / "done"
        yield shared, done.exists()
        if shared.exists():
            done.touch()


def page_sources(folder: Path) -> Path:
    """A copy of the page's sources, which has the packages that they name; or a skipped test.

    ``folder`` is one of ``tmp_path_factory.mktemp``; packages are installed once for all of them.
    """
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    with _made_once(folder, "page-packages") as (shared, there):
        if not there:
            _install(shared)
    copy = folder / "web"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(shared / "node_modules")
    return copy


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCES / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not get the packages in time")
    if done.returncode:
        pytest.skip(f"npm cannot get the packages: {done.stderr.strip().splitlines()[:1]}")


@contextmanager
def shop_now(folder: Path) -> Iterator[Collector]:
    """A shop of eight minutes until now, the last two of them with a slow database of the inventory.

    The clock stands still: what is wrong now stays wrong now, however slow the machine is. ``folder`` as for
    `page_sources`; the store is made once for all of them.
    """
    with stopped_clock():
        with _made_once(folder, "page-shop") as (shared, there):
            if not there:
                shutil.rmtree(shared, ignore_errors=True)
                shared.mkdir()
                fault = Fault("slow-dependency", "inventory-db", 6 * 60.0, math.inf)
                config = ShopConfig(rate_per_s=3.0, faults=(fault,), seed=7)
                quick_store(shared / "t.db", config, NOW_NS - 8 * MINUTE_NS, NOW_NS)
        own = shutil.copytree(shared, folder / "shop")
        with Collector(own / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
            yield collector


def seen_in_browser(
    script: str, sources: Path, told: dict[str, Any], within_s: float = 450
) -> dict[str, str]:
    """What became of each way through the page that ``script`` walks: empty, or what was wrong."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    given = {**told, "now": time.time_ns() // 1_000_000, "browser": browser, "packages": str(sources)}
    done = subprocess.run(
        ["node", str(SCRIPTS / script), json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return seen
