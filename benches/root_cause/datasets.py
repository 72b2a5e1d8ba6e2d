"""The labelled sets as span tables and cases. Labels stay in the cases; methods get spans alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import polars as pl
import pyarrow as pa
from cases import Case, Interval, fault_cases, quiet_cases, quiet_time

_HOUR_NS = 3_600_000_000_000
_QUIET_PIECES = 20


class CaseSpans(NamedTuple):
    """A case with the spans of its window and those of its baseline, and the links of both, if there are any.

    Spans have ``schema.ANALYSIS_COLUMNS`` (and ``http_status`` where it is known), by start.
    """

    case: Case
    window: pa.Table
    baseline: pa.Table
    links: pa.Table | None


class LabelledSet(Protocol):
    """Cases and how to get at their spans. ``skipped`` are the names of cases that no span belongs to."""

    @property
    def name(self) -> str: ...
    @property
    def cases(self) -> list[Case]: ...
    @property
    def quiet(self) -> list[Case]: ...
    @property
    def skipped(self) -> list[str]: ...

    def asked(self, cases: Sequence[Case]) -> Iterator[CaseSpans]:
        """``cases`` one after the other, with their spans."""
        ...


@dataclass(frozen=True)
class Labelled:
    """A set whose spans are at hand; see `LabelledSet` and, for ``spans``, `CaseSpans`."""

    name: str
    spans: pa.Table
    cases: list[Case]
    quiet: list[Case]
    skipped: list[str]

    def cut(self, intervals: Sequence[Interval]) -> pa.Table:
        """The spans whose trace starts in one of the intervals; whole traces."""
        starts = self.spans["trace_start_ns"].to_numpy()
        bounds = [np.searchsorted(starts, edges) for edges in intervals]
        pieces = [self.spans.slice(low, high - low) for low, high in bounds]
        table = pa.concat_tables(pieces) if pieces else self.spans.slice(0, 0)
        return table.drop_columns(["trace_start_ns"])

    def asked(self, cases: Sequence[Case]) -> Iterator[CaseSpans]:
        """See `LabelledSet.asked`."""
        known: tuple[Interval, ...] | None = None
        baseline = self.spans.slice(0, 0)
        for case in cases:
            if case.baseline != known:
                known, baseline = case.baseline, self.cut(case.baseline)
            yield CaseSpans(case, self.cut([case.window]), baseline, None)


def load(folder: Path) -> Iterator[Labelled]:
    """Every set of ``folder``, by name: days of spans, then sets of invocations."""
    for file in sorted(folder.glob("*.faults.json")):
        name = file.name.removesuffix(".faults.json")
        faults = json.loads(file.read_text())
        normal = folder / f"{name.removesuffix('-dev')}-normal.parquet"
        if isinstance(faults, list):
            yield _day(name, pl.read_parquet(folder / f"{name}.parquet"), faults)
        elif normal.exists():
            cases = pl.read_parquet(folder / f"{name}.parquet")
            yield _invocations(name, cases, pl.read_parquet(normal), faults)


def _day(name: str, rows: pl.DataFrame, faults: list[dict[str, object]]) -> Labelled:
    spans = rows.select(
        trace_id=pl.col("trace_id").str.decode("hex"),
        span_id=_number("span_id"),
        parent_span_id=_number("parent_span_id"),
        start_ns="start_ns",
        duration_ns="duration_ns",
        service=pl.col("service").cast(pl.Categorical),
        operation=pl.col("operation").cast(pl.Categorical),
        kind=pl.lit(0, pl.Int8),
        status=pl.lit(0, pl.Int8),
        resource_id=pl.col("service").cast(pl.Categorical).to_physical().cast(pl.Int64),
        trace_start_ns=pl.col("start_ns").min().over("trace_id"),
    ).sort("trace_start_ns", "trace_id", "start_ns")
    day = (int(spans["trace_start_ns"].min()), int(spans["trace_start_ns"].max()) + 1)  # type: ignore[arg-type]  # not empty
    cases = fault_cases(faults, day)
    starts = spans["trace_start_ns"].to_numpy()
    sizes = [int(np.diff(np.searchsorted(starts, case.window))[0]) for case in cases]
    lengths = [case.window[1] - case.window[0] for case in cases]
    quiet = quiet_cases(quiet_time(faults, day), sorted(lengths)[len(lengths) // 2])
    quiet = [case for case in quiet if np.diff(np.searchsorted(starts, case.window))[0]]
    return Labelled(
        name,
        _arrow(spans),
        [case for case, size in zip(cases, sizes, strict=True) if size],
        quiet,
        [case.name for case, size in zip(cases, sizes, strict=True) if not size],
    )


def _number(column: str) -> pl.Expr:
    # 16 hex digits as the int64 of the same bits; '' is 0.
    low = pl.col(column).str.slice(8).str.to_integer(base=16, dtype=pl.Int64, strict=False)
    high = pl.col(column).str.slice(0, 8).str.to_integer(base=16, dtype=pl.Int64, strict=False)
    high = pl.when(high >= 2**31).then(high - 2**32).otherwise(high)
    return (high * 2**32 + low).fill_null(0)


def _arrow(spans: pl.DataFrame) -> pa.Table:
    table = spans.rechunk().to_arrow()
    for i, name in enumerate(table.column_names):
        if name in ("service", "operation"):
            table = table.set_column(i, name, table[name].cast(pa.string()).dictionary_encode())
        elif name == "trace_id":
            table = table.set_column(i, name, table[name].cast(pa.binary()))
    return table


def _invocations(
    name: str, rows: pl.DataFrame, normal: pl.DataFrame, faults: dict[str, dict[str, object]]
) -> Labelled:
    """Invocations say who called whom and how long it took, as the caller's and the callee's side saw it.

    They have neither ids nor comparable clocks. A row whose source is its target is what the callee saw, any
    other what the caller did. Each side is paired by length of time with the other, a call with the request
    of its source that is long enough; children stand one after the other in their parent, so that self time
    is what they do not account for. Each case is put on an hour of its own, the normal rows before all.
    """
    order = sorted(faults)
    numbered = rows.with_columns(
        hour=pl.col("case_id").replace_strict(order, list(range(1, len(order) + 1)), return_dtype=pl.Int64)
    ).drop("case_id")
    # The normal rows keep their order in time, in pieces: quiet windows.
    pieces = normal.sort("start_us").with_columns(first=pl.col("start_us").min().over("trace_id"))
    share = (pl.col("first").rank("dense") * _QUIET_PIECES / (pl.col("first").n_unique() + 1)).floor()
    pieces = pieces.with_columns(hour=-share.cast(pl.Int64)).drop("first")
    spans = _trees(pl.concat([pieces.select(numbered.columns), numbered]))
    normal_time = ((-_QUIET_PIECES + 1) * _HOUR_NS + _BASE, _HOUR_NS + _BASE)
    cases = []
    for i, case_id in enumerate(order, 1):
        services = faults[case_id]["services"]
        assert isinstance(services, list)
        window = (i * _HOUR_NS + _BASE, (i + 1) * _HOUR_NS + _BASE)
        truth = frozenset(map(str, services))
        cases.append(Case(case_id, window, (normal_time,), truth, str(faults[case_id]["fault"])))
    return Labelled(name, _arrow(spans), cases, quiet_cases([normal_time], _HOUR_NS), [])


_BASE = 1000 * _HOUR_NS


def _trees(rows: pl.DataFrame) -> pl.DataFrame:
    keys = ["hour", "trace_id"]
    rows = rows.with_columns(
        served=pl.col("source") == pl.col("target"),
        duration=(pl.col("latency_us") * 1000).cast(pl.Int64),
    ).sort(*keys, "duration", "source", "target", descending=[False, False, True, False, False])
    rows = rows.with_row_index("span_id", offset=1).with_columns(pl.col("span_id").cast(pl.Int64))
    return _placed(_with_parents(rows, keys))


def _with_parents(rows: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    # Candidates: the caller's side of the same call for a served row, the served row of the source for a
    # call; the shortest that is long enough. Sides of a call are one to one, in order of length.
    served = rows.filter("served").select(*keys, source="target", above="span_id", long="duration")
    calls = rows.filter(~pl.col("served"))
    of_calls = (
        calls.select(*keys, "source", "span_id", "duration")
        .join(served, on=[*keys, "source"])
        .filter(pl.col("long") >= pl.col("duration"))
        .sort("long")
        .group_by("span_id")
        .agg(pl.col("above").first())
    )
    by_length = pl.int_range(pl.len()).over(*keys, "target")
    sides = calls.select(*keys, "target", above="span_id", long="duration").with_columns(nth=by_length)
    inside = rows.filter("served").select(*keys, "target", "span_id", "duration").with_columns(nth=by_length)
    of_served = (
        inside.join(sides, on=[*keys, "target", "nth"])
        .filter(pl.col("long") >= pl.col("duration"))
        .select("span_id", "above")
    )
    above = pl.concat([of_calls, of_served])
    return rows.join(above, on="span_id", how="left").rename({"above": "parent_span_id"})


def _placed(rows: pl.DataFrame) -> pl.DataFrame:
    # Parents are longer than children, so they stand first: starts can be given in order.
    rows = rows.sort("span_id")
    hour, duration = rows["hour"].to_numpy(), rows["duration"].to_numpy()
    parent = rows["parent_span_id"].fill_null(0).to_numpy()
    first_us = rows.select(first=pl.col("start_us").min().over("hour", "trace_id"))["first"]
    offset = (first_us - rows.select(x=pl.col("start_us").min().over("hour"))["x"]).to_numpy() * 1000
    start = hour * _HOUR_NS + _BASE + np.minimum(offset, _HOUR_NS - 1).astype(np.int64)
    trace_start = start.copy()
    cursor = start.copy()
    for i in np.argsort(-duration, kind="stable"):
        above = parent[i] - 1
        if above >= 0:
            start[i] = cursor[above]
            cursor[above] += duration[i]
        cursor[i] = start[i]
    status = rows["http_status"].cast(pl.Int64)
    return rows.select(
        trace_id=pl.col("trace_id").str.decode("hex"),
        span_id="span_id",
        parent_span_id=pl.Series(parent),
        start_ns=pl.Series(start),
        duration_ns="duration",
        service="source",
        operation=pl.when("served").then(pl.lit("serve")).otherwise("call " + pl.col("target")),
        kind=pl.when("served").then(2).otherwise(3).cast(pl.Int8),
        status=((status >= 500) | (status == 0)).cast(pl.Int8) * 2,
        resource_id=pl.col("source").cast(pl.Categorical).to_physical().cast(pl.Int64),
        http_status=status,
        peer_service=pl.when("served").then(None).otherwise("target"),
        trace_start_ns=pl.Series(trace_start),
    ).sort("trace_start_ns", "trace_id", "start_ns")
