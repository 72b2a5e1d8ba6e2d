"""Many traces at once give what each gives alone, however many threads ask."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from naive.spans import arrays, wide_spans
from tracescape_native import parallel
from tracescape_native.critical_path import Paths, critical_paths
from tracescape_native.forest import Forest, SpanArrays, build_forest

KINDS_OF_TRACE = 12


def many(traces: int) -> SpanArrays:
    """Traces of `KINDS_OF_TRACE` shapes in turn; rows are mixed."""
    shapes = [arrays(wide_spans(seed, 5 + 3 * seed)) for seed in range(KINDS_OF_TRACE)]
    chosen = [shapes[k % KINDS_OF_TRACE] for k in range(traces)]
    columns = [np.concatenate([getattr(one, name) for one in chosen]) for name in SpanArrays._fields]
    columns[0] = np.repeat(np.arange(traces), [len(one.trace) for one in chosen])
    order = np.random.default_rng(0).permutation(len(columns[0]))
    return SpanArrays(*(column[order] for column in columns))


def answer(spans: SpanArrays) -> tuple[Forest, Paths]:
    forest = build_forest(spans)
    return forest, critical_paths(forest)


def same(a: tuple[Forest, Paths], b: tuple[Forest, Paths]) -> bool:
    return all(
        np.array_equal(one, other) for x, y in zip(a, b, strict=True) for one, other in zip(x, y, strict=True)
    )


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_WORTH_A_THREAD", 100)
    monkeypatch.setattr(parallel, "INTERPRETED", False)


def test_ranges_cover_all_traces(in_pieces: None) -> None:
    for sizes in ([], [5], [1] * 1000, [5000, 1, 1], [1, 1, 5000], [0, 0, 300, 0]):
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)
        ranges = parallel.ranges_of(offsets)
        assert [t for begin, end in ranges for t in range(begin, end)] == list(range(len(sizes)))


def test_pieces_make_the_whole(in_pieces: None, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = many(60)
    pieces = answer(spans)
    monkeypatch.setattr(parallel, "_WORTH_A_THREAD", 2**40)
    assert same(pieces, answer(spans))


def test_several_threads_may_ask_at_once(in_pieces: None) -> None:
    spans = many(36)
    expected = answer(spans)
    with ThreadPoolExecutor(8) as pool:
        assert all(same(found, expected) for found in pool.map(answer, [spans] * 16))


def test_what_one_range_raises_is_raised() -> None:
    def fail(begin: int, end: int) -> None:
        if begin == 1:
            raise ValueError("range 1")

    with pytest.raises(ValueError, match="range 1"):
        parallel.run_all(fail, [(0, 1), (1, 2), (2, 3)])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own() -> None:
    def nothing(begin: int, end: int) -> None:
        pass

    parallel.run_all(nothing, [(0, 1), (1, 2)])
    child = os.fork()
    if child == 0:
        parallel.run_all(nothing, [(0, 1), (1, 2)])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
