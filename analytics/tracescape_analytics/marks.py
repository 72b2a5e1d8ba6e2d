"""What a timeline is marked with: changes, deployments, phantoms, and gaps in what is stored."""

from __future__ import annotations

from typing import Final

import polars as pl

from tracescape_analytics.deployments import deployments
from tracescape_analytics.root_cause.changes import changes as changes_of
from tracescape_analytics.silences import silences
from tracescape_analytics.steps import step_for
from tracescape_analytics.timeline import MOST_MINUTES, steps_in, within
from tracescape_analytics.windows import checked
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS

MARK_SCHEMA: Final = {
    "kind": pl.String,
    "start_ns": pl.Int64,
    "end_ns": pl.Int64,
    "service": pl.String,
    "text": pl.String,
    "score": pl.Float64,
    "trace_id": pl.String,
}
KINDS: Final = ("change", "deployment", "absence", "gap")


def marks(
    reader: Reader, *, since_ns: int | None = None, until_ns: int | None = None, changes: bool = True
) -> pl.DataFrame:
    """A row a mark of [since_ns, until_ns), by start, kind and service; columns of `MARK_SCHEMA`.

    ``change``: a stretch in which traces were unlike those around, as `diagnose` without a window looks for
    it, with its first cause, which ``trace_id`` shows; ``score`` is how many standard errors it stands out.
    It reads spans, so that it may take seconds; without ``changes`` there are none. ``deployment``: a version
    of a service appears, see `deployments`. ``absence``: a service (or database, …) that was called steadily
    is not, and ``gap``: nothing at all is; ``score`` is how many calls were expected; see `silences`.
    ``end_ns`` is null for what is a moment, and for what lasts until the end.

    Raises ``ValueError`` for a window that ends before it begins.
    """
    window, extent = checked(since_ns, until_ns), reader.extent()
    since, until = within(window, extent)
    if until <= since:
        return pl.DataFrame(schema=MARK_SCHEMA)
    length = until - since
    step = max(step_for(length, MOST_MINUTES), MINUTE_NS)
    step = max(step, HOUR_NS) if length > MOST_MINUTES * MINUTE_NS else step
    found = [
        _of_deployments(deployments(reader, since, until)),
        _of_silences(silences(steps_in(reader, since, until, step, None), until)),
    ]
    if changes:
        found.append(changes_of(reader, since, until).with_columns(kind=pl.lit("change")))
    rows = pl.concat([rows.select(pl.col(n).cast(t) for n, t in MARK_SCHEMA.items()) for rows in found])
    return rows.sort("start_ns", "kind", "service", nulls_last=True)


def _of_deployments(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(
        kind=pl.lit("deployment"),
        end_ns=pl.lit(None),
        text=pl.format("{} {} (was {})", "service", "version", "before"),
        score=pl.lit(None),
        trace_id=pl.lit(None),
    )


def _of_silences(rows: pl.DataFrame) -> pl.DataFrame:
    gone = pl.col("service").is_null()
    expected = pl.col("expected").round().cast(pl.Int64)
    return rows.with_columns(
        kind=pl.when(gone).then(pl.lit("gap")).otherwise(pl.lit("absence")),
        text=pl.when(gone)
        .then(pl.format("nothing was stored; {} calls were to be expected", expected))
        .otherwise(pl.format("no calls of {}; {} were to be expected", "service", expected)),
        score="expected",
        trace_id=pl.lit(None),
    )
