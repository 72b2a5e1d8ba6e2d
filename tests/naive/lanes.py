"""Lanes by trying one after the other: defines ``native.lanes``."""

from __future__ import annotations


def lanes(order: list[int], parent: list[int], start: list[int], end: list[int]) -> list[int]:
    taken: list[list[int]] = []
    found = [0] * len(order)
    for i in order:
        lane = found[parent[i]] + 1 if parent[i] >= 0 else 0
        while any(start[i] < until for until in (taken[lane] if lane < len(taken) else [])):
            lane += 1
        while lane >= len(taken):
            taken.append([])
        taken[lane].append(max(end[i], start[i] + 1))
        found[i] = lane
    return found
