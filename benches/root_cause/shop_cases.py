"""The demo's shop as a labelled set: every kind of fault at many places, and quiet times, made on the spot.

Each case is a run of the shop of its own, with a seed of its own: eight minutes in which nothing is wrong,
its baseline, and two minutes with one fault, its window. Runs lie an hour apart. Quiet windows are made
alike, without a fault. All services are replicated, so that what a fault needs tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import pyarrow as pa
from cases import Case
from datasets import Labelled
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext

from tracescape.shop import KINDS, Fault, Shop, ShopConfig
from tracescape.shop.faults import truth_of
from tracescape_storage.schema import ANALYSIS_COLUMNS, INTEGER_PROMOTED, PROMOTED, SPANS

SECOND_NS: Final = 1_000_000_000
HOUR_NS: Final = 3600 * SECOND_NS
BASE_NS: Final = 500_000 * HOUR_NS
BEFORE_S: Final = 480.0
LASTS_S: Final = 120.0
RATE_PER_S: Final = 5.0
#: Coprime to the number of places of every kind: places come in turn, but not beside each other.
_STRIDE: Final = 5


def shop_faults(cases: int) -> list[Fault]:
    """So many faults of each kind, at its places in turn."""
    return [
        Fault(name, kind.places[(number * _STRIDE) % len(kind.places)], BEFORE_S, BEFORE_S + LASTS_S)
        for name, kind in KINDS.items()
        for number in range(cases)
    ]


def shop(cases: int, quiet: int, seed: int = 0) -> Labelled:
    """The labelled set: ``cases`` of each kind, and ``quiet`` windows without any."""
    faults: list[Fault | None] = [*shop_faults(cases), *[None] * quiet]
    tables, linked, labelled, silent = [], [], [], []
    for number, fault in enumerate(faults):
        begin = BASE_NS + number * HOUR_NS
        spans, links = spans_of(config(fault, seed + number), begin)
        tables.append(spans)
        linked.append(links)
        since = begin + round(BEFORE_S * 1e9)
        window, baseline = (since, since + round(LASTS_S * 1e9)), ((begin, since),)
        if fault is None:
            silent.append(Case(f"quiet {number}", window, baseline))
        else:
            truth = truth_of(fault, begin)
            labelled.append(Case(f"{fault} {number}", window, baseline, truth.nodes, fault.kind))
    every = pa.concat_tables(tables).unify_dictionaries()
    return Labelled("shop", every, labelled, silent, [], pa.concat_tables(linked))


def config(fault: Fault | None, seed: int) -> ShopConfig:
    """The shop of one case."""
    faults = () if fault is None else (fault,)
    return ShopConfig(rate_per_s=RATE_PER_S, faults=faults, seed=seed, replicated=True)


def spans_of(config: ShopConfig, begin_ns: int) -> tuple[pa.Table, pa.Table]:
    """What analyses read of a run of the shop: spans, with ``trace_start_ns`` by which they are ordered, and
    the links between them."""
    rows = _Rows()
    made = Shop(lambda: rows, config)
    made.backfill(begin_ns, begin_ns + round((BEFORE_S + LASTS_S) * 1e9))
    made.shutdown()
    return rows.table(), pa.Table.from_pylist(rows.links)


class _Rows(SpanExporter):
    # Keeps rows of the analyses' columns instead of sending anything.
    def __init__(self) -> None:
        self._rows: list[tuple[object, ...]] = []
        self.links: list[dict[str, object]] = []
        self._resources: dict[str, int] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._rows += map(self._row, spans)
        self.links += (self._link(span, link.context) for span in spans for link in span.links)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """There is nothing to end."""

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

    @staticmethod
    def _link(span: ReadableSpan, linked: SpanContext) -> dict[str, object]:
        assert span.context is not None
        return {
            "trace_id": span.context.trace_id.to_bytes(16, "big"),
            "span_id": _signed(span.context.span_id),
            "linked_trace_id": linked.trace_id.to_bytes(16, "big"),
            "linked_span_id": _signed(linked.span_id),
        }

    def table(self) -> pa.Table:
        columns = dict(zip((*ANALYSIS_COLUMNS, *PROMOTED), zip(*self._rows, strict=True), strict=True))
        starts: dict[object, int] = {}
        for trace, start in zip(columns["trace_id"], columns["start_ns"], strict=True):
            assert isinstance(start, int)
            starts[trace] = min(start, starts.get(trace, start))
        begins = pa.array([starts[trace] for trace in columns["trace_id"]], pa.int64())
        table = pa.table({name: pa.array(values, _type(name)) for name, values in columns.items()})
        table = table.append_column("trace_start_ns", begins)
        table = table.sort_by([(name, "ascending") for name in ("trace_start_ns", "trace_id", "start_ns")])
        for number, field in enumerate(table.schema):
            if field.type == pa.string():
                table = table.set_column(number, field.name, table[field.name].dictionary_encode())
        return table


def _type(name: str) -> pa.DataType:
    if name in PROMOTED:
        return pa.int64() if name in INTEGER_PROMOTED else pa.string()
    return SPANS.field(name).type


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _first(values: Iterable[object]) -> object:
    found: Iterator[object] = (value for value in values if value is not None)
    return next(found, None)
