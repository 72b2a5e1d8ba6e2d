"""What the shapes of spans say, read once: a shape never changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tracescape_storage.errors import StoreError
from tracescape_storage.select import some_spans, spans_between

#: So few shapes are read from one span of each, wherever those are.
_FEW: Final = 1_500
#: More are read a part at a time, in order of time: what a shape says is gathered, so that memory is bounded.
_AT_ONCE: Final = 4_000
#: Beyond that many, all are forgotten: a reader's memory is bounded.
_MOST: Final = 200_000


class KnownShapes:
    """The shapes that one reader has met; for any number of threads."""

    def __init__(self) -> None:
        self._known: pa.Table | None = None

    def of(self, spans: pa.Table, read: Callable[[str], pa.Table], *, gathers: bool = False) -> pa.Table:
        """The shapes of ``spans``, a row each in their order.

        ``spans`` has the ``shape, start_ns, span_id`` of a span of each shape. ``read`` is what asks for the
        shapes of spans under a condition; see `select.shapes_sql`. Who ``gathers`` any number of shapes is
        asked once for many: each of its questions looks at all spans, whatever the condition.

        Raises:
            StoreError: a span is not there any more.
        """
        wanted = spans["shape"].to_numpy()
        known = self._known  # others may put another one in its place meanwhile
        new = np.ones(len(wanted), np.bool_) if known is None else ~np.isin(wanted, known["shape"].to_numpy())
        if known is None or new.any():
            asked = _conditions(spans.filter(pa.array(new)), gathers)
            parts = [read(condition) for condition in asked]
            found = pa.concat_tables(parts)
            found = found.filter(pa.array(np.isin(found["shape"].to_numpy(), wanted[new])))
            known = found if known is None else pa.concat_tables([known, found])
            self._known = known if known.num_rows <= _MOST else None
        return known.take(pa.array(_places(wanted, known["shape"].to_numpy())))


def _conditions(spans: pa.Table, gathers: bool) -> Iterator[str]:
    # Of being one of them, and perhaps others.
    if spans.num_rows <= _FEW:
        starts, ids = spans["start_ns"].to_pylist(), spans["span_id"].to_pylist()
        yield some_spans(starts, ids) if ids else "false"
        return
    if gathers:
        yield "true"
        return
    ordered = spans.sort_by("start_ns")
    for first in range(0, spans.num_rows, _AT_ONCE):
        part = ordered.slice(first, _AT_ONCE)
        yield spans_between(
            part["start_ns"][0].as_py(), part["start_ns"][-1].as_py(), part["span_id"].to_pylist()
        )


def _places(wanted: Any, known: Any) -> Any:
    order = np.argsort(known)
    place = np.searchsorted(known, wanted, sorter=order)
    place = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(0, np.int64)
    if len(place) < len(wanted) or (known[place] != wanted).any():
        raise StoreError("Spans were pruned while they were read. Ask again.")
    return place
