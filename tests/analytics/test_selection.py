"""Of a service that is asked fewer requests, what those requests were is no behaviour of its own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tracescape_analytics.root_cause.selection import selected
from tracescape_analytics.root_cause.shifts import share_shifts

BASE, WINDOW = 800, 400


def explained(before: tuple[int, int], after: tuple[int, int]) -> tuple[float, float]:
    """The shift and what selection explains of it; a side is how many requests have a step, of how many."""
    block = np.repeat([0, -1], [BASE, WINDOW])
    visits, cells = [], []
    for side, (having, requests) in ((0, before), (-1, after)):
        visits += [{"node": 0, "block": side, "entries": 1}] * requests
        cells += [{"node": 0, "item": 7, "block": side, "share": 1.0}] * having
    asked, having = pl.DataFrame(visits), pl.DataFrame(cells)
    moved = share_shifts(having, asked, ["node", "item"], ["node"])
    row = selected(moved, asked, block, ["node"], 2.0).row(0, named=True)
    return abs(row["shift"]), row["selected"]


def test_what_is_left_when_the_others_no_longer_come_is_explained() -> None:
    shift, selection = explained(before=(160, 800), after=(80, 100))
    assert selection > 0.7 * shift


def test_what_rises_with_as_many_requests_as_before_is_behaviour() -> None:
    assert explained(before=(160, 800), after=(320, 400))[1] == 0.0


def test_what_every_request_did_is_behaviour_however_few_come() -> None:
    shift, selection = explained(before=(800, 800), after=(50, 100))
    assert selection < 0.01 * shift


def test_no_more_is_explained_than_can_be_taken_away() -> None:
    shift, selection = explained(before=(80, 800), after=(180, 200))
    most = 0.1 / 0.5  # even if every second request, all without the step, is gone
    reach = np.log2(most / (1 - most)) - np.log2(0.1 / 0.9)
    assert reach < selection < 1.5 * reach < 0.5 * shift


def test_more_requests_can_explain_as_much_as_fewer() -> None:
    fewer, more = explained((160, 800), (80, 100)), explained((160, 200), (80, 400))
    assert more == pytest.approx(fewer, rel=0.2)


def test_a_few_requests_fewer_explain_nothing() -> None:
    assert explained(before=(20, 80), after=(28, 35))[1] == 0.0
