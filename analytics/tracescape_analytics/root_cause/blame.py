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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from tracescape_analytics.root_cause.choices import DEFAULT, Choices

Row = dict[str, Any]

_DOING: Final = ("steps", "calls")


@dataclass(frozen=True)
class Suspect:
    """A node, how well its being at fault explains what moved, in which way best, and the rows behind it.

    ``rows`` are those of the best way, the strongest first; ``named`` is whether it is a cause and not only
    suspected. ``explained_by`` is the node of the cause that explains the strongest row, None for none.
    """

    node: int
    score: float
    way: str
    rows: list[Row]
    named: bool
    explained_by: int | None = None


def suspects(evidence: pl.DataFrame, choices: Choices = DEFAULT) -> list[Suspect]:
    """Who may be at fault: those that are named, then the others, by score; of equals, the first by number.

    Named are those that still explain something certain and significant when what stronger ones explain is
    taken away.
    """
    rows = list(evidence.iter_rows(named=True))
    for number, row in enumerate(rows):
        row["channel"] = number
    given_up = _given_up(rows, choices)
    cases = _cases((row for row in rows if row["channel"] not in given_up), choices.missing)
    found = _scored(cases)
    answer, explained = [], dict[int, int]()  # of each channel, the cause that explains it
    for each in found:
        ways = cases[each.node]
        left = {name: [row for row in part if row["channel"] not in explained] for name, part in ways.items()}
        remains = sum(_score(name, part) for name, part in left.items())
        named = remains >= choices.least and any(
            _proved(row, "weight", choices) for part in left.values() for row in part
        )
        by = None if named else explained.get(each.rows[0]["channel"])
        answer.append(replace(each, named=named, explained_by=by))
        if named:
            moved = _explained(each.node, ways, rows)
            explained |= dict.fromkeys(moved - explained.keys(), each.node)
    answer += _consequences(rows, given_up, {each.node for each in found}, choices.missing)
    return sorted(answer, key=lambda each: (not each.named, -each.score, each.node))


def _scored(cases: Mapping[int, dict[str, list[Row]]]) -> list[Suspect]:
    found: list[Suspect] = []
    for node, ways in cases.items():
        scores = {way: _score(way, part) for way, part in ways.items()}
        if (score := sum(scores.values())) > 0:
            way = max(scores, key=lambda name: scores[name])
            rows = sorted((row for row in ways[way] if row["weight"] > 0), key=lambda row: -row["weight"])
            found.append(Suspect(node, score, way, rows, named=False))
    return sorted(found, key=lambda each: (-each.score, each.node))


def _proved(row: Row, certain: str, choices: Choices) -> bool:
    return bool(row["significant"] and row[certain] >= choices.least)


def _given_up(rows: Sequence[Row], choices: Choices) -> dict[int, int]:
    # Channels of calls that fail on their way to somebody who waits for what is proved to be slow, and whom.
    callers: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        if row["callee"] >= 0 and row["measure"] != "messages":  # nobody waits for who takes a message
            callers[row["callee"]].add(row["node"])
    found: dict[int, int] = {}
    slow = [row for row in rows if row["measure"] == "time" and _proved(row, "sure", choices)]
    for row in sorted(slow, key=lambda row: (-row["sure"], row["channel"])):
        node = row["node"] if row["callee"] < 0 else row["callee"]
        late = _above(node, callers) - {node}
        for call in rows:
            if call["measure"] == "errors" and call["callee"] in late:
                found.setdefault(call["channel"], node)
    return found


def _above(node: int, callers: Mapping[int, set[int]]) -> set[int]:
    # The node, who calls it, who calls those, and so on.
    found, new = set[int](), {node}
    while new:
        found |= new
        new = {caller for each in new for caller in callers.get(each, ())} - found
    return found


def _consequences(
    rows: Sequence[Row], given_up: Mapping[int, int], known: set[int], missing: float
) -> Iterator[Suspect]:
    # Those against whom nothing speaks but what others explain.
    for each in _scored(_cases((row for row in rows if row["channel"] in given_up), missing)):
        by = given_up[each.rows[0]["channel"]]
        if each.node not in known and each.node != by:
            yield replace(each, explained_by=by)


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
    total = float(sum(row["weight"] for row in rows))
    if way == "work" or total <= 0:
        return total
    # A call that fails at once is not slow: what counts is how many of the callers noticed anything.
    by_call: dict[tuple[int, int, int], float] = defaultdict(float)
    by_callee: dict[int, float] = defaultdict(float)
    for row in rows:
        by_call[row["node"], row["operation"], row["callee"]] += row["weight"]
        by_callee[row["callee"]] += row["weight"]
    share = total / (len(by_call) * max(by_call.values()))
    if way == "from":
        # One callee that is slow is its own fault: the caller answers for the others.
        total -= max(by_callee.values())
    return total * share


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
