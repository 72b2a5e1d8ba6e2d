"""The SQL behind the reader's methods: the same text for an open file and for a collector."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from tracescape_storage.ddl import TRACE_ARRIVALS
from tracescape_storage.reader import Extent
from tracescape_storage.sampling import SAID
from tracescape_storage.schema import (
    ARRIVED,
    DICTIONARY_COLUMNS,
    PROMOTED,
    SPANS,
    SPANS_FULL,
    TRACE_KEY,
)
from tracescape_storage.trace_keys import trace_key

#: Of the texts that a query may carry: less than half of what a query may have.
_MAX_NAMES_BYTES: Final = 100 << 10
_CODED: Final = pa.dictionary(pa.int32(), pa.string())

EXTENT_SQL: Final = "SELECT count(*) AS n, min(start_ns) AS first, max(start_ns) AS last FROM spans"

#: What decides about the nodes and edges that a span is part of, besides ids and times.
SHAPE_COLUMNS: Final = (
    "service",
    "operation",
    "kind",
    "status",
    *(name for name in PROMOTED if name not in ("http_status", "adjusted_count")),
)
#: Beside them: what the span says about sampling, null for nothing; see `sampling.SAID`.
SAMPLING: Final = "sampling"
SHAPED_IDS: Final = ("trace_id", "span_id", "parent_span_id", "start_ns", "duration_ns")
#: Of most of them, only what decides: whom a call goes to matters where one is made, a method's name never.
_CLIENT, _CALLING, _ASKING = "kind = 3", "kind IN (3, 4, 5)", "kind IN (1, 3)"
_MODELS: Final = ("gen_ai_operation", "gen_ai_provider", "gen_ai_model", "gen_ai_agent", "gen_ai_tool")
DECIDING: Final = {
    "status": "CASE WHEN status = 2 THEN status ELSE 0 END",
    "http_method": "CASE WHEN http_method IS NOT NULL THEN '' END",
    **{
        name: f"CASE WHEN {_CLIENT} THEN {name} END"
        for name in ("peer_service", "server_address", "server_port", "db_namespace", "url_host")
    },
    **{name: f"CASE WHEN {_ASKING} THEN {name} END" for name in _MODELS},
    **{
        name: f"CASE WHEN {_CLIENT} THEN {name} WHEN {name} IS NOT NULL THEN '' END"
        for name in ("db_system", "rpc_service")
    },
    **{
        name: f"CASE WHEN {_CALLING} THEN {name} WHEN {name} IS NOT NULL THEN '' END"
        for name in ("messaging_system", "messaging_destination")
    },
}
_QUEUE: Final = ("messaging_system", "messaging_destination")
#: Whom spans that call name. A port says something of an address only.
_FAR: Final = (
    *("peer_service", "server_address", "server_port", "db_namespace", "db_system", "rpc_service"),
    *("url_host", *_QUEUE),
)
_KNOWN: Final = ("db_system", "rpc_service", *_QUEUE, "http_method")


def _shape(columns: Collection[str], sampled: bool) -> str:
    """Tells apart at least what decides, in few expressions: one for each column takes four times as long.

    ``columns`` are the attributes that the store has columns for: all others are null.
    """

    def there(names: Iterable[str]) -> list[str]:
        keys = {name: PROMOTED["server_address" if name == "server_port" else name] for name in names}
        return [name for name, of in keys.items() if any(key in columns for key in of)]

    telling = ["service", "operation", "kind", "status = 2", *(f"{name} IS NULL" for name in there(_KNOWN))]
    for who, names in ((_CALLING, there(_FAR)), (_ASKING, there(_MODELS))):
        if names:
            telling.append(f"CASE WHEN {who} THEN hash({', '.join(names)}) END")
    return f"hash({', '.join([*telling, *([SAID] if sampled else [])])})"


class SpansQuery(NamedTuple):
    """Which columns of which spans."""

    columns: Sequence[str]
    table: str
    where: str

    @property
    def coded(self) -> list[str]:
        """Those of the columns that come dictionary-coded."""
        return [name for name in self.columns if name in DICTIONARY_COLUMNS]

    def sql(self) -> str:
        """``SELECT`` of the columns as they are."""
        return self._select(f'"{name}"' for name in self.columns)

    def names_sql(self) -> str:
        """``SELECT`` of one row: the different texts of each coded column, and when the last row arrived."""
        lists = [f'list(DISTINCT "{name}") FILTER ("{name}" IS NOT NULL) AS "{name}"' for name in self.coded]
        return self._select([*lists, f"max({ARRIVED}) AS {ARRIVED}"])

    def coded_sql(self, names: Mapping[str, Sequence[str]], arrived_ns: int) -> str | None:
        """``SELECT`` of the columns with texts as numbers, of what had arrived by then.

        DuckDB codes texts much faster than they can be handed over. None where there are too many.
        """
        kinds = {name: f"ENUM({', '.join(map(quote, names[name]))})" for name in self.coded if names[name]}
        text = "".join(kinds.values())
        if len(text.encode("utf-8", "surrogatepass")) > _MAX_NAMES_BYTES or "\0" in text:
            return None
        chosen = (
            f'"{each}"::{kinds[each]} AS "{each}"' if each in kinds else f'"{each}"' for each in self.columns
        )
        arrived = f"{ARRIVED} <= {arrived_ns}"
        return self._select(chosen) + (f" AND {arrived}" if self.where else f" WHERE {arrived}")

    def _select(self, chosen: Iterable[str]) -> str:
        return f"SELECT {', '.join(chosen)} FROM {self.table}{self.where}"


def spans_query(
    columns: Sequence[str],
    *,
    since_ns: int | None,
    until_ns: int | None,
    trace_ids: Sequence[bytes] | None,
    service: str | None,
    indexed: bool = False,
) -> SpansQuery:
    """Span columns under conditions. An unknown column raises ``ValueError``."""
    unknown = [name for name in columns if name not in SPANS_FULL.names]
    if unknown or not columns:
        raise ValueError(
            f"no such span column: {', '.join(unknown)}; there are {', '.join(SPANS_FULL.names)}"
        )
    conditions = _window(since_ns, until_ns)
    if trace_ids is not None:
        conditions.append(traces_condition(trace_ids, indexed=indexed))
    if service is not None:
        conditions.append("service = " + quote(service))
    table = "spans" if set(columns) <= set(SPANS.names) - {"attributes"} else "spans_full"
    return SpansQuery(columns, table, _where(conditions))


def shaped_sql(
    *,
    since_ns: int | None,
    until_ns: int | None,
    where: str = "",
    columns: Collection[str] = (),
    sampled: bool = False,
) -> str:
    """``SELECT`` of spans as `SHAPED_IDS` and a ``shape``.

    Spans of one shape are alike in what `SHAPE_COLUMNS` decide: there are few shapes and many spans, so names
    and attributes are read once a shape. The shape is DuckDB's 64-bit hash of that; two of a million share
    one with a probability of 3e-8. ``where`` is a further condition; ``columns`` are the attributes that the
    store has columns for. In a store that is ``sampled`` they are alike in how many spans they stand for.
    """
    condition = _shaped_where(since_ns, until_ns, where)
    return f"SELECT {', '.join(SHAPED_IDS)}, {_shape(columns, sampled)} AS shape FROM spans_full{condition}"


def shapes_sql(
    *,
    since_ns: int | None,
    until_ns: int | None,
    where: str = "",
    columns: Collection[str] = (),
    sampled: bool = False,
) -> str:
    """``SELECT`` of the ``shape``, `SHAPE_COLUMNS` and `SAMPLING` of each shape that such spans have."""
    condition = _shaped_where(since_ns, until_ns, where)
    names = ", ".join(f"any_value({name}) AS {name}" for name in SHAPE_COLUMNS)
    said = f"any_value({SAID})" if sampled else "NULL::VARCHAR"
    groups = (
        f"SELECT {_shape(columns, sampled)} AS shape, {names}, {said} AS {SAMPLING}"
        f" FROM spans_full{condition} GROUP BY shape"
    )
    decide = ", ".join(f"{DECIDING.get(name, name)} AS {name}" for name in SHAPE_COLUMNS)
    return f"SELECT shape, {decide}, {SAMPLING} FROM ({groups})"


def some_spans(starts: Sequence[int], span_ids: Sequence[int]) -> str:
    """The condition of being one of a few spans, and perhaps others; stretches of time are passed over."""
    return f"start_ns IN ({', '.join(map(str, starts))}) AND span_id IN ({', '.join(map(str, span_ids))})"


def spans_between(first_ns: int, last_ns: int, span_ids: Sequence[int]) -> str:
    """The condition of being one of some spans that start from one moment to another, and perhaps others."""
    return (
        f"start_ns >= {first_ns} AND start_ns <= {last_ns} AND span_id IN ({', '.join(map(str, span_ids))})"
    )


def alive(since_ns: int | None, until_ns: int | None) -> str:
    """The condition that a span is of a trace that has a span in a window.

    Traces are told by `schema.TRACE_KEY`, so a few others may be among them. ``DISTINCT`` keeps the keys few:
    a join with all of them is ten times slower where memory is scarce.
    """
    return f"{TRACE_KEY} IN (SELECT DISTINCT {TRACE_KEY} FROM spans{_where(_window(since_ns, until_ns))})"


def _shaped_where(since_ns: int | None, until_ns: int | None, where: str) -> str:
    return _where([*_window(since_ns, until_ns), *([where] if where else [])])


def links_sql(*, since_ns: int | None, until_ns: int | None) -> str:
    """``SELECT`` of the four ids of each link in a window."""
    conditions = _window(since_ns, until_ns)
    return f"SELECT trace_id, span_id, linked_trace_id, linked_span_id FROM links{_where(conditions)}"


def arrived_links_sql(since_ns: int, until_ns: int, where: str) -> str:
    """As `links_sql`, under a further condition, with the ``start_ns`` of the linking span."""
    conditions = [*_window(since_ns, until_ns), where]
    return "SELECT trace_id, span_id, linked_trace_id, linked_span_id, start_ns FROM links" + _where(
        conditions
    )


def extent_of(table: pa.Table) -> Extent:
    """The one row of `EXTENT_SQL` as an `Extent`."""
    (row,) = table.to_pylist()
    return Extent(row["n"], row["first"] or 0, row["last"] or 0)


def dictionary_coded(table: pa.Table) -> pa.Table:
    """``table`` with its `DICTIONARY_COLUMNS` coded as int32 indices into one dictionary each."""
    for index, name in enumerate(table.column_names):
        if name in DICTIONARY_COLUMNS and not pa.types.is_dictionary(table.schema.field(index).type):
            table = table.set_column(index, name, table.column(index).dictionary_encode())
        if name in DICTIONARY_COLUMNS:
            coded = table.column(index).cast(_CODED).unify_dictionaries()
            table = table.set_column(index, name, coded)
    return table


def trace_condition(trace_id: bytes) -> str:
    """The rows of one trace, in any table that has traces."""
    return traces_condition([trace_id])


def traces_condition(trace_ids: Sequence[bytes], *, indexed: bool = False) -> str:
    """The rows of these traces, in any table that has traces.

    Of a store that is ``indexed``, and for spans alone: only the commits that have any are looked at.
    """
    if not trace_ids:
        return "false"
    keys = ", ".join(str(key) for key in sorted({trace_key(each) for each in trace_ids}))
    ids = ", ".join(f"from_hex('{each.hex()}')" for each in trace_ids)
    condition = f"{TRACE_KEY} IN ({keys}) AND trace_id IN ({ids})"
    if not indexed:
        return condition
    return (
        f"{condition} AND {ARRIVED} IN (SELECT {ARRIVED} FROM {TRACE_ARRIVALS} WHERE {TRACE_KEY} IN ({keys}))"
    )


def quote(text: str) -> str:
    """``text`` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _window(since_ns: int | None, until_ns: int | None) -> list[str]:
    conditions = []
    if since_ns is not None:
        conditions.append(f"start_ns >= {int(since_ns)}")
    if until_ns is not None:
        conditions.append(f"start_ns < {int(until_ns)}")
    return conditions


def _where(conditions: Sequence[str]) -> str:
    return " WHERE " + " AND ".join(conditions) if conditions else ""
