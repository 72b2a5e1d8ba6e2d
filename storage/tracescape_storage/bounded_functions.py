"""SQL functions that make much out of little, with a bound on what they make.

``repeat('x', 2000000000)`` happens inside one call, which neither hears an interruption nor asks for
memory in a way that DuckDB counts. A temporary macro of the same name stands before each such function;
it refuses what would become too large. Functions inside the store's views were bound before and are their
own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import duckdb

#: Of one value: characters, or elements of a list. One call computes 2,048 values.
MAX_CHARACTERS: Final = 65_536
MAX_ITEMS: Final = 20_000


def _at_most(most: int, size: str, argument: str) -> str:
    """``argument`` where ``size`` is at most ``most``, else an error; for constants it is folded away."""
    message = f"a value beyond {most} characters or elements is not made here; ask for less"
    return f"CASE WHEN {size} > {most} THEN error('{message}') ELSE {argument} END"


def _characters(size: str, argument: str) -> str:
    return _at_most(MAX_CHARACTERS, size, argument)


def _items(size: str, argument: str) -> str:
    return _at_most(MAX_ITEMS, size, argument)


def _padding(name: str) -> str:
    return f"(s, n, p) AS system.main.{name}(s, {_characters('n', 'n')}, p)"


def _series(name: str) -> str:
    steps = "abs(b::DOUBLE - a) / abs(nullif(c, 0))"
    spans = "abs(epoch(b) - epoch(a)) / abs(nullif(epoch(c), 0))"
    return ", ".join(
        (
            f"(a BIGINT) AS system.main.{name}({_items('a', 'a')})",
            f"(a BIGINT, b BIGINT) AS system.main.{name}(a, {_items('b::DOUBLE - a', 'b')})",
            f"(a BIGINT, b BIGINT, c BIGINT) AS system.main.{name}(a, {_items(steps, 'b')}, c)",
            f"(a TIMESTAMP, b TIMESTAMP, c INTERVAL) AS system.main.{name}(a, {_items(spans, 'b')}, c)",
            f"(a TIMESTAMPTZ, b TIMESTAMPTZ, c INTERVAL) AS system.main.{name}(a, {_items(spans, 'b')}, c)",
        )
    )


def _resizing(name: str) -> str:
    n = _items("n", "n")
    return f"(l, n) AS system.main.{name}(l, {n}), (l, n, v) AS system.main.{name}(l, {n}, v)"


_LONGER: Final = "len(s)::DOUBLE * greatest(len(r), 1)"
_REPLACED: Final = _characters(f"CASE WHEN len(r) < 2 THEN 0 ELSE {_LONGER} END", "r")

#: A macro's parameters and body by the name of the function that it stands before.
BOUNDED: Final[dict[str, str]] = {
    "repeat": "(s, n) AS system.main.repeat(s, "
    + _characters("len(s)::DOUBLE * n", "n")
    + "), (s BLOB, n BIGINT) AS system.main.repeat(s, "
    + _characters("octet_length(s)::DOUBLE * n", "n")
    + ")",
    "lpad": _padding("lpad"),
    "rpad": _padding("rpad"),
    "range": _series("range"),
    "generate_series": _series("generate_series"),
    "list_resize": _resizing("list_resize"),
    "array_resize": _resizing("array_resize"),
    "bar": "(x, a, b) AS system.main.bar(x, a, b), (x, a, b, w) AS system.main.bar(x, a, b, "
    + _characters("w", "w")
    + ")",
    "replace": f"(s, f, r) AS system.main.replace(s, f, {_REPLACED})",
    "regexp_replace": f"(s, f, r) AS system.main.regexp_replace(s, f, {_REPLACED}), "
    f"(s, f, r, o) AS system.main.regexp_replace(s, f, {_REPLACED}, o)",
}


def bound(cursor: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Put the macros of ``names`` before the functions, for this cursor alone."""
    for name in sorted(names):
        cursor.execute(f"CREATE TEMP MACRO {name}{BOUNDED[name]}")
