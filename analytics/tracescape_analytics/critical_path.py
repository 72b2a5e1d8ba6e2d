"""What requests wait for: critical time summed over many traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.errors import unknown_service
from tracescape_analytics.flame import frames_of, in_order
from tracescape_analytics.namespaces import sent_from
from tracescape_analytics.span_forest import BoolArray, IntArray, SpanForest, dictionary_codes, plant
from tracescape_analytics.windows import Window, checked
from tracescape_native.call_paths import call_paths, other_above
from tracescape_native.critical_path import Paths, critical_paths
from tracescape_native.critical_sums import on_main_path, trace_sums
from tracescape_storage.reader import Reader
from tracescape_storage.schema import ANALYSIS_COLUMNS

#: What critical time can be summed by.
GROUPINGS: Final = ("service", "operation", "edge", "path")

_MEASURES: Final = ("critical_ns", "total_ns", "share", "traces", "spans", "mean_ns_per_trace", "exemplar")


@dataclass(frozen=True)
class Sums:
    """How critical time is summed.

    ``by`` is one of ``GROUPINGS``; ``tolerance`` that of ``native.critical_path``; ``step_ns`` the length of
    a time bucket; ``slowest`` the share of traces that are set against the rest.
    """

    by: str = "operation"
    tolerance: float = 0.01
    step_ns: int | None = None
    slowest: float | None = None

    def __post_init__(self) -> None:
        if self.by not in GROUPINGS:
            choice = f"{', '.join(GROUPINGS[:-1])} or {GROUPINGS[-1]}"
            raise ValueError(f"by={self.by!r} is not a way to sum critical time: choose {choice}")
        if self.step_ns is not None and self.step_ns <= 0:
            raise ValueError(f"step_ns={self.step_ns} is no length of time")
        if self.slowest is not None and not 0 < self.slowest < 1:
            raise ValueError(f"slowest={self.slowest} is not a share of traces between 0 and 1")


def critical_path(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    service: str | None = None,
    by: str = "operation",
    tolerance: float = 0.01,
    step_ns: int | None = None,
    slowest: float | None = None,
    environment: str | None = None,
) -> pl.DataFrame:
    """Critical time over the traces whose main root starts in [since_ns, until_ns).

    ``service`` keeps only traces whose main root is of that service. A row a service, a service and
    operation, an edge (``source, target``: whose work, and which service had called for it), or a call path
    (``frame, parent, depth, service, operation, total_ns``: a flame graph); see ``docs/columns.md`` for the
    columns. ``step_ns`` gives rows for each bucket of time (``start_ns``, by the start of the main root),
    ``slowest`` rows for that share of the traces with the longest main roots and for the rest (``cohort``);
    traces as long as the shortest of the slowest are among them. The largest share first; call paths in
    depth-first order. With ``environment`` (``deployment.environment.name``) only spans sent from there are
    looked at.

    ``critical_ns`` adds up to the main roots' durations exactly. Only the paths of main roots count: those of
    orphans would count time twice. Raises ``ValueError`` for another ``by``, a ``step_ns`` that is not
    positive, a ``slowest`` that is not between 0 and 1, ``UnknownServiceError`` for a service that is not
    stored, ``UnknownEnvironmentError`` for an environment that nothing stored is of. No trace gives a frame
    without rows.
    """
    sums = Sums(by, tolerance, step_ns, slowest)
    window = checked(since_ns, until_ns)
    spans = sent_from(reader, environment, window.read(reader, ANALYSIS_COLUMNS))
    answer = summed(spans, sums, window, service)
    if answer.is_empty() and service is not None:
        _, names = dictionary_codes(reader.spans(["service"])["service"])
        if service not in names:
            raise unknown_service(service, names)
    return answer


def critical_path_of(
    spans: pa.Table,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    service: str | None = None,
    by: str = "operation",
    tolerance: float = 0.01,
    step_ns: int | None = None,
    slowest: float | None = None,
) -> pl.DataFrame:
    """``critical_path`` over a table with ``schema.ANALYSIS_COLUMNS``; it may hold more than the window."""
    return summed(spans, Sums(by, tolerance, step_ns, slowest), Window(since_ns, until_ns), service)


def summed(spans: pa.Table, sums: Sums, window: Window, service: str | None) -> pl.DataFrame:
    """``critical_path_of``, with what is asked in one piece."""
    trees = plant(spans)
    forest = trees.forest
    counted = counted_traces(trees, window, service)
    paths = critical_paths(forest, sums.tolerance)
    traces = _traces(trees, counted, sums)
    on_path = on_main_path(forest, paths, counted)
    if sums.by == "path":
        step = trees.service * max(len(trees.operations), 1) + trees.operation
        found = call_paths(forest.parent, step, on_path)
        answer = _totals(_rows(trees, paths, on_path, found.path), traces, trees, sums)
        frames = frames_of(found, trees.services, trees.operations)
        return in_order(answer, frames, _group_keys(sums))
    code, width, names = _key_columns(trees, sums.by)
    answer = _totals(_rows(trees, paths, on_path & (paths.critical_ns > 0), code), traces, trees, sums)
    return _named(answer, width, names, _group_keys(sums))


def counted_traces(trees: SpanForest, window: Window, service: str | None = None) -> BoolArray:
    """Which traces have their main root in the window, and of that service; bool, shape (traces,)."""
    main = trees.forest.main_root
    counted = window.holds(trees.forest.start[main])
    if service is not None:
        wanted = trees.services.index(service) if service in trees.services else -1
        counted &= trees.service[main] == wanted
    return counted


def _group_keys(sums: Sums) -> list[str]:
    return ["start_ns"] * (sums.step_ns is not None) + ["cohort"] * (sums.slowest is not None)


def _traces(trees: SpanForest, counted: BoolArray, sums: Sums) -> pl.DataFrame:
    # A row a counted trace: its number, and the time bucket and cohort that it belongs to.
    trace = np.flatnonzero(counted)
    main = trees.forest.main_root[trace]
    columns = {"trace": trace}
    if sums.step_ns is not None:
        columns["start_ns"] = trees.forest.start[main] // sums.step_ns * sums.step_ns
    if sums.slowest is not None:
        duration = trees.duration[main]
        slow = int(np.ceil(sums.slowest * len(trace)))
        least = np.partition(duration, len(trace) - slow)[len(trace) - slow] if slow else 0
        columns["cohort"] = np.where(duration >= least, "slowest", "rest").astype(object)
    types = {"trace": pl.Int64, "start_ns": pl.Int64, "cohort": pl.String}
    return pl.DataFrame(columns, schema_overrides={name: types[name] for name in columns})


def _key_columns(trees: SpanForest, by: str) -> tuple[IntArray, int, dict[str, list[str | None]]]:
    # A code for each span, high × width + low, and the texts of the key columns: the first column's are
    # numbered by the high part, the second's by the low part.
    services: list[str | None] = [*trees.services]
    if by == "service":
        return trees.service, 1, {"service": services}
    if by == "operation":
        width = max(len(trees.operations), 1)
        code = trees.service * width + trees.operation
        return code, width, {"service": services, "operation": [*trees.operations]}
    width = len(services) + 1
    code = trees.service + width * (other_above(trees.forest, trees.service) + 1)
    return code, width, {"source": [None, *services], "target": services}


def _rows(trees: SpanForest, paths: Paths, chosen: BoolArray, code: IntArray) -> pl.DataFrame:
    return pl.DataFrame(trace_sums(trees.forest, paths, chosen, code)._asdict())


def _totals(rows: pl.DataFrame, traces: pl.DataFrame, trees: SpanForest, sums: Sums) -> pl.DataFrame:
    # Sums by code, time bucket and cohort, with what they are shares of.
    keys = [*_group_keys(sums), "code"]
    if len(keys) > 1:
        rows = rows.join(traces, on="trace")
    totals = rows.group_by(keys).agg(
        pl.col("critical_ns", "total_ns", "spans").sum(),
        traces=pl.len().cast(pl.Int64),
        most=pl.col("trace").filter(pl.col("critical_ns") == pl.col("critical_ns").max()),
    )
    whole = traces.group_by(_group_keys(sums) or pl.lit(0).alias("all")).agg(of=pl.len())
    if len(keys) > 1:
        totals = totals.join(whole, on=_group_keys(sums))
        all_ns = pl.col("critical_ns").sum().over(_group_keys(sums))
    else:
        totals = totals.with_columns(of=pl.lit(max(len(traces), 1)))
        all_ns = pl.col("critical_ns").sum()
    return _with_exemplars(totals, trees, keys).with_columns(
        share=pl.col("critical_ns") / all_ns.clip(lower_bound=1),
        mean_ns_per_trace=pl.col("critical_ns") / pl.col("of"),
    )


def _with_exemplars(totals: pl.DataFrame, trees: SpanForest, keys: list[str]) -> pl.DataFrame:
    # Of the traces that own most, the greatest id: the same whatever the order of arrival.
    candidates = totals.select(*keys, trace="most").explode("trace")
    rows = trees.forest.rows[trees.forest.main_root[candidates["trace"].to_numpy()]]
    ids = [trace_id.hex() for trace_id in trees.table["trace_id"].take(pa.array(rows)).to_pylist()]
    exemplars = candidates.with_columns(exemplar=pl.Series(ids, dtype=pl.String)).group_by(keys)
    return totals.drop("most").join(exemplars.agg(pl.col("exemplar").max()), on=keys)


def _named(
    totals: pl.DataFrame, width: int, names: dict[str, list[str | None]], groups: list[str]
) -> pl.DataFrame:
    code = totals["code"]
    texts = [
        pl.Series(key, texts, dtype=pl.String).gather(part)
        for (key, texts), part in zip(names.items(), (code // width, code % width), strict=False)
    ]
    measures = [name for name in _MEASURES if name != "total_ns"]
    order = [*groups, "critical_ns", *names]
    descending = [name in ("critical_ns", "cohort") for name in order]
    return totals.with_columns(texts).select(*groups, *names, *measures).sort(order, descending=descending)
