"""How often each attribute has which value, in the selection and in the baseline: counted by the database.

Attributes of spans are counted where they stand, in columns of their own and in the text of the rest; those
of resources and scopes once a resource or scope; of a span's events, the first that has the attribute counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from tracescape_analytics.calls import arrived_by_now
from tracescape_storage.attributes import AttributeValue, decode_attributes, decode_value
from tracescape_storage.conditions import identifier, pointer
from tracescape_storage.filters import Field
from tracescape_storage.readable import SPAN_COLUMNS
from tracescape_storage.reader import Reader

ValueType: TypeAlias = Literal["text", "number", "boolean", "other"]

#: Of one attribute's values, those whose shares differ most are told apart; the others are counted together.
MOST_VALUES: Final = 200
#: Keys that only texts of attributes have: the most frequent.
MOST_KEYS: Final = 200
#: Attributes that one query counts: the tables of more do not stay in the cache.
_AT_ONCE: Final = 6
#: Buckets of numbers are so many to a doubling: what lies in one differs by 2.2 % at most.
BUCKETS_AN_OCTAVE: Final = 32
#: Between the buckets of positive and of negative numbers; the exponents of doubles fit into it.
_ORIGIN: Final = 1100 * BUCKETS_AN_OCTAVE
#: How many rows of a group are the selection's, and how many the baseline's.
_COUNTED: Final = "count(*) FILTER (s) AS a, count(*) - count(*) FILTER (s) AS b"
#: The same where rows are many: a filter costs more than a sum.
_SUMMED: Final = "sum(s::TINYINT)::BIGINT AS a, (count(*) - sum(s::TINYINT))::BIGINT AS b"
_FIELDS: Final = ("service", "operation", "kind", "status", "status_message")
_NUMBERS: Final = frozenset({"BIGINT", "UBIGINT", "DOUBLE"})


class Sides(NamedTuple):
    """The rows that are compared, as SQL.

    Attributes:
        source: a relation with the columns of ``spans`` and ``s``: whether a row is of the selection.
        where: the condition on ``spans`` of being in it.
        selected: how many rows are; ``compared``: how many are not.
    """

    source: str
    where: str
    selected: int
    compared: int


@dataclasses.dataclass
class Counts:
    """What one attribute's values are.

    Attributes:
        field: the attribute, as a filter names it.
        values: counts of the selection and of the baseline by type and text of the value.
        set: how many spans of each have the attribute.
        distinct: how many values there are, also of those that are not told apart.
        buckets: counts by bucket (see `bucket_bounds`), for numbers.
    """

    field: Field
    values: dict[tuple[ValueType, str], list[int]] = dataclasses.field(default_factory=dict)
    set: list[int] = dataclasses.field(default_factory=lambda: [0, 0])
    distinct: int = 0
    buckets: dict[int, list[int]] = dataclasses.field(default_factory=dict)

    def add(self, kind: ValueType, text: str, a: int, b: int) -> None:
        """Count a value; what has no more room is in ``set`` alone."""
        counts = self.values.setdefault((kind, text), [0, 0])
        counts[0] += a
        counts[1] += b


class _Dimension(NamedTuple):
    field: Field
    value: str  # SQL over the source
    kind: ValueType | None  # None: the value is JSON text
    number: str | None = None  # SQL


def sides(reader: Reader, selection: str, baseline: str, hull: Sequence[str]) -> Sides:
    """The rows that meet either condition; what is in both is the selection's.

    Of a live store it is what has arrived by now: what comes later would be counted by some queries only.
    """
    arrived = filter(None, [arrived_by_now(reader)])
    either = " AND ".join([*hull, *arrived, f"(({selection}) OR ({baseline}))"])
    source = f"(SELECT *, coalesce({selection}, false) AS s FROM spans WHERE {either})"
    found = reader.sql(f"SELECT {_COUNTED} FROM {source}")
    return Sides(source, either, found["a"][0].as_py(), found["b"][0].as_py())


def count_values(reader: Reader, asked: Sides) -> dict[str, Counts]:
    """Counts of every attribute that some span of either side has."""
    counts: dict[str, Counts] = {}
    dimensions = list(_dimensions(reader, asked))
    for at in range(0, len(dimensions), _AT_ONCE):
        _count(reader, asked, dimensions[at : at + _AT_ONCE], counts)
    _count_contents(reader, asked, "resource", counts)
    _count_contents(reader, asked, "scope", counts)
    _count_events(reader, asked, counts)
    return counts


def _dimensions(reader: Reader, asked: Sides) -> Iterator[_Dimension]:
    for name in _FIELDS:
        yield _Dimension(Field("", name), SPAN_COLUMNS[name], "text")
    yield _Dimension(Field("", "duration_ns"), "NULL::BIGINT", "number", "duration_ns")
    for key, kind in reader.attribute_columns().items():
        name = identifier(key)
        number = name if kind in _NUMBERS else None
        yield _Dimension(Field("span", key), name, _kind(kind), number)
    for key, kinds in _stored_keys(reader, f"SELECT attributes FROM {asked.source}").items():
        number = f"try_cast(json_extract_string(attributes, {pointer(key)}) AS DOUBLE)"
        value = f"CASE WHEN attributes <> '{{}}' THEN json_extract(attributes, {pointer(key)}) END"
        yield _Dimension(Field("span", key), value, None, number if kinds <= _NUMBERS else None)


def _stored_keys(reader: Reader, texts: str) -> dict[str, set[str]]:
    """Keys of the texts of attributes and the JSON types of their values, the most frequent keys first."""
    found = reader.sql(
        f"SELECT key, list(DISTINCT type) AS types, count(*) AS n"
        f" FROM (SELECT attributes FROM ({texts}) WHERE attributes <> '{{}}') AS stored,"
        " json_each(attributes)"
        f" GROUP BY key ORDER BY n DESC, key LIMIT {MOST_KEYS}"
    )
    rows = found.to_pylist()
    return {row["key"].replace("$$", "$", 1): set(row["types"]) for row in rows}


def _count(reader: Reader, asked: Sides, wanted: Sequence[_Dimension], counts: dict[str, Counts]) -> None:
    found = reader.sql(_values_sql(wanted, asked))
    _add_rows(found.to_pylist(), wanted, counts)
    numbers = {number: each for number, each in enumerate(wanted) if each.number is not None}
    if numbers:
        sql = " UNION ALL ".join(_buckets_sql(number, each.number, asked) for number, each in numbers.items())
        for row in reader.sql(sql).to_pylist():
            own = _own(counts, numbers[row["dimension"]].field)
            bucket = own.buckets.setdefault(row["bucket"], [0, 0])
            bucket[0] += row["a"]
            bucket[1] += row["b"]


def _add_rows(
    rows: Iterable[dict[str, Any]], wanted: Sequence[_Dimension], counts: dict[str, Counts]
) -> None:
    told = set()
    for row in rows:
        dimension = wanted[row["dimension"]]
        own = _own(counts, dimension.field)
        if row["dimension"] not in told:
            told.add(row["dimension"])
            own.set[0] += row["set_a"]
            own.set[1] += row["set_b"]
            own.distinct += row["distinct_values"]
        if dimension.kind is None:
            own.add(*shown(decode_value(row["value"])), row["a"], row["b"])
        else:
            own.add(dimension.kind, row["value"], row["a"], row["b"])


def _values_sql(wanted: Sequence[_Dimension], asked: Sides) -> str:
    """Values of some attributes, of each those first whose shares differ most."""
    # In one pass: to find the side of every row again for each attribute costs as much as to count.
    names = [f"v{number}" for number in range(len(wanted))]
    columns = ", ".join(f"{each.value} AS {name}" for each, name in zip(wanted, names, strict=True))
    value = f"coalesce({', '.join(f'{name}::VARCHAR' for name in names)})"
    grouped = (
        f"SELECT GROUPING({', '.join(names)}) AS g, {value} AS value, {_SUMMED}"
        f" FROM (SELECT s, {columns} FROM {asked.source})"
        f" GROUP BY GROUPING SETS ({', '.join(f'({name})' for name in names)})"
    )
    every = (1 << len(wanted)) - 1
    parts = (
        _most_different(
            number,
            f"SELECT value, a, b FROM grouped WHERE g = {every ^ (1 << place)} AND value IS NOT NULL",
            asked,
        )
        for number, place in enumerate(reversed(range(len(wanted))))
    )
    return f"WITH grouped AS MATERIALIZED ({grouped}) {' UNION ALL '.join(parts)}"


def _most_different(number: int, grouped: str, asked: Sides) -> str:
    apart = f"abs(a / {max(asked.selected, 1)}.0 - b / {max(asked.compared, 1)}.0)"
    return (
        f"(SELECT {number} AS dimension, value, a, b, sum(a) OVER ()::BIGINT AS set_a,"
        f" sum(b) OVER ()::BIGINT AS set_b, count(*) OVER () AS distinct_values FROM ({grouped})"
        f" ORDER BY {apart} DESC, value LIMIT {MOST_VALUES})"
    )


def _buckets_sql(number: int, value: str | None, asked: Sides) -> str:
    # The logarithm of a double puts numbers at a bound on either side of it; that is within what is promised.
    bucket = (
        f"CASE WHEN v = 0 THEN 0 ELSE sign(v) * ({_ORIGIN} + floor(log2(abs(v)) * {BUCKETS_AN_OCTAVE})) END"
    )
    return (
        f"(SELECT {number} AS dimension, ({bucket})::INTEGER AS bucket, {_SUMMED}"
        f" FROM (SELECT ({value})::DOUBLE AS v, s FROM {asked.source})"
        " WHERE v IS NOT NULL AND isfinite(v) GROUP BY bucket)"
    )


def bucket_bounds(bucket: int) -> tuple[float, float]:
    """The smallest and the largest number of a bucket of `Counts`."""
    if bucket == 0:
        return 0.0, 0.0
    exponent = abs(bucket) - _ORIGIN
    low, high = (2.0 ** (step / BUCKETS_AN_OCTAVE) for step in (exponent, exponent + 1))
    return (low, high) if bucket > 0 else (-high, -low)


def _count_contents(
    reader: Reader, asked: Sides, table: Literal["resource", "scope"], counts: dict[str, Counts]
) -> None:
    """Attributes of resources or scopes, and a scope's name and version."""
    key = f"{table}_id"
    own = ", any_value(name) AS name, any_value(version) AS version" if table == "scope" else ""
    found = reader.sql(
        f"SELECT * FROM (SELECT {key}, {_COUNTED}"
        f" FROM {asked.source} GROUP BY {key})"
        f" JOIN (SELECT {key}, any_value(attributes) AS attributes{own} FROM {table}s GROUP BY {key})"
        f" USING ({key})"
    )
    for row in found.to_pylist():
        for name, value in decode_attributes(row["attributes"]).items():
            _add_value(_own(counts, Field(table, name)), value, row["a"], row["b"])
        for name in ("name", "version") if table == "scope" else ():
            if row[name]:
                _add_value(_own(counts, Field("", f"scope.{name}")), row[name], row["a"], row["b"])


def _own(counts: dict[str, Counts], field: Field) -> Counts:
    return counts.setdefault(str(field), Counts(field))


def _add_value(own: Counts, value: AttributeValue, a: int, b: int) -> None:
    own.add(*shown(value), a, b)
    own.set[0] += a
    own.set[1] += b
    own.distinct = len(own.values)


def _count_events(reader: Reader, asked: Sides, counts: dict[str, Counts]) -> None:
    """Names of a span's events, sorted and joined, and the attributes of events."""
    events = (
        "SELECT e.trace_id, e.span_id, e.time_ns, e.name, e.attributes, c.s FROM events AS e"
        f" JOIN (SELECT trace_id, span_id, s FROM {asked.source}) AS c USING (trace_id, span_id)"
        f" WHERE e.span_id IN (SELECT span_id FROM spans WHERE {asked.where})"
    )
    keys = list(_stored_keys(reader, events))
    wanted = [_Dimension(Field("", "event.name"), "", "text")]
    wanted += [_Dimension(Field("event", key), "", None) for key in keys]
    names = (
        f"SELECT value, {_COUNTED} FROM ("
        f"SELECT s, string_agg(DISTINCT name, ', ' ORDER BY name) AS value FROM ({events})"
        " GROUP BY trace_id, span_id, s) GROUP BY value"
    )
    parts = [_most_different(0, names, asked)]
    for number, key in enumerate(keys, 1):
        value = f"json_extract(attributes, {pointer(key)})"
        first = (
            f"SELECT value, {_COUNTED} FROM ("
            f"SELECT s, arg_min({value}, time_ns)::VARCHAR AS value FROM ({events})"
            f" WHERE {value} IS NOT NULL GROUP BY trace_id, span_id, s) GROUP BY value"
        )
        parts.append(_most_different(number, first, asked))
    for at in range(0, len(parts), _AT_ONCE):
        _add_rows(reader.sql(" UNION ALL ".join(parts[at : at + _AT_ONCE])).to_pylist(), wanted, counts)


def shown(value: AttributeValue) -> tuple[ValueType, str]:
    """A value's type and its text for people."""
    if isinstance(value, bool):
        return "boolean", str(value).lower()
    if isinstance(value, str):
        return "text", value
    if isinstance(value, int | float):
        return "number", repr(value)
    return "other", repr(value)


def _kind(duckdb_type: str) -> ValueType:
    if duckdb_type == "VARCHAR":
        return "text"
    return "boolean" if duckdb_type == "BOOLEAN" else "number"
