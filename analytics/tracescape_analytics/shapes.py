"""What spans say besides ids and times, once for all that are alike: names, kinds, far ends.

Everything here is decided by a span's shape (see ``select.shaped_sql``), so it costs the same for ten spans
and ten million.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from tracescape_analytics.connections import EVIDENCE, connection_of_name
from tracescape_analytics.nodes import (
    ENTRY_NAME,
    MODELS,
    NODE_KINDS,
    far_end_of,
    inner_far_end_of,
    queue_of,
)
from tracescape_analytics.sampling import extra_of, said_by
from tracescape_native.call_events import Shapes
from tracescape_native.edges import NOTHING, PEER, STORE
from tracescape_native.forest import CLIENT, CONSUMER, INTERNAL, PRODUCER
from tracescape_storage.reader import Reader
from tracescape_storage.select import SAMPLING, SHAPE_COLUMNS, SHAPED_IDS

IntArray = np.ndarray[Any, np.dtype[np.int64]]

ERROR: Final = 2  # OTLP's StatusCode
_TEXTS: Final = [name for name in SHAPE_COLUMNS if name not in ("kind", "status")]
_ATTRIBUTES: Final = _TEXTS[2:]
_SAID: Final = (*SHAPE_COLUMNS, SAMPLING)
#: What `SAMPLING` is read from.
_STATE: Final = ("trace_state", "adjusted_count")


class Shaped(NamedTuple):
    """``spans``: ``SHAPED_IDS`` and ``shape`` (int64), a row of ``shapes``, which has ``SHAPE_COLUMNS`` and
    ``SAMPLING``.

    Each of ``shapes`` is the shape of some span; no two are alike.
    """

    spans: pa.Table
    shapes: pa.Table


class Vocabulary(NamedTuple):
    """What the numbers in ``Shapes`` mean: ``nodes`` as (index into ``NODE_KINDS``, name), ``operations``.

    ``entry`` is the node that calls from outside.
    """

    nodes: list[tuple[int, str]]
    operations: list[str]
    entry: int


def shaped_spans(reader: Reader, since_ns: int | None, until_ns: int | None, where: str = "") -> Shaped:
    """The spans that start in [since_ns, until_ns), from any reader; ``where`` needs one that knows SQL."""
    ask = getattr(reader, "shaped_spans", None)
    if ask is not None:
        return Shaped(*ask(since_ns=since_ns, until_ns=until_ns, where=where))
    columns = (*SHAPED_IDS, *SHAPE_COLUMNS, *_STATE)
    return shaped_table(reader.spans(columns, since_ns=since_ns, until_ns=until_ns))


def shaped_table(table: pa.Table) -> Shaped:
    """The same of a table with ``SHAPED_IDS`` and any of ``SHAPE_COLUMNS, trace_state, adjusted_count``.

    Those it lacks are null.
    """
    telling = [name for name in (*SHAPE_COLUMNS, *_STATE) if name in table.column_names]
    here = pl.from_arrow(table.select(telling))
    assert isinstance(here, pl.DataFrame)
    here = here.with_columns(pl.col(name).cast(pl.String) for name in _TEXTS if name in here.columns)
    if stated := [name for name in _STATE if name in here.columns]:
        state, count = (here[name].to_list() if name in stated else [None] * len(here) for name in _STATE)
        pairs = list(zip(state, count, strict=True))
        said = {pair: said_by(*pair) for pair in set(pairs)}
        here = here.with_columns(pl.Series(SAMPLING, [said[pair] for pair in pairs], dtype=pl.String))
        here = here.drop(stated)
    shapes = here.unique().with_row_index("shape").with_columns(pl.col("shape").cast(pl.Int64))
    numbers = here.join(shapes, on=here.columns, how="left", nulls_equal=True, maintain_order="left")
    spans = table.select(list(SHAPED_IDS)).append_column("shape", numbers["shape"].to_arrow())
    return Shaped(spans, shapes.to_arrow())


class Meaning(NamedTuple):
    """What some shapes say.

    ``place``, int64, shape (shapes,), has the number of each in ``shapes``, which are in the order of what
    they say, whatever the order of spans; ``words``: what the numbers in those mean.
    """

    place: IntArray
    shapes: Shapes
    words: Vocabulary


def meaning_of(table: pa.Table) -> Meaning:
    """What `Shaped.shapes` mean."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in _SAID if name not in frame.columns]
    frame = frame.with_columns(pl.col(name).cast(pl.String) for name in frame.columns if name in _TEXTS)
    frame = frame.with_columns(missing).select(_SAID).with_row_index("row")
    frame = frame.sort(_SAID, nulls_last=True)
    place = np.empty(len(frame), np.int64)
    place[frame["row"].to_numpy()] = np.arange(len(frame))
    return Meaning(place, *_said(frame))


def _said(frame: pl.DataFrame) -> tuple[Shapes, Vocabulary]:
    # Names of operations may be many, all else is few: each is looked at once, and put together by number.
    nodes: dict[tuple[int, str], int] = {}

    def node(named: tuple[str, str] | None) -> int:
        if named is None:
            return -1
        name, kind = named
        return nodes.setdefault((NODE_KINDS.index(kind), name), len(nodes))

    entry = node((ENTRY_NAME, "entry"))
    distinct, place = _distinct(frame, [name for name in _SAID if name != "operation"])
    rows = []
    for row in distinct.iter_rows(named=True):
        kind = row["kind"] if 0 <= row["kind"] <= 5 else 0
        said = {name: str(row[name]) for name in _ATTRIBUTES if row[name] not in (None, "")}
        is_store = any(row[name] is not None for name in ("db_system", "messaging_destination", *MODELS))
        ends = {CLIENT: far_end_of, INTERNAL: inner_far_end_of}
        far_end = node(ends[kind](said)) if kind in ends else -1
        rows.append(
            (
                node((row["service"], "service")),
                kind,
                int(row["status"] == ERROR),
                next((connection for column, connection in EVIDENCE if row[column] is not None), -1),
                STORE if is_store else PEER if far_end >= 0 else NOTHING,
                far_end,
                node(queue_of(said)) if kind in (PRODUCER, CONSUMER) else -1,
                extra_of(row[SAMPLING]),
            )
        )
    service, kinds, failed, evidence, names, far_ends, queues, extra = (
        np.array(rows, np.int64).reshape(-1, 8).T[:, place].copy()
    )
    texts, operation = _distinct(frame, ["operation"])
    operations = texts["operation"].to_list()
    by_name = np.array([connection_of_name(name) for name in operations], np.int64)
    connection = np.where(evidence >= 0, evidence, by_name[operation])
    shapes = Shapes(service, operation, kinds, failed, connection, names, far_ends, queues, extra)
    return shapes, Vocabulary(list(nodes), operations, entry)


def _distinct(frame: pl.DataFrame, columns: list[str]) -> tuple[pl.DataFrame, IntArray]:
    # The distinct rows of some columns, and which of them each row has.
    some = frame.select(columns)
    rows = some.unique(maintain_order=True)
    numbered = rows.with_row_index("number")
    found = some.join(numbered, on=columns, how="left", nulls_equal=True, maintain_order="left")
    return rows, found["number"].to_numpy().astype(np.int64)
