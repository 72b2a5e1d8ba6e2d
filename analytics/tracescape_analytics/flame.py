"""Flame graphs as frames: call paths with names, numbered in the order in which they are drawn."""

from __future__ import annotations

import polars as pl

from tracescape_native.call_paths import CallPaths


def frames_of(found: CallPaths, services: list[str], operations: list[str]) -> pl.DataFrame:
    """A row a call path: ``code`` (its number in ``found``), ``frame, parent, depth, service, operation``.

    ``found.code`` is service × number of operations + operation. Frames are numbered from 0 in depth-first
    order, siblings by service and operation, so that they do not depend on the order of the spans.
    """
    width = max(len(operations), 1)
    names = [(services[code // width], operations[code % width]) for code in found.code.tolist()]
    children: list[list[int]] = [[] for _ in range(len(names) + 1)]  # the last: the roots
    for path, parent in enumerate(found.parent.tolist()):
        children[parent].append(path)
    frame, depth = [0] * len(names), [0] * len(names)
    stack = sorted(children[-1], key=names.__getitem__, reverse=True)
    for number in range(len(names)):
        path = stack.pop()
        frame[path] = number
        for child in sorted(children[path], key=names.__getitem__, reverse=True):
            depth[child] = depth[path] + 1
            stack.append(child)
    return pl.DataFrame(
        {
            "code": range(len(names)),
            "frame": frame,
            "parent": [frame[parent] if parent >= 0 else None for parent in found.parent.tolist()],
            "depth": depth,
            "service": [service for service, _ in names],
            "operation": [operation for _, operation in names],
        },
        schema={
            "code": pl.Int64,
            "frame": pl.Int64,
            "parent": pl.Int64,
            "depth": pl.Int64,
            "service": pl.String,
            "operation": pl.String,
        },
    )


def in_order(totals: pl.DataFrame, frames: pl.DataFrame, groups: list[str]) -> pl.DataFrame:
    """``totals`` by ``code`` with the columns of ``frames``, each group's frames in the order drawn."""
    return (
        totals.join(frames, on="code")
        .select(
            *groups,
            "frame",
            "parent",
            "depth",
            "service",
            "operation",
            "critical_ns",
            "total_ns",
            "share",
            "traces",
            "spans",
            "mean_ns_per_trace",
            "exemplar",
        )
        .sort([*groups, "frame"], descending=[name == "cohort" for name in [*groups, "frame"]])
    )
