"""The `Reader` protocol over tables that the OpenTelemetry Collector's ClickHouse exporter writes."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa

from tracescape_storage.attribute_columns import ATTRIBUTE_COLUMNS_SQL, WELL_KNOWN
from tracescape_storage.clickhouse import conditions, shapes
from tracescape_storage.clickhouse.address import Address, parse_address
from tracescape_storage.clickhouse.columns import Source, attribute_named, promoted_columns, sources_of
from tracescape_storage.clickhouse.connection import Connection, Limits, TooManyRowsError
from tracescape_storage.clickhouse.layout import layout_of
from tracescape_storage.clickhouse.literals import Bound, instant, literal
from tracescape_storage.clickhouse.pushdown import NAMED, Plan, Pull, condition_of, parsed, planned
from tracescape_storage.clickhouse.search import Searcher, binary_ids
from tracescape_storage.clickhouse.statements import checked_foreign, is_select
from tracescape_storage.clickhouse.whole import ATTRIBUTES, with_texts
from tracescape_storage.clickhouse.windows import since_of_last
from tracescape_storage.clickhouse.working_set import WorkingSet, answered, streamed
from tracescape_storage.errors import QueryError
from tracescape_storage.filters import Filter
from tracescape_storage.known_shapes import KnownShapes
from tracescape_storage.namespaces import ENVIRONMENTS_SQL, NAMESPACES_SQL, SHARED_SQL
from tracescape_storage.reader import Extent
from tracescape_storage.rollups import LAST_ARRIVAL_SQL
from tracescape_storage.schema import ANALYSIS_COLUMNS, CONTENT_KEYS, SPANS_FULL, TABLES
from tracescape_storage.search import Page, Question, summaries_sql
from tracescape_storage.select import EXTENT_SQL, dictionary_coded
from tracescape_storage.sql_reader import SqlReader

#: Resources, scopes and the extent change slowly, and to tell them takes a look at everything.
_KEPT_S: Final = 30.0
_EXTENT_S: Final = 5.0
_CONDITIONS: Final = 10_000
#: Whoever mistyped an attribute is told what so many of the last spans have.
_SAMPLED: Final = 100_000
_MOST_KEYS: Final = 10_000
_SECOND: Final = 1_000_000_000
_MINUTE_NS: Final = 60 * _SECOND
_HOUR_NS: Final = 3_600 * _SECOND
_DAY_NS: Final = 24 * _HOUR_NS
#: What lists names for people, or decides how to call something.
_LISTINGS: Final = frozenset({ENVIRONMENTS_SQL, SHARED_SQL, NAMESPACES_SQL})


class ClickHouseReader(SqlReader):
    """Questions about spans and log records in ClickHouse; nothing is ever written.

    ``sql`` takes the same ``SELECT`` over ``spans``, ``spans_v``, … as every store: what it needs of the rows
    is read from the server, DuckDB answers. A ``SELECT`` over other tables, such as ``otel_traces``, is
    ClickHouse's own and goes there as it is.

    Args:
        address: ``clickhouse://…``, ``clickhouses://…`` (TLS) or ``clickhouse+chdb:///FOLDER``.
        limits: what one question may take of the server.

    Raises:
        StoreError: it is no address, nothing answers, the password is wrong, or the tables are others.
    """

    live = True
    #: When a row arrived is not kept, so nobody can be told what is new.
    tells_arrivals = False
    #: Environments and namespaces that it lists are those of the last day.
    lists_recent = True
    indexed = False

    def __init__(self, address: str | Address, limits: Limits | None = None) -> None:
        where = address if isinstance(address, Address) else parse_address(address)
        self.location = where.location
        self._connection = Connection(where, limits)
        try:
            self._layout = layout_of(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._sources = sources_of(self._layout)
        self._parser = duckdb.connect(":memory:")
        self._lock = threading.Lock()
        self._holding = threading.local()
        self._conditions: OrderedDict[str, Filter] = OrderedDict()
        self._kept: dict[str, tuple[float, pa.Table]] = {}
        self._shapes = KnownShapes()
        self._aggregates = frozenset(
            str(row[0])
            for row in self._parser.execute(
                "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'"
            ).fetchall()
        )

    # What every store answers

    def sql(self, query: str) -> pa.Table:
        """See `Reader.sql`, and above."""
        known = self._known_answer(query)
        if known is not None:
            return known
        plan = self._plan(query)
        if plan is None:
            return _plain(self._connection.table(checked_foreign(query)))
        held: WorkingSet | None = getattr(self._holding, "rows", None)
        answer = answered if held is None else held.answered
        return answer(plan, query, lambda table, pull: self._pulled(plan, table, pull))

    @contextmanager
    def holding(self) -> Iterator[None]:
        """See `Reader.holding`."""
        if getattr(self._holding, "rows", None) is not None:
            yield
            return
        with closing(WorkingSet()) as self._holding.rows:
            try:
                yield
            finally:
                self._holding.rows = None

    def stream(self, query: str) -> pa.RecordBatchReader:
        """See `Reader.stream`."""
        plan = self._plan(query)
        if plan is None:
            return _plain(self._connection.table(checked_foreign(query))).to_reader()
        return streamed(plan, query, lambda table, pull: self._pulled(plan, table, pull))

    def extent(self) -> Extent:
        """See `Reader.extent`."""
        (row,) = self._kept_table(self._extent_sql, _EXTENT_S).to_pylist()
        return Extent(row["n"], row["first"], row["last"]) if row["n"] else Extent(0, 0, 0)

    @property
    def _extent_sql(self) -> str:
        # The server knows all three of each part of a table that is partitioned by time: no row is read.
        return (
            "SELECT count() AS n, toUnixTimestamp64Nano(min(Timestamp)) AS first,"
            f" toUnixTimestamp64Nano(max(Timestamp)) AS last FROM {self._layout.traces}"
        )

    def spans(
        self,
        columns: Sequence[str],
        *,
        since_ns: int | None = None,
        until_ns: int | None = None,
        trace_ids: Sequence[bytes] | None = None,
        service: str | None = None,
    ) -> pa.Table:
        """See `Reader.spans`."""
        if "attributes" in columns or not columns or set(columns) - set(SPANS_FULL.names):
            return super().spans(
                columns, since_ns=since_ns, until_ns=until_ns, trace_ids=trace_ids, service=service
            )
        bound = Bound()
        where = self._window(since_ns, until_ns)
        if trace_ids is not None:
            where.append(self._of_traces(tuple(each.hex() for each in trace_ids)))
        if service is not None:
            from tracescape_storage.filters import field

            where.append(conditions.condition_sql(field("service") == service, self._layout, bound))
        known = {**self._sources["spans"].columns, **promoted_columns(), **_CODED}
        listed = ", ".join(f"{known[name]} AS `{name}`" for name in columns)
        found = self._ask(f"SELECT {listed} FROM {self._layout.traces}{_where(where)}", bound, coded=True)
        types = {name: SPANS_FULL.field(name).type for name in columns}
        return dictionary_coded(_typed(binary_ids(found), types))

    def of_traces(self, trace_ids: Sequence[bytes]) -> str:
        """See `Reader.of_traces`."""
        ids = ", ".join(f"from_hex('{each.hex()}')" for each in trace_ids)
        return f"trace_id IN ({ids})" if trace_ids else "false"

    def condition(self, where: Filter) -> str:
        """See `Reader.condition`: a name for it, which stands for the server's own words."""
        name = NAMED + hashlib.blake2b(str(where).encode(), digest_size=12).hexdigest()
        with self._lock:
            self._conditions[name] = where
            self._conditions.move_to_end(name)
            if len(self._conditions) > _CONDITIONS:
                self._conditions.popitem(last=False)
        return f'"{name}"'

    def attribute_columns(self) -> dict[str, str]:
        """See `Reader.attribute_columns`: those that conventions name."""
        return dict(WELL_KNOWN)

    def links(self, *, since_ns: int | None = None, until_ns: int | None = None) -> pa.Table:
        """See `Reader.links`."""
        source = self._sources["links"]
        names = ("trace_id", "span_id", "linked_trace_id", "linked_span_id")
        listed = ", ".join(f"{source.columns[name]} AS `{name}`" for name in names)
        where = ["notEmpty(`Links.TraceId`)", *self._window(since_ns, until_ns)]
        found = self._ask_of_window(f"SELECT {listed} FROM {source.origin}{_where(where)}", Bound())
        return _typed(binary_ids(found), {name: TABLES["links"].field(name).type for name in names})

    def shaped_spans(
        self, *, since_ns: int | None = None, until_ns: int | None = None, where: str = ""
    ) -> tuple[pa.Table, pa.Table]:
        """See `SqlReader.shaped_spans`."""
        from tracescape_native.tally import distinct  # brings along Numba

        columns, origin = self._sources["spans"].columns, self._layout.traces
        bound = Bound()
        within = self._window(since_ns, until_ns)
        if where:
            within.append(self._exact(where, bound))
        found = self._ask_of_window(shapes.shaped_sql(columns, origin, " AND ".join(within)), bound)
        numbers, first = distinct(found["shape"].to_numpy().view(np.int64))
        met = found.select(["shape", "start_ns", "span_id"]).take(pa.array(first))

        def read(condition: str) -> pa.Table:
            both = Bound()
            parts = [*self._window(since_ns, until_ns), self._exact(condition, both)]
            return self._ask(shapes.shapes_sql(columns, origin, " AND ".join(parts)), both)

        at = found.schema.get_field_index("shape")
        spans = binary_ids(found).set_column(at, "shape", pa.array(numbers))
        return spans, self._shapes.of(met, read, gathers=True)

    def minute_spans(self, since_ns: int, until_ns: int | None) -> dict[int, int]:
        """How many spans start in each minute since the epoch of a window; those without any are left out.

        The server reads one column for that. Rows are only ever added, so a minute of which this is as it was
        has the same spans.
        """
        found = self._ask(
            f"SELECT intDiv(toUnixTimestamp64Nano(Timestamp), {_MINUTE_NS}) AS minute, count() AS spans"
            f" FROM {self._layout.traces}{_where(self._window(since_ns, until_ns))} GROUP BY minute",
            Bound(),
        )
        return dict(zip(found["minute"].to_pylist(), found["spans"].to_pylist(), strict=True))

    def positions(self) -> dict[str, tuple[float, ...]]:
        """See `Reader.positions`: none are kept in tables that belong to others."""
        return {}

    def keep_positions(self, stands: Mapping[str, Sequence[float]], *, anew: bool = False) -> bool:
        """See `Reader.keep_positions`."""
        return False

    def close(self) -> None:
        """See `Reader.close`."""
        self._connection.close()
        self._parser.close()

    # What it answers better than SQL can be asked

    def search_spans(self, question: Question) -> Page:
        """See `search.search_spans`."""
        return self._searcher().find_spans(question)

    def search_traces(self, question: Question) -> Page:
        """See `search.search_traces`."""
        ids, after = self._searcher().find_traces(question)
        return Page(self.sql(summaries_sql(self, ids)), after)

    def trace_spans(self, trace_id: bytes) -> pa.Table:
        """See `one_trace.trace_spans`: in one question, without the detour over SQL."""
        names = (*ANALYSIS_COLUMNS, "status_message", "scope_id")
        columns = {**{name: self._sources["spans"].columns[name] for name in names}, "attributes": ATTRIBUTES}
        listed = ", ".join(f"{sql} AS `{name}`" for name, sql in columns.items())
        where = self._of_traces((trace_id.hex(),))
        found = with_texts(
            binary_ids(self._ask(f"SELECT {listed} FROM {self._layout.traces} WHERE {where}", Bound()))
        )
        return _typed(found, {name: SPANS_FULL.field(name).type for name in found.column_names})

    def attribute_keys(self, owner: str) -> set[str]:
        """See `attribute_keys.known_keys`."""
        maps = {
            "span": ["SpanAttributes"],
            "any": ["SpanAttributes", "ResourceAttributes"],
            "resource": ["ResourceAttributes"],
            "event": ["arrayJoin(`Events.Attributes`)"],
        }
        begin = instant(since_of_last(self.extent(), _SAMPLED))
        recent = f"(SELECT * FROM {self._layout.traces} WHERE Timestamp >= {begin} LIMIT {_SAMPLED})"
        found: set[str] = set()
        for each in maps.get(owner, []):
            table = self._ask(
                f"SELECT DISTINCT toString(arrayJoin(mapKeys({each}))) AS name FROM {recent}"
                f" LIMIT {_MOST_KEYS}",
                Bound(),
            )
            found.update(table["name"].to_pylist())
        return found

    # How

    def _searcher(self) -> Searcher:
        return Searcher(
            self._ask,
            lambda where, bound: conditions.condition_sql(where, self._layout, bound),
            self._sources["spans"],
            self.extent,
        )

    def _plan(self, query: str) -> Plan | None:
        """What the question needs; None for one that is ClickHouse's own."""
        with self._lock:
            tree = parsed(self._parser, query)
        if tree is None:
            if is_select(self._parser, query):
                return None
            return Plan({}, frozenset(), Bound(), frozenset())  # DuckDB says what is wrong with it
        plan = planned(tree, self._sources, self._condition, self._aggregates, self._of_traces)
        own = sorted(name for name in plan.foreign if name.startswith("tracescape_"))
        if own:
            raise QueryError(f"There is no table {own[0]}: {self.location} is no store of Tracescape's own.")
        return None if plan.foreign else plan

    def _condition(self, name: str, bound: Bound) -> str | None:
        with self._lock:
            where = self._conditions.get(name)
        return None if where is None else conditions.condition_sql(where, self._layout, bound)

    def _exact(self, condition: str, bound: Bound) -> str:
        """A condition of `select` in the server's words."""
        with self._lock:
            tree = parsed(self._parser, f"SELECT 1 FROM spans_full WHERE {condition}")
        sql = (
            None
            if tree is None
            else condition_of(tree, self._sources, self._condition, self._of_traces, bound)
        )
        if sql is None:
            raise QueryError("This cannot be asked of ClickHouse. Ask without the environment or the filter.")
        return sql

    def _pulled(self, plan: Plan, table: str, pull: Pull) -> Iterator[pa.RecordBatch]:
        source = self._sources.get(table)
        if source is None:
            return
        if pull.of_spans:  # to look at all that there is for those of one trace would take for ever
            some = f"(SELECT * FROM {self._layout.traces} WHERE {pull.of_spans})"
            source = sources_of(self._layout._replace(traces=some, logs=""))[table]
        sql = self._pull_sql(source, pull, plan.bound)
        if table in CONTENT_KEYS and not pull.where and not pull.of_spans:
            yield from self._kept_table(sql, _KEPT_S).to_batches()
            return
        try:
            with self._connection.batches(sql, plan.bound.values) as (_, batches):
                yield from batches
        except TooManyRowsError:
            raise QueryError(
                f"The question takes more than {self._connection.limits.rows:,} rows of {table}, which travel"
                " before they are counted. Narrow it by start_ns, or ask in ClickHouse's own SQL, which the"
                f" server answers whole: SELECT … FROM {self._own_table(table)}."
            ) from None

    def _own_table(self, table: str) -> str:
        whole = self._layout.logs if table == "logs" else self._layout.traces
        return whole.rpartition(".")[2].strip("`")

    def _pull_sql(self, source: Source, pull: Pull, bound: Bound) -> str:
        def expression(name: str) -> str:
            if name.startswith(NAMED):
                return f"toBool({self._condition(name, bound) or 'false'})"
            return source.columns.get(name) or attribute_named(name, bound)

        # A row without any column is a row all the same.
        listed = ", ".join(f"{expression(name)} AS `{name}`" for name in pull.columns)
        listed = listed or f"{source.columns[next(iter(source.columns))]} AS `{next(iter(source.columns))}`"
        distinct = "DISTINCT " if pull.distinct or source.grouped else ""
        order = f" ORDER BY {pull.order}" if pull.order else ""
        limit = f" LIMIT {pull.limit}" if pull.limit is not None else ""
        where = f" WHERE {pull.where}" if pull.where else ""
        return f"SELECT {distinct}{listed} FROM {source.origin}{where}{order}{limit}"

    def _of_traces(self, ids: tuple[str, ...]) -> str:
        """The condition of being of these traces; where a table tells when those were, of that time."""
        if not ids:
            return "false"
        listed = ", ".join(literal(each) for each in ids)
        of_traces = f"TraceId IN ({listed})"
        if not self._layout.lookup:
            return of_traces
        found = self._kept_table(
            "SELECT uniqExact(TraceId) AS n, toUnixTimestamp64Nano(toDateTime64(min(Start), 9)) AS first,"
            f" toUnixTimestamp64Nano(toDateTime64(max(End), 9)) AS last FROM {self._layout.lookup}"
            f" WHERE {of_traces}",
            _EXTENT_S,
        )
        (row,) = found.to_pylist()
        if row["n"] < len(set(ids)):  # it may be younger than the spans, or forget earlier
            return of_traces
        # Its times are whole seconds.
        first, last = instant(row["first"]), instant(row["last"] + _SECOND)
        return f"({of_traces} AND Timestamp >= {first} AND Timestamp <= {last})"

    def _known_answer(self, query: str) -> pa.Table | None:
        if query == EXTENT_SQL:
            extent = self.extent()
            held = [each if extent.spans else None for each in extent[1:]]
            return pa.table({"n": [extent.spans], "first": [held[0]], "last": [held[1]]})
        if query == LAST_ARRIVAL_SQL:
            return pa.table({"arrived_ns": pa.array([0], pa.int64())})
        if query == ATTRIBUTE_COLUMNS_SQL:
            return pa.table({"key": list(WELL_KNOWN), "type": list(WELL_KNOWN.values())})
        return self._of_recent_resources(query) if query in _LISTINGS else None

    def _of_recent_resources(self, query: str) -> pa.Table:
        """Of the resources that were there on the last day: to look at all takes a look at every row."""
        plan = self._plan(query)
        assert plan is not None
        begin = (self.extent().last_start_ns - _DAY_NS) // _HOUR_NS * _HOUR_NS  # kept for a while: see below

        def recent(table: str) -> str:
            return f"(SELECT * FROM {table} WHERE Timestamp >= {instant(begin)})" if table else ""

        layout = self._layout
        some = layout._replace(traces=recent(layout.traces), logs=recent(layout.logs))
        source = sources_of(some)["resources"]
        return answered(
            plan,
            query,
            lambda _, pull: self._kept_table(self._pull_sql(source, pull, plan.bound), _KEPT_S).to_batches(),
        )

    def _kept_table(self, sql: str, seconds: float) -> pa.Table:
        with self._lock:
            kept = self._kept.get(sql)
        now = time.monotonic()
        if kept is not None and now - kept[0] < seconds:
            return kept[1]
        found = self._connection.table(sql)
        with self._lock:
            self._kept = {text: each for text, each in self._kept.items() if now - each[0] < _KEPT_S}
            self._kept[sql] = now, found
        return found

    def _ask(self, sql: str, bound: Bound, *, coded: bool = False) -> pa.Table:
        found = self._connection.table(sql, bound.values)
        return found if coded else _plain(found)

    def _ask_of_window(self, sql: str, bound: Bound) -> pa.Table:
        try:
            return self._ask(sql, bound)
        except TooManyRowsError:
            raise QueryError(
                f"The window has more than {self._connection.limits.rows:,} spans or links. Ask about a"
                " shorter one: since= and until=."
            ) from None

    def _window(self, since_ns: int | None, until_ns: int | None) -> list[str]:
        found = [] if since_ns is None else [f"Timestamp >= {instant(since_ns)}"]
        return found if until_ns is None else [*found, f"Timestamp < {instant(until_ns)}"]


#: Coded by the server: it does so faster than texts can be handed over.
_CODED: Final = {
    "service": "toLowCardinality(if(ServiceName = '', 'unknown_service', ServiceName))",
    "operation": "toLowCardinality(SpanName)",
}


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _typed(table: pa.Table, types: Mapping[str, pa.DataType]) -> pa.Table:
    for at, name in enumerate(table.column_names):
        held = table.column(at)
        if not pa.types.is_dictionary(held.type) and held.type != types[name]:
            table = table.set_column(at, name, held.cast(types[name]))
    return table


def _plain(table: pa.Table) -> pa.Table:
    """``table`` without dictionaries: parts of an answer have different ones."""
    for at, name in enumerate(table.column_names):
        kind: Any = table.schema.field(at).type
        if pa.types.is_dictionary(kind):
            table = table.set_column(at, name, table.column(at).cast(kind.value_type))
    return table
