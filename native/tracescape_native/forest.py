"""Span trees: from unordered spans to one forest in depth-first order.

A forest is stored as parallel arrays in which every parent stands before its children and every subtree is
contiguous: span ``i``'s subtree is ``i … i + size[i] - 1``, its first child is ``i + 1``, the next sibling of
``c`` is ``c + size[c]``. Kernels over trees become plain loops: forwards for what flows from parents to
children, backwards for the rest. Nothing recurses, so depth and width have no limit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tracescape_native.grouping import HASH_SEED, rows_by_code
from tracescape_native.growing import CHILD, CUT, ORPHAN, ROOT, Grown, SpanArrays, grow, scratch_for
from tracescape_native.kinds import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, UNSET
from tracescape_native.parallel import ranges_of, run_all
from tracescape_native.sorting import IntArray

__all__ = ["CHILD", "CLIENT", "CONSUMER", "CUT", "INTERNAL", "ORPHAN", "PRODUCER", "ROOT", "SERVER", "UNSET"]
__all__ += ["Forest", "SpanArrays", "build_forest"]


class Forest(NamedTuple):
    """Span trees in depth-first order (see the module), int64 arrays.

    Shape (m,), a row a span that is kept (content-equal copies are dropped): ``rows`` (index into the
    input), ``trace``, ``parent`` (position, -1 for a root), ``root`` (position of the topmost ancestor),
    ``size`` (spans in the subtree, itself included), ``depth`` (0 for a root), ``origin`` (ROOT, …), and the
    input's columns in this order. Siblings, and the roots of a trace, stand by start, then unsigned id.

    Trace ``t`` is ``offsets[t]:offsets[t + 1]``; ``main_root[t]`` is the position of its main root.
    ``copies`` counts dropped spans.
    """

    rows: IntArray
    trace: IntArray
    parent: IntArray
    root: IntArray
    size: IntArray
    depth: IntArray
    origin: IntArray
    span_id: IntArray
    start: IntArray
    end: IntArray
    kind: IntArray
    resource: IntArray
    offsets: IntArray
    main_root: IntArray
    copies: int


def _compacted(offsets: IntArray, out: Grown) -> tuple[IntArray, Grown]:
    # Close the gaps that dropped copies left behind each trace.
    kept_offsets = np.zeros(len(offsets), np.int64)
    np.cumsum(out.kept, out=kept_offsets[1:])
    moved = offsets[:-1] - kept_offsets[:-1]  # how far each trace moves forward
    trace = np.repeat(np.arange(len(out.kept)), out.kept)
    place = np.arange(len(trace)) + moved[trace]
    parent = out.parent[place]
    columns = {name: getattr(out, name)[place] for name in out._fields if name not in ("main_root", "kept")}
    columns["parent"] = np.where(parent >= 0, parent - moved[trace], -1)
    columns["root"] -= moved[trace]
    return kept_offsets, Grown(**columns, main_root=out.main_root - moved, kept=out.kept)


def build_forest(spans: SpanArrays) -> Forest:
    """Resolve parents and order the spans of many traces depth first.

    Within a trace, copies of a span (same id, equal in everything given) are dropped; of spans that share an
    id but differ, the earliest start is the parent of those that name it (then the later end, then the
    smaller parent id, resource and content). A span whose parent is missing is an extra root. A cycle is cut
    at its earliest start, then smallest unsigned id. The main root is the longest span without a parent;
    only if there is none, the longest orphan or cut. O(n log n) for any input; the result does not depend
    on the order of the rows. Every trace number in [0, max] must occur.
    """
    n = len(spans.trace)
    traces = int(spans.trace.max()) + 1 if n else 0
    offsets, rows = rows_by_code(spans.trace, traces)
    # One block for all columns: the system hands out a large one in large pages, which cost a third.
    out = Grown(*np.empty((12, n), np.int64), *np.empty((2, traces), np.int64))

    def grow_range(first: int, last: int) -> None:
        scratch = scratch_for(int(np.diff(offsets[first : last + 1]).max(initial=0)))
        grow(spans, rows, offsets, first, last, HASH_SEED, scratch, out)

    run_all(grow_range, ranges_of(offsets))
    copies = n - int(out.kept.sum())
    if copies:
        offsets, out = _compacted(offsets, out)
    return Forest(*out[:12], offsets=offsets, main_root=out.main_root, copies=copies)
