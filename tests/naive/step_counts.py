"""Sums by step as anybody would write them down, a cell at a time."""

from __future__ import annotations

from tracescape_native.call_keys import ALONE_TIME, ERRORS, GROUP_SHIFT, MEASURE_SHIFT, OFFSET, SERVER_TIME
from tracescape_native.step_counts import CODES_LONG, Sums, Wanted, sums_for

Cell = tuple[int, int, int, int, int]  # step, group, measure, code, count


def key_of(group: int, measure: int, code: int) -> int:
    return group << GROUP_SHIFT | measure << MEASURE_SHIFT | (code + OFFSET)


def sums(cells: list[Cell], wanted: Wanted, steps: int, selections: int, nodes: int) -> Sums:
    found = sums_for(steps, selections, nodes)
    for step, group, measure, code, count in cells:
        node = wanted.node[group]
        is_time = measure <= ALONE_TIME and not (wanted.edge[group] and measure == SERVER_TIME)
        if node < 0 or not (is_time or measure == ERRORS):
            continue
        units = count * wanted.unit[group]
        if is_time:
            found.calls[step, node] += units
        for selection in range(selections):
            if wanted.chosen[group] & (1 << selection):
                if is_time:
                    found.times[step, selection, min(max(code, 0), CODES_LONG - 1)] += units
                    found.seen[step, selection] += count * wanted.stored[group]
                else:
                    found.errors[step, selection] += units
    return found
