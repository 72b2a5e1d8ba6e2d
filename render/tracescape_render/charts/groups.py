"""A chart shows one group; a frame may hold several."""

from __future__ import annotations

import polars as pl


def only_group(frame: pl.DataFrame, *by: str) -> None:
    """Raise ``ValueError`` if the frame holds several buckets of time or cohorts, or what ``by`` says."""
    for column in by or ("start_ns", "cohort"):
        if column in frame.columns and frame[column].n_unique() > 1:
            raise ValueError(
                f"this frame has {frame[column].n_unique()} values of {column}, a chart shows one of them:"
                f" frame.filter(pl.col({column!r}) == {frame[column][0]!r})"
            )
