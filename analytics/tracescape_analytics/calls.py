"""Every call in a window, counted: from spans, in one pass."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.connections import MESSAGING, UNSEEN
from tracescape_analytics.contexts import contexts
from tracescape_analytics.counts import ByteArray, Counted, Counts, merged, named, nothing_counted
from tracescape_analytics.nodes import MODELS, PEERS
from tracescape_analytics.shapes import Meaning, Shaped, meaning_of, shaped_spans
from tracescape_analytics.span_forest import IntArray, SpanForest, id_bytes, integers, numbered_ids
from tracescape_analytics.windows import MINUTE_NS, Window
from tracescape_native.call_counts import count_calls
from tracescape_native.call_events import Question, Shapes
from tracescape_native.edges import NOTHING, PEER, STORE, Calls, find_calls
from tracescape_native.forest import CONSUMER, PRODUCER, SpanArrays
from tracescape_native.parallel import cores
from tracescape_native.tally import ends_of
from tracescape_storage.reader import Reader
from tracescape_storage.rollups import LAST_ARRIVAL_SQL, arrived_by
from tracescape_storage.select import alive

_ID_BYTES: Final = 16
#: What is read at once: little enough to stay near the processor, enough for what each piece costs.
_SPANS_A_PIECE: Final = 1_000_000
_PIECES_AT_ONCE: Final = 4
#: Counts of pieces, 16 bytes each, that are held before they are added up.
_COUNTS_AT_ONCE: Final = 4_000_000
_SHORT_NS: Final = 4 * MINUTE_NS


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
    """``native.find_calls`` over the trees; a span that says which database, topic or model names a store."""
    names = np.full(len(trees.forest.rows), NOTHING, np.int64)
    for column in PEERS:
        codes, texts = trees.codes(column)
        names[np.array([*map(bool, texts), False], np.bool_)[codes]] = PEER
    for column in ("db_system", "messaging_destination", *MODELS):
        names[trees.codes(column)[0] >= 0] = STORE
    return find_calls(trees.forest, trees.service, names)


def counts_of_window(reader: Reader, window: Window, where: str = "") -> Counts:
    """The counts of a window from the spans that a store holds; see ``counts_in``.

    Long windows are read a piece at a time, so that memory is bounded, and several at once. ``where`` is a
    further condition on spans, for readers that know SQL.
    """
    held: list[Counts] = []
    for part in _counted(reader, window, where, 0):
        held.append(part.whole())
        if sum(len(each.keys) for each in held) > _COUNTS_AT_ONCE:
            held = [merged(held)]
    return merged(held)


def periods_of_window(reader: Reader, window: Window, width_ns: int) -> list[Counted]:
    """The same by ``start_ns // width_ns``, in parts; a period may be in two of them."""
    return list(_counted(reader, window, "", width_ns))


def _counted(reader: Reader, window: Window, where: str, width_ns: int) -> Iterator[Counted]:
    arrived = arrived_by_now(reader)
    pieces = [window] if arrived is None else pieces_of(reader, window)
    condition = " AND ".join(filter(None, [arrived, where]))

    def count(piece: Window) -> Counted:
        return counts_in(*spans_of(reader, piece, condition), piece, width_ns=width_ns)

    if len(pieces) == 1:
        yield count(window)
        return
    ahead = min(cores(), _PIECES_AT_ONCE)
    with ThreadPoolExecutor(ahead) as threads:
        waiting: deque[Future[Counted]] = deque()
        for piece in pieces:
            waiting.append(threads.submit(count, piece))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def arrived_by_now(reader: Reader) -> str | None:
    """The condition that makes several questions see one state; None for readers that know no SQL."""
    if not hasattr(reader, "shaped_spans"):
        return None
    return arrived_by(reader.sql(LAST_ARRIVAL_SQL)["arrived_ns"][0].as_py() or 0) if reader.live else ""


def spans_of(reader: Reader, window: Window, condition: str) -> tuple[Shaped, pa.Table]:
    """The spans and links that ``counts_in`` wants for a window; ``condition`` may be ``""``."""
    wide, since, until = window.in_context(), *window
    links = reader.links(since_ns=wide.since_ns, until_ns=wide.until_ns)
    # Of the minutes beside it, all is read where that is less work than finding what matters, or where other
    # traces may matter.
    short = since is not None and until is not None and until - since <= _SHORT_NS
    trimmed = short and not links.num_rows and hasattr(reader, "shaped_spans")
    where = " AND ".join(filter(None, [condition, alive(since, until) if trimmed else ""]))
    return shaped_spans(reader, wide.since_ns, wide.until_ns, where), links


def pieces_of(reader: Reader, window: Window) -> list[Window]:
    """A window in pieces of whole minutes, as many as have about so many spans as are read at once."""
    spans, first, last = reader.extent()
    since = first if window.since_ns is None else max(window.since_ns, first)
    until = last + 1 if window.until_ns is None else min(window.until_ns, last + 1)
    begin, end = -(-since // MINUTE_NS), until // MINUTE_NS
    share = (until - since) / (last + 1 - first) if spans and until > since else 0.0
    count = min(int(share * spans) // _SPANS_A_PIECE, end - begin)
    if count < 2:
        return [window]
    cuts = [(begin + (end - begin) * i // count) * MINUTE_NS for i in range(1, count)]
    return [Window(*pair) for pair in itertools.pairwise([window.since_ns, *cuts, window.until_ns])]


def counts_in(
    shaped: Shaped,
    links: pa.Table | None,
    window: Window,
    *,
    by_minute: bool = False,
    width_ns: int = 0,
    threads: int | None = None,
    meaning: Meaning | None = None,
) -> Counted:
    """The counts of a window, from spans that may be more than those of its ``in_context``.

    ``links`` has ``trace_id, span_id, linked_trace_id, linked_span_id``. A call belongs to the window in
    which its calling side started, a served request to the one in which the serving span did. With
    ``by_minute`` the periods are minutes since the epoch, those that have counts; with ``width_ns`` they are
    that long; else there is one at most.

    A CLIENT span whose server span has not arrived is taken for one without. ``threads``: see `count_calls`.
    ``meaning`` is that of the shapes, where it is known.
    """
    if shaped.spans.num_rows == 0:
        return nothing_counted()
    place, shapes, words = meaning if meaning is not None else meaning_of(shaped.shapes)
    shape = place[shaped.spans["shape"].to_numpy()]
    ids = trace_ids(shaped.spans["trace_id"])
    trace, traces = numbered_ids(ids)
    start = integers(shaped.spans["start_ns"])
    cut = contexts(trace, traces, start, window)

    def with_copies(column: IntArray) -> IntArray:
        return column if not len(cut.rows) else np.concatenate([column, column[cut.rows]])

    shape = with_copies(shape)
    spans = SpanArrays(
        trace=trace if not len(cut.rows) else np.concatenate([trace, cut.trace]),
        span_id=with_copies(integers(shaped.spans["span_id"])),
        parent_id=with_copies(integers(shaped.spans["parent_span_id"])),
        start=with_copies(start),
        end=with_copies(ends_of(start, integers(shaped.spans["duration_ns"]))),
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
        width=MINUTE_NS if by_minute else width_ns,
        link_consumer=consumer,
        link_producer=producer,
        entry=words.entry,
        messaging=MESSAGING,
        unseen=UNSEEN,
        ids=ids,
    )
    return named(count_calls(spans, len(cut.low), shapes, question, threads=threads), words, ids)


def trace_ids(column: pa.ChunkedArray) -> ByteArray:
    """The bytes of trace ids, uint8, shape (n, 16). Ids of another length are padded or shortened at the
    front."""
    ids = id_bytes(column)
    if ids is not None:
        return ids
    padded = [trace.rjust(_ID_BYTES, b"\0")[-_ID_BYTES:] for trace in column.to_pylist()]
    return np.frombuffer(bytearray().join(padded), np.uint8).reshape(-1, _ID_BYTES)


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
