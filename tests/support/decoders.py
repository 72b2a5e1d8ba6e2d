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
from tracescape_storage.attribute_columns import ARROW_TYPES, WELL_KNOWN, duckdb_type
from tracescape_storage.attributes import decode_attributes
from tracescape_storage.schema import TABLES

SEED = 0xDEC0DE
#: Columns that the store of these decoders has, beside those of well-known keys.
COLUMNS = {"note": "VARCHAR", "count": "BIGINT", "ratio": "DOUBLE", "flag": "BOOLEAN"}


@cache
def fast_spans() -> FastSpans:
    return FastSpans(SEED, lambda: COLUMNS)


def reference(data: bytes) -> Decoded:
    return decode_traces(data, seed=SEED, columns=WELL_KNOWN | COLUMNS)


def plain(tables: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables in the store's schemas, without dictionaries; columns of attributes after the others."""
    found = {}
    for name, table in tables.items():
        others = sorted(set(table.column_names) - set(TABLES[name].names))
        fields = [pa.field(key, duckdb_arrow(table.schema.field(key))) for key in others]
        rows = [row for batch in table.to_batches() for row in batch.to_pylist()]
        found[name] = pa.Table.from_pylist(rows, pa.schema([*TABLES[name], *fields]))
    return found


def duckdb_arrow(field: pa.Field) -> pa.DataType:
    return ARROW_TYPES[duckdb_type(field)]


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
    return reference(data) if found is None else found


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


def rows(table: pa.Table, name: str = "spans") -> list[dict[str, Any]]:
    """The rows of a table of this name, attributes read back, without columns of those that are not set."""
    found = table.to_pylist()
    for row in found:
        for key in row.keys() - set(TABLES[name].names):
            value = row.pop(key)
            if value is not None:
                row[key] = _comparable(value)
        row["attributes"] = _comparable(decode_attributes(row["attributes"]))
    return found


def distinct(table: pa.Table) -> list[dict[str, Any]]:
    """Its different rows, in the order of their first."""
    return list({repr(row): row for row in table.to_pylist()}.values())


def assert_tables_equal(one: dict[str, pa.Table], other: dict[str, pa.Table]) -> None:
    for name in ("spans", "events", "links"):
        assert rows(one[name], name) == rows(other[name], name), name
    for name in ("resources", "scopes"):
        assert distinct(one[name]) == distinct(other[name]), name


def assert_same(data: bytes) -> bool:
    """Both decoders agree about ``data``; whether the compiled one took it."""
    fast = compiled(data)
    if fast is None:
        return False
    try:
        expected = reference(data)
    except UndecodableError:
        raise AssertionError("the compiled scan takes what is no message") from None
    assert list(fast.reasons.items()) == list(expected.reasons.items())
    assert (fast.items, fast.rejected) == (expected.items, expected.rejected)
    assert_tables_equal(fast.tables, expected.tables)
    for name, numbers in expected.owners.items():
        assert fast.owners[name].tolist() == numbers.tolist(), name
    if is_canonical(data):
        assert fast.fingerprints.tolist() == expected.fingerprints.tolist()
    else:
        assert fast.fingerprints[:, 0].tolist() == expected.fingerprints[:, 0].tolist()
    return True


def is_canonical(data: bytes) -> bool:
    """Whether an encoder writes the message in these very bytes."""
    return bool(ExportTraceServiceRequest.FromString(data).SerializeToString() == data)


def scanned(data: bytes) -> ScannedRequest:
    """The spans of a request that the compiled scan must take."""
    found = fast_spans().scan(data)
    assert found is not None
    return found[0]
