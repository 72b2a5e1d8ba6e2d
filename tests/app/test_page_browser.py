"""The page in a real browser: from the overview to the cause to its trace, and whatever comes between."""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import polars as pl
import pytest
from google.protobuf import json_format

from support.otlp import request, span
from support.page import SCRIPTS, page_sources, seen_in_browser
from support.shop_store import MINUTE_NS, quick_store
from tracescape import connect
from tracescape.collector import Collector
from tracescape.shop import Fault, ShopConfig
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


@contextmanager
def shop_in(folder: Path) -> Iterator[Collector]:
    """A shop of eight minutes until now, the last two of them with a slow database."""
    file = folder / "t.db"
    fault = Fault("slow-dependency", "inventory-db", 6 * 60.0, math.inf)
    until = time.time_ns()
    quick_store(file, ShopConfig(rate_per_s=3.0, faults=(fault,), seed=7), until - 8 * MINUTE_NS, until)
    with Collector(file, grpc="127.0.0.1:0", http="127.0.0.1:0") as collector:
        yield collector


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    with shop_in(tmp_path_factory.mktemp("shop")) as collector:
        yield collector


@pytest.fixture(scope="module")
def walked(shop: Collector, sources: Path) -> dict[str, str]:
    with connect(shop.http_url) as store:
        trace = store.trace(store.search(service="checkout", order="slowest").rows["trace_id"][0])
    now = time.time_ns()
    late = request(span("late arrival", start=now, end=now + 5_000_000), service="newcomer")
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
def fresh_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """What is wrong now is looked for in the last two minutes."""
    with shop_in(tmp_path_factory.mktemp("world")) as collector:
        yield collector


@pytest.fixture(scope="module")
def world(fresh_shop: Collector, sources: Path) -> dict[str, str]:
    with connect(fresh_shop.http_url) as store:
        trace_id = store.search(service="inventory", order="slowest").rows["trace_id"][0]
        ended = store.extent().last_start_ns  # a busy machine begins to look some time after
    now = time.time_ns()
    before = ended - 5 * MINUTE_NS
    return seen_in_browser(
        "world.mjs",
        sources,
        {
            "url": fresh_shop.http_url,
            "trace": trace_id,
            "database": DATABASE,
            "since": str(before - 2 * MINUTE_NS),
            "until": str(before),
            "broken": [str(ended - 2 * MINUTE_NS), str(ended)],
            "well": calls_of_newcomer(now, 40, failed=False),
            "sick": calls_of_newcomer(now, 60, failed=True),
        },
    )


ISLANDS, MEMBERS = 80, 40


def islands(now: int) -> Topology:
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
    return Topology(nodes, edges, now - MINUTE_NS, now, 1_000_000, 10_000, Unpaired(0, 0, 0))


@pytest.fixture(scope="module")
def large(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    topology = islands(time.time_ns())
    file = tmp_path_factory.mktemp("large") / "t.db"
    with (
        pytest.MonkeyPatch.context() as patched,
        Collector(file, grpc="127.0.0.1:0", http="127.0.0.1:0") as it,
    ):
        patched.setattr("tracescape.page.questions._topology", lambda *_: topology)
        return seen_in_browser("large.mjs", sources, {"url": it.http_url})


@pytest.mark.parametrize("way", ways("large.mjs"))
def test_somebody_in_a_large_world(large: dict[str, str], way: str) -> None:
    assert large[way] == ""


def calls_of_newcomer(now: int, count: int, *, failed: bool) -> str:
    """OTLP's JSON of calls, each a trace, in the last seconds."""
    spans = [
        span("arrive", start=now - (at + 1) * 10_000_000, end=now - at * 10_000_000) for at in range(count)
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
    now = time.time_ns()
    trace_id, root = b"\xab" * 16, b"\xcd" * 8
    spans = [
        span(
            OPERATION,
            trace_id=trace_id if not number else None,
            span_id=root if not number else None,
            start=now - (number + 1) * 1_000_000_000,
            end=now - number * 900_000_000,
            attributes={VALUE: VALUE, "plain.key": VALUE},
        )
        for number in range(40)
    ]
    with Collector(folder / "t.db", grpc="127.0.0.1:0", http="127.0.0.1:0", api_keys=keys) as collector:
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
