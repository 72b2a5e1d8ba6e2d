"""The page's sources with their packages, a browser, and what a script saw in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[2] / "render" / "web"
SCRIPTS = Path(__file__).parent.parent / "js" / "page"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def page_sources(folder: Path) -> Path:
    """A copy of the page's sources with the packages that they name, or a skipped test."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed")
    copy = folder / "web"
    shutil.copytree(SOURCES, copy, ignore=shutil.ignore_patterns("node_modules"))
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not get the packages in time")
    if done.returncode:
        pytest.skip(f"npm cannot get the packages: {done.stderr.strip().splitlines()[:1]}")
    return copy


def seen_in_browser(
    script: str, sources: Path, told: dict[str, Any], within_s: float = 400
) -> dict[str, str]:
    """What became of each way through the page that ``script`` walks: empty, or what was wrong."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    done = subprocess.run(
        ["node", str(SCRIPTS / script), json.dumps({**told, "browser": browser, "packages": str(sources)})],
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return seen
