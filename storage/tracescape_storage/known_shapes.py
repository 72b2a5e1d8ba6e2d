"""What the shapes of spans say, read once: a shape never changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tracescape_storage.errors import StoreError
from tracescape_storage.select import some_spans

#: So few shapes are read from one span of each; more, from all spans.
_FEW: Final = 1_500
#: Beyond that many, all are forgotten: a reader's memory is bounded.
_MOST: Final = 200_000


class KnownShapes:
    """The shapes that one reader has met; for any number of threads."""

    def __init__(self) -> None:
        self._known: pa.Table | None = None

    def of(self, spans: pa.Table, read: Callable[[str], pa.Table]) -> pa.Table:
        """The shapes of ``spans``, a row each in their order.

        ``spans`` has the ``shape, start_ns, span_id`` of a span of each shape. ``read`` is what asks for the
        shapes of spans under a condition, ``""`` for none; see `select.shapes_sql`.

        Raises:
            StoreError: a span is not there any more.
        """
        wanted = spans["shape"].to_numpy()
        known = self._known  # others may put another one in its place meanwhile
        new = np.ones(len(wanted), np.bool_) if known is None else ~np.isin(wanted, known["shape"].to_numpy())
        if known is None or new.any():
            found = read(_condition(spans, np.flatnonzero(new)))
            found = found.filter(pa.array(np.isin(found["shape"].to_numpy(), wanted[new])))
            known = found if known is None else pa.concat_tables([known, found])
            self._known = known if known.num_rows <= _MOST else None
        return known.take(pa.array(_places(wanted, known["shape"].to_numpy())))


def _condition(spans: pa.Table, rows: Any) -> str:
    if len(rows) > _FEW:
        return ""
    some = spans.take(pa.array(rows))
    return some_spans(some["start_ns"].to_pylist(), some["span_id"].to_pylist()) if len(rows) else "false"


def _places(wanted: Any, known: Any) -> Any:
    order = np.argsort(known)
    place = np.searchsorted(known, wanted, sorter=order)
    place = order[np.minimum(place, len(order) - 1)] if len(order) else np.zeros(0, np.int64)
    if len(place) < len(wanted) or (known[place] != wanted).any():
        raise StoreError("Spans were pruned while they were read. Ask again.")
    return place
