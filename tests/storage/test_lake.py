"""A store as Parquet: what is read back is what is stored, whole files only, and again writes what is new."""

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
)

from support.otlp import request, span
from support.signals import log, logs_request, metrics_request
from tracescape_ingest.decode import decode_traces
from tracescape_ingest.logs import decode_logs
from tracescape_ingest.metrics import decode_metrics
from tracescape_storage import lake
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import StoreError
from tracescape_storage.lake import HOUR_NS, export_parquet
from tracescape_storage.schema import TABLES

VALUES: dict[str, object] = {
    "http.request.method": "GET",
    "text": 'with "quotes"',
    "int": 2**63 - 1,
    "double": 1.0,
    "nan": float("nan"),
    "bytes": b"\xff",
    "list": [1, "a"],
    "$dollar": "x",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.db"


@pytest.fixture
def store(path: Path) -> Any:
    opened = DuckDBStore(path)
    fill(opened)
    yield opened
    opened.close()


def fill(store: DuckDBStore, first: int = 0, hours: int = 3) -> None:
    for hour in range(first, first + hours):
        begin = (490_000 + hour) * HOUR_NS
        spans = [
            span(f"op{n}", start=begin + n, end=begin + n + 1500, attributes=VALUES, kind=n) for n in range(4)
        ]
        message = request(*spans)
        first_span = message.resource_spans[0].scope_spans[0].spans[0]
        first_span.events.add(name="e", time_unix_nano=begin + 5).attributes.add(key="k").value.int_value = 1
        first_span.links.add(trace_id=b"l" * 16, span_id=b"m" * 8)
        logs = logs_request(
            log("said", time_unix_nano=begin + 1),
            log({"a": 1}, time_unix_nano=begin + 2, trace_id=b"t" * 16, span_id=b"s" * 8),
        )
        point = NumberDataPoint(
            as_int=1, time_unix_nano=begin, exemplars=[Exemplar(as_int=2, time_unix_nano=begin)]
        )
        counted = HistogramDataPoint(
            count=3, bucket_counts=[1, 2], explicit_bounds=[0.5], time_unix_nano=begin
        )
        metrics = metrics_request(
            Metric(name="g", gauge=Gauge(data_points=[point])),
            Metric(name="h", histogram=Histogram(data_points=[counted], aggregation_temporality=2)),
        )
        store.append(
            decode_traces(message.SerializeToString()).tables,
            decode_logs(logs.SerializeToString()).tables,
            decode_metrics(metrics.SerializeToString()).tables,
        )


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.parquet"))


def read(folder: Path, table: str) -> pa.Table:
    return ds.dataset(folder / table, format="parquet", partitioning="hive").to_table()


def test_a_file_an_hour_and_a_table(store: DuckDBStore, tmp_path: Path) -> None:
    written = export_parquet(store.reader(), tmp_path / "lake")
    assert written == (18, 3 * (4 + 1 + 1 + 2 + 2 + 1), 0)
    assert files(tmp_path / "lake")[0] == "events/day=2025-11-24/hour=16/part-0.parquet"
    assert len(files(tmp_path / "lake")) == 20
    assert not list((tmp_path / "lake").rglob("*.unfinished"))


@pytest.mark.parametrize("table", sorted(TABLES))
def test_what_is_read_back_is_what_is_stored(store: DuckDBStore, tmp_path: Path, table: str) -> None:
    reader = store.reader()
    export_parquet(reader, tmp_path / "lake")
    source = "spans_full" if table == "spans" else table
    names = TABLES[table].names
    stored = reader.sql(f"SELECT {', '.join(names)} FROM {source}").to_pylist()
    found = read(tmp_path / "lake", table).to_pylist()
    assert len(found) == len(stored) > 0
    key = "point_id" if "point_id" in names else "time_ns" if "time_ns" in names else names[0]
    if table == "spans":
        key = "span_id"
    portable = [naive(table, row) for row in stored]
    assert sorted(({n: row[n] for n in names} for row in found), key=lambda row: str(row[key])) == sorted(
        portable, key=lambda row: str(row[key])
    )


def naive(table: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row as the files have it, value by value."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("attributes", "metadata"):
            value = [
                (
                    key.replace("$$", "$"),
                    each if isinstance(each, str) else json.dumps(each, separators=(",", ":")),
                )
                for key, each in json.loads(value).items()
            ]
        elif name.endswith("trace_id"):
            value = "" if value is None else value.hex()
        elif name.endswith("span_id"):
            value = f"{value & (1 << 64) - 1:016x}" if value else ""
        elif name == "body":
            value = json.loads(value) if value.startswith('"') else value
        elif table == "spans" and name == "kind":
            value = ["unset", "internal", "server", "client", "producer", "consumer"][value]
        elif table == "spans" and name == "status":
            value = ["unset", "ok", "error"][value]
        out[name] = value
    return out


def test_types_are_portable(store: DuckDBStore, tmp_path: Path) -> None:
    export_parquet(store.reader(), tmp_path / "lake")
    for file in (tmp_path / "lake").rglob("*.parquet"):
        schema = pq.read_schema(file)
        for field in schema:
            kind = field.type.value_type if pa.types.is_list(field.type) else field.type
            assert (
                kind in (pa.int64(), pa.float64(), pa.string(), pa.bool_(), lake._MAP)
                or kind == pa.timestamp("us", "UTC")
                or pa.types.is_map(kind)
            ), f"{file}: {field}"


def test_polars_and_duckdb_read_it_as_the_page_says(store: DuckDBStore, tmp_path: Path) -> None:
    export_parquet(store.reader(), tmp_path / "lake")
    spans = pl.scan_parquet(tmp_path / "lake" / "spans", hive_partitioning=True)
    counted = spans.filter(pl.col("hour") == 16).select(pl.len()).collect().item()
    assert counted == 4
    files = tmp_path / "lake" / "spans" / "**" / "*.parquet"
    (row,) = duckdb.sql(
        "SELECT count(*), min(attributes['http.request.method']), max(end_time - start_time)"
        f" FROM read_parquet('{files}', hive_partitioning = true) WHERE hour = 16"
    ).fetchall()
    assert row[:2] == (4, "GET")


def test_again_writes_what_is_new_and_nothing_else(store: DuckDBStore, tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    export_parquet(store.reader(), folder)
    before = {name: (folder / name).stat().st_mtime_ns for name in files(folder)}
    fill(store, first=2, hours=2)  # an hour again, and one that is new
    assert export_parquet(store.reader(), folder).kept == 12
    changed = {name for name in files(folder) if before.get(name) != (folder / name).stat().st_mtime_ns}
    assert {name.split("/")[-2] for name in changed if "hour=" in name} == {"hour=18", "hour=19"}
    assert read(folder, "spans").num_rows == store.reader().extent().spans == 20


def test_what_the_store_has_pruned_stays_in_the_folder(store: DuckDBStore, tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    export_parquet(store.reader(), folder)
    store.prune(2**62)
    assert store.reader().extent().spans == 0
    export_parquet(store.reader(), folder)
    assert read(folder, "spans").num_rows == 12


def test_a_window_takes_whole_hours(store: DuckDBStore, tmp_path: Path) -> None:
    begin = 490_001 * HOUR_NS
    export_parquet(store.reader(), tmp_path / "lake", since_ns=begin + 3, until_ns=begin + 5)
    assert [name for name in files(tmp_path / "lake") if name.startswith("spans")] == [
        "spans/day=2025-11-24/hour=17/part-0.parquet"
    ]
    assert read(tmp_path / "lake", "spans").num_rows == 4


def test_an_export_that_was_interrupted_goes_on(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "lake"
    left = [5]
    whole = lake.portable

    def fails(table: str, rows: pa.Table) -> pa.Table:
        if rows.num_rows:
            left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return whole(table, rows)

    monkeypatch.setattr(lake, "portable", fails)
    with pytest.raises(KeyboardInterrupt):
        export_parquet(store.reader(), folder)
    assert len(files(folder)) == 5
    assert not list(folder.rglob("*.unfinished"))
    monkeypatch.setattr(lake, "portable", whole)
    assert export_parquet(store.reader(), folder).kept == 3
    assert read(folder, "spans").num_rows == 12


def test_a_damaged_file_is_written_anew(store: DuckDBStore, tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    export_parquet(store.reader(), folder)
    (folder / files(folder)[-1]).write_bytes(b"PAR1")
    export_parquet(store.reader(), folder)
    assert read(folder, "spans").num_rows == 12


def test_a_folder_with_other_things_is_left_alone(store: DuckDBStore, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(StoreError, match="has other things in it"):
        export_parquet(store.reader(), tmp_path / "mine")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("{", "is no export"),
        ('{"tracescape_export": 99, "store": "x"}', "another release"),
        ('{"tracescape_export": 1, "store": "x"}', "is the export of x"),
    ],
)
def test_a_folder_of_another_export_is_left_alone(
    store: DuckDBStore, tmp_path: Path, manifest: str, words: str
) -> None:
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake" / "_tracescape.json").write_text(manifest)
    with pytest.raises(StoreError, match=words):
        export_parquet(store.reader(), tmp_path / "lake")


def test_two_exports_do_not_write_at_once(store: DuckDBStore, tmp_path: Path) -> None:
    reader = store.reader()
    with (
        lake._claimed(tmp_path / "lake", reader.location),
        pytest.raises(StoreError, match="at this moment"),
    ):
        export_parquet(reader, tmp_path / "lake")


def test_a_disk_without_room_is_said_before_it_is_full(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake, "_FREE_BYTES", 1 << 60)
    with pytest.raises(StoreError, match="MiB are free"):
        export_parquet(store.reader(), tmp_path / "lake")


def test_a_disk_that_fills_leaves_whole_files(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(table: str, rows: pa.Table) -> pa.Table:
        if rows.num_rows and table == "logs":
            raise OSError(28, "No space left on device")
        return whole(table, rows)

    whole = lake.portable
    monkeypatch.setattr(lake, "portable", full)
    with pytest.raises(StoreError, match="is full; what is there is whole"):
        export_parquet(store.reader(), tmp_path / "lake")
    assert not list((tmp_path / "lake").rglob("*.unfinished"))
    assert read(tmp_path / "lake", "spans").num_rows == 12


def test_rows_are_held_a_group_at_a_time(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake, "_GROUP_ROWS", 1)
    batches = pa.table({"n": range(10)}).to_reader(max_chunksize=3)
    assert [group.num_rows for group in lake._groups(batches)] == [3, 3, 3, 1]
    monkeypatch.setattr(lake, "_GROUP_ROWS", 100)
    monkeypatch.setattr(lake, "_GROUP_BYTES", 40)
    batches = pa.table({"n": range(10)}).to_reader(max_chunksize=3)
    assert [group.num_rows for group in lake._groups(batches)] == [6, 4]


def test_progress_counts_rows_to_the_end(store: DuckDBStore, tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    export_parquet(store.reader(), tmp_path / "lake", progress=lambda done, total: said.append((done, total)))
    assert said == sorted(said)
    assert said[-1] == (33, 33)


@pytest.mark.parametrize("engine", ["Polars", "DuckDB"])
def test_the_recipes_of_the_page_run(
    store: DuckDBStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "lake.md").read_text()
    code = page.split(f"## {engine}\n")[1].split("```python\n")[1].split("```")[0]
    export_parquet(store.reader(), tmp_path / "lake")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)  # the page is ours
    if engine == "Polars":
        assert names["slow"].select("service", "method", "len").rows() == [("shop", "GET", 12)]
    else:
        assert [row[:2] for row in names["routes"]] == [("GET", 12)]
        assert names["of_services"] == [("shop", 12)]
