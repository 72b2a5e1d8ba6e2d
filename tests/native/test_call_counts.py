from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from naive.call_counts import Counting, Shape
from naive.forest import CONSUMER, PRODUCER, Node, Span, twin
from naive.spans import arrays, call_spans, nested_spans, tangled_spans
from tracescape_native import call_keys as native
from tracescape_native.call_counts import count_calls
from tracescape_native.call_events import Question, Shapes
from tracescape_native.memory import INTERPRETED

ENTRY, MESSAGING, UNSEEN = 9, 3, 4
#: Kind, service and what is named: a span's shape is the number of its combination.
COMBINED = list(itertools.product(range(6), range(3), range(3)))


@st.composite
def shapes(draw: st.DrawFn) -> list[Shape]:
    choose = draw(st.randoms(use_true_random=False))
    return [
        Shape(
            service=service,
            operation=choose.randrange(3),
            kind=kind,
            failed=choose.randrange(2),
            connection=choose.randrange(5),
            names=names,
            far_end=choose.choice([-1, 5, 6]),
            queue=choose.choice([-1, -1, 7]),
            extra=choose.choice([0, 0, 1, 5, 2**40]),
        )
        for kind, service, names in COMBINED
    ]


def shaped(spans: list[Span]) -> list[Span]:
    """The spans as the kernel takes them: a shape for all that it says."""
    number = {combined: i for i, combined in enumerate(COMBINED)}
    found = []
    for span in spans:
        shape = number[span.kind, span.resource, span.content]
        found.append(dataclasses.replace(span, kind=shape, resource=shape, content=shape))
    return found


def expected(
    spans: list[Span], said: list[Shape], question: Question, links: list[tuple[int, int]]
) -> Counting:
    nodes, mains = twin(spans)
    of_span: dict[Span, Node] = {}
    shape_of = {}
    for node in nodes:
        shape_of[node] = said[node.span.kind]
        of_span[node.span] = node
    linked: dict[Node, list[Node]] = {}
    for consumer, producer in links:
        linked.setdefault(of_span[spans[consumer]], []).append(of_span[spans[producer]])
    for node in nodes:  # from here on they say themselves what edges are made of
        kind, service, names = COMBINED[node.span.kind]
        node.span = dataclasses.replace(node.span, kind=kind, resource=service, content=names)
    low, high = int(question.low[0]), int(question.high[0])
    counting = Counting(shape_of, linked, low, high, question.width, ENTRY, MESSAGING, UNSEEN)
    counting.all(nodes, mains)
    return counting


def compare(spans: list[Span], said: list[Shape], low: int, high: int, width: int, linking: bool) -> None:
    spans, traces = shaped(spans), max(span.trace for span in spans) + 1
    links = []
    if linking and len({(span.trace, span.id) for span in spans}) == len(spans):
        kinds = [said[span.kind].kind for span in spans]
        consumers = [row for row, kind in enumerate(kinds) if kind == CONSUMER]
        links = [(row, sent) for row in consumers for sent, kind in enumerate(kinds) if kind == PRODUCER]
    ids = np.array([[span.trace + 1] * 16 for span in spans], np.uint8)
    question = Question(
        low=np.full(traces, low),
        high=np.full(traces, high),
        width=width,
        link_consumer=np.array([row for row, _ in links], np.int64),
        link_producer=np.array([row for _, row in links], np.int64),
        entry=ENTRY,
        messaging=MESSAGING,
        unseen=UNSEEN,
        ids=ids,
    )
    columns = Shapes(*np.ascontiguousarray(np.array(said, np.int64).T))
    found = count_calls(arrays(spans), traces, columns, question)
    counting = expected(spans, said, question, links)
    groups = list(
        zip(
            *(column.tolist() for column in (found.role, found.connection, found.period)),
            found.source.tolist(),
            found.target.tolist(),
            strict=True,
        )
    )
    cells: Counter[tuple[object, int, int]] = Counter()
    for group, measure, code, count in zip(
        found.group.tolist(), found.measure.tolist(), found.code.tolist(), found.counted.tolist(), strict=True
    ):
        cells[groups[group], measure, code] += count
    assert cells == counting.cells
    best: dict[tuple[object, bool], tuple[int, int]] = {}
    for failed, taken, rows in (
        (False, found.slowest, found.slowest_row),
        (True, found.failed, found.failed_row),
    ):
        for group, time, row in zip(groups, taken.tolist(), rows.tolist(), strict=True):
            if time >= 0:
                noted = time, spans[row].trace
                best[group, failed] = max(best.get((group, failed), (-1, -1)), noted)
    assert best == counting.best


SPANS = st.one_of(call_spans(), nested_spans(), tangled_spans())


@given(SPANS, shapes(), st.booleans())
def test_agrees_with_the_naive_twin(spans: list[Span], said: list[Shape], linking: bool) -> None:
    compare(spans, said, -(2**62), 2**62, 0, linking)


@given(SPANS, shapes(), st.integers(-5, 9), st.integers(0, 12), st.sampled_from([1, 3, 50]), st.booleans())
def test_agrees_within_a_window_and_by_period(
    spans: list[Span], said: list[Shape], low: int, length: int, width: int, linking: bool
) -> None:
    compare(spans, said, low, low + length, width, linking)


def test_many_traces_are_counted_as_one_is() -> None:
    said = [Shape(service, 0, kind, 0, 1, names, -1, -1) for kind, service, names in COMBINED]
    trace = [Span(0, 1, 0, 0, 90, 2, 0), Span(0, 2, 1, 10, 80, 3, 0), Span(0, 3, 2, 20, 70, 2, 1)]
    many = 20 if INTERPRETED else 30_000
    spans = [dataclasses.replace(span, trace=t) for t in range(many) for span in shaped(trace)]
    question = Question(
        np.full(many, 0), np.full(many, 2**40), 0, *(np.empty(0, np.int64),) * 2, ENTRY, MESSAGING, UNSEEN,
        np.zeros((len(spans), 16), np.uint8),
    )  # fmt: skip
    columns = Shapes(*np.ascontiguousarray(np.array(said, np.int64).T))
    found = count_calls(arrays(spans), many, columns, question)
    calls = (found.role == native.EDGE)[found.group] & (found.measure == native.CLIENT_TIME)
    assert found.counted[calls].sum() == many
    sent = (found.role == native.SPANS)[found.group]
    assert found.counted[sent].sum() == 3 * many
