"""What a question in SQL needs of which table: the columns it names, and of its conditions those that the
server can answer.

DuckDB's own parser takes the question apart. For each table that it reads, a plan is made: rows that meet the
conditions that were understood, which are all that matter and perhaps others. DuckDB then answers the whole
question over them (see `working_set`), so nothing has to be understood for an answer to be right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import duckdb

from tracescape_storage.attribute_columns import WELL_KNOWN
from tracescape_storage.clickhouse.columns import KIND_WORDS, STATUS_WORDS, Source
from tracescape_storage.clickhouse.literals import Bound, instant, literal, number
from tracescape_storage.schema import CONTENT_KEYS, PROMOTED, TABLES, store_columns
from tracescape_storage.statement import nodes_of

Node = dict[str, Any]

#: Views, and the tables that they are made of.
VIEWS: Final = {
    "spans_full": "spans",
    "spans_v": "spans",
    "logs_v": "logs",
    "metrics_v": "metrics",
    "exemplars_v": "exemplars",
}
#: Columns of views that are named otherwise than what they are made of.
_MADE_OF: Final[dict[str, tuple[str, ...]]] = {
    "end_ns": ("start_ns", "duration_ns"),
    "start_time": ("start_ns",),
    "severity": ("severity_number",),
    "time": ("time_ns",),
    **PROMOTED,
}
_HOST: Final = (*PROMOTED["url_host"], *PROMOTED["peer_service"], *PROMOTED["server_address"])
#: Columns of the views for people that hold what their tables hold.
_ALIKE: Final = frozenset(
    {*WELL_KNOWN, "service", "operation", "status_message", "start_ns", "duration_ns", "time_ns"}
)
#: A condition that a reader has put into the server's words bears a name that begins so.
NAMED: Final = "~"
#: Events are in the rows of their spans, which are in order of when these began. Of a time, those of spans
#: are looked at that began up to a day before, or, where clocks are not right, up to an hour after.
EVENTS_BEGIN_NS: Final = 86_400_000_000_000
EVENTS_EARLY_NS: Final = 3_600_000_000_000
_COMPARISONS: Final = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "!=",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}
_TURNED: Final = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TRUE: Final = "true"
#: What stands in the rows of spans, and the column that tells whose it is: chosen by spans, it is read of
#: their rows. Of two spans that share an id, events that came with one are that one's alone then.
_OF_SPANS: Final = {**CONTENT_KEYS, "events": "span_id", "links": "span_id"}


class Pull(NamedTuple):
    """What to read of one table.

    Attributes:
        columns: of the store's table; of those that it does not have, conditions begin with `NAMED`, others
            are keys of attributes.
        where: a condition in the server's words, ``""`` for every row.
        order, limit: where the question itself takes the first rows of this table and nothing else.
        distinct: whether rows that are alike in ``columns`` may come once.
        of_spans: of what spans have: of such spans alone, ``""`` for all.
    """

    columns: tuple[str, ...]
    where: str
    order: str = ""
    limit: int | None = None
    distinct: bool = False
    of_spans: str = ""


class Plan(NamedTuple):
    """``pulls`` by table, the views that are asked, the values that the pulls bind; whether it is all ours.

    ``foreign`` are names of tables that a store does not have.
    """

    pulls: dict[str, Pull]
    views: frozenset[str]
    bound: Bound
    foreign: frozenset[str]
    trace_ids: tuple[str, ...] = ()


#: The server's words for being of some traces.
OfTraces = Callable[[tuple[str, ...]], str]


class _Condition(NamedTuple):
    """``exact``: true of the same rows; else of these and perhaps others. ``of_spans``: it chooses what spans
    under this condition have, and nothing else.
    """

    sql: str
    exact: bool
    of_spans: str = ""


class _Scope(NamedTuple):
    """A table of which a condition speaks. ``bare``: names without a qualifier are its columns."""

    table: str
    readable: bool
    alias: str
    bare: bool


def parsed(connection: duckdb.DuckDBPyConnection, query: str) -> Node | None:
    """DuckDB's tree of one ``SELECT``; None for anything that is none to it."""
    try:
        (row,) = connection.execute("SELECT json_serialize_sql($1)", [query]).fetchall()
    except duckdb.Error:
        return None
    tree = json.loads(row[0])
    if tree.get("error") or len(tree.get("statements", ())) != 1:
        return None
    statement: Node = tree["statements"][0]
    return statement


def planned(
    tree: Node,
    sources: Mapping[str, Source],
    conditions: Callable[[str, Bound], str | None],
    aggregates: frozenset[str],
    of_traces: OfTraces,
) -> Plan:
    """What the question needs.

    Args:
        tree: what `parsed` gave.
        sources: how the tables are read.
        conditions: the server's words for a condition by its name (see `NAMED`), if there is one.
        aggregates: names of functions that make one row of many.
        of_traces: the server's words for being of some traces, by their hex digits.
    """
    return _Planner(sources, conditions, aggregates, of_traces, Bound()).plan(tree)


def condition_of(
    tree: Node,
    sources: Mapping[str, Source],
    conditions: Callable[[str, Bound], str | None],
    of_traces: OfTraces,
    bound: Bound,
) -> str | None:
    """The ``WHERE`` of a ``SELECT`` over one table in the server's words; None where it is not understood."""
    return _Planner(sources, conditions, frozenset(), of_traces, bound).whole(tree["node"])


class _Planner:
    def __init__(
        self,
        sources: Mapping[str, Source],
        conditions: Callable[[str, Bound], str | None],
        aggregates: frozenset[str],
        of_traces: OfTraces,
        bound: Bound,
    ) -> None:
        self._sources = sources
        self._conditions = conditions
        self._aggregates = aggregates
        self._of_traces = of_traces
        self._bound = bound

    def whole(self, select: Node) -> str | None:
        """See `condition_of`."""
        ((_, scope),) = _scopes(select)
        found = self._condition(select["where_clause"], scope)
        return found.sql if found is not None and found.exact else None

    def plan(self, tree: Node) -> Plan:
        nodes = list(nodes_of(tree))
        inner = {each["key"].lower() for node in nodes for each in node.get("cte_map", {}).get("map", ())}
        asked = [node for node in nodes if node.get("type") == "BASE_TABLE"]
        names = {node["table_name"].lower() for node in asked}
        known = {*TABLES, *VIEWS}
        columns = _named(nodes)
        found: dict[int, _Condition | None] = {}
        selects = [node for node in nodes if node.get("type") == "SELECT_NODE"]
        everything = any(_takes_all(select, inner) for select in selects)
        for select in selects:
            for node, scope in _scopes(select):
                if scope.table in TABLES and node["table_name"].lower() not in inner:
                    found[id(node)] = self._condition(select.get("where_clause"), scope)
        pulls: dict[str, Pull] = {}
        for table in sorted({VIEWS.get(name, name) for name in names & known}):
            reads = [node for node in asked if VIEWS.get(name := node["table_name"].lower(), name) == table]
            conditions = [found.get(id(node)) for node in reads]
            whole = all(each is not None for each in conditions)
            where = _any_of([each.sql for each in conditions if each is not None]) if whole else ""
            wanted = self._columns(table, columns, everything, {node["table_name"].lower() for node in reads})
            pull = Pull(wanted, where)
            if table in _OF_SPANS and all(each is not None and each.of_spans for each in conditions):
                of_spans = _any_of([each.of_spans for each in conditions if each is not None])
                pull = pull._replace(where="", of_spans=of_spans)
            if len(reads) == 1 and len(selects) == 1 and not _joins(nodes):
                pull = self._first_rows(pull, selects[0], reads[0], conditions[0])
            pulls[table] = pull
        foreign = frozenset(name for name in names if name not in known and name not in inner)
        return Plan(pulls, frozenset(names & VIEWS.keys()), self._bound, foreign)

    def _columns(
        self, table: str, named: frozenset[str], everything: bool, views: set[str]
    ) -> tuple[str, ...]:
        there = [*TABLES[table].names, *store_columns(table).names]
        if table == "spans":
            there += list(WELL_KNOWN)
        if everything:
            chosen = set(there)
        else:
            made = {part for name in named for part in _MADE_OF.get(name, ())} if views - {table} else set()
            chosen = {name for name in there if name in named or name in made}
            if "url_host" in named:
                chosen |= set(_HOST) & set(there)
            if table == "spans" and "attributes" in named and views - {table}:
                chosen |= set(WELL_KNOWN)
        further = (
            ()
            if table != "spans"
            else sorted(
                name for name in named if name not in there and (name.startswith(NAMED) or "." in name)
            )
        )
        return (*(name for name in there if name in chosen), *further)

    def _first_rows(self, pull: Pull, select: Node, read: Node, condition: _Condition | None) -> Pull:
        """The pull of a question that takes rows of one table as they are: perhaps only the first of them."""
        functions = {
            str(node.get("function_name", "")).lower() for node in nodes_of(select.get("select_list"))
        } | {
            "count_star"
            for node in nodes_of(select.get("select_list"))
            if node.get("class") in ("WINDOW", "SUBQUERY", "LAMBDA")
        }
        plain = not any(
            (
                functions & (self._aggregates | {"count_star", "unnest"}),
                select.get("group_expressions"),
                select.get("group_sets"),
                select.get("having"),
                select.get("qualify"),
                select.get("sample"),
            )
        )
        if not plain or VIEWS.get(read["table_name"].lower()) is not None:
            return pull
        modifiers = {each["type"]: each for each in select.get("modifiers", ())}
        unordered = set(modifiers) <= {"DISTINCT_MODIFIER", "ORDER_MODIFIER"}
        distinct = modifiers.get("DISTINCT_MODIFIER")
        if distinct is not None:
            whole = not distinct.get("distinct_on_targets") and unordered
            return pull._replace(distinct=whole)
        exact = select.get("where_clause") is None or (condition is not None and condition.exact)
        limit = _integer((modifiers.get("LIMIT_MODIFIER") or {}).get("limit"))
        bounded = (modifiers.get("LIMIT_MODIFIER") or {}).get("limit_type", "ROW_COUNT") == "ROW_COUNT"
        offset = (modifiers.get("LIMIT_MODIFIER") or {}).get("offset")
        if limit is None or not exact or offset or not bounded:
            return pull
        order = self._order(modifiers.get("ORDER_MODIFIER"), read)
        return pull if order is None else pull._replace(order=order, limit=limit)

    def _order(self, modifier: Node | None, read: Node) -> str | None:
        if modifier is None:
            return ""
        table = read["table_name"].lower()
        scope = _Scope(table, False, read.get("alias") or table, True)
        parts = []
        for each in modifier["orders"]:
            name = self._column(each["expression"], scope)
            if name not in ("start_ns", "duration_ns", "trace_id", "span_id", "time_ns"):
                return None
            down = each["type"] == "DESCENDING"
            parts.append(f"{self._sources[table].columns[name]} {'DESC' if down else 'ASC'}")
        return ", ".join(parts)

    # What follows answers None where a condition is not understood.

    def _condition(self, node: Node | None, scope: _Scope) -> _Condition | None:
        if node is None or scope.table not in self._sources:
            return None
        kind, parts = node.get("type"), node.get("children") or []
        if kind == "CONJUNCTION_AND":
            known = [self._condition(part, scope) for part in parts]
            some = [each for each in known if each is not None]
            exact = len(some) == len(known) and all(each.exact for each in some)
            return _Condition(_all_of(some), exact) if some else None
        if kind == "CONJUNCTION_OR":
            known = [self._condition(part, scope) for part in parts]
            if any(each is None for each in known):
                return None
            some = [each for each in known if each is not None]
            return _Condition(_any_of([each.sql for each in some]), all(each.exact for each in some))
        if kind == "OPERATOR_NOT":
            inner = self._condition(parts[0], scope)
            return _Condition(f"NOT ({inner.sql})", True) if inner is not None and inner.exact else None
        if kind == "COLUMN_REF":
            return self._named_condition(node, scope)
        if kind in _COMPARISONS:
            return self._comparison(node["left"], _COMPARISONS[kind], node["right"], scope)
        if kind == "COMPARE_BETWEEN":
            low = self._comparison(node["input"], ">=", node["lower"], scope)
            high = self._comparison(node["input"], "<=", node["upper"], scope)
            return (
                None
                if low is None or high is None
                else _Condition(_all_of([low, high]), low.exact and high.exact)
            )
        if kind == "COMPARE_IN":
            return self._among(parts[0], parts[1:], scope)
        if kind == "SUBQUERY":
            return self._among_rows(node, scope)
        if kind in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
            sql = self._value(parts[0], scope)
            return None if sql is None else _Condition(f"{sql} IS {'NOT ' * ('NOT' in kind)}NULL", True)
        if node.get("class") == "CONSTANT" and _text(node) is None:
            value = str((node.get("literal") or {}).get("text", "")).lower()
            return _Condition(value, True) if value in ("true", "false") else None
        if node.get("function_name") == "contains":
            return self._contains(node, scope)
        return None

    def _named_condition(self, node: Node, scope: _Scope) -> _Condition | None:
        name = node["column_names"][-1]
        if not name.startswith(NAMED) or scope.table != "spans":
            return None
        sql = self._conditions(name, self._bound)
        return None if sql is None else _Condition(sql, True)

    def _comparison(self, left: Node, sign: str, right: Node, scope: _Scope) -> _Condition | None:
        if self._column(left, scope) is None and self._column(right, scope) is not None:
            left, right, sign = right, left, _TURNED[sign]
        name = self._column(left, scope)
        if name is None:
            return self._other(left, sign, right, scope)
        if name in ("start_ns", "time_ns") and scope.table in ("spans", "links", "logs"):
            value = _integer(right)
            return None if value is None else _Condition(f"Timestamp {sign} {instant(value)}", True)
        if name == "time_ns" and scope.table == "events" and (value := _integer(right)) is not None:
            return _of_events(sign, value)
        if name in ("trace_id", "span_id", "parent_span_id") and (digits := _digits(right, name)) is not None:
            if sign == "=" and name == "trace_id":
                return _Condition(self._ids(name, (digits,), scope), True)
            column = {"trace_id": "TraceId", "span_id": "SpanId"}.get(name, "ParentSpanId")
            return _Condition(f"{column} {sign} {literal(digits)}", True) if _plain_id(sign, name) else None
        if name in ("kind", "status") and sign == "=" and scope.table == "spans":
            return self._coded(name, [right], scope)
        return self._other(left, sign, right, scope)

    def _ids(self, name: str, digits: tuple[str, ...], scope: _Scope) -> str:
        if name == "trace_id" and scope.table != "logs":
            return self._of_traces(digits)
        return f"{'TraceId' if name == 'trace_id' else 'SpanId'} IN ({', '.join(map(literal, digits))})"

    def _other(self, left: Node, sign: str, right: Node, scope: _Scope) -> _Condition | None:
        one, other = self._value(left, scope), self._value(right, scope)
        if one is None or other is None or _kind(left, self, scope) != _kind(right, self, scope):
            return None
        return _Condition(f"{one} {sign} {other}", True)

    def _coded(self, name: str, values: list[Node], scope: _Scope) -> _Condition | None:
        numbers = [_integer(each) for each in values]
        codes = KIND_WORDS if name == "kind" else STATUS_WORDS
        if scope.readable or any(each not in codes or not each for each in numbers):
            return None
        words = ", ".join(literal(word) for each in numbers if each is not None for word in codes[each])
        return _Condition(f"{'SpanKind' if name == 'kind' else 'StatusCode'} IN ({words})", True)

    def _among(self, what: Node, values: list[Node], scope: _Scope) -> _Condition | None:
        name = self._column(what, scope)
        if name in ("trace_id", "span_id"):
            digits = [_digits(each, name) for each in values]
            if all(each is not None for each in digits):
                some = tuple(each for each in digits if each is not None)
                return _Condition(self._ids(name, some, scope), True)
        if name in ("kind", "status") and scope.table == "spans":
            return self._coded(name, values, scope)
        if name == "start_ns" and scope.table in ("spans", "links"):
            starts = [_integer(each) for each in values]
            if all(each is not None for each in starts):
                listed = ", ".join(instant(each) for each in starts if each is not None)
                return _Condition(f"Timestamp IN ({listed})", True)
        sql, others = self._value(what, scope), [self._value(each, scope) for each in values]
        if sql is None or any(each is None for each in others):
            return None
        if len({_kind(each, self, scope) for each in [what, *values]}) != 1:
            return None
        return _Condition(f"{sql} IN ({', '.join(str(each) for each in others)})", True)

    def _among_rows(self, node: Node, scope: _Scope) -> _Condition | None:
        """``column IN (SELECT [DISTINCT] column FROM table WHERE …)``."""
        child = node.get("child")
        select = (node.get("subquery") or {}).get("node") or {}
        outer = self._column(child, scope) if child else None
        listed = select.get("select_list") or []
        if outer is None or node.get("subquery_type") != "ANY" or select.get("type") != "SELECT_NODE":
            return None
        if len(listed) != 1 or any(select.get(name) for name in ("group_expressions", "having", "qualify")):
            return None
        if any(each["type"] != "DISTINCT_MODIFIER" for each in select.get("modifiers", ())):
            return None
        scopes = [inner for _, inner in _scopes(select)]
        if len(scopes) != 1 or scopes[0].readable or scopes[0].table not in self._sources:
            return None
        name = self._column(listed[0], scopes[0])
        where = select.get("where_clause")
        condition = self._condition(where, scopes[0]) if where is not None else _Condition(_TRUE, True)
        if name != outer or condition is None or not condition.exact:
            return None
        if name == "resource_id" and scope.table in ("spans", "logs") and not _names(where, "resource_id"):
            # What a resource says stands in each row of its own: nothing has to be looked up.
            return _Condition(f"ifNull({condition.sql}, false)", True)
        source = self._sources[scopes[0].table]
        inner = f"SELECT {source.columns[name]} FROM {source.origin} WHERE {condition.sql}"
        chosen = scopes[0].table == "spans" and name == _OF_SPANS.get(scope.table)
        return _Condition(
            f"{self._sources[scope.table].columns[outer]} IN ({inner})",
            True,
            of_spans=condition.sql if chosen else "",
        )

    def _contains(self, node: Node, scope: _Scope) -> _Condition | None:
        arguments = [each["expression"] for each in node.get("arguments") or []]
        if len(arguments) != 2 or (text := _text(arguments[1])) is None:
            return None
        if scope.table == "logs" and _is_body(arguments[0]):
            return _Condition(f"position(Body, {self._bound.text(text)}) > 0", True)
        sql = self._value(arguments[0], scope)
        return None if sql is None else _Condition(f"position({sql}, {self._bound.text(text)}) > 0", True)

    def _value(self, node: Node | None, scope: _Scope) -> str | None:
        if node is None:
            return None
        text, whole = _text(node), _integer(node)
        if text is not None:
            return self._bound.text(text)
        if whole is not None:
            return number(whole)
        name = self._column(node, scope)
        if name == "service" and scope.table in ("spans", "logs"):
            return "if(ServiceName = '', 'unknown_service', toString(ServiceName))"
        return None if name is None else self._sources[scope.table].columns[name]

    def _column(self, node: Node, scope: _Scope) -> str | None:
        """The column of the table that this names."""
        if node.get("class") != "COLUMN_REF" or scope.table not in self._sources:
            return None
        path = node["column_names"]
        if (len(path) == 1 and not scope.bare) or len(path) > 2:
            return None
        if len(path) == 2 and path[0].lower() != scope.alias.lower():
            return None
        name = str(path[-1])
        if scope.readable and name not in _ALIKE and name not in ("trace_id", "span_id"):
            return None
        return name if name in self._sources[scope.table].columns else None


def _kind(node: Node, planner: _Planner, scope: _Scope) -> str:
    """Whether this is a text or a number: what is of different kinds, DuckDB converts."""
    if _text(node) is not None:
        return "text"
    if _integer(node) is not None:
        return "number"
    name = planner._column(node, scope) or ""
    if WELL_KNOWN.get(name):
        return "number" if WELL_KNOWN[name] == "BIGINT" else "text"
    texts = {"service", "operation", "status_message", "trace_state", "name", "version", "namespace"}
    texts |= {"environment", "instance", "severity_text", "event_name", "attributes", "schema_url"}
    if name in ("trace_id", "linked_trace_id"):
        return "id"
    return "text" if name in texts else "number" if name else "unknown"


def _named(nodes: Iterable[Node]) -> frozenset[str]:
    """All names of columns, wherever they stand."""
    names: set[str] = set()
    for node in nodes:
        if node.get("class") == "COLUMN_REF":
            names.update(str(part) for part in node["column_names"])
        names.update(str(each) for each in node.get("using_columns") or ())
    return frozenset(names)


def _names(node: Node | None, name: str) -> bool:
    """Whether a condition speaks of this column."""
    return name in _named(nodes_of(node))


def _takes_all(select: Node, inner: set[str]) -> bool:
    """Whether it asks for all columns of a table; ``inner`` are names of none."""
    parts = {name: part for name, part in select.items() if name not in ("from_table", "cte_map")}
    if not any(node.get("class") == "STAR" for node in nodes_of(parts)):
        return False
    waiting = [select.get("from_table") or {}]
    while waiting:
        each = waiting.pop()
        if each.get("type") == "BASE_TABLE" and each["table_name"].lower() not in inner:
            return True
        waiting += [each[side] for side in ("left", "right") if each.get("type") == "JOIN"]
    return False


def _scopes(select: Node) -> Iterator[tuple[Node, _Scope]]:
    """The tables that a ``SELECT`` reads itself, where its ``WHERE`` speaks of their rows."""
    origin = select.get("from_table") or {}
    waiting, bare = [origin], origin.get("type") == "BASE_TABLE"
    while waiting:
        each = waiting.pop()
        if (
            each.get("type") == "JOIN"
            and each.get("join_type") == "INNER"
            and each.get("ref_type") == "REGULAR"
        ):
            waiting += [each["left"], each["right"]]
        elif each.get("type") == "BASE_TABLE":
            name = each["table_name"].lower()
            readable = name in VIEWS and name != "spans_full"
            yield each, _Scope(VIEWS.get(name, name), readable, each.get("alias") or name, bare)


def _joins(nodes: Iterable[Node]) -> bool:
    return any(node.get("type") in ("JOIN", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE") for node in nodes)


def _of_events(sign: str, value: int) -> _Condition | None:
    """Of the time of events: their spans are read of the days in which these began. See `EVENTS_BEGIN_NS`."""
    exact = f"toUnixTimestamp64Nano(event_time) {sign} {number(value)}"
    within = {
        ">": f"Timestamp >= {instant(value - EVENTS_BEGIN_NS)}",
        "<": f"Timestamp <= {instant(value + EVENTS_EARLY_NS)}",
    }
    near = [text for each, text in within.items() if sign.startswith(each) or sign == "="]
    return _Condition(" AND ".join(["(" + exact, *near]) + ")", False) if near else _Condition(exact, True)


def _all_of(conditions: list[_Condition]) -> str:
    return "(" + " AND ".join(each.sql for each in conditions) + ")"


def _any_of(conditions: list[str]) -> str:
    distinct = list(dict.fromkeys(conditions))
    return distinct[0] if len(distinct) == 1 else "(" + " OR ".join(distinct) + ")"


def _literal(node: Node | None) -> tuple[str, str] | None:
    if node is None or node.get("class") != "CONSTANT":
        return None
    held = node.get("literal") or {}
    kind, text = held.get("kind"), held.get("text")
    return (kind, text) if isinstance(kind, str) and isinstance(text, str) else None


def _text(node: Node | None) -> str | None:
    held = _literal(node)
    return held[1] if held is not None and held[0] == "STRING" else None


def _integer(node: Node | None) -> int | None:
    held = _literal(node)
    if held is None or held[0] == "STRING":
        return None
    try:
        value = int(held[1])
    except ValueError:
        return None
    return value if -(2**63) < value < 2**63 else None


def _digits(node: Node, name: str) -> str | None:
    """The hex digits of an id: ``from_hex('…')``, the number of a span, or the digits themselves."""
    size = 32 if name == "trace_id" else 16
    text = _text(node)
    if node.get("function_name") in ("from_hex", "unhex"):
        arguments = node.get("arguments") or []
        text = _text(arguments[0]["expression"]) if len(arguments) == 1 else None
    elif name != "trace_id" and (value := _integer(node)) is not None:
        text = f"{value & (1 << 64) - 1:016x}" if value else None
    if text is None or len(text) != size or not all(each in "0123456789abcdefABCDEF" for each in text):
        return None
    return text.lower()


def _plain_id(sign: str, name: str) -> bool:
    # Numbers of spans are in another order than their digits.
    return sign in ("=", "!=") or name == "trace_id"


def _is_body(node: Node) -> bool:
    """``body::JSON ->> '$'``: the text of a body."""
    if node.get("function_name") != "->>":
        return False
    arguments = [each["expression"] for each in node.get("arguments") or []]
    inner = arguments[0].get("child") if arguments and arguments[0].get("class") == "CAST" else None
    named = inner is not None and inner.get("column_names") == ["body"]
    return bool(named and _text(arguments[1]) == "$")
