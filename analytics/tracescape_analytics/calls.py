"""Every call in a window, counted: from spans, in one pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.connections import MESSAGING, UNSEEN
from tracescape_analytics.contexts import contexts
from tracescape_analytics.counts import ByteArray, Counts, named, no_counts
from tracescape_analytics.shapes import Shaped, numbered_shapes, shaped_spans
from tracescape_analytics.span_forest import IntArray, SpanForest
from tracescape_analytics.windows import MINUTE_NS, Window
from tracescape_native.call_counts import Question, Shapes, count_calls
from tracescape_native.edges import Calls, find_calls
from tracescape_native.forest import CONSUMER, PRODUCER, SpanArrays
from tracescape_native.grouping import group_ids
from tracescape_native.tally import ends_of
from tracescape_storage.reader import Reader

_ID_BYTES: Final = 16


@dataclass(frozen=True)
class Unpaired:
    """What could not be matched, counted over the window.

    ``orphans``: spans whose parent is missing. ``clients_without_server``: CLIENT spans that no span answers
    (calls to databases and other things that send no spans are among them). ``negative_network``: pairs
    whose server took longer than its client, which only clocks can explain.
    """

    orphans: int = 0
    clients_without_server: int = 0
    negative_network: int = 0


def matched(trees: SpanForest) -> Calls:
    """``native.find_calls`` over the trees; a span names a store if it says which database or topic."""
    database, _ = trees.codes("db_system")
    topic, _ = trees.codes("messaging_destination")
    return find_calls(trees.forest, trees.service, ((database >= 0) | (topic >= 0)).astype(np.int64))


def counts_of_window(reader: Reader, window: Window, where: str = "") -> Counts:
    """The counts of a window from the spans that a store holds; see ``counts_in``.

    ``where`` is a further condition on spans, for readers that know SQL.
    """
    wide = window.in_context()
    shaped = shaped_spans(reader, wide.since_ns, wide.until_ns, where)
    links = reader.links(since_ns=wide.since_ns, until_ns=wide.until_ns)
    return counts_in(shaped, links, window).get(0, no_counts())


def counts_in(
    shaped: Shaped, links: pa.Table | None, window: Window, *, by_minute: bool = False
) -> dict[int, Counts]:
    """The counts of a window, from spans that may be more than those of its ``in_context``.

    ``links`` has ``trace_id, span_id, linked_trace_id, linked_span_id``. A call belongs to the window in
    which its calling side started, a served request to the one in which the serving span did. With
    ``by_minute``
    the counts of each minute, by its number since the epoch; else all under 0. What has no counts is missing.

    A CLIENT span whose server span has not arrived is taken for one without.
    """
    if shaped.spans.num_rows == 0:
        return {}
    shape, shapes, words = numbered_shapes(shaped)
    ids = _trace_ids(shaped.spans["trace_id"])
    trace, traces = group_ids(*(ids.view(np.int64)[:, half].copy() for half in (0, 1)))
    start = _integers(shaped.spans["start_ns"])
    cut = contexts(trace, traces, start, window)

    def with_copies(column: IntArray) -> IntArray:
        return column if not len(cut.rows) else np.concatenate([column, column[cut.rows]])

    shape = with_copies(shape)
    spans = SpanArrays(
        trace=trace if not len(cut.rows) else np.concatenate([trace, cut.trace]),
        span_id=with_copies(_integers(shaped.spans["span_id"])),
        parent_id=with_copies(_integers(shaped.spans["parent_span_id"])),
        start=with_copies(start),
        end=with_copies(ends_of(start, _integers(shaped.spans["duration_ns"]))),
        kind=shape,
        resource=shape,
        content=shape,
    )
    if len(cut.rows):
        ids = np.concatenate([ids, ids[cut.rows]])
    consumer, producer = _links(links, spans, shapes, ids)
    question = Question(
        low=cut.low,
        high=cut.high,
        width=MINUTE_NS if by_minute else 0,
        link_consumer=consumer,
        link_producer=producer,
        entry=words.entry,
        messaging=MESSAGING,
        unseen=UNSEEN,
        ids=ids,
    )
    return named(count_calls(spans, len(cut.low), shapes, question), words, ids)


def _integers(column: pa.ChunkedArray) -> IntArray:
    # Copied once: kernels want one array of one dtype that they may write to.
    out, begin = np.empty(len(column), np.int64), 0
    for chunk in column.chunks:
        out[begin : begin + len(chunk)] = chunk.to_numpy(zero_copy_only=False)
        begin += len(chunk)
    return out


def _trace_ids(column: pa.ChunkedArray) -> ByteArray:
    # The bytes of trace ids, shape (n, 16). Ids of another length, which no exporter should send, are
    # padded or shortened at the front.
    array = column.cast(pa.binary()).combine_chunks()
    begin, data = array.offset, np.frombuffer(array.buffers()[2], np.uint8)
    offsets = np.frombuffer(array.buffers()[1], np.int32)[begin : begin + len(array) + 1]
    if (np.diff(offsets) == _ID_BYTES).all():
        return data[offsets[0] : offsets[-1]].reshape(-1, _ID_BYTES).copy()
    padded = [trace.rjust(_ID_BYTES, b"\0")[-_ID_BYTES:] for trace in array.to_pylist()]
    return np.frombuffer(b"".join(padded), np.uint8).reshape(-1, _ID_BYTES).copy()


def _links(
    links: pa.Table | None, spans: SpanArrays, shapes: Shapes, ids: ByteArray
) -> tuple[IntArray, IntArray]:
    """Rows of CONSUMER spans and of the PRODUCER spans that they link to, each pair once, in order.

    A producer that started more than a minute before or after the consumer's minute is not looked at.
    """
    none = np.empty(0, np.int64)
    if links is None or links.num_rows == 0:
        return none, none

    def spans_of(kind: int, trace: str, span: str) -> pl.DataFrame:
        rows = np.flatnonzero((shapes.kind == kind)[spans.kind])
        columns = {
            trace: pl.Series([ids[row].tobytes() for row in rows.tolist()], dtype=pl.Binary),
            span: spans.span_id[rows],
            "row": rows,
            "start": spans.start[rows],
        }
        return pl.DataFrame(columns)

    sent = ["linked_trace_id", "linked_span_id"]
    producers = spans_of(PRODUCER, *sent)
    rows = producers["row"].to_numpy()
    producers = producers.with_columns(end=spans.end[rows], shape=spans.kind[rows])
    pairs = (
        _link_frame(links)
        .join(spans_of(CONSUMER, "trace_id", "span_id"), on=["trace_id", "span_id"])
        .join(producers, on=sent, suffix="_sent")
        .filter((pl.col("start") // MINUTE_NS - pl.col("start_sent") // MINUTE_NS).abs() <= 1)
        # Of spans with one id, one: which, is decided by what they are, not by where they stand.
        .sort("row", "start_sent", "end", "shape")
        .unique(["row", *sent], keep="first", maintain_order=True)
    )
    return pairs["row"].to_numpy().copy(), pairs["row_sent"].to_numpy().copy()


def _link_frame(links: pa.Table) -> pl.DataFrame:
    columns = ["trace_id", "span_id", "linked_trace_id", "linked_span_id"]
    frame = pl.from_arrow(links.select(columns))
    assert isinstance(frame, pl.DataFrame)
    return frame.with_columns(pl.col("trace_id", "linked_trace_id").cast(pl.Binary))
