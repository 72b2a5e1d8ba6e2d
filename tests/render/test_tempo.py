"""How fast a replay goes by: no moment is skipped, and what happens is given time."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from memory_reader import reader, span, trace_bytes
from tracescape_analytics.replay import load_replay
from tracescape_render.route import route_of
from tracescape_render.tempo import LONGEST_S, SHORTEST_S, Tempo, tempo_of

BEGIN = 1_790_000_000_000_000_000


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.booleans(), st.floats(0, 1))
def test_there_and_back(offsets: list[int], even: bool, share: float) -> None:
    tempo = Tempo(np.sort(np.array(offsets, np.int64)) + BEGIN, even=even)
    first, last = tempo.range_ns
    assert first == BEGIN + min(offsets) <= tempo.at(share) <= last == BEGIN + max(offsets)
    assert tempo.at(0.0) == first
    assert tempo.at(1.0) == last
    if first < last:
        assert abs(tempo.share_of(tempo.at(share)) - share) < 1e-3 or last - first < 10_000
    assert SHORTEST_S <= tempo.seconds <= LONGEST_S


def test_a_long_wait_does_not_swallow_what_happened_before_it() -> None:
    moments = np.array([0, 1, 2, 3, 1_000_000], np.int64) + BEGIN
    assert Tempo(moments, even=False).share_of(BEGIN + 3) < 1e-5
    even = Tempo(moments)
    assert even.share_of(BEGIN + 3) > 0.02
    shares = [even.share_of(BEGIN + at) for at in (0, 1, 2, 3, 1_000_000)]
    assert shares == sorted(shares)


def test_errors_and_calls_on_the_critical_path_are_what_happens() -> None:
    rows = [
        span("A", service="web", kind="server", start=BEGIN, end=BEGIN + 10**9),
        span("B", "A", service="web", kind="client", start=BEGIN + 10, end=BEGIN + 40),
        span("C", "B", service="pay", kind="server", start=BEGIN + 20, end=BEGIN + 30, status="error"),
    ]
    tempo = tempo_of(route_of(load_replay(reader(*rows), trace_bytes("t"))))
    assert tempo.share_of(BEGIN + 30) > 10 * 30 / 10**9
    assert tempo.range_ns == (BEGIN, BEGIN + 10**9)
