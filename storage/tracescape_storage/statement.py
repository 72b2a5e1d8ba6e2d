"""What a question may say: one ``SELECT``, over tables and views, with functions that stay inside.

DuckDB's own parser says what a text is; this module reads the tree that it made. External access is shut
off and the transaction is read-only besides (see `query`). What that leaves open is closed here: table
functions beyond a short list (``checkpoint()`` writes, ``arrow_scan`` follows pointers, ``query`` takes
SQL in text), the collector's own tables, functions that write or reduce a list to anything, and more of a
tree than can be planned in the time that a question has: planning hears no interruption.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import duckdb

from tracescape_storage.bounded_functions import BOUNDED
from tracescape_storage.errors import QueryError

MAX_QUERY_BYTES: Final = 256 << 10
MAX_SELECTS: Final = 500
MAX_TABLES: Final = 200

#: Table functions that read nothing but what they are given, or the catalog.
TABLE_FUNCTIONS: Final = frozenset(
    {
        "range", "generate_series", "unnest", "repeat", "json_each", "json_tree", "summary", "histogram",
        "histogram_values", "regexp_split_to_table", "generate_subscripts",
        "pragma_table_info", "pragma_database_size", "pragma_version", "pg_timezone_names",
        "duckdb_tables", "duckdb_columns", "duckdb_views", "duckdb_functions", "duckdb_types",
        "duckdb_schemas", "duckdb_keywords", "duckdb_memory", "duckdb_temporary_files",
    }
)  # fmt: skip
#: They write, wait, or can make any size out of any input within one call.
REFUSED: Final = frozenset(
    {
        "write_log", "nextval", "setval", "sleep_ms", "pg_sleep", "list_reduce", "array_reduce", "reduce",
        "bitstring", "to_base", "json_serialize_plan",
    }
)  # fmt: skip
_PRIVATE_TABLES: Final = frozenset({"tracescape_journal"})
#: ``format`` and ``printf`` with a width of five digits, or one that the values bring.
_WIDE: Final = re.compile(r"\d{5}|\{[^}]*\{|%[-+ #0]*[\d.]*\*")
_FORMATTING: Final = frozenset({"format", "printf"})
#: Comments, other quotes and escapes; what is judged by its constants; what parsers may stop at.
_NOT_PLAIN: Final = re.compile(
    "--|/\\*|\\*/|\\$|\\\\|\0|format|printf|" + "|".join(_PRIVATE_TABLES), re.IGNORECASE
)
_CONSTANTS: Final = re.compile(
    r"""(?P<name>"[^"]*")|(?P<odd>[\w&]['"])|(?P<text>'[^']*')|(?P<number>(?<![\w.])\d+)""", re.ASCII
)
#: The shapes of texts that were found right, and the bounded functions that they call.
_known: Final[dict[bytes, frozenset[str]]] = {}
_MAX_KNOWN: Final = 1_000
_ONE_SELECT: Final = "Exactly one SELECT is answered here: the store is read-only for questions."


class Statement(NamedTuple):
    """A text that may be run, and which of the bounded functions it calls."""

    sql: str
    bounded: frozenset[str]


def checked(cursor: duckdb.DuckDBPyConnection, query: str) -> Statement:
    """``query`` if it is one that is answered. Raises `QueryError`, or what DuckDB's parser raises."""
    if not query.strip():
        raise QueryError("The query is empty. Write one SELECT, such as: SELECT * FROM spans_v LIMIT 5")
    if len(query.encode("utf-8", "surrogatepass")) > MAX_QUERY_BYTES:
        raise QueryError(f"The query is longer than {MAX_QUERY_BYTES // 1024} KiB.")
    shape = _shape(query)
    known = None if shape is None else _known.get(shape)
    if known is not None:
        return Statement(_bare(query), known)
    statement = _parsed(cursor, query)
    if shape is not None and statement.sql == _bare(query):
        _known[shape] = statement.bounded
        if len(_known) > _MAX_KNOWN:
            _known.pop(next(iter(_known)), None)
    return statement


def _parsed(cursor: duckdb.DuckDBPyConnection, query: str) -> Statement:
    parsed = cursor.extract_statements(query)
    if len(parsed) != 1 or parsed[0].type != duckdb.StatementType.SELECT:
        raise QueryError(_ONE_SELECT)
    sql = str(parsed[0].query).rstrip().rstrip(";")
    return Statement(sql, _check_tree(_tree(cursor, sql)))


def _bare(query: str) -> str:
    return query.strip().rstrip(";").rstrip()


def _shape(query: str) -> bytes | None:
    """What texts share that differ in nothing but the values of their constants; None if that is not plain.

    Such texts have the same tokens, so the same tree but for constants, and the check looks at no constant
    outside ``format`` and ``printf``. A text in table position can be a constant: hence the private tables.
    Where nothing stands that nests or escapes in other ways, a pair of quotes is a constant or a name.
    """
    if _NOT_PLAIN.search(query):
        return None
    odd = False

    def value(token: re.Match[str]) -> str:
        nonlocal odd
        odd = odd or token["odd"] is not None
        return token[0] if token["name"] else "''" if token["text"] else "0"

    shape = _CONSTANTS.sub(value, _bare(query))
    return hashlib.blake2b(shape.encode(), digest_size=16).digest() if shape.isascii() and not odd else None


def _tree(cursor: duckdb.DuckDBPyConnection, sql: str) -> object:
    (row,) = cursor.execute("SELECT json_serialize_sql($1)", [sql]).fetchall()
    try:
        tree = json.loads(row[0])
    except RecursionError:
        raise QueryError("The query nests too deep. Write it with fewer levels.") from None
    if tree["error"]:
        raise QueryError(f"{_ONE_SELECT} ({tree['error_message']})")
    return tree


def _check_tree(tree: object) -> frozenset[str]:
    """Which of the bounded functions are called. Raises `QueryError`."""
    selects = tables = 0
    bounded = set()
    for node in nodes_of(tree):
        kind = node.get("type")
        if not isinstance(kind, str):  # of a sample it says how large that is
            continue
        selects += kind in {"SELECT_NODE", "SET_OPERATION_NODE"}
        if kind == "BASE_TABLE":
            tables += 1
            _check_table(node["table_name"])
        elif kind == "TABLE_FUNCTION":
            tables += 1
            _check_table_function(node["function"]["function_name"].lower())
        elif kind == "EXPRESSION_LIST":
            tables += 1
        elif kind == "FUNCTION":
            name = node["function_name"].lower()
            _check_function(name, node)
            bounded |= {name} & BOUNDED.keys()
    if selects > MAX_SELECTS or tables > MAX_TABLES:
        raise QueryError(
            f"The query has {selects} SELECTs and {tables} tables; {MAX_SELECTS} and {MAX_TABLES} are"
            " the most. Put values into one VALUES list, or ask several times."
        )
    return frozenset(bounded)


def nodes_of(tree: object) -> Iterator[dict[str, Any]]:
    """Every object of the tree, however deep: without recursion."""
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _check_table(name: str) -> None:
    if name.lower() in _PRIVATE_TABLES:
        raise QueryError(
            f"{name} is the collector's own. The tables for questions are listed by: show tables"
        )


def _check_table_function(name: str) -> None:
    if name in TABLE_FUNCTIONS:
        return
    near = difflib.get_close_matches(name, TABLE_FUNCTIONS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise QueryError(
        f"The table function {name} is not answered here: questions read the store's tables, no files.{hint}"
    )


def _check_function(name: str, node: dict[str, Any]) -> None:
    if name in REFUSED:
        raise QueryError(f"The function {name} is not answered here. Do that with the rows on your side.")
    if name in BOUNDED and (node.get("schema") or node.get("catalog")):
        raise QueryError(f"Write {name} without a schema before it: here it is bounded.")
    if name in _FORMATTING and not _is_narrow(node):
        raise QueryError(f"{name} needs its format as a literal, with widths below 10000.")


def _is_narrow(node: dict[str, Any]) -> bool:
    arguments = node.get("arguments") or node.get("children") or []
    first = arguments[0].get("expression", arguments[0]) if arguments else {}
    literal = first.get("literal") or first.get("value") or {}
    text = literal.get("text")
    return isinstance(text, str) and not _WIDE.search(text)
