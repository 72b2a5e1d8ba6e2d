"""The reference decoder and the compiled one, made comparable."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from tracescape_ingest.decode import Decoded, UndecodableError, decode_traces
from tracescape_ingest.fast_spans import FastSpans, ScannedRequest
from tracescape_ingest.wire import ExportTraceServiceRequest
from tracescape_storage.attributes import decode_attributes
from tracescape_storage.schema import TABLES

SEED = 0xDEC0DE


@cache
def fast_spans() -> FastSpans:
    return FastSpans(SEED)


def plain(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables in the store's schemas, without dictionaries."""
    return {name: table.cast(TABLES[name]) for name, table in tables.items()}


def compiled(data: bytes) -> Decoded | None:
    """What the compiled scan makes of ``data``, as the reference decoder gives it."""
    from tracescape_ingest.span_tables import span_tables

    found = fast_spans().scan(data)
    if found is None:
        return None
    request, reasons = found
    owners = {
        "events": np.asarray(request.scanned.events[:, 0], np.int64),
        "links": np.asarray(request.scanned.links[:, 0], np.int64),
    }
    prints = fast_spans().fingerprints(data, request)
    tables = plain(span_tables([request]))
    return Decoded(tables, owners, prints, len(request), sum(reasons.values()), reasons)


def compiled_or_reference(data: bytes) -> Decoded:
    """As a collector decodes."""
    found = compiled(data) if data else None
    return decode_traces(data, seed=SEED) if found is None else found


def _comparable(value: Any) -> Any:
    if isinstance(value, float):
        return ("double", "nan" if math.isnan(value) else value.hex())  # tells 1.0 from 1, and 0.0 from -0.0
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    return value


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Its rows, attributes read back."""
    found = table.to_pylist()
    for row in found:
        row["attributes"] = _comparable(decode_attributes(row["attributes"]))
    return found


def distinct(table: pa.Table) -> list[dict[str, Any]]:
    """Its different rows, in the order of their first."""
    return list({repr(row): row for row in table.to_pylist()}.values())


def assert_tables_equal(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> None:
    for name in ("spans", "events", "links"):
        assert rows(one[name]) == rows(other[name]), name
    for name in ("resources", "scopes"):
        assert distinct(one[name]) == distinct(other[name]), name


def assert_same(data: bytes) -> bool:
    """Both decoders agree about ``data``; whether the compiled one took it."""
    fast = compiled(data)
    if fast is None:
        return False
    try:
        reference = decode_traces(data, seed=SEED)
    except UndecodableError:
        raise AssertionError("the compiled scan takes what is no message") from None
    assert list(fast.reasons.items()) == list(reference.reasons.items())
    assert (fast.items, fast.rejected) == (reference.items, reference.rejected)
    assert_tables_equal(fast.tables, reference.tables)
    for name, numbers in reference.owners.items():
        assert fast.owners[name].tolist() == numbers.tolist(), name
    if is_canonical(data):
        assert fast.fingerprints.tolist() == reference.fingerprints.tolist()
    else:
        assert fast.fingerprints[:, 0].tolist() == reference.fingerprints[:, 0].tolist()
    return True


def is_canonical(data: bytes) -> bool:
    """Whether an encoder writes the message in these very bytes."""
    return bool(ExportTraceServiceRequest.FromString(data).SerializeToString() == data)


def scanned(data: bytes) -> ScannedRequest:
    """The spans of a request that the compiled scan must take."""
    found = fast_spans().scan(data)
    assert found is not None
    return found[0]
