"""What should be there and is not: services, edges and call paths that stopped.

The baseline is cut into ten parts. What is called evenly comes by Poisson's law, and having none where m were
expected has the probability exp(-m); what comes in bursts varies more between the parts, and having none is
less surprising: then it is that of a negative binomial distribution with the parts' mean and variance,
(1 + m / r)^-r, r = mean² / (variance - mean). Of all that is reported, 1 % may be chance (false discovery
rate, over everything that the baseline has). Where spans were sampled, what is stored decides how surprising
it is.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.chains import chains_of
from tracescape_analytics.health import DEFAULT, Thresholds
from tracescape_analytics.namespaces import condition_of, shared_names
from tracescape_analytics.sampling import UNIT, whole
from tracescape_analytics.shapes import Shaped, shaped_spans
from tracescape_analytics.significance import FloatArray, discoveries
from tracescape_analytics.windows import MINUTE_NS, Window, bounded, checked
from tracescape_storage.reader import Reader

ABSENCE_SCHEMA: Final = {
    "what": pl.String,
    "name": pl.String,
    "service": pl.String,
    "source": pl.String,
    "implied": pl.Boolean,
    "baseline_calls": pl.Int64,
    "seen": pl.Int64,
    "expected": pl.Float64,
    "parts": pl.Int64,
    "p_value": pl.Float64,
    "last_seen_ns": pl.Int64,
    "exemplar": pl.String,
}
PARTS: Final = 10
#: The default baseline is as long as the window, but no shorter than this: less does not tell what is steady.
LEAST_NS: Final = 10 * MINUTE_NS


def absence(
    reader: Reader,
    *,
    since_ns: int | None = None,
    until_ns: int | None = None,
    baseline: tuple[int, int] | None = None,
    thresholds: Thresholds = DEFAULT,
    environment: str | None = None,
) -> pl.DataFrame:
    """What the baseline has steadily and [since_ns, until_ns) lacks; columns of `ABSENCE_SCHEMA`.

    ``baseline`` is a window as (since, until); by default it ends where the window begins, and is as long, or
    ten minutes, as far as something is stored: before that, nobody knows who was there. Calls are the steps
    of ``chains``. What is implied by something else that is absent stands last; then services before edges
    before paths, the most expected first.

    Reads the spans of both windows; with ``environment`` as ``call_paths``. Raises ``ValueError`` for a
    window that ends before it begins, for one without a begin if no baseline is given, and for a baseline of
    no length.
    """
    window = checked(since_ns, until_ns)
    since, until = bounded(reader, window)
    if baseline is None:
        if since_ns is None:
            raise ValueError("what is absent needs a since: before it is the time to compare with")
        baseline = _just_before(reader, since, until)
    before = checked(*baseline)
    first = Window(min(baseline[0], since), max(baseline[1], until)).widened()
    shaped = shaped_spans(reader, first.since_ns, first.until_ns, condition_of(reader, environment))
    return missing(shaped, Window(since, until), before, thresholds, shared_names(reader))


def _just_before(reader: Reader, since: int, until: int) -> tuple[int, int]:
    begin, extent = since - max(until - since, LEAST_NS), reader.extent()
    first = extent.first_start_ns if extent.spans else begin
    return max(begin, first) if first < since else begin, since


def missing(
    shaped: Shaped,
    window: Window,
    baseline: Window,
    thresholds: Thresholds = DEFAULT,
    shared: Collection[str] = (),
) -> pl.DataFrame:
    """``absence`` of spans that may be more than those of both windows, which are closed."""
    begin, end = baseline.since_ns or 0, baseline.until_ns or 0
    if end <= begin:
        raise ValueError("a baseline of no length tells nothing")
    if not shaped.spans.num_rows:
        return pl.DataFrame(schema=ABSENCE_SCHEMA)
    found = chains_of(shaped, shared=shared)
    things = _things(found.paths).join(_by_part(found.steps, window, baseline), on="path")
    things = things.group_by("rank", "what", "name", "service", "source", "number").agg(
        *(pl.col("calls").filter(pl.col("part") == part).sum().alias(str(part)) for part in range(PARTS)),
        now=pl.col("calls").filter(pl.col("part") < 0).sum(),
        units=pl.col("units").filter(pl.col("part") >= 0).sum(),
        last_seen_ns=pl.col("last_ns").max(),
        row=pl.col("row").sort_by("last_ns").last(),
    )
    counts = things.select(map(str, range(PARTS))).to_numpy().astype(np.float64)
    share = ((window.until_ns or 0) - (window.since_ns or 0)) * PARTS / (end - begin)
    p_values, absent = chance_of_none(counts, share), (things["now"] == 0).to_numpy()
    absent &= discoveries(np.where(absent, p_values, 1.0), thresholds.false_discoveries)
    units = things["units"].to_numpy()
    rows = things.with_columns(
        baseline_calls=pl.Series(whole(units)),
        seen=pl.Series(counts.sum(axis=1)),
        expected=pl.Series(units / UNIT / PARTS * share),
        parts=pl.Series((counts > 0).sum(axis=1)),
        p_value=pl.Series(p_values),
    ).filter(pl.Series(absent))
    ids = [
        trace_id.hex()
        for trace_id in shaped.spans["trace_id"].take(pa.array(rows["row"].to_numpy())).to_pylist()
    ]
    rows = _implied(rows, found.paths).with_columns(exemplar=pl.Series(ids, dtype=pl.String))
    order = ["implied", "rank", "expected", "name"]
    rows = rows.sort(order, descending=[name == "expected" for name in order])
    return rows.select(pl.col(name).cast(dtype) for name, dtype in ABSENCE_SCHEMA.items())


def _things(paths: pl.DataFrame) -> pl.DataFrame:
    # What each path's last step makes there: its service (or database, …), its edge, the path itself.
    none = pl.lit(None)
    above = paths.select(parent="number", source="service")
    kinds = [
        paths.select("path", "service", what=pl.lit("service"), rank=0, name="service"),
        paths.join(above, on="parent").select(
            "path",
            "service",
            "source",
            what=pl.lit("edge"),
            rank=1,
            name=pl.format("{} → {}", "source", "service"),
        ),
        paths.select("path", "service", "number", what=pl.lit("path"), rank=2, name="chain"),
    ]
    columns = {"source": pl.String, "number": pl.Int64}
    return pl.concat(
        [
            frame.with_columns(none.cast(t).alias(c) for c, t in columns.items() if c not in frame.columns)
            for frame in kinds
        ],
        how="diagonal",
    )


def _by_part(steps: pl.DataFrame, window: Window, baseline: Window) -> pl.DataFrame:
    # ``path``, ``part`` (of the baseline, -1 for the window), ``calls`` that are stored, the ``units`` that
    # they stand for, ``last_ns``, ``row`` (of the last).
    begin, end = baseline.since_ns or 0, baseline.until_ns or 0
    start = steps["start_ns"].to_numpy()
    now = steps.filter(pl.Series(window.holds(start))).with_columns(part=pl.lit(-1, pl.Int64))
    then = steps.filter(pl.Series(baseline.holds(start)))
    offset = then["start_ns"].to_numpy() - begin
    then = then.with_columns(part=pl.Series(offset // max((end - begin) // PARTS, 1)).clip(0, PARTS - 1))
    return (
        pl.concat([now, then])
        .group_by("path", "part")
        .agg(
            calls=pl.len().cast(pl.Int64),
            units=pl.col("units").sum(),
            last_ns=pl.col("start_ns").max(),
            row=pl.col("row").sort_by("start_ns", "row").last(),
        )
    )


def chance_of_none(counts: FloatArray, share: float) -> FloatArray:
    """P(0) in ``share`` parts, of each row of counts by part; see the module. float64, shape (n,)."""
    mean, variance = counts.mean(axis=1), counts.var(axis=1, ddof=1)
    expected = mean * share
    excess = np.maximum(variance - mean, 0)
    burst = np.where(excess > 0, mean**2 / np.where(excess > 0, excess, 1.0), 1.0)
    return np.asarray(np.where(excess > 0, (1 + expected / burst) ** -burst, np.exp(-expected)))


def _implied(rows: pl.DataFrame, paths: pl.DataFrame) -> pl.DataFrame:
    # An edge is implied by one of its ends; a path by what it ends in, by its last edge, by the one above.
    gone = {(row["what"], row["name"]) for row in rows.iter_rows(named=True)}
    chains = dict(paths["number", "chain"].iter_rows())
    above = {chains[number]: parent for number, parent in paths["number", "parent"].iter_rows()}
    services = dict(paths["chain", "service"].iter_rows())

    def implied(row: dict[str, Any]) -> bool:
        if row["what"] == "service":
            return False
        if row["what"] == "edge":
            return ("service", row["source"]) in gone or ("service", row["service"]) in gone
        if ("service", row["service"]) in gone:
            return True
        parent = above[row["name"]]
        if parent is None:
            return False
        edge = f"{services[chains[parent]]} → {row['service']}"
        return ("path", chains[parent]) in gone or ("edge", edge) in gone

    found = [implied(row) for row in rows.iter_rows(named=True)]
    return rows.with_columns(implied=pl.Series(found, dtype=pl.Boolean))
