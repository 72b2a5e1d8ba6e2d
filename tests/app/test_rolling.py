"""A collector's stores get their counts by minute without being asked."""

import time
from pathlib import Path

from memory_reader import span, stored_span_table
from tracescape.rolling import Rolling
from tracescape_analytics.upkeep import SETTLE_NS
from tracescape_storage.duckdb_file import DuckDBStore


def test_settled_minutes_are_rolled_up(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tracescape_analytics.upkeep.SETTLE_NS", 0)
    assert SETTLE_NS > 0
    store = DuckDBStore(tmp_path / "t.db")
    store.append({"spans": stored_span_table([span("A", kind="server")])})
    rolling = Rolling([store], interval_s=0.01)
    give_up = time.monotonic() + 60
    blocks = 0
    while not blocks and time.monotonic() < give_up:
        time.sleep(0.05)
        blocks = store.reader().sql("SELECT count(*) AS n FROM tracescape_rollups")["n"][0].as_py()
    rolling.close()
    rolling.close()
    store.close()
    assert blocks
