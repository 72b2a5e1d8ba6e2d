"""Who looks at the last minutes again and again has only what changed counted anew, and misses nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pytest
from polars.testing import assert_frame_equal

from support import clickhouse
from support.shop_store import MINUTE_NS
from tracescape.store import Store, connect
from tracescape_storage.clickhouse.address import parse_address
from tracescape_storage.clickhouse.reader import ClickHouseReader

BEGIN = 1_700_000_040_000_000_000


class Growing(NamedTuple):
    address: str
    client: Any
    table: str

    def insert(self, since_ns: int, until_ns: int, *, late: bool = False) -> None:
        """Those of all spans that start in a window; some of them come late."""
        which = f"cityHash64(SpanId) % 5 {'=' if late else '!='} 0"
        self.client.command(
            f"INSERT INTO {self.table} SELECT * FROM {self.table}_all WHERE {which}"
            f" AND Timestamp >= fromUnixTimestamp64Nano(toInt64({since_ns}))"
            f" AND Timestamp < fromUnixTimestamp64Nano(toInt64({until_ns}))"
        )


@pytest.fixture(scope="module")
def growing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Growing]:
    with clickhouse.shop_in_both(tmp_path_factory.mktemp("growing"), BEGIN) as (_, address, client):
        table = f"`{parse_address(address).database}`.otel_traces"
        client.command(f"CREATE TABLE {table}_all AS {table}")
        client.command(f"INSERT INTO {table}_all SELECT * FROM {table}")
        client.command(f"TRUNCATE TABLE {table}")
        yield Growing(address, client, table)


def alike(kept: Store, since: int, until: int | None) -> None:
    """What is kept says what a store that was opened just now says."""
    kept.reader._kept.clear()  # type: ignore[attr-defined]  # the reader's own
    with Store(ClickHouseReader(kept.reader._connection.address)) as fresh:  # type: ignore[attr-defined]  # the reader's own
        anew = fresh.topology(since, until)
    found = kept.topology(since, until)
    assert_frame_equal(found.nodes, anew.nodes)
    assert_frame_equal(found.edges, anew.edges)
    assert found.nodes.height


def test_a_window_that_fills_is_as_if_it_were_counted_at_once(
    growing: Growing, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[set[int]] = []
    with connect(growing.address) as store:
        lately = store._lately
        count = lately._count

        def noted(minutes: Iterable[int]) -> None:
            counted.append(set(minutes))
            count(counted[-1])

        monkeypatch.setattr(lately, "_count", noted)
        since = BEGIN - BEGIN % MINUTE_NS
        first = since // MINUTE_NS
        for minute in range(1, 7):
            growing.insert(since + (minute - 1) * MINUTE_NS, since + minute * MINUTE_NS)
            alike(store, since, None)
        # The new minute and the one beside it, and what is before all of them; none of those between.
        assert {first + 4, first + 5} <= counted[-1]
        assert not counted[-1] & {first, first + 1, first + 2, first + 3}
        before = len(counted)
        alike(store, since, None)
        assert len(counted) == before  # nothing came, nothing is counted
        growing.insert(since + MINUTE_NS, since + 2 * MINUTE_NS, late=True)
        alike(store, since, None)
        assert counted[-1] == {first, first + 1, first + 2}
        alike(store, since + 2 * MINUTE_NS, since + 5 * MINUTE_NS)
        alike(store, since, since + 6 * MINUTE_NS)


def test_of_a_long_window_the_older_part_is_counted_when_it_changes(growing: Growing) -> None:
    since = BEGIN - BEGIN % MINUTE_NS
    with connect(growing.address) as store:
        alike(store, since - 100 * MINUTE_NS, since + 7 * MINUTE_NS)
        growing.insert(since + 2 * MINUTE_NS, since + 3 * MINUTE_NS, late=True)
        alike(store, since - 100 * MINUTE_NS, since + 7 * MINUTE_NS)
        alike(store, since - 10 * MINUTE_NS, since + 60 * MINUTE_NS)
        growing.insert(since + 3 * MINUTE_NS, since + 4 * MINUTE_NS, late=True)
        alike(store, since - 10 * MINUTE_NS, since + 60 * MINUTE_NS)
