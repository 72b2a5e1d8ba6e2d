"""Where a request enters a service: the span of each span's service that another service called.

All arrays are int64 of shape (n,) in the depth-first order of a ``Forest``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tracescape_native.forest import Forest
from tracescape_native.sorting import IntArray


@njit(cache=True, nogil=True)
def _entries(parent: IntArray, service: IntArray) -> IntArray:
    entry = np.empty(len(parent), np.int64)
    for i in range(len(parent)):
        p = parent[i]
        entry[i] = i if p < 0 or service[p] != service[i] else entry[p]
    return entry


def entry_spans(forest: Forest, service: IntArray) -> IntArray:
    """The position of each span's topmost ancestor that is reached within its own service. O(n).

    A root, and a span whose parent is of another service, is its own.
    """
    return np.asarray(_entries(forest.parent, service))
