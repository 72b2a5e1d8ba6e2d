"""Over what a call goes: HTTP, RPC, a database's protocol, a broker, or nothing that can be seen."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from tracescape_analytics.span_forest import IntArray, SpanForest

CONNECTIONS: Final = ("http", "rpc", "db", "messaging", "internal")
HTTP, RPC, DB, MESSAGING, UNSEEN = range(5)

#: Which attribute tells, the first that is set wins.
EVIDENCE: Final = (
    ("db_system", DB),
    ("messaging_system", MESSAGING),
    ("messaging_destination", MESSAGING),
    ("rpc_service", RPC),
    ("http_method", HTTP),
)
_RPC_NAME: Final = re.compile(r"/?[\w$]+(\.[\w$]+)+/\w+")  # package.Service/Method, as gRPC names its spans
_HTTP_NAME: Final = re.compile(r"(HTTP )?(GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|QUERY)( .*)?")


def connection_of_name(operation: str) -> int:
    """What the name of an operation alone gives away."""
    if _RPC_NAME.fullmatch(operation):
        return RPC
    if _HTTP_NAME.fullmatch(operation):
        return HTTP
    return UNSEEN


def connections(trees: SpanForest) -> IntArray:
    """What each span says about the call it is part of: an index into ``CONNECTIONS``, int64, shape (m,)."""
    by_name = np.array([connection_of_name(name) for name in trees.operations] or [UNSEEN], np.int64)
    result = by_name[trees.operation]
    for column, connection in reversed(EVIDENCE):
        codes, _ = trees.codes(column)
        result[codes >= 0] = connection
    return result
