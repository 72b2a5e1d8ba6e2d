"""The fields that every OTLP signal has: text, ids, times, attribute values, and what is wrong with them.

Functions take what the classes of `wire` hold, so text arrives as bytes. They return what a row of the store
holds, or raise `Rejected` with a reason that people read: it is counted and sent back to the client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tracescape_storage.attributes import AttributeValue

MAX_VALUE_DEPTH: Final = 32
MAX_NS: Final = 2**63 - 1
_NO_SPAN_ID: Final = b"\0" * 8


class Rejected(ValueError):  # noqa: N818 - an outcome of one item, not a failure of the program
    """One span, record or point cannot be stored; the message says why."""


def text(data: bytes) -> str:
    """``data`` as text. Raises `Rejected` when it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Rejected("text that is not UTF-8") from None


def time_ns(nanoseconds: int, what: str) -> int:
    """An unsigned time as the store's signed one. Raises `Rejected` when it is beyond 2262."""
    if nanoseconds > MAX_NS:
        raise Rejected(f"{what} is beyond the year 2262")
    return nanoseconds


def trace_id(data: bytes, what: str = "the trace id") -> bytes:
    """A trace id that must be there. Raises `Rejected` when it has another length, or is all zero."""
    if len(data) != 16:
        raise Rejected(f"{what} has {len(data)} bytes, not 16")
    if not any(data):
        raise Rejected(f"{what} is all zero")
    return data


def span_id(data: bytes, what: str = "the span id") -> int:
    """A span id that must be there, as the store's integer. Raises `Rejected` as `trace_id` does."""
    if len(data) != 8:
        raise Rejected(f"{what} has {len(data)} bytes, not 8")
    if data == _NO_SPAN_ID:
        raise Rejected(f"{what} is all zero")
    return int.from_bytes(data, "big", signed=True)


def optional_trace_id(data: bytes, what: str = "the trace id") -> bytes | None:
    """A trace id, or ``None`` when it is empty or all zero. Raises `Rejected` for another length."""
    return trace_id(data, what) if any(data) or len(data) not in {0, 16} else None


def optional_span_id(data: bytes, what: str = "the span id") -> int:
    """A span id, or 0 when it is empty or all zero. Raises `Rejected` for another length."""
    return span_id(data, what) if any(data) or len(data) not in {0, 8} else 0


def attributes(pairs: Iterable[Any], depth: int = 0) -> dict[str, AttributeValue]:
    """The attributes of repeated ``KeyValue``; of duplicate keys the last one wins. May raise `Rejected`."""
    return {text(pair.key): value(pair.value, depth) for pair in pairs}


def value(message: Any, depth: int = 0) -> AttributeValue:
    """What an ``AnyValue`` holds. Raises `Rejected` for bad text and for values nested too deep."""
    if depth > MAX_VALUE_DEPTH:
        raise Rejected(f"an attribute nests deeper than {MAX_VALUE_DEPTH}")
    which = message.WhichOneof("value")
    if which is None or which == "string_value_strindex":  # the latter points into a profile's string table
        return None
    if which == "string_value":
        return text(message.string_value)
    if which == "array_value":
        return [value(item, depth + 1) for item in message.array_value.values]
    if which == "kvlist_value":
        return attributes(message.kvlist_value.values, depth + 1)
    plain: bool | int | float | bytes = getattr(message, which)
    return plain


def nonempty_string(attributes: Mapping[str, AttributeValue], key: str) -> str | None:
    """The attribute ``key`` where it is text and not empty."""
    found = attributes.get(key)
    return found if isinstance(found, str) and found else None
