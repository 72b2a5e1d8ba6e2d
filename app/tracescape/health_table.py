"""The answer of `Store.health` in few columns, for a terminal."""

from __future__ import annotations

import polars as pl

from tracescape.times import format_duration


def brief_health(found: pl.DataFrame, everything: bool) -> pl.DataFrame:
    """Services, and edges that are not as they should be (or ``everything``), with units."""
    wrong = ~pl.col("state").is_in(["healthy", "idle"])
    shown = found if everything else found.filter((pl.col("what") == "service") | wrong)
    rows = [
        {
            "state": row["state"],
            "what": row["service"] or f"{row['source']} → {row['target']} ({row['connection']})",
            "calls/s": "" if row["rate_per_s"] is None else f"{row['rate_per_s']:,.3g}",
            "errors": "" if row["error_rate"] is None else f"{row['error_rate']:.2%}",
            **{
                name: "" if row[f"{name}_ns"] is None else format_duration(row[f"{name}_ns"])
                for name in ("p50", "p95", "p99")
            },
            "apdex": "" if row["apdex"] is None else f"{row['apdex']:.2f}",
            "why": row["reason"] or "",
        }
        for row in shown.iter_rows(named=True)
    ]
    names = ("state", "what", "calls/s", "errors", "p50", "p95", "p99", "apdex", "why")
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String))
