"""Trace ids as people paste them."""

from __future__ import annotations

from typing import Final

from tracescape_storage.one_trace import traces_beginning_sql, traces_of_span_sql
from tracescape_storage.reader import Reader

_TRACE_DIGITS: Final = 32
_SPAN_DIGITS: Final = 16
_NAMED_TRACES: Final = 3


def parse_trace_id(reader: Reader, text: str) -> bytes:
    """The 16 bytes of a trace id as people paste it: 32 hex digits, any case, dashes allowed.

    Raises ``ValueError`` for anything else; for the beginning of an id and for the id of a span it names
    traces that could be meant.
    """
    digits = text.strip().lower().replace("-", "")
    hexadecimal = 0 < len(digits) <= _TRACE_DIGITS and not digits.strip("0123456789abcdef")
    if hexadecimal and len(digits) == _TRACE_DIGITS:
        return bytes.fromhex(digits)
    wrong = f"{text[:64]!r} is no trace id: that is 32 hexadecimal digits"
    if not hexadecimal or len(digits) < 4:
        raise ValueError(wrong)
    beginning = reader.sql(traces_beginning_sql(digits, _NAMED_TRACES + 1))["trace_id"].to_pylist()
    if beginning:
        raise ValueError(f"{wrong}. {_listed(beginning)} so")
    if len(digits) == _SPAN_DIGITS:
        span_id = int.from_bytes(bytes.fromhex(digits), "big", signed=True)
        of_span = reader.sql(traces_of_span_sql(span_id, 1))["trace_id"].to_pylist()
        if of_span:
            raise ValueError(f"{wrong}. A span has this id, in trace {of_span[0]}")
    raise ValueError(f"{wrong}; none that is stored begins so")


def _listed(traces: list[str]) -> str:
    named = ", ".join(traces[:_NAMED_TRACES])
    if len(traces) > _NAMED_TRACES:
        return f"{named} and others begin"
    return f"{named} begin{'s' if len(traces) == 1 else ''}"
