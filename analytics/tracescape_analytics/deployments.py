"""New versions of services, told by the ``service.version`` of what is stored."""

from __future__ import annotations

from typing import Final

import polars as pl

from tracescape_analytics.namespaces import shared_names
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import HOUR_NS, MINUTE_NS

DEPLOYMENT_SCHEMA: Final = {
    "start_ns": pl.Int64,
    "service": pl.String,
    "version": pl.String,
    "before": pl.String,
}
VERSION_SCHEMA: Final = {
    "service": pl.String,
    "version": pl.String,
    "spans": pl.Int64,
    "first_ns": pl.Int64,
}
#: A version is new where it was not seen for a day.
_MEMORY_NS: Final = 24 * HOUR_NS
#: One that comes back (was rolled back to) is new again if it was away for longer, while others had so many.
AWAY_NS: Final = 10 * MINUTE_NS
AWAY_SPANS: Final = 20


def versions(reader: Reader, since_ns: int, until_ns: int) -> pl.DataFrame:
    """Which versions of what sent spans that start in [since_ns, until_ns); columns of `VERSION_SCHEMA`.

    A row a service and version, by service, then the most spans: how many, and the first start of them.
    Services without a ``service.version`` have none.
    """
    found = _by_period(reader, since_ns, until_ns, max(until_ns - since_ns, 1))
    rows = found.group_by("service", "version").agg(pl.col("spans").sum(), pl.col("first_ns").min())
    rows = rows.sort("service", "spans", "version", descending=[False, True, False])
    return rows.select(pl.col(name).cast(dtype) for name, dtype in VERSION_SCHEMA.items())


def deployments(reader: Reader, since_ns: int, until_ns: int) -> pl.DataFrame:
    """When versions of services appeared in [since_ns, until_ns), by time; columns of `DEPLOYMENT_SCHEMA`.

    A version appears with its first span, where the service had sent spans with another version (``before``:
    the last that was seen) earlier, up to a day before the window. One that was away for ten minutes, in
    which others of its service had 20 spans, appears again. That a service appears itself is no deployment.
    """
    found = _by_period(reader, since_ns - _MEMORY_NS, until_ns, MINUTE_NS)
    every = found.group_by("service", "minute").agg(all=pl.col("spans").sum()).sort("service", "minute")
    every = every.with_columns(up_to=pl.col("all").cum_sum().over("service"))
    seen = found.join(every, on=["service", "minute"]).sort("service", "version", "minute", "first_ns")
    earlier = [pl.col(name).shift().over("service", "version") for name in ("minute", "up_to")]
    seen = seen.with_columns(last_minute=earlier[0], last_up_to=earlier[1])
    others = pl.col("up_to") - pl.col("all") - pl.col("last_up_to")
    away = (pl.col("minute") - pl.col("last_minute")) * MINUTE_NS > AWAY_NS
    new = seen.filter(pl.col("last_minute").is_null() | (away & (others >= AWAY_SPANS)))
    rows = _with_versions_before(new.filter(pl.col("first_ns") >= since_ns), found)
    return rows.select(pl.col(name).cast(dtype) for name, dtype in DEPLOYMENT_SCHEMA.items())


def _with_versions_before(rows: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    # Of the versions in the minutes before: the newest one, of those of one minute that of most spans. Where
    # there is none, the service itself appears.
    mine = rows.select("service", "version", "minute", start_ns="first_ns")
    older = found.select("service", before="version", at="minute", weight="spans")
    pairs = mine.join(older, on="service").filter(
        (pl.col("at") < pl.col("minute")) & (pl.col("before") != pl.col("version"))
    )
    last = pairs.sort("at", "weight", "before").group_by("service", "version", "start_ns").last()
    keys = ["service", "version", "start_ns"]
    return mine.join(last.select(*keys, "before"), on=keys).sort("start_ns", "service", "version")


def _by_period(reader: Reader, since_ns: int, until_ns: int, width_ns: int) -> pl.DataFrame:
    found = pl.DataFrame(
        reader.sql(
            "SELECT r.service AS service, coalesce(r.namespace, '') AS namespace, r.version AS version,"
            " s.minute AS minute, min(s.first_ns) AS first_ns, sum(s.spans)::BIGINT AS spans FROM"
            f" (SELECT resource_id, start_ns // {width_ns} AS minute, min(start_ns) AS first_ns,"
            f" count(*) AS spans FROM spans WHERE start_ns >= {since_ns} AND start_ns < {until_ns}"
            " GROUP BY ALL) s JOIN resources r USING (resource_id) WHERE r.version IS NOT NULL GROUP BY ALL"
        )
    )
    shared = shared_names(reader)
    spaced = pl.col("service").is_in(list(shared)) & (pl.col("namespace") != "")
    name = pl.when(spaced).then(pl.concat_str("namespace", "service", separator="/")).otherwise("service")
    return found.with_columns(name.cast(pl.String).alias("service"), pl.col("version").cast(pl.String))
