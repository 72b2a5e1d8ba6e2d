"""How a store and its collector are: what is there, what it costs, what was refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tracescape.progress import counting
from tracescape.store import Store
from tracescape.times import format_time
from tracescape_storage.clickhouse.address import is_clickhouse
from tracescape_storage.duckdb_file import DuckDBStore, journal_folder
from tracescape_storage.errors import StoreError

_TABLES: Final = ("spans", "events", "links", "logs", "metrics", "exemplars", "resources", "scopes")
_COUNTS_SQL: Final = "select " + ", ".join(f"(select count(*) from {name}) as {name}" for name in _TABLES)
_SIZE_SQL: Final = "select block_size, total_blocks, used_blocks, wal_size from pragma_database_size()"
_VERSION_SQL: Final = "select max(version) as version from tracescape_store"
_PRUNED_SQL: Final = (
    "select coalesce(sum(spans), 0)::bigint as spans, max(arrived_before_ns) as arrived_before_ns,"
    " max(last_start_ns) as last_start_ns from tracescape_pruned"
)
#: A file has blocks of 256 KiB, so of few spans it does not tell what one costs.
_ENOUGH_SPANS: Final = 10_000
#: What was pruned leaves room in the file; less than this part of it is no news.
_WORTH_SAYING: Final = 8
#: Spans that were stored in the minute that ends with the newest.
_RATE_SQL: Final = (
    "select count(*) / 60.0 as rate, max(arrived_ns) as last_ns from spans"
    " where arrived_ns > (select max(arrived_ns) from spans) - 60000000000"
)
#: The newest point of each of the collector's own series.
_OWN_SQL: Final = """
select name, type, attributes, value_int, count, sum, bounds, bucket_counts, time_ns, start_ns from metrics
where service = 'tracescape' and name like 'tracescape.%'
qualify row_number() over (partition by name, attributes order by time_ns desc) = 1
order by name, attributes
"""


def examine(store: Store) -> dict[str, Any]:
    """Everything that `report` tells, as plain values; times in nanoseconds, sizes in bytes."""
    if is_clickhouse(store.location):
        raise StoreError(f"{store.location} belongs to ClickHouse: its own system tables tell how it is.")
    extent = store.extent()
    size = store.sql(_SIZE_SQL).row(0, named=True)
    used = int(size["used_blocks"]) * int(size["block_size"])
    return {
        "location": store.location,
        "live": store.live,
        "schema_version": store.sql(_VERSION_SQL).item(),
        "rows": store.sql(_COUNTS_SQL).row(0, named=True),
        "first_start_ns": extent.first_start_ns,
        "last_start_ns": extent.last_start_ns,
        "file_bytes": int(size["total_blocks"]) * int(size["block_size"]),
        "used_bytes": used,
        "journal_bytes": None if store.live else _journal_bytes(Path(store.location)),
        "wal_size": size["wal_size"],
        "bytes_per_span": round(used / extent.spans, 1) if extent.spans else None,
        "arrival": store.sql(_RATE_SQL).row(0, named=True),
        "pruned": store.sql(_PRUNED_SQL).row(0, named=True),
        "collector": _own(store),
    }


def compacted(target: str) -> str:
    """Give free room in a closed file back to the file system; what came of it, for people.

    Raises:
        StoreError: there is no such file, a collector holds it (which does this by itself), or it cannot be
            written.
    """
    if not Path(target).is_file():
        raise StoreError(f"--compact needs a store file, and there is none at {target}.")
    store = DuckDBStore(Path(target))
    try:
        with counting("rows written anew") as update:
            returned = store.compact(update)
    finally:
        store.close()
    return (
        f"{_mib(returned)} went back"
        if returned
        else "at least half of the file is in use: nothing to give back"
    )


def report(found: dict[str, Any]) -> Iterator[str]:
    """``found`` (see `examine`) in lines for people."""
    state = "live" if found["live"] else "closed"
    yield f"{found['location']}   {state}, store version {found['schema_version']}"
    rows = found["rows"]
    kinds = [name for name in _TABLES if rows[name] or name == "spans"]
    yield "holds       " + ", ".join(f"{rows[name]:,} {name}" for name in kinds)
    if rows["spans"]:
        yield f"from        {format_time(found['first_start_ns'])} to {format_time(found['last_start_ns'])}"
        cost = f"; {found['bytes_per_span']:g} bytes a span" if rows["spans"] >= _ENOUGH_SPANS else ""
        if not found["used_bytes"]:
            cost = "; all in the log so far"
        free = found["file_bytes"] - found["used_bytes"]
        room = (
            f", {_mib(free)} of it free for what comes" if free > found["file_bytes"] // _WORTH_SAYING else ""
        )
        journal = found["journal_bytes"]
        beside = f", journal {_mib(journal)}" if journal else ""
        file = f"{_mib(found['file_bytes'])} in the file{room}"
        yield f"size        {file}, log {found['wal_size']}{beside}{cost}"
        arrival = found["arrival"]
        last = format_time(arrival["last_ns"])
        yield f"arrivals    {arrival['rate']:,.1f} spans/s in the minute up to {last}"
    if (pruned := found["pruned"])["spans"]:
        stored, last = format_time(pruned["arrived_before_ns"]), format_time(pruned["last_start_ns"])
        yield f"pruned      {pruned['spans']:,} spans, stored before {stored}, from times up to {last}"
    own = found["collector"]
    if not own:
        yield "collector   has not reported yet (it does every 15 s while `tracescape serve` runs)"
        return
    yield f"collector   as of {format_time(own['time_ns'])}, since {format_time(own['start_ns'])}"
    for name, by_signal in own["counters"].items():
        unit = " bytes of" if name == "tracescape.received" else ""
        parts = ", ".join(f"{value:,}{unit} {signal}" for signal, value in by_signal.items())
        yield f"  {_short(name):<11} {parts}"
    for name, value in own["gauges"].items():
        yield f"  {_short(name):<11} {_mib(value)}"
    for name, durations in own["durations"].items():
        half, most = durations["p50_s"] * 1e3, durations["p99_s"] * 1e3
        quantiles = f"half within {half:g} ms, 99 % within {most:g} ms"
        yield f"  {_short(name):<11} {durations['count']:,} times, {quantiles}"


def _journal_bytes(path: Path) -> int:
    """What lies beside a file: what was accepted last, kept to know it again."""
    folder = journal_folder(path)
    return sum(file.stat().st_size for file in folder.iterdir()) if folder.is_dir() else 0


def _short(name: str) -> str:
    return name.removeprefix("tracescape.").removesuffix(".duration")


def _own(store: Store) -> dict[str, Any]:
    rows = store.sql(_OWN_SQL).to_dicts()
    if not rows:
        return {}
    found: dict[str, Any] = {
        "time_ns": max(row["time_ns"] for row in rows),
        "start_ns": max(row["start_ns"] for row in rows),
        "counters": {},
        "gauges": {},
        "durations": {},
    }
    newest = [row for row in rows if row["start_ns"] == found["start_ns"]]  # of the process that runs last
    for row in newest:
        signal = json.loads(row["attributes"]).get("signal")
        if row["type"] == "sum":
            found["counters"].setdefault(row["name"], {})[signal] = row["value_int"]
        elif row["type"] == "gauge":
            found["gauges"][row["name"]] = row["value_int"]
        elif row["count"]:
            found["durations"][row["name"]] = {
                "count": row["count"],
                "mean_s": row["sum"] / row["count"],
                "p50_s": _bound_of(row, 0.5),
                "p99_s": _bound_of(row, 0.99),
            }
    return found


def _bound_of(row: dict[str, Any], quantile: float) -> float:
    """The upper bound of the bucket that the quantile falls into; the last bound for the open one."""
    wanted, seen = quantile * row["count"], 0
    for bound, count in zip(row["bounds"], row["bucket_counts"], strict=False):
        seen += count
        if seen >= wanted:
            return float(bound)
    return float(row["bounds"][-1])


def _mib(size: int) -> str:
    return f"{size / (1 << 20):,.1f} MiB"
