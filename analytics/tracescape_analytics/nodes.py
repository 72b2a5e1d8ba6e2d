"""The nodes of a topology: services, and what services call that sends no spans itself."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from tracescape_analytics.span_forest import IntArray, SpanForest

NODE_KINDS: Final = ("service", "database", "queue", "external", "entry", "model", "tool")
ENTRY_NAME: Final = "user"
_FAR_END: Final = (
    "db_system",
    "db_namespace",
    "messaging_system",
    "messaging_destination",
    "peer_service",
    "server_address",
    "server_port",
    "url_host",
    "rpc_service",
    "gen_ai_operation",
    "gen_ai_provider",
    "gen_ai_model",
    "gen_ai_agent",
    "gen_ai_tool",
)
#: What an agent does besides asking a model, which it does in spans of its own.
_OF_AGENTS: Final = frozenset({"create_agent", "invoke_agent", "invoke_workflow", "plan"})
#: Each of these names whom a CLIENT span calls where it names no database or topic; see ``far_end_of``.
PEERS: Final = ("peer_service", "server_address", "url_host", "rpc_service")
#: Each of these says that a CLIENT span asks a model, an agent or a tool.
MODELS: Final = ("gen_ai_provider", "gen_ai_model", "gen_ai_agent", "gen_ai_tool")


class NodeTable:
    """Numbers the nodes of one topology from 0, services first, and keeps their names apart.

    A call to something that bears a service's name is a call to that service. Where two nodes of different
    kinds would bear one name, the later one says its kind: ``user (entry)`` beside a service ``user``.
    """

    def __init__(self, services: list[str]) -> None:
        self._names: list[str] = []
        self._kinds: list[str] = []
        self._numbers: dict[tuple[str, str], int] = {}
        self._taken: set[str] = set()
        for name in services:
            self.number(name, "service")

    def number(self, name: str, kind: str) -> int:
        """The node of this name and kind, new or known."""
        if kind == "external" and (name, "service") in self._numbers:
            kind = "service"
        key = (name, kind)
        if key not in self._numbers:
            shown = f"{name} ({kind})" if name in self._taken else name
            self._numbers[key] = len(self._names)
            self._names.append(shown)
            self._kinds.append(kind)
            self._taken.add(shown)
        return self._numbers[key]

    def entry(self) -> int:
        """The node that stands for whoever sends requests from outside."""
        return self.number(ENTRY_NAME, "entry")

    def frame(self) -> pl.DataFrame:
        """``node`` (Int64), ``name``, ``node_kind`` (text), a row a node."""
        return pl.DataFrame(
            {"node": range(len(self._names)), "name": self._names, "node_kind": self._kinds},
            schema={"node": pl.Int64, "name": pl.String, "node_kind": pl.String},
        )


def number_far_ends(trees: SpanForest, positions: IntArray, nodes: NodeTable) -> IntArray:
    """The node that each of these CLIENT spans names as the far end of its call; -1 where it names none.

    See `far_end_of`. int64, shape (k,).
    """
    return _numbered(trees, positions, nodes, far_end_of)


def number_queues(trees: SpanForest, positions: IntArray, nodes: NodeTable) -> IntArray:
    """The queue or topic that each of these spans names, -1 where it names none; int64, shape (k,)."""
    return _numbered(trees, positions, nodes, queue_of)


def _numbered(trees: SpanForest, positions: IntArray, nodes: NodeTable, name_of: Any) -> IntArray:
    # Few distinct far ends, many spans: name each combination of attributes once.
    present = [column for column in _FAR_END if column in trees.table.column_names]
    if not len(positions) or not present:
        return np.full(len(positions), -1, np.int64)
    texts = {}
    combined = np.zeros(len(positions), np.int64)
    combinations = 1
    for column in present:
        codes, names = _values(trees, column)
        texts[column] = codes[positions], names
        if combinations * (len(names) + 1) >= 2**62:  # number those that occur, to stay within an int64
            combined = np.unique(combined, return_inverse=True)[1].astype(np.int64)
            combinations = len(positions)
        combined = combined * (len(names) + 1) + texts[column][0] + 1
        combinations *= len(names) + 1
    _, example, inverse = np.unique(combined, return_index=True, return_inverse=True)
    numbers = []
    for i in example:
        values = {column: names[codes[i]] for column, (codes, names) in texts.items() if codes[i] >= 0}
        named = name_of({column: value for column, value in values.items() if value})
        numbers.append(-1 if named is None else nodes.number(*named))
    return np.array(numbers, np.int64)[inverse]


def _values(trees: SpanForest, column: str) -> tuple[IntArray, list[str]]:
    if column != "server_port":
        return trees.codes(column)
    ports = trees.table[column].combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False)
    distinct, codes = np.unique(ports[trees.forest.rows], return_inverse=True)
    names = ["" if port < 0 else str(port) for port in distinct]
    return codes.astype(np.int64), names


def far_end_of(values: dict[str, str]) -> tuple[str, str] | None:
    """Name and kind of what a CLIENT span with these attributes (none empty) calls; None for no name.

    A database is ``system namespace@address[:port]``, as much of it as is said, and ``system address[:port]``
    without a namespace; a queue or topic is ``system destination``; a model is ``provider model``; anything
    else is its peer's name, else ``address[:port]``, else the host of its URL, else the RPC service.
    """
    address = values.get("server_address")
    if address and "server_port" in values:
        address = f"{address}:{values['server_port']}"
    if system := values.get("db_system"):
        where = "@".join(filter(None, (values.get("db_namespace"), address)))
        return " ".join(filter(None, (system, where))), "database"
    if named := queue_of(values) or _asked(values):
        return named
    name = values.get("peer_service") or address or values.get("url_host") or values.get("rpc_service")
    return (name, "external") if name else None


def inner_far_end_of(values: dict[str, str]) -> tuple[str, str] | None:
    """The same of an INTERNAL span: a tool, or a model inside the service's own process.

    What an agent does besides is no call: it asks its models and tools in spans below.
    """
    if values.get("gen_ai_tool"):
        return _asked(values)
    own = values.get("gen_ai_operation") not in _OF_AGENTS
    return _asked(values) if own and values.get("gen_ai_model") else None


def _asked(values: dict[str, str]) -> tuple[str, str] | None:
    if tool := values.get("gen_ai_tool"):
        return tool, "tool"
    model, agent = values.get("gen_ai_model"), values.get("gen_ai_agent")
    if values.get("gen_ai_operation") in _OF_AGENTS:
        model, agent = agent, model
    name = " ".join(filter(None, (values.get("gen_ai_provider"), model or agent)))
    return (name, "model") if name else None


def queue_of(values: dict[str, str]) -> tuple[str, str] | None:
    """Name and kind of the queue or topic that these attributes name, if they do."""
    if destination := values.get("messaging_destination"):
        return " ".join(filter(None, (values.get("messaging_system"), destination))), "queue"
    return None
