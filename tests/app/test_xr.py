"""The world with a headset on: Meta's emulator in headless Chromium, since no hardware is at hand."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import json_format

from support.otlp import request, span
from support.page import NOW_NS, SCRIPTS, page_sources, seen_in_browser, shop_now
from support.shop_store import MINUTE_NS
from tracescape import connect
from tracescape.collector import Collector
from tracescape_render.web.files import BUILT

pytestmark = pytest.mark.timeout(600)
DATABASE = "postgresql inventory@inventory-db"
STRANGER = "<img src=x onerror=window.hacked=1>"


def ways(script: str) -> list[str]:
    return re.findall(r'^ {2}async "([^"]+)"', (SCRIPTS / script).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with shop_now(tmp_path_factory.mktemp("xr")) as collector:
        yield collector


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_sources(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def told(shop: Collector) -> dict[str, object]:
    with connect(shop.http_url) as store:
        trace_id = store.search(service="inventory", order="slowest").rows["trace_id"][0]
    return {
        "url": shop.http_url,
        "database": DATABASE,
        "trace": trace_id,
        "broken": [str(NOW_NS - 2 * MINUTE_NS), str(NOW_NS)],
        "stranger": STRANGER,
        "hostile": calls("arrive", STRANGER, 30, failed=False),
        "well": calls("arrive", "newcomer", 40, failed=False),
        "sick": calls("arrive", "newcomer", 60, failed=True),
    }


@pytest.fixture(scope="module")
def moving(told: dict[str, object], sources: Path) -> dict[str, str]:
    return seen_in_browser("xr_moving.mjs", sources, told)


@pytest.fixture(scope="module")
def telling(told: dict[str, object], sources: Path) -> dict[str, str]:
    return seen_in_browser("xr_telling.mjs", sources, told)


def calls(operation: str, service: str, count: int, *, failed: bool) -> str:
    """OTLP's JSON of calls, each a trace, in the last seconds."""
    spans = [span(operation, start=NOW_NS - (at + 1) * 10**7, end=NOW_NS - at * 10**7) for at in range(count)]
    for each in spans:
        each.status.code = 2 if failed else 0
    sent = json_format.MessageToDict(request(*spans, service=service), use_integers_for_enums=True)
    text = re.sub(r'"traceId": "[^"]*"', lambda _: f'"traceId": "{os.urandom(16).hex()}"', json.dumps(sent))
    return re.sub(r'"spanId": "[^"]*"', lambda _: f'"spanId": "{os.urandom(8).hex()}"', text)


@pytest.mark.parametrize("way", ways("xr_moving.mjs"))
def test_somebody_moves_with_a_headset_on(moving: dict[str, str], way: str) -> None:
    assert moving[way] == ""


@pytest.mark.parametrize("way", ways("xr_telling.mjs"))
def test_somebody_is_told_with_a_headset_on(telling: dict[str, str], way: str) -> None:
    assert telling[way] == ""


def test_the_emulator_is_in_no_file_that_ships() -> None:
    for file in BUILT.rglob("*.js"):
        assert "IWER" not in file.read_text(encoding="utf-8"), file


def test_whoever_has_no_headset_does_not_load_what_is_for_one() -> None:
    first = (BUILT / "page" / "index.js").read_text(encoding="utf-8")
    assert "getViewerPose" not in first
    assert "getViewerPose" in (BUILT / "page" / "session.js").read_text(encoding="utf-8")
