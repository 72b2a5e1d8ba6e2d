"""Spans that failed though their status does not say so: exceptions and gRPC codes.

Not every instrumentation sets a status where it records an exception or a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa

from tracescape_analytics.windows import Window
from tracescape_storage.conditions import identifier, literal, pointer
from tracescape_storage.reader import Reader

#: Codes that are the server's fault, as OpenTelemetry's conventions for gRPC have them: what a caller did
#: wrong, what was cancelled and what is not there is none.
SERVER_FAULTS: Final = {
    2: "UNKNOWN",
    4: "DEADLINE_EXCEEDED",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "DATA_LOSS",
}
#: Where the code is: the number, before the conventions became stable, then its name.
CODE_KEYS: Final = ("rpc.grpc.status_code", "rpc.response.status_code")
#: What tells an RPC: a store in which none of these (nor a code) has a column is not asked.
_RPC_KEYS: Final = ("rpc.service", "rpc.system", "rpc.system.name", "rpc.method")
_NUMBERS: Final = ", ".join(map(str, SERVER_FAULTS))
_TEXTS: Final = ", ".join(literal(text) for code, name in SERVER_FAULTS.items() for text in (str(code), name))


def failures(reader: Reader, window: Window) -> pa.Table:
    """``trace_id`` and ``span_id`` of spans in the widened window that an exception or a gRPC code marks.

    Of codes, those are left out whose status says it already. A span may be there several times.
    """
    wide = window.widened()
    found = [
        "SELECT DISTINCT trace_id, span_id FROM events WHERE name = 'exception' "
        f"AND {_within('time_ns', wide)}"
    ]
    found += [
        f"SELECT trace_id, span_id FROM spans WHERE status <> 2 AND {_within('start_ns', wide)} AND {coded}"
        for coded in _coded(reader.attribute_columns())
    ]
    return reader.sql(" UNION ALL ".join(found))


def _within(column: str, window: Window) -> str:
    return f"{column} >= {window.since_ns} AND {column} < {window.until_ns}"


def _coded(columns: Mapping[str, str]) -> list[str]:
    # Conditions on spans, each for a query of its own: in one, DuckDB reads everything for everybody. Text is
    # read of RPCs alone, and JSON of those that mention a key.
    calls = [f"{identifier(key)} IS NOT NULL" for key in (*_RPC_KEYS, *CODE_KEYS) if key in columns]
    if not calls:
        return []
    known = [key for key in CODE_KEYS if key in columns]
    elsewhere = [f"({' OR '.join(calls)})", *(f"{identifier(key)} IS NULL" for key in known)]
    return [
        *(_in_column(key, columns[key]) for key in known),
        *(" AND ".join([*elsewhere, _in_text(key)]) for key in CODE_KEYS),
    ]


def _in_column(key: str, kind: str) -> str:
    if kind == "BIGINT":
        return f"{identifier(key)} IN ({_NUMBERS})"
    return f"upper({identifier(key)}::VARCHAR) IN ({_TEXTS})"


def _in_text(key: str) -> str:
    code = f"upper(json_extract_string(attributes, {pointer(key)}))"
    return f"contains(attributes, {literal(key)}) AND {code} IN ({_TEXTS})"
