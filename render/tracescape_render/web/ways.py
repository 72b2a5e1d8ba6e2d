"""What is told of a connection when somebody points at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tracescape_render.scene import IntArray, Scene

_KEY: Final = ("source", "target", "turn")
#: Connections that are told by name; the kinds of a topology are five.
_MOST_KINDS: Final = 254


class Figures(NamedTuple):
    """Of m connections.

    Attributes:
        calls, errors: float64 (m,).
        quantiles: p50 and p95 in ns as callers see them, or where they do not as the called do; float32
            (m, 2), -1 for unknown, and for what is several connections in one.
        kind: a place in ``kinds``, from 1 on; 0 for several or none; uint8 (m,).
    """

    calls: NDArray[np.float64]
    errors: NDArray[np.float64]
    quantiles: NDArray[np.float32]
    kind: NDArray[np.uint8]
    kinds: list[str]


def figures(
    drawn: Scene, whole: Scene, edges: pl.DataFrame, body: IntArray | None, turns: list[int]
) -> Figures:
    """Of ``drawn``'s connections, from the frame that ``whole`` was made from.

    ``body`` says which drawn body each of the whole scene's is in: then connections between the same two are
    one. Without it, ``turns`` says the how manyeth of its ends' each one is.
    """
    of = np.arange(len(whole.services)) if body is None else body
    places = pl.DataFrame({"name": whole.services, "body": of}, schema={"name": pl.String, "body": pl.Int64})
    turn = pl.lit(1) if body is not None else pl.int_range(1, pl.len() + 1).over("source", "target")
    told = (
        edges.select(
            pl.col("source", "target", "connection"),
            turn.cast(pl.Int64).alias("turn"),
            pl.col("errors").cast(pl.Float64).fill_null(0.0),
            *(_quantile(edges, name) for name in ("p50_ns", "p95_ns")),
        )
        .join(places.rename({"name": "source", "body": "from"}), on="source")
        .join(places.rename({"name": "target", "body": "to"}), on="target")
        .group_by(pl.col("from").alias("source"), pl.col("to").alias("target"), "turn")
        .agg(
            pl.col("errors").sum(),
            *(pl.when(pl.len() == 1).then(pl.col(name).first()) for name in ("p50_ns", "p95_ns")),
            pl.when(pl.col("connection").n_unique() == 1).then(pl.col("connection").first()),
        )
    )
    ends = pl.DataFrame({"source": drawn.source, "target": drawn.target, "turn": turns})
    found = ends.cast(pl.Int64).join(told, on=_KEY, how="left", maintain_order="left")
    kinds = sorted(found["connection"].drop_nulls().unique().to_list())[:_MOST_KINDS]
    number = {name: place for place, name in enumerate(kinds, 1)}
    return Figures(
        drawn.arc_calls.astype(np.float64),
        found["errors"].fill_null(0.0).to_numpy().astype(np.float64),
        found.select(pl.col("p50_ns", "p95_ns").fill_null(-1.0)).to_numpy().astype(np.float32),
        np.array([number.get(name, 0) for name in found["connection"].to_list()], np.uint8),
        kinds,
    )


def _quantile(edges: pl.DataFrame, name: str) -> pl.Expr:
    sides = [column for column in (f"client_{name}", f"server_{name}") if column in edges.columns]
    values = [pl.col(column).cast(pl.Float64).fill_nan(None) for column in sides]
    return pl.coalesce([*values, pl.lit(None, pl.Float64)]).alias(name)
