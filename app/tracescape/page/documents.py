"""Frames as JSON that a browser reads without losing a digit."""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

import polars as pl

from tracescape_storage.attributes import AttributeValue, decode_attributes

Document: TypeAlias = dict[str, Any]

#: Moments in epoch nanoseconds are beyond 2^53, where a browser's numbers stop being whole: they are text.
MOMENTS: Final = (
    *("start_ns", "end_ns", "time_ns", "since_ns", "until_ns", "first_ns", "last_seen_ns"),
    *("first_start_ns", "last_start_ns"),
)


def rows(frame: pl.DataFrame) -> list[Document]:
    """A row an object; moments are text, and what is no number is null."""
    return frame.with_columns(
        pl.col(name for name in frame.columns if name in MOMENTS).cast(pl.String),
        pl.col(name for name, kind in frame.schema.items() if kind.is_float()).fill_nan(None),
    ).to_dicts()


def moment(ns: int | None) -> str | None:
    """Epoch nanoseconds as text."""
    return None if ns is None else str(ns)


def attributes(values: dict[str, AttributeValue]) -> list[tuple[str, str]]:
    """Keys, sorted, and values as JSON text: numbers of any length stay what they are, and types are seen.

    The text of a plain value is also how a filter writes it.
    """
    return [(key, json.dumps(values[key], ensure_ascii=False, default=str)) for key in sorted(values)]


def attributes_of(text: str | None) -> list[tuple[str, str]]:
    """`attributes` of JSON text as the store has it."""
    return attributes(decode_attributes(text))
