"""Which attributes a store knows, for those who mistyped one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tracescape_storage.filters import Field
from tracescape_storage.reader import Reader

_NAMES: Final = 10_000
_SAMPLED_ROWS: Final = 100_000


def has_key(reader: Reader, field: Field, columns: Mapping[str, str]) -> bool:
    """Whether any span has a value of this attribute; ``columns`` are the reader's."""
    there = reader.condition(field.exists())
    return bool(reader.sql(f"SELECT 1 AS one FROM spans WHERE {there} LIMIT 1").num_rows)


def known_keys(reader: Reader, owner: str, columns: Mapping[str, str]) -> set[str]:
    """Keys of attributes that ``owner`` may have: those with columns, those of all resources or scopes, and
    those of the last spans or events."""
    if (ask := getattr(reader, "attribute_keys", None)) is not None:
        own: set[str] = ask(owner)
        return own
    recent = f"(SELECT attributes FROM {{}} WHERE rowid > (SELECT max(rowid) FROM {{}}) - {_SAMPLED_ROWS})"
    sources = {
        "any": [recent.format("spans", "spans"), "resources"],
        "span": [recent.format("spans", "spans")],
        "event": [recent.format("events", "events")],
        "resource": ["resources"],
        "scope": ["scopes"],
    }
    keys = set(columns) if owner in ("any", "span") else set()
    for source in sources[owner]:
        found = reader.sql(
            f"SELECT DISTINCT unnest(json_keys(attributes)) AS name FROM {source}"
            f" WHERE attributes <> '{{}}' LIMIT {_NAMES}"
        )
        keys |= {name.replace("$$", "$", 1) for name in found["name"].to_pylist()}
    return keys
