"""Chains of calls: who was called by whom, who had been called by whom, … up to the root of the trace.

A *step* of a chain is a call that enters a service (its topmost span, or one that answers a call of the same
service), or one that goes to what sends no spans itself: a database, a queue or topic, something external.
All other spans are walked through. A message goes through its queue: producer → queue → consumer.

A chain is only there if all spans from its root on were kept: where they were sampled, it counts as often as
the one that stands for most.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from tracescape_analytics.namespaces import short_name
from tracescape_analytics.naming import shown_nodes
from tracescape_analytics.nodes import NODE_KINDS
from tracescape_analytics.sampling import UNIT
from tracescape_analytics.shapes import Shaped, Vocabulary, meaning_of
from tracescape_analytics.span_forest import IntArray, integers, trace_numbers
from tracescape_native.call_events import Shapes
from tracescape_native.call_paths import CallPaths, call_paths, greatest_above, nearest_above
from tracescape_native.edges import DELIVERED, PAIRED, find_calls
from tracescape_native.forest import INTERNAL, PRODUCER, ROOT, Forest, SpanArrays, build_forest
from tracescape_native.tally import ends_of

BY: Final = ("operation", "service")
_SERVICE: Final = NODE_KINDS.index("service")


class Chains(NamedTuple):
    """``steps``: a row a step: ``path``; ``start_ns``, ``duration_ns``, ``failed``; ``trace_start_ns``, when
    the main root started; ``ends``: whether no further step follows; ``units``: how many steps it stands for,
    in units of `sampling`; ``trace``, the number of its trace; ``row``, its row in the spans.

    ``paths``: a row a path, in depth-first order, siblings by name: ``path`` (its number in ``steps``),
    ``number`` (its place), ``parent`` (the place of the path without its last step, null for none),
    ``depth``, ``kind``, ``service``, ``operation`` (null for what sends no spans), ``chain`` (as text).
    """

    steps: pl.DataFrame
    paths: pl.DataFrame


class _Steps(NamedTuple):
    # In an order in which what is above stands before: int64, shape (steps,). `span` is a position in the
    # forest, `above` a step, `code` what the step is.
    span: IntArray
    above: IntArray
    code: IntArray


def chains_of(shaped: Shaped, by: str = "operation", shared: Collection[str] = ()) -> Chains:
    """The chains in trees whose root has no parent: where one is missing, nobody knows the chain.

    ``by="service"`` does not tell the operations of a service apart. Every tree that begins in the spans is
    taken, whatever is asked; expected O(n log n). ``shared`` names services as ``namespaces`` has it.
    """
    place, shapes, words = meaning_of(shaped.shapes)
    shape = place[shaped.spans["shape"].to_numpy()]
    trace, _ = trace_numbers(shaped.spans["trace_id"])
    start = integers(shaped.spans["start_ns"])
    forest = build_forest(
        SpanArrays(
            trace=trace,
            span_id=integers(shaped.spans["span_id"]),
            parent_id=integers(shaped.spans["parent_span_id"]),
            start=start,
            end=ends_of(start, integers(shaped.spans["duration_ns"])),
            kind=shapes.kind[shape],
            resource=shape,
            content=shape,
        )
    )
    own = shape[forest.rows]
    steps = _steps(forest, own, shapes, words, by)
    found = call_paths(steps.above, steps.code, np.ones(len(steps.span), np.bool_))
    followed = np.zeros(len(steps.span), np.bool_)
    followed[steps.above[steps.above >= 0]] = True
    at = steps.span
    rows = {
        "path": found.path,
        "start_ns": forest.start[at],
        "duration_ns": forest.end[at] - forest.start[at],
        "failed": shapes.failed[own[at]] > 0,
        "trace_start_ns": forest.start[forest.main_root[forest.trace[at]]],
        "ends": ~followed,
        "units": UNIT + greatest_above(forest, shapes.extra[own])[at],
        "trace": forest.trace[at],
        "row": forest.rows[at],
    }
    return Chains(pl.DataFrame(rows), _named(found, words, shared))


def _steps(forest: Forest, shape: IntArray, shapes: Shapes, words: Vocabulary, by: str) -> _Steps:
    service, parent = shapes.service[shape], forest.parent
    calls = find_calls(forest, service, shapes.names[shape])
    known = forest.origin[forest.root] == ROOT
    entered = (parent < 0) | (service != service[parent]) | np.isin(calls.relation, (PAIRED, DELIVERED))
    entered &= known
    calling = (calls.unanswered > 0) | (forest.kind == INTERNAL)
    far = np.where(calling, shapes.far_end[shape], -1)
    far = np.where(forest.kind == PRODUCER, shapes.queue[shape], far)
    leaves = known & (far >= 0)
    # The step into a service stands before the one that its span takes outwards.
    first = np.cumsum(entered.astype(np.int64) + leaves) - leaves - entered
    outward = first + entered
    above = nearest_above(forest, entered)
    span = np.empty(int(entered.sum() + leaves.sum()), np.int64)
    up, code = np.full((2, len(span)), -1, np.int64)
    width = max(len(words.operations), 1) + 1
    operation = shapes.operation[shape] + 1 if by == "operation" else np.zeros(len(shape), np.int64)
    i, j = np.flatnonzero(entered), np.flatnonzero(leaves)
    span[first[i]], span[outward[j]] = i, j
    code[first[i]], code[outward[j]] = service[i] * width + operation[i], far[j] * width
    up[outward[j]] = first[above[j]]
    inner = i[parent[i] >= 0]
    up[first[inner]] = first[above[parent[inner]]]
    sent = inner[(calls.relation[inner] == DELIVERED)]
    sent = sent[leaves[calls.caller[sent]]]
    up[first[sent]] = outward[calls.caller[sent]]
    return _Steps(span, up, code)


def _named(found: CallPaths, words: Vocabulary, shared: Collection[str]) -> pl.DataFrame:
    width = max(len(words.operations), 1) + 1
    shown = _shown(words, shared)
    names = [
        (*shown[code // width], words.operations[code % width - 1] if code % width else None)
        for code in found.code.tolist()
    ]
    labels = [f"{name} {operation}" if operation else name for _, name, operation in names]
    parents = found.parent.tolist()
    children: list[list[int]] = [[] for _ in range(len(names) + 1)]  # the last: the roots
    for path, parent in enumerate(parents):
        children[parent].append(path)
    place, depth, chain = [0] * len(names), [0] * len(names), [""] * len(names)

    def key(path: int) -> tuple[str, str, str]:
        kind, name, operation = names[path]
        return name, operation or "", kind

    stack = sorted(children[-1], key=key, reverse=True)
    for number in range(len(names)):
        path = stack.pop()
        place[path] = number
        chain[path] = labels[path] if parents[path] < 0 else f"{chain[parents[path]]} → {labels[path]}"
        for child in sorted(children[path], key=key, reverse=True):
            depth[child] = depth[path] + 1
            stack.append(child)
    columns = {
        "path": range(len(names)),
        "number": place,
        "parent": [place[parent] if parent >= 0 else None for parent in parents],
        "depth": depth,
        "kind": [kind for kind, _, _ in names],
        "service": [name for _, name, _ in names],
        "operation": [operation for _, _, operation in names],
        "chain": chain,
    }
    texts = dict.fromkeys(("kind", "service", "operation", "chain"), pl.String)
    numbers = dict.fromkeys(("path", "number", "parent", "depth"), pl.Int64)
    return pl.DataFrame(columns, schema_overrides={**texts, **numbers}).sort("number")


def _shown(words: Vocabulary, shared: Collection[str]) -> list[tuple[str, str]]:
    # Kind and name of each node, as a topology shows it.
    nodes = [(kind, short_name(name, shared) if kind == _SERVICE else name) for kind, name in words.nodes]
    shown = shown_nodes(nodes)
    return [(NODE_KINDS[kind], name) for kind, name in map(shown.__getitem__, nodes)]
