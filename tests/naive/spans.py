"""Random and hand-made spans for the kernel tests, and the arrays that the kernels take."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from naive.forest import Span
from tracescape_native.forest import SpanArrays

#: Few ids, so that duplicates, orphans and cycles are common; both ends of the unsigned order are there.
IDS = [1, 2, 3, 4, 5, 6, 2**63 - 1, 2**63, 2**64 - 1]


def signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def arrays(spans: list[Span]) -> SpanArrays:
    """Kernel input for spans whose traces are numbered densely."""

    def column(values: list[int]) -> np.ndarray:
        return np.array(values, np.int64)

    return SpanArrays(
        trace=column([span.trace for span in spans]),
        span_id=column([signed(span.id) for span in spans]),
        parent_id=column([signed(span.parent) for span in spans]),
        start=column([span.start for span in spans]),
        end=column([span.end for span in spans]),
        kind=column([span.kind for span in spans]),
        resource=column([span.resource for span in spans]),
        content=column([span.content for span in spans]),
    )


@st.composite
def tangled_spans(draw: st.DrawFn, times: int = 12) -> list[Span]:
    """Up to two traces of spans with arbitrary ids, parents and kinds; intervals touch and coincide."""
    traces = draw(st.integers(1, 2))
    spans = []
    for i in range(draw(st.integers(traces, 14))):
        start = draw(st.integers(0, times))
        spans.append(
            Span(
                trace=i % traces,
                id=draw(st.sampled_from(IDS)),
                parent=draw(st.sampled_from([0, *IDS])),
                start=start,
                end=start + draw(st.integers(0, times)),
                kind=draw(st.integers(0, 5)),
                resource=draw(st.integers(0, 2)),
                content=draw(st.integers(0, 2)),
            )
        )
    return spans


@st.composite
def nested_spans(draw: st.DrawFn) -> list[Span]:
    """One trace that is a tree, with long intervals, so that paths are deep and tolerances matter."""
    spans = [Span(0, 1, 0, 0, 1000, draw(st.sampled_from([2, 3, 3, 4])))]
    for i in range(2, draw(st.integers(2, 16))):
        parent = spans[draw(st.integers(0, len(spans) - 1))]
        start = draw(st.integers(parent.start - 20, parent.end))
        end = draw(st.integers(start, max(start, parent.end + 20)))
        kind = draw(st.sampled_from([0, 1, 2, 2, 2, 3, 3, 3, 4, 5]))
        resource, content = draw(st.integers(0, 2)), draw(st.integers(0, 2))
        spans.append(Span(0, i, parent.id, start, end, kind, resource, content))
    return spans


def wide_spans(seed: int, width: int, trace: int = 0) -> list[Span]:
    """A trace of a few levels whose siblings overlap in every way, some shifted, some sent twice."""
    random = np.random.default_rng(seed)
    spans = [Span(trace, 1, 0, 0, 10_000, 3)]
    for i in range(2, 2 * width):
        parent = spans[0] if i < width else spans[random.integers(1, min(8, len(spans)))]
        start = int(random.integers(parent.start - 50, parent.end + 1))
        end = start + int(random.integers(0, (parent.end - parent.start) // 4 + 2))
        number = i if random.random() < 0.95 else int(random.integers(2, i + 1))
        kind, resource = int(random.choice([1, 2, 3, 5])), int(random.integers(0, 2))
        spans.append(Span(trace, number, parent.id, start, end, kind, resource))
    spans += [spans[k] for k in random.integers(0, len(spans), 3)]
    return [spans[k] for k in random.permutation(len(spans))]


@st.composite
def call_spans(draw: st.DrawFn) -> list[Span]:
    """One trace of nested CLIENT, SERVER and INTERNAL spans, mostly, of three services."""
    kinds = [1, 1, 2, 2, 3, 3, 3, 4, 5, 0]
    spans = []
    for i in range(1, draw(st.integers(1, 14))):
        parent = draw(st.integers(max(i - 3, 0), i - 1))
        kind, resource, content = (
            draw(st.sampled_from(kinds)),
            draw(st.sampled_from([0, 0, 0, 1, 2])),
            draw(st.sampled_from([0, 0, 1, 2])),
        )
        spans.append(Span(0, i, parent, i, 100, kind, resource, content))
    return spans or [Span(0, 1, 0, 0, 100)]
