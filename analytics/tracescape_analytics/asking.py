"""From the words of a search to its filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from tracescape_storage.filter_text import parse_filter
from tracescape_storage.filters import EVERYTHING, AllOf, Field, Filter, FilterError, Value, attribute

Where: TypeAlias = str | Filter | None


def filter_of(
    where: Where = None,
    *,
    service: str | None = None,
    operation: str | None = None,
    kind: str | None = None,
    status: str | None = None,
    min_duration: str | int | None = None,
    max_duration: str | int | None = None,
    attributes: Mapping[str, Value] | None = None,
) -> Filter:
    """All of the conditions joined: each that is given must be true.

    Durations are text such as ``"200ms"`` or nanoseconds, both bounds included. Keys of ``attributes`` are
    those of `tracescape_storage.filters.attribute`.

    Raises:
        FilterError: a value is none of its field, or ``where`` is no filter.
    """
    words = {"service": service, "operation": operation, "kind": kind, "status": status}
    parts: list[Filter] = [Field("", name) == value for name, value in words.items() if value is not None]
    if min_duration is not None:
        parts.append(Field("", "duration") >= min_duration)
    if max_duration is not None:
        parts.append(Field("", "duration") <= max_duration)
    parts += [attribute(key) == value for key, value in (attributes or {}).items()]
    parts += _parts(where)
    if not parts:
        return EVERYTHING
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _parts(where: Where) -> list[Filter]:
    if where is None:
        return []
    parsed = parse_filter(where) if isinstance(where, str) else where
    if not isinstance(parsed, Filter):
        shown = repr(where) if isinstance(where, int | float | bytes | list | dict) else type(where).__name__
        raise FilterError(f"{shown:.80} is no filter; write one as text or with ts.field")
    return [] if parsed == EVERYTHING else [parsed]
