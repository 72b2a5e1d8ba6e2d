"""From what moved to who did it.

A node can be at fault in three ways, and each would move a set of channels. Its own **work**: its own time,
its own errors, what its requests do. Everything that goes **to** it, whoever calls: a slow network, a node
that accepts late, that answers with errors, that is not called any more. Everything that goes **from** it,
whomever it calls: a starved process. The more of a set has moved, the better it is explained: a sum of what
is certain, times the share of the set that moved as its strongest member did. So a caller whose calls to one
callee got slow is explained by that callee, and many slow callees of one caller by the caller.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from tracescape_analytics.root_cause.choices import DEFAULT, Choices

Row = dict[str, Any]

_DOING: Final = ("steps", "calls")


@dataclass(frozen=True)
class Suspect:
    """A node, how well its being at fault explains what moved, in which way best, and the rows behind it.

    ``rows`` are those of the best way, the strongest first; ``named`` is whether it is a cause and not only
    suspected.
    """

    node: int
    score: float
    way: str
    rows: list[Row]
    named: bool


def suspects(evidence: pl.DataFrame, choices: Choices = DEFAULT) -> list[Suspect]:
    """Who may be at fault: those that are named, then the others, by score; of equals, the first by number.

    Named are those that still explain something certain and significant when what stronger ones explain is
    taken away.
    """
    rows = list(evidence.iter_rows(named=True))
    for number, row in enumerate(rows):
        row["channel"] = number
    cases = _cases(rows, choices.missing)
    found = []
    for node, ways in cases.items():
        scores = {way: _score(way, part) for way, part in ways.items()}
        if (score := sum(scores.values())) > 0:
            way = max(scores, key=lambda name: scores[name])
            found.append((node, score, way, sorted(ways[way], key=lambda row: -row["weight"])))
    found.sort(key=lambda each: (-each[1], each[0]))
    answer, explained = [], set[int]()
    for node, score, way, strongest in found:
        left = {
            name: [row for row in part if row["channel"] not in explained]
            for name, part in cases[node].items()
        }
        remains = sum(_score(name, part) for name, part in left.items())
        proved = any(
            row["significant"] and row["weight"] >= choices.least for part in left.values() for row in part
        )
        named = proved and remains >= choices.least
        if named:
            explained |= _explained(node, cases[node], rows)
        answer.append(Suspect(node, score, way, [row for row in strongest if row["weight"] > 0], named))
    return sorted(answer, key=lambda each: not each.named)


def _cases(rows: Iterable[Row], missing: float) -> dict[int, dict[str, list[Row]]]:
    # What speaks against each node, by the way in which it would be at fault.
    cases: dict[int, dict[str, list[Row]]] = defaultdict(lambda: {"work": [], "to": [], "from": []})
    path: dict[tuple[int, int], Row] = {}

    def add(node: int, way: str, row: Row, weight: float) -> None:
        cases[node][way].append({**row, "weight": weight})

    for row in rows:
        node, callee, sure = row["node"], row["callee"], row["sure"]
        if row["measure"] in _DOING:
            # What one request does differently comes as many rows: the strongest counts.
            key = (node, row["operation"])
            if sure > 0 and (key not in path or sure > path[key]["sure"]):
                path[key] = row
            if sure > 0 and callee >= 0 and row["measure"] == "steps" and row["shift"] < 0:
                add(callee, "to", row, missing * sure)
        elif callee < 0:
            add(node, "work", row, sure)
        elif row["measure"] == "time" or sure > 0:
            add(callee, "to", row, sure)
            add(node, "from", row, sure)
    for row in path.values():
        add(row["node"], "work", row, row["sure"])
    return cases


def _score(way: str, rows: list[Row]) -> float:
    if way == "work":
        return float(sum(row["weight"] for row in rows))
    total = sum(row["weight"] for row in rows)
    if total <= 0:
        return 0.0
    share = total / (len(rows) * max(row["weight"] for row in rows))
    if way == "from":
        # One callee that is slow is its own fault: the caller answers for the others.
        by_callee: dict[int, float] = defaultdict(float)
        for row in rows:
            by_callee[row["callee"]] += row["weight"]
        total -= max(by_callee.values())
    return float(total * share)


def _explained(node: int, ways: dict[str, list[Row]], rows: list[Row]) -> set[int]:
    # Everything that speaks against the node, and what its callers do differently because they call it.
    own = {row["channel"] for part in ways.values() for row in part}
    callers = {(row["node"], row["operation"]) for row in rows if row["callee"] == node}
    nodes = {caller for caller, _ in callers}
    return own | {
        row["channel"]
        for row in rows
        if row["measure"] in _DOING and (row["node"] in nodes or row["node"] == node)
    }
