"""Topology of recorded traces, from spans and from roll-ups, beside a self-join; what upkeep costs.

Upkeep is held against two things: storing the same spans as tables that are decoded already; and the whole of
ingest, which is the CPU time of a server that receives requests over gRPC (eight attributes a span), decodes
them, tells what was sent before and commits. The target, 20 % of ingest, is about the second.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import workload
from load import Load
from measure import in_turn, report
from servers import Tracescape
from throughput import measure

from tracescape.rolling import REST_NS
from tracescape_analytics.calls import counts_of_window
from tracescape_analytics.topology import topology
from tracescape_analytics.upkeep import SETTLE_NS, Upkeep
from tracescape_analytics.windows import Window
from tracescape_storage.duckdb_file import DuckDBStore, open_reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS
from tracescape_storage.schema import SPANS

SELF_JOIN = """
SELECT parent.service, child.service, count(*) FROM spans child
JOIN spans parent ON child.trace_id = parent.trace_id AND child.parent_span_id = parent.span_id
WHERE child.service <> parent.service GROUP BY ALL
"""
COMMIT_ROWS = 100_000
BUSY_SPANS, BUSY_MINUTES = 500_000, 4
FEW_SPANS, FEW_MINUTES = 9_000, 44
INGEST_S = 6.0
#: What ten million spans may take, and ten hours from roll-ups.
TOPOLOGY_S, TEN_HOURS_MS = 1.5, 50
_IDS = ["t0", "t1", "p"]


def _ids(texts: pl.Series, words: int) -> np.ndarray:
    digits = texts.str.zfill(16 * words).str.join("")[0]
    return np.frombuffer(bytes.fromhex(digits), ">i8").astype(np.int64).reshape(-1, words)


def dressed(read: pl.DataFrame) -> pl.DataFrame:
    """Spans with the kinds and attributes that OpenTelemetry would have given them.

    A span of another service than its parent's answers a CLIENT span; what runs SQL calls a database.
    """
    frame = read.sort("start_ns", "trace_id", "span_id").with_row_index("row")
    trace, parent = _ids(frame["trace_id"], 2), _ids(frame["parent_span_id"], 1)[:, 0]
    frame = frame.with_columns(t0=trace[:, 0], t1=trace[:, 1], s=_ids(frame["span_id"], 1)[:, 0], p=parent)
    above = frame.select("t0", "t1", p="s", above="service", above_row="row").unique(_IDS, keep="first")
    frame = frame.join(above, on=_IDS, how="left").sort("row")
    remote = (pl.col("above") != pl.col("service")).fill_null(True)
    asking = frame.filter(remote)["above_row"].drop_nulls().unique()
    sql = pl.col("operation").str.starts_with("sql.")
    kind = pl.when(remote).then(2).when(sql | pl.col("row").is_in(asking.implode())).then(3).otherwise(1)
    return frame.with_columns(
        kind=kind.cast(pl.Int8),
        db=pl.when(sql).then(pl.lit("mysql")),
        rpc=pl.when(pl.col("operation").str.contains("/")).then(
            pl.col("operation").str.split("/").list.first()
        ),
    )


def spans_to_tile(file: Path | None) -> pl.DataFrame:
    """Recorded spans, or random ones, with ids as hex text."""
    if file is not None:
        return pl.read_parquet(file)
    made = pl.DataFrame(workload.random(200_000))
    words = [
        pl.Series([f"{i:016x}" for i in made[name]]).alias(name) for name in ("span_id", "parent_span_id")
    ]
    return made.with_columns(pl.col("trace_id").bin.encode("hex"), *words)


def table(frame: pl.DataFrame, first: int, count: int) -> pa.Table:
    """``count`` spans from ``first`` on, repeated as needed, in no order within a minute: as ingested."""
    number = np.arange(first, first + count)
    row, copy = number % len(frame), number // len(frame)
    start = frame["start_ns"].to_numpy()
    length = int(start[-1] - start[0]) // MINUTE_NS * MINUTE_NS + 2 * MINUTE_NS
    begin = start[row] + copy * length
    order = np.lexsort((np.random.default_rng(first).random(count), begin // MINUTE_NS))
    row, copy, begin = row[order], copy[order], begin[order]
    spans = frame[row]
    halves = workload.copied(spans.select("t0", "t1").to_numpy(), copy).astype(">i8")
    trace = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(halves.tobytes())])
    columns = {
        "trace_id": trace.cast(pa.binary()),
        "span_id": spans["s"].to_arrow(),
        "parent_span_id": spans["p"].to_arrow(),
        "start_ns": pa.array(begin),
        "duration_ns": spans["duration_ns"].to_arrow(),
        "kind": spans["kind"].to_arrow(),
        "status": pa.array(((spans["duration_ns"].to_numpy() % 97 == 0) * 2).astype(np.int8)),
        "service": _text(spans["service"]),
        "operation": _text(spans["operation"]),
        "attributes": _text(pl.select(pl.repeat("{}", count)).to_series()),
    }
    for field in SPANS:
        if field.name not in columns:
            empty = pa.array(np.zeros(count, np.int64)).cast(field.type) if not field.nullable else None
            columns[field.name] = pa.nulls(count, field.type) if empty is None else empty
    own = {"db.system.name": _text(spans["db"]), "rpc.service": _text(spans["rpc"])}
    return pa.table({**{name: columns[name] for name in SPANS.names}, **own})


def _text(column: pl.Series) -> pa.Array:
    return column.cast(pl.Categorical).to_arrow().cast(pa.dictionary(pa.int32(), pa.string()))


def filled(path: Path, frame: pl.DataFrame, count: int) -> float:
    """Make a store of ``count`` spans; seconds of CPU that storing them took."""
    store, seconds = DuckDBStore(path), 0.0
    for first in range(0, count, COMMIT_ROWS):
        rows = table(frame, first, min(COMMIT_ROWS, count - first))
        begin = time.process_time()
        store.append({"spans": rows})
        seconds += time.process_time() - begin
    store.close()
    return seconds


def raw(path: Path, count: int, rounds: int) -> None:
    """The topology from spans, beside the self-join, which counts calls only."""
    reader = open_reader(path)
    ours = {
        "Tracescape: histograms, virtual nodes, states": lambda: topology(reader),
        "Tracescape: the counts alone": lambda: counts_of_window(reader, Window()),
        "DuckDB self-join: calls only": lambda: reader.sql(SELF_JOIN),
    }
    timings = in_turn(ours, rounds)
    report("topology from the file", "spans", count, timings)
    print(f"  {timings[0].median:.2f} s (target {TOPOLOGY_S * count / 1e7:.2f})")
    reader.close()


def ingest_us() -> float:
    """What a span costs a collector from the wire to the disk, in microseconds of the server's CPU."""
    found = measure(Tracescape, Load(spans=512, clients=4, seconds=INGEST_S))
    each = found.server_cpu_s / found.spans * 1e6
    print(f"\nthe whole of ingest: {each:.2f} us of the server's CPU a span ({found.rate:,.0f} spans/s)")
    return each


def beside(kept_us: float, stored_us: float, ingested_us: float) -> str:
    """What upkeep of a span costs beside the two."""
    return (
        f"  {kept_us / stored_us:.0%} of the {stored_us:.2f} us a span that storing the decoded tables took,"
        f" {kept_us / ingested_us:.0%} of the whole of ingest"
    )


def upkeep(path: Path, count: int, stored_s: float, rounds: int, ingested_us: float) -> None:
    """What rolling up costs beside storing; and the answer from roll-ups beside the self-join."""
    store = DuckDBStore(path)
    now = store.reader().extent().last_start_ns + HOUR_NS
    keeper = Upkeep(store)
    counts_of_window(store.reader(), Window(now - 2 * HOUR_NS, now))  # compiled, and loaded
    wall, cpu = time.perf_counter(), time.process_time()
    keeper.step(now)
    keeper.step(now + HOUR_NS)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    keeper.close()
    store.close()
    print(f"\nroll-up upkeep of {count:,} spans: {wall:.2f} s ({cpu:.2f} s of CPU)")
    print(beside(cpu / count * 1e6, stored_s / count * 1e6, ingested_us))
    reader = open_reader(path)
    answers = {
        "Tracescape: as people ask, from roll-ups": lambda: topology(reader),
        "DuckDB self-join: calls only": lambda: reader.sql(SELF_JOIN),
    }
    report("topology of a rolled-up store", "spans", count, in_turn(answers, rounds))
    reader.close()


def minute_by_minute(folder: Path, frame: pl.DataFrame, ingested_us: float) -> None:
    """What keeping up costs a busy collector beside storing: each minute is counted when it settled."""
    path, begin = folder / "minutes.db", 1_000_000 * HOUR_NS
    store = DuckDBStore(path)
    keeper = Upkeep(store)
    stored, kept = [], []
    for minute in range(BUSY_MINUTES + 2):
        for first in range(0, BUSY_SPANS, COMMIT_ROWS):
            rows = packed(table(frame, minute * BUSY_SPANS + first, COMMIT_ROWS), begin + minute * MINUTE_NS)
            cpu = time.process_time()
            store.append({"spans": rows})
            stored.append(time.process_time() - cpu)
        cpu = time.process_time()
        if keeper.step(begin + (minute + 1) * MINUTE_NS + SETTLE_NS):
            kept.append(time.process_time() - cpu)
    keeper.close()
    store.close()
    path.unlink()
    # A step is for one minute, but for the first: that loads the kernels, too.
    each, took = statistics.median(kept[1:]), sum(stored) / len(stored) / COMMIT_ROWS
    print(f"\nroll-up upkeep, minute by minute, {BUSY_SPANS:,} spans each: {each:.2f} s of CPU a minute")
    print(beside(each / BUSY_SPANS * 1e6, took * 1e6, ingested_us))


def few_a_minute(folder: Path, frame: pl.DataFrame, ingested_us: float) -> None:
    """The same of a collector with little to do, which rolls up several minutes at once."""
    path, begin, stored, kept = folder / "few.db", 1_000_000 * HOUR_NS, 0.0, 0.0
    store = DuckDBStore(path)
    keeper = Upkeep(store, rest_ns=REST_NS)
    for minute in range(FEW_MINUTES * 3 // 2):
        rows = packed(table(frame, minute * FEW_SPANS, FEW_SPANS), begin + minute * MINUTE_NS)
        measured = minute >= FEW_MINUTES // 2  # before that, kernels are loaded
        for quarter in range(4):
            cpu = time.process_time()
            store.append({"spans": rows.slice(quarter * FEW_SPANS // 4, FEW_SPANS // 4)})
            stored += (time.process_time() - cpu) * measured
            cpu = time.process_time()
            keeper.step(begin + minute * MINUTE_NS + (quarter + 1) * MINUTE_NS // 4)
            kept += (time.process_time() - cpu) * measured
    keeper.close()
    store.close()
    path.unlink()
    each = 1e6 / (FEW_MINUTES * FEW_SPANS)
    print(f"\nroll-up upkeep, {FEW_SPANS:,} spans a minute: {kept * each:.2f} us of CPU a span")
    print(beside(kept * each, stored * each, ingested_us))


def packed(rows: pa.Table, begin: int) -> pa.Table:
    """The same spans, all in the minute from ``begin`` on."""
    place = rows.schema.get_field_index("start_ns")
    start = begin + (rows["start_ns"].to_numpy() - rows["start_ns"][0].as_py()) % MINUTE_NS
    return rows.set_column(place, rows.schema.field(place), pa.array(start))


def ten_hours(folder: Path, frame: pl.DataFrame) -> None:
    """The answer for ten hours of a million spans a minute: one such minute, its block repeated 600 times."""
    path = folder / "hours.db"
    store = DuckDBStore(path)
    begin = 1_000_000 * HOUR_NS
    store.append({"spans": packed(table(frame, 0, 1_000_000), begin)})
    keeper = Upkeep(store)
    keeper.step(begin + HOUR_NS)
    keeper.step(begin + 3 * HOUR_NS)
    minutes = (
        f"SELECT * REPLACE (start_ns + i * {MINUTE_NS} AS start_ns) FROM tracescape_rollups, range(600) t(i)"
    )
    store.connection.execute(f"CREATE TABLE copies AS {minutes} WHERE width_ns = {MINUTE_NS}")
    store.connection.execute(
        "DELETE FROM tracescape_rollups; INSERT INTO tracescape_rollups SELECT * EXCLUDE (i) FROM copies"
    )
    store.connection.execute("DROP TABLE copies; CHECKPOINT")
    keeper.close()
    keeper = Upkeep(store)
    keeper.step(begin + 30 * HOUR_NS)
    keeper.close()
    store.close()
    reader = open_reader(path)
    window = {"since_ns": begin, "until_ns": begin + 10 * HOUR_NS}
    timings = in_turn({"ten hours": lambda: topology(reader, baseline=(0, 1), **window)}, rounds=9)
    found = topology(reader, baseline=(0, 1), **window)
    taken, noise = timings[0].median * 1e3, timings[0].noise / 2
    print(f"\ntopology from roll-ups of 10 h at a million spans a minute: {taken:.0f} ms ± {noise:.0%}")
    print(f"  target {TEN_HOURS_MS} ms")
    print(f"  {found!r}; {path.stat().st_size >> 20} MB")
    reader.close()


def main() -> None:
    """Print every comparison at the sizes asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--file", type=Path, default=os.environ.get("TRACESCAPE_BENCH_SPANS"))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ingested_us = ingest_us()
    frame = dressed(spans_to_tile(options.file))
    with tempfile.TemporaryDirectory() as folder:
        for count in options.spans:
            path = Path(folder) / f"{count}.db"
            stored_s = filled(path, frame, count)
            raw(path, count, options.rounds)
            upkeep(path, count, stored_s, options.rounds, ingested_us)
            path.unlink()
        minute_by_minute(Path(folder), frame, ingested_us)
        few_a_minute(Path(folder), frame, ingested_us)
        ten_hours(Path(folder), frame)


if __name__ == "__main__":
    main()
