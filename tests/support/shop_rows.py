"""A run of the shop as tables, without a collector: what analyses read of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyarrow as pa
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext

from tracescape.shop import Shop, ShopConfig
from tracescape_storage.schema import (
    ANALYSIS_COLUMNS,
    DICTIONARY_COLUMNS,
    INTEGER_PROMOTED,
    LINKS,
    PROMOTED,
    SPANS,
)

_LINK_COLUMNS = ("trace_id", "span_id", "linked_trace_id", "linked_span_id")


class Rows(SpanExporter):
    """Keeps what it gets as rows of the analyses' columns."""

    def __init__(self) -> None:
        self._spans: list[tuple[object, ...]] = []
        self._links: list[tuple[object, ...]] = []
        self._resources: dict[str, int] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._spans += map(self._row, spans)
        self._links += (_link(span, link.context) for span in spans for link in span.links)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """There is nothing to end."""

    def spans(self) -> pa.Table:
        """``ANALYSIS_COLUMNS`` and ``PROMOTED``, in order of end."""
        columns = zip((*ANALYSIS_COLUMNS, *PROMOTED), zip(*self._spans, strict=True), strict=True)
        table = pa.table({name: pa.array(values, _type(name)) for name, values in columns})
        for number, name in enumerate(table.column_names):
            if name in DICTIONARY_COLUMNS:
                table = table.set_column(number, name, table[name].dictionary_encode())
        return table

    def links(self) -> pa.Table:
        """Who links to whom."""
        columns = zip(*self._links, strict=True) if self._links else [()] * len(_LINK_COLUMNS)
        pairs = zip(_LINK_COLUMNS, columns, strict=True)
        return pa.table({name: pa.array(values, LINKS.field(name).type) for name, values in pairs})

    def _row(self, span: ReadableSpan) -> tuple[object, ...]:
        own, parent, start, end = span.context, span.parent, span.start_time, span.end_time
        assert own is not None
        assert start is not None
        assert end is not None
        resource, attributes = span.resource.attributes, span.attributes or {}
        instance = str(resource["service.instance.id"])
        return (
            own.trace_id.to_bytes(16, "big"),
            _signed(own.span_id),
            _signed(parent.span_id) if parent is not None else 0,
            start,
            end - start,
            resource["service.name"],
            span.name,
            span.kind.value + 1,
            span.status.status_code.value,
            self._resources.setdefault(instance, len(self._resources)),
            *(_first(attributes.get(key) for key in keys) for keys in PROMOTED.values()),
        )


def shop_rows(config: ShopConfig, begin_ns: int, end_ns: int) -> Rows:
    """What a shop does from ``begin_ns`` to ``end_ns``."""
    rows = Rows()
    made = Shop(lambda: rows, config)
    made.backfill(begin_ns, end_ns)
    made.shutdown()
    return rows


def _link(span: ReadableSpan, linked: SpanContext) -> tuple[object, ...]:
    own = span.context
    assert own is not None
    return (
        own.trace_id.to_bytes(16, "big"),
        _signed(own.span_id),
        linked.trace_id.to_bytes(16, "big"),
        _signed(linked.span_id),
    )


def _type(name: str) -> pa.DataType:
    if name in PROMOTED:
        return pa.int64() if name in INTEGER_PROMOTED else pa.string()
    return SPANS.field(name).type


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _first(values: Iterable[object]) -> object:
    return next((value for value in values if value is not None), None)
