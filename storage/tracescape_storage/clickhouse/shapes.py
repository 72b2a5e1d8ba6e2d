"""Spans by their shapes: the server tells which are alike, so that names and attributes come once a shape.

See `select.shaped_sql`, which does the same of a DuckDB file.
"""

from __future__ import annotations

from typing import Final

from tracescape_storage.clickhouse.columns import promoted_columns, service
from tracescape_storage.clickhouse.literals import literal
from tracescape_storage.namespaces import SEPARATOR
from tracescape_storage.sampling import COUNT, PATTERN
from tracescape_storage.select import DECIDING, SAMPLING, SHAPE_COLUMNS, SHAPED_IDS

_NOTHING: Final = "\x01"
_THRESHOLD: Final = f"nullIf(extract(TraceState, {literal(PATTERN)}), '')"


def _said() -> str:
    """See `sampling.SAID`."""
    count = promoted_columns()["adjusted_count"]
    return (
        f"coalesce(if(TraceState = '', NULL, {_THRESHOLD}),"
        f" if(ifNull({count}, 0) > 1, concat({literal(COUNT)}, toString({count})), NULL))"
    )


def _full_service() -> str:
    """The name within its namespace; see `namespaces`."""
    space = "ResourceAttributes['service.namespace']"
    return f"if({space} != '', concat({space}, {literal(SEPARATOR)}, {service()}), {service()})"


def _rows(columns: dict[str, str], origin: str, where: str) -> str:
    """Spans with `SHAPED_IDS`, what decides, and the shape that follows from that."""
    named = {
        **{name: f"{columns[name]}" for name in SHAPED_IDS},
        **{name: columns[name] for name in ("operation", "kind", "status")},
        "service": _full_service(),
        **promoted_columns(),
        SAMPLING: _said(),
    }
    listed = ", ".join(f"{sql} AS `{name}`" for name, sql in named.items())
    inner = f"SELECT {listed} FROM {origin}{f' WHERE {where}' if where else ''}"
    decided = ", ".join(f"{DECIDING.get(name, name)} AS `said_{name}`" for name in SHAPE_COLUMNS)
    middle = f"SELECT {', '.join(SHAPED_IDS)}, {decided}, {SAMPLING} FROM ({inner})"
    telling = [*(f"said_{name}" for name in SHAPE_COLUMNS), SAMPLING]
    parts = ", ".join(f"ifNull(toString({name}), {literal(_NOTHING)})" for name in telling)
    return f"SELECT *, reinterpretAsInt64(cityHash64({parts})) AS shape FROM ({middle})"


def shaped_sql(columns: dict[str, str], origin: str, where: str) -> str:
    """``SELECT`` of `SHAPED_IDS` and the ``shape`` of spans that meet ``where`` (``""``: of all)."""
    return f"SELECT {', '.join(SHAPED_IDS)}, shape FROM ({_rows(columns, origin, where)})"


def shapes_sql(columns: dict[str, str], origin: str, where: str) -> str:
    """``SELECT`` of the ``shape``, `SHAPE_COLUMNS` and `SAMPLING` of each shape that such spans have."""
    names = ", ".join(f"any(said_{name}) AS `{name}`" for name in SHAPE_COLUMNS)
    return (
        f"SELECT shape, {names}, any({SAMPLING}) AS {SAMPLING} FROM ({_rows(columns, origin, where)})"
        " GROUP BY shape"
    )
