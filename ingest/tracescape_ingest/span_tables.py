"""Scanned requests, many at once, as Arrow tables of the store's schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tracescape_ingest.fast_spans import ScannedRequest
from tracescape_native import otlp_traces as scan
from tracescape_native.otlp_attributes import BOOL, DOUBLE, STRING
from tracescape_native.span_columns import TEXTS, SpanColumns, gather
from tracescape_storage.schema import EVENTS, LINKS, SCOPES, SPANS, TABLES

Array = np.ndarray[Any, Any]


class _Layout:
    """Where `Scanned.numbers` has the text columns, and the others: names, kinds and places."""

    def __init__(self, columns: Sequence[scan.Column]) -> None:
        placed = list(zip(columns, scan.places_of(columns), strict=True))
        texts = [(key, place) for (key, kind), place in placed if kind == STRING]
        self.text_names = ["operation", "status_message", "trace_state", *(key for key, _ in texts)]
        self.text_places = [*TEXTS, *(place for _, place in texts)]
        self.wide = [column for column in columns if column[1] != STRING]
        self.wide_places = [place for (_, kind), place in placed if kind != STRING]


def span_tables(requests: Sequence[ScannedRequest]) -> dict[str, pa.Table]:
    """The tables spans, events, links, resources and scopes of what ``requests`` still hold.

    Text columns that repeat themselves are dictionary-coded, one dictionary a column; those of spans without
    any value are left out, and columns of attributes come besides. Otherwise the schemas are the store's.
    """
    senders, of_sender = _numbered([request.senders for request in requests])
    scopes, of_scope = _numbered([request.scopes for request in requests])
    layout = _Layout(max((request.columns for request in requests), key=len, default=()))
    columns = _columns(requests, layout, of_sender, of_scope)
    return {
        "spans": _spans(columns, layout, senders, scopes),
        "events": _events(requests, columns),
        "links": _links(requests, columns),
        "resources": pa.Table.from_pylist([sender.row for sender in senders], schema=TABLES["resources"]),
        "scopes": pa.Table.from_pylist([scope.row for scope in scopes], schema=SCOPES),
    }


def _numbered(lists: list[list[Any]]) -> tuple[list[Any], list[Array]]:
    """Everything once, and the numbers of each list's things in that."""
    numbers: dict[int, int] = {}
    things: list[Any] = []
    numbered = []
    for each in lists:
        mine = np.empty(len(each), np.int32)
        for index, thing in enumerate(each):
            number = numbers.setdefault(thing.id, len(things))
            if number == len(things):
                things.append(thing)
            mine[index] = number
        numbered.append(mine)
    return things, numbered


def _columns(
    requests: Sequence[ScannedRequest], layout: _Layout, of_sender: list[Array], of_scope: list[Array]
) -> SpanColumns:
    attribute_bytes = sum(_attribute_bytes(request) for request in requests)
    columns = SpanColumns(sum(map(len, requests)), attribute_bytes, layout.text_places, layout.wide_places)
    codes = [columns.codes_of(np.frombuffer(each.data, np.uint8), each.scanned) for each in requests]
    for request, mine, senders, scopes in zip(requests, codes, of_sender, of_scope, strict=True):
        columns.add(request.scanned, _rows(request), mine, senders, scopes)
    return columns


def _attribute_bytes(request: ScannedRequest) -> int:
    scanned = request.scanned
    if len(request.rows) == len(scanned.numbers):
        return len(scanned.heap)
    return int(scanned.numbers[request.rows, scan.ATTRIBUTES + 1].sum())


def _rows(request: ScannedRequest) -> Array | slice:
    """What is left of the rows, as a slice where it is one: that copies nothing."""
    rows = request.rows
    first, last = (int(rows[0]), int(rows[-1]) + 1) if len(rows) else (0, 0)
    return slice(first, last) if last - first == len(rows) else rows


def _spans(columns: SpanColumns, layout: _Layout, senders: list[Any], scopes: list[Any]) -> pa.Table:
    resource, scope = columns.groups
    arrays: dict[str, pa.Array] = {
        "trace_id": _binary16(columns.trace_ids),
        **{name: pa.array(columns.words[i]) for i, name in enumerate(_WORD_NAMES)},
        "kind": pa.array(columns.numbers[0].astype(np.int8)),
        "status": pa.array(columns.numbers[1].astype(np.int8)),
        **{name: pa.array(columns.numbers[2 + i].view(np.uint32)) for i, name in enumerate(_NUMBER_NAMES)},
        "service": pa.DictionaryArray.from_arrays(resource, [sender.service for sender in senders]),
        "resource_id": pa.array(np.array([sender.id for sender in senders], np.int64)[resource]),
        "scope_id": pa.array(np.array([each.id for each in scopes], np.int64)[scope]),
        "attributes": _strings(columns.offsets, columns.attributes),
    }
    texts = {name: _coded(columns, index) for index, name in enumerate(layout.text_names)}
    wide = {name: _wide(columns.wide[index], kind) for index, (name, kind) in enumerate(layout.wide)}
    arrays |= {name: values for name, values in (texts | wide).items() if values is not None}
    core = [name for name in SPANS.names if name in arrays]
    return pa.table({name: arrays[name] for name in [*core, *(arrays.keys() - set(core))]})


_WORD_NAMES: Final = ("span_id", "parent_span_id", "start_ns", "duration_ns")
_NUMBER_NAMES: Final = ("flags", "dropped_attributes", "dropped_events", "dropped_links")


def _coded(columns: SpanColumns, index: int) -> pa.Array | None:
    offsets, data = columns.dictionary(index)
    if len(offsets) == 1 and index:
        return None
    codes = columns.codes[index]
    return pa.DictionaryArray.from_arrays(_integers(codes, codes >= 0), _strings(offsets, data))


def _integers(values: Array, is_set: Array) -> pa.Array:
    """``values``, null where they are not set; copies nothing of them."""
    array = pa.array(values)
    if is_set.all():
        return array
    bits = pa.py_buffer(np.packbits(is_set, bitorder="little"))
    return pa.Array.from_buffers(array.type, len(values), [bits, array.buffers()[1]])


def _wide(values: Array, kind: int) -> pa.Array | None:
    is_set = values != scan.MISSING
    if not is_set.any():
        return None
    if kind == DOUBLE:
        return _integers(values.view(np.float64), is_set)
    if kind == BOOL:
        return pa.array(values == 1, mask=~is_set)
    return _integers(values, is_set)


def _strings(offsets: Array, data: Array) -> pa.Array:
    return pa.StringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def _binary16(data: Array) -> pa.Array:
    count = len(data) // 16
    offsets = np.arange(0, 16 * count + 1, 16, dtype=np.int32)
    return pa.Array.from_buffers(
        pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(data))]
    )


class _Parts:
    """Events or links of the spans that are kept: their rows, and where their spans are among all.

    Args:
        parts_of: what of a request they are.
    """

    def __init__(self, requests: Sequence[ScannedRequest], parts_of: Callable[[Any], Array]) -> None:
        rows, heaps, places, shifts = [], [], [], []
        begin, heap_bytes = 0, 0
        for request in requests:
            parts = parts_of(request.scanned)
            if len(parts):
                place = _places(request, parts[:, 0], begin)
                rows.append(parts)
                heaps.append(request.scanned.part_heap)
                places.append(place)
                shifts.append(np.full(len(parts), heap_bytes))
                heap_bytes += len(request.scanned.part_heap)
            begin += len(request.rows)
        if rows:
            self.places = np.concatenate(places)
            kept = self.places >= 0
            self.places = self.places[kept]
            self.rows = np.concatenate(rows)[kept]
            self._heap, self._shifts = np.concatenate(heaps), np.concatenate(shifts)[kept]
        self.any = bool(rows)

    def texts(self, column: int) -> pa.Array:
        """The texts that a column of rows, and the next one, refer to."""
        lengths = self.rows[:, column + 1].copy()
        data = np.empty(int(np.maximum(lengths, 0).sum()), np.uint8)
        gather(self._heap, self.rows[:, column] + self._shifts, lengths, data)
        return _optional_strings(lengths, data)

    def ids(self, columns: SpanColumns) -> dict[str, pa.Array]:
        """Trace and span ids of the spans."""
        trace_ids = columns.trace_ids.reshape(-1, 16)[self.places]
        return {
            "trace_id": _binary16(trace_ids.reshape(-1)),
            "span_id": pa.array(columns.words[0][self.places]),
        }


def _places(request: ScannedRequest, spans: Array, begin: int) -> Array:
    """Where scanned spans are, if what is left of the request begins there; -1 for those that are gone."""
    if len(request.rows) == len(request.scanned.words):
        return spans + begin
    places = np.full(len(request.scanned.words), -1, np.int64)
    places[request.rows] = np.arange(begin, begin + len(request.rows))
    return np.asarray(places[spans])


def _optional_strings(lengths: Array, data: Array) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(np.maximum(lengths, 0), out=offsets[1:])
    strings = _strings(offsets, data)
    missing = lengths < 0
    if not missing.any():
        return strings
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), strings)


def _events(requests: Sequence[ScannedRequest], columns: SpanColumns) -> pa.Table:
    events = _Parts(requests, lambda scanned: scanned.events)
    if not events.any:
        return EVENTS.empty_table()
    return pa.table(
        {
            **events.ids(columns),
            "time_ns": pa.array(events.rows[:, scan.EVENT_TIME].copy()),
            "name": events.texts(scan.EVENT_NAME),
            "attributes": events.texts(scan.EVENT_ATTRIBUTES),
            "dropped_attributes": pa.array(events.rows[:, scan.EVENT_DROPPED].astype(np.uint32)),
        },
        schema=EVENTS,
    )


def _links(requests: Sequence[ScannedRequest], columns: SpanColumns) -> pa.Table:
    links = _Parts(requests, lambda scanned: scanned.links)
    if not links.any:
        return LINKS.empty_table()
    linked = np.ascontiguousarray(links.rows[:, scan.LINK_WORD_0 : scan.LINK_WORD_1 + 1]).view(np.uint8)
    return pa.table(
        {
            **links.ids(columns),
            "start_ns": pa.array(columns.words[2][links.places]),
            "linked_trace_id": _binary16(linked.reshape(-1)),
            "linked_span_id": pa.array(links.rows[:, scan.LINK_SPAN_ID].copy()),
            "trace_state": links.texts(scan.LINK_STATE),
            "flags": pa.array(links.rows[:, scan.LINK_FLAGS].astype(np.uint32)),
            "attributes": links.texts(scan.LINK_ATTRIBUTES),
            "dropped_attributes": pa.array(links.rows[:, scan.LINK_DROPPED].astype(np.uint32)),
        },
        schema=LINKS,
    )
