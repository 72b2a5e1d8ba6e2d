"""Whether messages are taken: who sends one does its part, so that a consumer that is gone is not its fault.

A consumer's span stands below the producer's, or links to it from a trace of its own. A message counts as
taken if that happened within a few times the usual delay; one that is younger than that when the spans end
is not counted at all, for nobody knows yet. Services hand in their spans some seconds apart: who has told
nothing since then may still do so for a while.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.span_forest import IntArray, SpanForest
from tracescape_native.forest import CONSUMER, PRODUCER

#: In time is what is taken within so many times the delay that three quarters have, or within so long.
_PATIENCE: Final = 4.0
_SOON_NS: Final = 1_000_000_000
#: Exporters hand in spans every five seconds, if nobody sets them otherwise, and busy ones later.
_HANDED_IN_NS: Final = 15_000_000_000
_SENT: Final = ["trace", "node", "operation", "item"]


def messages(trees: SpanForest, links: pa.Table | None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What was sent, and the ``share`` of it that was taken in time, where any was.

    A row a ``trace``, sender (``node, operation``) and service ``item`` that takes such messages, int64.
    ``links`` has ``trace_id, span_id, linked_trace_id, linked_span_id``.
    """
    forest = trees.forest
    consumer = np.flatnonzero((forest.kind == CONSUMER) & (forest.parent >= 0))
    producer = forest.parent[consumer]
    below = forest.kind[producer] == PRODUCER
    linking, linked = _linked(trees, links)
    consumer, producer = (
        np.concatenate([consumer[below], linking]),
        np.concatenate([producer[below], linked]),
    )
    deliveries = pl.DataFrame(
        {
            "producer": producer,
            "node": trees.service[producer],
            "operation": trees.operation[producer],
            "item": trees.service[consumer],
            "delay": np.maximum(forest.start[consumer] - forest.start[producer], 0),
        }
    )
    path, delay = ["node", "operation"], pl.col("delay")
    limit = (_PATIENCE * delay.quantile(0.75)).clip(lower_bound=_SOON_NS)
    takers = deliveries.group_by(*path, "item").agg(limit=limit)
    sends = np.flatnonzero(forest.kind == PRODUCER)
    sent = pl.DataFrame(
        {
            "producer": sends,
            "trace": forest.trace[sends],
            "node": trees.service[sends],
            "operation": trees.operation[sends],
            "age": forest.start.max(initial=0) - forest.start[sends],
        }
    ).join(takers, on=path)
    heard = np.zeros(len(trees.services), np.int64)
    np.maximum.at(heard, trees.service, forest.start)
    silent = np.int64(forest.start.max(initial=0)) - heard[sent["item"].to_numpy()]
    still_comes = pl.Series(np.minimum(silent, _HANDED_IN_NS))
    sent = sent.filter(pl.col("age") >= pl.col("limit") + still_comes)
    first = deliveries.group_by("producer", "item").agg(delay.min())
    sent = sent.join(first, on=["producer", "item"], how="left")
    in_time = (pl.col("delay") <= pl.col("limit")).fill_null(value=False)
    shares = sent.group_by(_SENT).agg(share=in_time.cast(pl.Float64).mean())
    return shares.select(_SENT), shares.filter(pl.col("share") > 0)


def _linked(trees: SpanForest, links: pa.Table | None) -> tuple[IntArray, IntArray]:
    # Consumers and the producers that they link to.
    none = np.empty(0, np.int64)
    if links is None or not links.num_rows:
        return none, none
    frame = pl.from_arrow(links.select(["trace_id", "span_id", "linked_trace_id", "linked_span_id"]))
    assert isinstance(frame, pl.DataFrame)
    found = frame.join(_ids(trees, CONSUMER, "consumer"), on=["trace_id", "span_id"]).join(
        _ids(trees, PRODUCER, "producer"),
        left_on=["linked_trace_id", "linked_span_id"],
        right_on=["trace_id", "span_id"],
    )
    return found["consumer"].to_numpy(), found["producer"].to_numpy()


def _ids(trees: SpanForest, kind: int, name: str) -> pl.DataFrame:
    at = np.flatnonzero(trees.forest.kind == kind)
    ids = trees.table["trace_id"].take(pa.array(trees.forest.rows[at]))
    return pl.DataFrame(
        {"trace_id": pl.Series(ids, dtype=pl.Binary), "span_id": trees.forest.span_id[at], name: at}
    )
