"""The page in a real browser: from the overview to the cause to its trace, and whatever comes between."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest
from google.protobuf import json_format

from support.otlp import request, span
from support.page import NOW_NS, SCRIPTS, page_sources, seen_in_browser, shop_now, stopped_clock
from support.shop_store import MINUTE_NS
from tracescape import connect
from tracescape.collector import Collector
from tracescape.store import Topology
from tracescape_analytics.topology import Unpaired

KEY = "the-key-of-the-browser"
SERVICE = '<img src=x onerror="window.hacked=1">'
OPERATION = "</script><script>window.hacked=2</script>"
VALUE = '"><svg onload=window.hacked=3>'
DATABASE = "postgresql inventory@inventory-db"


def ways(script: str) -> list[str]:
    """The names in a script, as it has them."""
    text = (SCRIPTS / script).read_text(encoding="utf-8")
    named = re.findall(r'^ {2}async "([^"]+)"', text, re.MULTILINE)
    views = re.findall(r"^ {2}(\w+): ", text, re.MULTILINE)
    return named + [f"axe finds nothing: {view}" for view in views]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_sources(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with shop_now(tmp_path_factory.mktemp("shop")) as collector:
        yield collector


@pytest.fixture(scope="module")
def walked(shop: Collector, sources: Path) -> dict[str, str]:
    with connect(shop.http_url) as store:
        trace = store.trace(store.search(service="checkout", order="slowest").rows["trace_id"][0])
    late = request(span("late arrival", start=NOW_NS, end=NOW_NS + 5_000_000), service="newcomer")
    return seen_in_browser(
        "ways.mjs",
        sources,
        {
            "url": shop.http_url,
            "trace": trace.trace_id,
            "span": trace.root.span_id,
            "database": DATABASE,
            "arriving": json.dumps(
                with_hex_ids(json_format.MessageToDict(late, use_integers_for_enums=True))
            ),
        },
    )


@pytest.fixture(scope="module")
def another_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Where a newcomer will fail."""
    with shop_now(tmp_path_factory.mktemp("world")) as collector:
        yield collector


@pytest.fixture(scope="module")
def world(another_shop: Collector, sources: Path) -> dict[str, str]:
    with connect(another_shop.http_url) as store:
        trace_id = store.search(service="inventory", order="slowest").rows["trace_id"][0]
    before = NOW_NS - 5 * MINUTE_NS
    return seen_in_browser(
        "world.mjs",
        sources,
        {
            "url": another_shop.http_url,
            "trace": trace_id,
            "database": DATABASE,
            "since": str(before - 2 * MINUTE_NS),
            "until": str(before),
            "broken": [str(NOW_NS - 2 * MINUTE_NS), str(NOW_NS)],
            "well": calls_of_newcomer(40, failed=False),
            "sick": calls_of_newcomer(60, failed=True),
        },
    )


ISLANDS, MEMBERS = 80, 40


def islands() -> Topology:
    """More services than a processor draws one by one, in islands that call each other in a ring."""
    names = [f"s{island}-{member}" for island in range(ISLANDS) for member in range(MEMBERS)]
    ways = [(f"s{i}-0", f"s{i}-{member}") for i in range(ISLANDS) for member in range(1, MEMBERS)]
    ways += [(f"s{i}-0", f"s{(i + 1) % ISLANDS}-0") for i in range(ISLANDS)]
    times = {f"{side}_{name}_ns": pl.lit(2e6) for side in ("client", "server") for name in ("p50", "p95")}
    nodes = pl.DataFrame({"service": names}).with_columns(
        *(pl.lit(1e6).alias(f"{name}_ns") for name in ("p50", "p95", "p99")),
        kind=pl.lit("service"),
        calls=pl.lit(500),
        errors=pl.lit(0),
        state=pl.when(pl.col("service") == "s3-7").then(pl.lit("failing")).otherwise(pl.lit("healthy")),
    )
    edges = pl.DataFrame(ways, schema=["source", "target"], orient="row").with_columns(
        connection=pl.lit("http"), calls=pl.lit(500), errors=pl.lit(5), state=pl.lit("healthy"), **times
    )
    return Topology(nodes, edges, NOW_NS - MINUTE_NS, NOW_NS, 1_000_000, 10_000, Unpaired(0, 0, 0))


@pytest.fixture(scope="module")
def large(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    topology = islands()
    file = tmp_path_factory.mktemp("large") / "t.db"
    with (
        stopped_clock(),
        pytest.MonkeyPatch.context() as patched,
        Collector(file, grpc="127.0.0.1:0", http="127.0.0.1:0") as it,
    ):
        patched.setattr("tracescape.page.questions._topology", lambda *_: topology)
        return seen_in_browser("large.mjs", sources, {"url": it.http_url})


@pytest.mark.parametrize("way", ways("large.mjs"))
def test_somebody_in_a_large_world(large: dict[str, str], way: str) -> None:
    assert large[way] == ""


def calls_of_newcomer(count: int, *, failed: bool) -> str:
    """OTLP's JSON of calls, each a trace, in the last seconds."""
    spans = [
        span("arrive", start=NOW_NS - (at + 1) * 10_000_000, end=NOW_NS - at * 10_000_000)
        for at in range(count)
    ]
    for each in spans:
        each.status.code = 2 if failed else 0
    sent = json_format.MessageToDict(request(*spans, service="newcomer"), use_integers_for_enums=True)
    text = re.sub(r'"traceId": "[^"]*"', lambda _: f'"traceId": "{os.urandom(16).hex()}"', json.dumps(sent))
    return re.sub(r'"spanId": "[^"]*"', lambda _: f'"spanId": "{os.urandom(8).hex()}"', text)


@pytest.mark.parametrize("way", ways("world.mjs"))
def test_somebody_in_the_world(world: dict[str, str], way: str) -> None:
    assert world[way] == ""


def with_hex_ids(document: dict[str, object]) -> dict[str, object]:
    """OTLP's JSON: ids are hex there, and not base64."""
    text = json.dumps(document)
    for name, length in (("traceId", 16), ("spanId", 8)):
        text = re.sub(rf'"{name}": "[^"]*"', f'"{name}": "{"ab" * length}"', text)
    found: dict[str, object] = json.loads(text)
    return found


@pytest.mark.parametrize("way", ways("ways.mjs"))
def test_somebody_in_an_incident(walked: dict[str, str], way: str) -> None:
    assert walked[way] == ""


@pytest.fixture(scope="module")
def refused(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("keys")
    keys = folder / "keys.toml"
    keys.write_text(f'[tenants]\nweb = ["{KEY}"]\n')
    keys.chmod(0o600)
    trace_id, root = b"\xab" * 16, b"\xcd" * 8
    spans = [
        span(
            OPERATION,
            trace_id=trace_id if not number else None,
            span_id=root if not number else None,
            start=NOW_NS - (number + 1) * 1_000_000_000,
            end=NOW_NS - number * 900_000_000,
            attributes={VALUE: VALUE, "plain.key": VALUE},
        )
        for number in range(40)
    ]
    with (
        stopped_clock(),
        Collector(folder / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", api_keys=keys) as collector,
    ):
        sent = httpx.post(
            f"{collector.http_url}/v1/traces",
            content=request(*spans, service=SERVICE, version=VALUE).SerializeToString(),
            headers={"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {KEY}"},
        )
        assert sent.status_code == 200
        told = {"key": KEY, "trace": trace_id.hex(), "span": root.hex(), "service": SERVICE}
        told |= {"url": collector.http_url, "operation": OPERATION, "value": VALUE}
        yield seen_in_browser("hostile.mjs", sources, told)


@pytest.mark.parametrize("way", ways("hostile.mjs"))
def test_keys_and_hostile_names(refused: dict[str, str], way: str) -> None:
    assert refused[way] == ""
