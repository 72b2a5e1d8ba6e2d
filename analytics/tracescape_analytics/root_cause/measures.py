"""What a diagnosis compares, measured once for each trace: own time, errors, and what happens inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.root_cause.messages import messages
from tracescape_analytics.root_cause.owners import Owners, owners
from tracescape_analytics.span_forest import BoolArray, IntArray, SpanForest
from tracescape_native.critical_path import critical_paths
from tracescape_native.entries import entry_spans

_ERROR = 2
#: Own time below this many ns is as good as none: clocks are no finer.
_SHORTEST_NS = 1000


@dataclass(frozen=True)
class Measures:
    """Six frames; numbers are int64. Spans count once a trace and key: their mean.

    ``times``: ``trace, node, operation, callee`` (-1 for the node's own work), ``own`` (log2 of ns),
    ``failed`` (share of spans at which an error begins), ``critical_ns`` (sum).
    ``places``: ``trace, node, operation, resource`` (a number for each instance) and ``own``, of the own work
    of services that have several.
    ``visits``: ``trace, node, operation`` of the spans at which requests enter a service, ``entries``.
    ``steps``: of those, what happens below within the service: ``called`` (1: a call to node ``item``, 0: an
    operation ``item`` of its own), ``share`` of the entries that have it, ``times`` (log2 of how often, of
    those that have it). Entries that fail, or that call something that fails, are left out of these two: the
    errors explain what is missing there.
    ``sent`` and ``taken``: see ``messages``.
    """

    trees: SpanForest
    owners: Owners
    times: pl.DataFrame
    places: pl.DataFrame
    visits: pl.DataFrame
    steps: pl.DataFrame
    sent: pl.DataFrame
    taken: pl.DataFrame
    critical_ns: IntArray
    first_errors: BoolArray


def measured(trees: SpanForest, failed: pa.Table | None = None, links: pa.Table | None = None) -> Measures:
    """Measure all traces of a forest.

    ``failed`` has ``trace_id`` and ``span_id`` of spans that failed whatever their status (see ``failures``).
    ``links``: see ``messages``.
    """
    forest, who = trees.forest, owners(trees)
    paths = critical_paths(forest)
    fails = _failed(trees) | _listed(trees, failed)
    starts_error = fails.copy()
    above = forest.parent[fails & (forest.parent >= 0)]
    starts_error[above] = False  # an error below explains it
    keys = ["trace", "node", "operation", "callee"]
    spans = pl.DataFrame(
        {
            "trace": forest.trace,
            "node": trees.service,
            "operation": trees.operation,
            "callee": who.callee,
            "own": np.log2(np.maximum(paths.self_ns, _SHORTEST_NS)),
            "failed": starts_error.astype(np.float64),
            "critical_ns": paths.critical_ns,
        }
    )
    times = spans.group_by(keys).agg(pl.col("own", "failed").mean(), pl.col("critical_ns").sum())
    places = _places(trees, spans)
    visits, steps = _structure(trees, who, fails)
    sent, taken = messages(trees, links)
    return Measures(trees, who, times, places, visits, steps, sent, taken, paths.critical_ns, starts_error)


def _places(trees: SpanForest, spans: pl.DataFrame) -> pl.DataFrame:
    # Own work by instance, of services that have several.
    column = trees.table["resource_id"].combine_chunks().dictionary_encode()
    resource = column.indices.to_numpy().astype(np.int64)[trees.forest.rows]
    runs = np.zeros((len(trees.services), max(len(column.dictionary), 1)), np.bool_)
    runs[trees.service, resource] = True
    several = runs.sum(axis=1) > 1
    shown = pl.Series(several[trees.service]) & (spans["callee"] < 0)
    places = spans.with_columns(resource=pl.Series(resource)).filter(shown)
    return places.group_by("trace", "node", "operation", "resource").agg(pl.col("own").mean())


def _failed(trees: SpanForest) -> BoolArray:
    # Status, or an HTTP status of the server's fault: not every instrumentation sets both.
    failed: BoolArray = trees.status == _ERROR
    if "http_status" in trees.table.column_names:
        codes = trees.table["http_status"].combine_chunks().fill_null(0).to_numpy(zero_copy_only=False)
        failed |= codes[trees.forest.rows] >= 500
    return failed


def _listed(trees: SpanForest, listed: pa.Table | None) -> BoolArray:
    found = np.zeros(len(trees.forest.rows), np.bool_)
    if listed is None or not listed.num_rows:
        return found
    ids = np.unique(listed["span_id"].to_numpy())
    maybe = np.flatnonzero(np.isin(trees.forest.span_id, ids))
    known = set(zip(listed["trace_id"].to_pylist(), listed["span_id"].to_pylist(), strict=True))
    traces = trees.table["trace_id"].take(pa.array(trees.forest.rows[maybe])).to_pylist()
    spans = trees.forest.span_id[maybe].tolist()
    found[maybe] = [each in known for each in zip(traces, spans, strict=True)]
    return found


def _structure(trees: SpanForest, who: Owners, failed: BoolArray) -> tuple[pl.DataFrame, pl.DataFrame]:
    forest = trees.forest
    entry = entry_spans(forest, trees.service)
    explained = np.zeros(len(entry), np.bool_)
    explained[entry[failed]] = True
    explained[entry[forest.parent[failed & who.crossed]]] = True
    enters = entry == np.arange(len(entry))
    inside = np.flatnonzero(~enters & (who.callee < 0))
    crossed = np.flatnonzero(who.crossed & ~who.follow)
    silent = np.flatnonzero((who.callee >= 0) & ~who.answered)
    at = np.concatenate([entry[inside], entry[forest.parent[crossed]], entry[silent]])
    item = np.concatenate([trees.operation[inside], trees.service[crossed], who.callee[silent]])
    called = np.repeat([0, 1], [len(inside), len(crossed) + len(silent)])
    steps = pl.DataFrame({"entry": at, "called": called, "item": item}).filter(pl.Series(~explained[at]))
    steps = steps.group_by("entry", "called", "item").agg(times=pl.len())
    at = steps["entry"].to_numpy()
    keys = ["trace", "node", "operation"]
    place = {"trace": forest.trace, "node": trees.service, "operation": trees.operation}
    steps = steps.with_columns(pl.Series(name, column[at]) for name, column in place.items())
    counted = enters & ~explained
    visits = pl.DataFrame({name: column[counted] for name, column in place.items()})
    visits = visits.group_by(keys).agg(entries=pl.len())
    often = pl.col("times").log(2).mean()
    steps = steps.group_by(*keys, "called", "item").agg(often, having=pl.len()).join(visits, on=keys)
    share = pl.col("having") / pl.col("entries")
    return visits, steps.select(*keys, "called", "item", "times", share=share)
