"""What a window is compared with: the same length of time just before, and the day before.

Just before (``before``) is counted like the window itself. The day (``day``: 24 hours up to the window, or
what is stored of them) speaks through twelve windows of the same length as this one, evenly spread over it,
by their median: an incident does not count as normal before it fills half of what is stored, however short
the store's memory is. Where none of the twelve has enough calls, their sum is taken. They are read from the
counts that a store keeps by minute and hour, where it keeps any, and never from spans: that would cost a
question about five minutes a scan of the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from tracescape_analytics.counts import Counts
from tracescape_analytics.distributions import quantile_codes, summed, with_values
from tracescape_analytics.health import DEFAULT, Thresholds, with_states
from tracescape_analytics.namespaces import condition_of
from tracescape_analytics.naming import NamedCounts, judged_cells, services_in
from tracescape_analytics.rollups import counts_of, kept_samples
from tracescape_analytics.windows import Window, bounded, checked
from tracescape_storage.reader import Reader

#: Baselines by name, in the order in which they are asked.
BEFORE: Final = "before"
DAY: Final = "day"


class Baseline(NamedTuple):
    """A time to compare with: as a whole, or by windows in it that are ``length_ns`` long."""

    name: str
    window: Window
    length_ns: int
    samples: Sequence[Counts]


NODE_KEYS: Final = ["name", "node_kind"]
EDGE_KEYS: Final = ["source", "target", "connection"]


class Cells(NamedTuple):
    """``times`` (``code``, ``count``) and ``errors`` (``count``) by the same keys and ``sample``."""

    times: pl.DataFrame
    errors: pl.DataFrame


def baselines(
    reader: Reader,
    window: Window,
    baseline: tuple[int, int] | None = None,
    thresholds: Thresholds = DEFAULT,
    environment: str | None = None,
) -> list[Baseline]:
    """The baselines of a window: the one given alone, else those of the module's docstring that are stored.

    An open end of the window is the last span that is stored; a window that is open at its begin has none.
    One ``environment`` of several has no day: what is kept by minute does not tell them apart.
    """
    if baseline is not None:
        given = checked(*baseline)
        length = (given.until_ns or 0) - (given.since_ns or 0)
        return [Baseline(BEFORE, given, length, [counts_of(reader, given, environment)])]
    if window.since_ns is None:
        return []
    since, until = bounded(reader, window)
    if until <= since:
        return []
    found = []
    before = Window(since - (until - since), since)
    counts = counts_of(reader, before, environment)
    if len(counts.keys):
        found.append(Baseline(BEFORE, before, until - since, [counts]))
    if environment is not None and condition_of(reader, environment):
        return found
    day = Window(since - thresholds.day_ns, since)
    samples = kept_samples(reader, day, until - since, thresholds.day_samples)
    if samples:
        first, last = samples[0][0], samples[-1][0]
        length = (first.until_ns or 0) - (first.since_ns or 0)
        stored = Window(first.since_ns, last.until_ns)
        found.append(Baseline(DAY, stored, length, [counts for _, counts in samples]))
    return found


def known_services(earlier: Sequence[Baseline]) -> set[str]:
    """The services that sent spans in a baseline: who calls one that fell silent still calls a service."""
    return {name for baseline in earlier for counts in baseline.samples for name in services_in(counts)}


def judge(
    now: NamedCounts, earlier: Sequence[Baseline], length_ns: int, thresholds: Thresholds = DEFAULT
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of ``compared`` for nodes, by ``NODE_KEYS``, and for edges, by ``EDGE_KEYS``."""
    before = [(each, judged_cells(each.samples)) for each in earlier]
    nodes = [(each, Cells(cells.visits, cells.visit_errors)) for each, cells in before]
    edges = [(each, Cells(cells.felt, cells.edge_errors)) for each, cells in before]
    visits = Cells(now.visits, now.visit_errors)
    # An edge is judged by what the caller felt: the client's time if it sent a span, which has everything.
    felt = Cells(summed(now.felt, EDGE_KEYS), now.edge_errors)
    return (
        compared(visits, nodes, NODE_KEYS, length_ns, thresholds),
        compared(felt, edges, EDGE_KEYS, length_ns, thresholds),
    )


def compared(
    now: Cells,
    earlier: Sequence[tuple[Baseline, Cells]],
    keys: list[str],
    length_ns: int,
    thresholds: Thresholds = DEFAULT,
) -> pl.DataFrame:
    """Calls, errors, quantiles, states and what they were judged by, a row for each of ``keys``, in order.

    ``now`` has no ``sample``; ``earlier`` has each baseline's cells; ``length_ns`` is the window's.

    Columns: ``keys, calls, errors, p50_ns, p95_ns, p99_ns``, of each baseline with its name in front ``calls,
    errors, p95_ns, expected``, and those of ``with_states``. What only a baseline has is there with 0 calls.
    """
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    rows = _with_errors(quantile_codes(now.times, keys, shares).rename({"total": "calls"}), now.errors, keys)
    for baseline, cells in earlier:
        normal = _normal(baseline, cells, keys, length_ns, thresholds)
        slower = (
            now.times.join(normal.select(*keys, f"{baseline.name}_p95"), on=keys)
            .filter(pl.col("code") > pl.col(f"{baseline.name}_p95"))
            .group_by(keys)
            .agg(pl.col("count").sum().alias(f"{baseline.name}_slow"))
        )
        rows = rows.join(normal, on=keys, how="full", coalesce=True).join(slower, on=keys, how="left")
    names = [baseline.name for baseline, _ in earlier]
    counts = [f"{name}_{what}" for name in names for what in ("calls", "errors", "slow", "expected")]
    rows = rows.with_columns(pl.col("calls", "errors", *counts).fill_null(0)).sort(keys)
    codes = ["p50", "p95", "p99", *(f"{name}_p95" for name in names)]
    rows = with_values(rows, {code: f"{code}_ns" for code in codes}).drop(codes)
    rows = rows.with_columns(
        timed=pl.col("calls"), p95="p95_ns", **{f"{name}_p95": f"{name}_p95_ns" for name in names}
    )
    if not names:  # nothing to compare with: judged by errors alone
        none = pl.lit(None, dtype=pl.Int64)
        rows = rows.with_columns(none.alias(f"{BEFORE}_{what}") for what in _COLUMNS)
    return with_states(rows, thresholds, names or [BEFORE])


_COLUMNS: Final = ("calls", "errors", "p95", "slow", "expected")


def _with_errors(counted: pl.DataFrame, errors: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    sums = errors.group_by(keys).agg(errors=pl.col("count").sum())
    return counted.join(sums, on=keys, how="left").with_columns(pl.col("errors").fill_null(0))


def _normal(
    baseline: Baseline, cells: Cells, keys: list[str], length_ns: int, thresholds: Thresholds
) -> pl.DataFrame:
    # What is normal by one baseline: ``keys`` and ``calls, errors, p95`` (a code), ``expected``.
    samples = len(baseline.samples)
    measured = _measured(cells, [*keys, "sample"]).drop("sample")
    rows = measured
    if samples > 1:
        enough = measured.filter(pl.col("total") >= thresholds.calls)
        rows = pl.concat([enough, _measured(cells, keys).join(enough, on=keys, how="anti")])
    middle = (pl.len() - 1) // 2  # of an even number the better one
    rate = pl.col("errors") / pl.col("total")
    normal = rows.group_by(keys).agg(
        calls=pl.col("total").sort_by(rate, "total").get(middle),
        errors=pl.col("errors").sort_by(rate, "total").get(middle),
        p95=pl.col("p95").sort().get(middle),
    )
    # Samples without a call count too. Their median is a value of a sample or, with so many without, 0.
    place = pl.len().cast(pl.Int64) - samples + (samples - 1) // 2
    median = pl.when(place >= 0).then(pl.col("total").sort().get(place.clip(0))).otherwise(0)
    share = length_ns / max(baseline.length_ns, 1)
    expected = measured.group_by(keys).agg(expected=median * share)
    named = normal.join(expected, on=keys, how="left")
    return named.rename({name: f"{baseline.name}_{name}" for name in ("calls", "errors", "p95", "expected")})


def _measured(cells: Cells, keys: list[str]) -> pl.DataFrame:
    times = summed(cells.times, keys)
    return _with_errors(quantile_codes(times, keys, {"p95": 0.95}), cells.errors, keys)
