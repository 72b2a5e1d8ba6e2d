"""Statements that are ClickHouse's own: which of them are passed on."""

from __future__ import annotations

import re
from typing import Final

import duckdb

from tracescape_storage.errors import QueryError

_BEGINS: Final = re.compile(r"\s*\(*\s*(SELECT|WITH)\b", re.IGNORECASE)
#: They read files and other servers. The server's rights bound them as well; an embedded one has none.
_OUTSIDE: Final = re.compile(
    r"\b(file|fileCluster|url|urlCluster|s3|s3Cluster|gcs|hdfs|hdfsCluster|azureBlobStorage\w*|remote|"
    r"remoteSecure|cluster|clusterAllReplicas|mysql|postgresql|mongodb|redis|sqlite|odbc|jdbc|executable|"
    r"input|iceberg\w*|deltaLake\w*|hudi\w*|python|Python|dictionary|catboostEvaluate|sleep\w*)\s*\(",
    re.IGNORECASE,
)
_MOST_BYTES: Final = 256 << 10
_ONE_SELECT: Final = "Exactly one SELECT is answered here: the store is read-only for questions."


def is_select(parser: duckdb.DuckDBPyConnection, query: str) -> bool:
    """Whether a text that is no ``SELECT`` to DuckDB's parser may be one to ClickHouse."""
    if not _BEGINS.match(query):
        return False
    try:
        parsed = parser.extract_statements(query)
    except duckdb.Error:
        return True
    return len(parsed) == 1


def checked_foreign(query: str) -> str:
    """``query`` if it may be passed on. Raises `QueryError`."""
    if not _BEGINS.match(query) or ";" in query.rstrip().rstrip(";"):
        raise QueryError(_ONE_SELECT)
    if len(query.encode("utf-8", "surrogatepass")) > _MOST_BYTES:
        raise QueryError(f"The query is longer than {_MOST_BYTES // 1024} KiB.")
    outside = _OUTSIDE.search(query)
    if outside is not None:
        raise QueryError(f"{outside[1]}(…) is not answered here: questions read the store's tables alone.")
    return query.rstrip().rstrip(";")
