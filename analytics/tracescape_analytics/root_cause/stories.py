"""What a colleague would say about a cause."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from tracescape_analytics.words import counted, readable_duration

#: What kind of cause it is, by what moved most and in which way.
KINDS: Final = {
    ("time", "work"): "slow work",
    ("time", "to"): "slow calls to it",
    ("time", "from"): "slow calls from it",
    ("errors", "work"): "errors",
    ("errors", "to"): "failing calls to it",
    ("errors", "from"): "failing calls from it",
    ("steps", "work"): "changed behaviour",
    ("steps", "to"): "no longer called",
    ("calls", "work"): "more calls",
    ("messages", "to"): "messages not taken",
    ("messages", "from"): "messages not taken by anybody",
}


class Names(NamedTuple):
    """What the numbers in rows of evidence mean. The first nodes, ``services`` of them, have own spans."""

    nodes: list[str]
    operations: list[str]
    services: int


def told(node: int, way: str, rows: list[dict[str, Any]], names: Names) -> str:
    """One or two sentences about the strongest rows, the strongest first."""
    row = rows[0]
    return _SENTENCES[row["measure"]](names.nodes[node], way, row, rows, names)


def item_of(row: dict[str, Any], names: Names) -> str | None:
    """What a request does more or less often: the node that it calls, or an operation; else None."""
    if row["measure"] not in ("steps", "calls"):
        return None
    callee, item = int(row["callee"]), int(row["item"])
    return names.nodes[callee] if callee >= 0 else names.operations[item]


def _times(name: str, way: str, row: dict[str, Any], rows: list[dict[str, Any]], names: Names) -> str:
    before, after = (readable_duration(round(2 ** row[side])) for side in ("before", "after"))
    operation = names.operations[row["operation"]]
    if way == "work":
        some = f", in {row['slow_places']} of its {row['places']} instances" if row["places"] else ""
        return f"{name} itself works {after} on {operation} instead of {before}{some}."
    between = f"{after} instead of {before} pass between caller and callee"
    if way == "to":
        callers = _listed(names.nodes[each["node"]] for each in rows)
        if row["callee"] >= names.services:  # nobody says what happens at its end
            calls = f"calls from {callers} to {name} ({operation})"
            return f"Traces spend {after} instead of {before} in {calls}."
        return f"Calls to {name} are slow on the way, from {callers}: {between} in {operation}."
    callees = _listed(names.nodes[each["callee"]] for each in rows)
    return f"Everything that {name} calls is slow on the way ({callees}): {between} in {operation}."


def _errors(name: str, way: str, row: dict[str, Any], rows: list[dict[str, Any]], names: Names) -> str:
    operation = names.operations[row["operation"]]
    shares = f"in {_share(row['after'])} of traces instead of {_share(row['before'])}"
    if way == "work":
        return f"{name} fails in {operation}, and nothing below it does: {shares}."
    if way == "to":
        callers = _listed(names.nodes[each["node"]] for each in rows)
        return f"Calls to {name} fail, as {callers} sees it: {operation} {shares}."
    callees = _listed(names.nodes[each["callee"]] for each in rows)
    return f"Calls from {name} fail, whatever it calls ({callees}): {operation} {shares}."


def _steps(name: str, way: str, row: dict[str, Any], rows: list[dict[str, Any]], names: Names) -> str:
    shares = f"{_share(row['after'])} of requests instead of {_share(row['before'])}"
    operation = names.operations[row["operation"]]
    if way == "to":
        callers = _listed(names.nodes[each["node"]] for each in rows)
        return f"{name} is called less by {callers}: {operation} does in {shares}."
    what = (
        f"calls {names.nodes[row['callee']]}"
        if row["callee"] >= 0
        else f"does {names.operations[row['item']]}"
    )
    return f"{name} behaves differently in {operation}: it {what} in {shares}."


def _calls(name: str, _: str, row: dict[str, Any], __: list[dict[str, Any]], names: Names) -> str:
    times = f"{2 ** row['after']:.2g} times a request instead of {2 ** row['before']:.2g}"
    operation = names.operations[row["operation"]]
    what = (
        f"calls {names.nodes[row['callee']]}"
        if row["callee"] >= 0
        else f"does {names.operations[row['item']]}"
    )
    return f"{name} {what} {times} in {operation}."


def _messages(name: str, way: str, row: dict[str, Any], rows: list[dict[str, Any]], names: Names) -> str:
    shares = f"{_share(row['after'])} of them in time instead of {_share(row['before'])}"
    operation = names.operations[row["operation"]]
    if way == "to":
        senders = _listed(names.nodes[each["node"]] for each in rows)
        return f"{name} does not take the messages of {senders} ({operation}): {shares}."
    takers = _listed(names.nodes[each["callee"]] for each in rows)
    return f"Messages of {name} ({operation}) are not taken, whoever should ({takers}): {shares}."


_SENTENCES: Final = {
    "time": _times,
    "errors": _errors,
    "steps": _steps,
    "calls": _calls,
    "messages": _messages,
}


def _listed(names: Any) -> str:
    # At most three, each once.
    distinct = list(dict.fromkeys(names))
    shown = distinct[:3] + ([counted(len(distinct) - 3, "other")] if len(distinct) > 3 else [])
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _share(share: float) -> str:
    return f"{share:.0%}" if share in (0, 1) or 0.005 <= share <= 0.995 else f"{share:.2%}"
