"""Sent twice counts once, in one group, re-batched and across a restart; what is new is never lost."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.otlp import request, span
from support.signals import log, logs_request
from tracescape_ingest.duplicates import NEW, SAME_IDENTITY, SEEN, Recent, _slots, request_fingerprint
from tracescape_ingest.intake import Intake, Outcome, Signal
from tracescape_native import recent as kernels
from tracescape_storage.duckdb_file import DuckDBStore
from tracescape_storage.errors import StoreError, StoreFullError

compiled = pytest.fixture(params=[False, True], ids=["slow", "compiled"])(lambda request: request.param)


def memory(entries: int = 1 << 20, *, compiled: bool, keep_s: float = 900.0) -> Recent:
    return Recent(entries, lambda: kernels if compiled else None, keep_s=keep_s)


def pairs(*each: tuple[int, int]) -> np.ndarray:
    return np.array(each, np.int64).reshape(-1, 2)


def judged(remembered: Recent, *each: tuple[int, int]) -> list[int]:
    return remembered.judge(pairs(*each))[0].tolist()


def accepted(remembered: Recent, *each: tuple[int, int]) -> list[int]:
    verdicts = judged(remembered, *each)
    remembered.keep_pending()
    return verdicts


def test_new_seen_and_the_same_ids_with_other_content(compiled: bool) -> None:
    remembered = memory(compiled=compiled)
    assert accepted(remembered, (1, 1), (2, 2)) == [NEW, NEW]
    assert accepted(remembered, (2, 2), (2, 3), (3, 3)) == [SEEN, SAME_IDENTITY, NEW]
    assert accepted(remembered, (2, 3), (1, 1), (3, 3)) == [SEEN] * 3


def test_twice_in_one_request(compiled: bool) -> None:
    remembered = memory(compiled=compiled)
    assert judged(remembered, (1, 1), (1, 1), (1, 2), (1, 2)) == [NEW, SEEN, SAME_IDENTITY, SEEN]


def test_nothing_is_asked_about_nothing(compiled: bool) -> None:
    remembered = memory(compiled=compiled)
    assert accepted(remembered) == []
    remembered.add(pairs())


def test_what_is_pending_is_known_until_it_is_refused(compiled: bool) -> None:
    remembered = memory(compiled=compiled)
    assert judged(remembered, (1, 1)) == [NEW]
    assert judged(remembered, (1, 1)) == [SEEN], "in the same group"
    remembered.drop_pending()
    assert judged(remembered, (1, 1)) == [NEW], "it was refused, so it comes again"
    remembered.keep_pending()
    assert judged(remembered, (1, 1)) == [SEEN]


def test_what_was_pending_when_the_kernels_became_ready_is_still_known() -> None:
    ready = False
    remembered = Recent(100, lambda: kernels if ready else None)
    accepted(remembered, (1, 1))
    assert judged(remembered, (2, 2)) == [NEW]
    ready = True
    assert judged(remembered, (1, 1), (2, 2), (3, 3)) == [SEEN, SEEN, NEW]
    remembered.keep_pending()
    assert judged(remembered, (1, 1), (2, 2), (3, 3)) == [SEEN] * 3


def test_the_oldest_generation_goes_when_there_is_more_than_fits(compiled: bool) -> None:
    remembered = memory(entries=10, compiled=compiled)
    for number in range(1, 26):
        accepted(remembered, (number, number))
    known = [number for number in range(1, 26) if judged(remembered, (number, number)) == [SEEN]]
    assert known == list(range(11, 26))


def test_more_at_once_than_a_generation_holds(compiled: bool) -> None:
    remembered = memory(entries=10, compiled=compiled)
    remembered.add(pairs(*((number, number) for number in range(1, 26))))
    assert judged(remembered, (1, 1), (25, 25), (20, 20)) == [NEW, SEEN, SEEN]


def test_a_generation_is_kept_for_its_time(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tracescape_ingest.duplicates.time.monotonic", lambda: now[0])
    remembered = memory(compiled=compiled, keep_s=900)
    accepted(remembered, (1, 1))
    now[0] = 899
    accepted(remembered, (2, 2))
    now[0] = 1_790
    accepted(remembered, (3, 3))
    assert accepted(remembered, (1, 1), (2, 2)) == [SEEN, SEEN], "two came within 15 minutes"
    now[0] = 2_700
    accepted(remembered, (4, 4))
    assert judged(remembered, (1, 1), (2, 2), (3, 3)) == [NEW, NEW, SEEN]


def test_nothing_is_forgotten_for_15_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("tracescape_ingest.duplicates.time.monotonic", lambda: now[0])
    remembered = Recent(1000)
    accepted(remembered, (1, 1))
    for minute in range(1, 16):
        now[0] = 60.0 * minute
        assert accepted(remembered, (1, 1), (2, minute)) == [SEEN, NEW if minute == 1 else SAME_IDENTITY]


def test_tables_are_at_most_three_quarters_full_and_not_larger_than_that_needs() -> None:
    for entries in (0, 1, 3072, 3073, 3 << 20, (3 << 20) + 1):
        assert 3 * _slots(entries) >= max(4 * entries, 3 * 4096)
    assert [_slots(entries) for entries in (3072, 3073, 3 << 20, (3 << 20) + 1)] == [
        4096,
        8192,
        4 << 20,
        8 << 20,
    ]


# Few numbers, so that they meet; never (0, 0), which is 2^-128 of all hashes and stands for an empty slot.
_fingerprints = st.lists(st.tuples(st.integers(1, 4), st.integers(-2, 2)), max_size=6)
_steps = st.lists(st.tuples(st.sampled_from(["judge", "keep", "drop", "add", "ready"]), _fingerprints))


@given(_steps, st.sampled_from([1, 3, 100]))
def test_slow_and_compiled_memory_give_the_same_verdicts(
    steps: list[tuple[str, list[tuple[int, int]]]], entries: int
) -> None:
    ready = False
    slow, fast = memory(entries, compiled=False), memory(entries, compiled=True)
    changing = Recent(entries, lambda: kernels if ready else None)
    for step, fingerprints in steps:
        each = pairs(*fingerprints)
        ready = ready or step == "ready"
        if step == "judge":
            verdicts = [remembered.judge(each)[0].tolist() for remembered in (slow, fast, changing)]
            assert verdicts[0] == verdicts[1] == verdicts[2]
        for remembered in (slow, fast, changing):
            if step == "keep":
                remembered.keep_pending()
            elif step == "drop":
                remembered.drop_pending()
            elif step == "add":
                remembered.judge(each[:0])  # kernels come at a judgement
                remembered.add(each)


def test_the_same_bytes_as_another_signal_are_something_else() -> None:
    digest = bytes(range(16))
    assert request_fingerprint(1, digest).tolist() != request_fingerprint(2, digest).tolist()
    assert request_fingerprint(1, digest).tolist() == request_fingerprint(1, digest).tolist()


# Through an intake over a real store.


class Stand:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.open()

    def open(self) -> None:
        self.store = DuckDBStore(self.path)
        self.intake = Intake(self.store, compiled=False)

    def close(self) -> None:
        self.intake.close()
        self.store.close()

    def restart(self) -> None:
        self.close()
        self.open()

    def send(self, data: bytes, signal: Signal = Signal.TRACES) -> Outcome:
        return self.intake.submit(signal, data).result(10)

    def names(self) -> list[str]:
        query = "select operation from spans order by 1"
        return self.intake.reader().sql(query)["operation"].to_pylist()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    running = Stand(tmp_path / "t.db")
    yield running
    running.close()


def test_a_request_that_is_sent_again_is_acknowledged_and_counts_once(stand: Stand) -> None:
    data = request(span("a"), span("b")).SerializeToString()
    assert stand.send(data) == stand.send(data) == (2, 0, "")
    assert stand.names() == ["a", "b"]


@pytest.mark.parametrize("restarted", [False, True])
def test_spans_in_other_requests_count_once_and_what_is_new_is_stored(stand: Stand, restarted: bool) -> None:
    a, b, c, d = span("a"), span("b"), span("c"), span("d")
    stand.send(request(a, b).SerializeToString())
    if restarted:
        stand.restart()
    assert stand.send(request(c, b, d).SerializeToString()).accepted == 3
    if restarted:
        stand.restart()
    stand.send(request(d, c, b, a).SerializeToString())
    assert stand.names() == ["a", "b", "c", "d"]


def test_events_and_links_of_a_span_that_was_left_out_are_left_out_too(stand: Stand) -> None:
    a, b = span("a"), span("b")
    for each in (a, b):
        each.events.add(name=f"of {each.name}")
        each.links.add(trace_id=b"l" * 16, span_id=b"m" * 8)
    stand.send(request(a).SerializeToString())
    stand.send(request(a, b).SerializeToString())
    reader = stand.intake.reader()
    assert reader.sql("select name from events order by 1")["name"].to_pylist() == ["of a", "of b"]
    assert reader.links().num_rows == 2


def test_logs_are_known_as_whole_requests(stand: Stand) -> None:
    data = logs_request(log("once")).SerializeToString()
    stand.send(data, Signal.LOGS)
    stand.restart()
    assert stand.send(data, Signal.LOGS).accepted == 1
    assert stand.intake.reader().sql("select count(*) n from logs").to_pylist() == [{"n": 1}]


def test_other_content_with_the_same_ids_is_kept_with_a_warning(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    ids = {"trace_id": b"t" * 16, "span_id": b"s" * 8}
    stand.send(request(span("client", **ids)).SerializeToString())
    with caplog.at_level(logging.WARNING):
        stand.send(request(span("server", **ids)).SerializeToString())
    assert stand.names() == ["client", "server"]
    assert "1 spans have ids that were stored with other content before; both are kept" in caplog.text


def test_the_same_span_of_another_resource_is_another(stand: Stand) -> None:
    each = span("a")
    stand.send(request(each, service="one").SerializeToString())
    stand.send(request(each, service="two").SerializeToString())
    assert stand.names() == ["a", "a"]


def test_what_was_refused_is_no_duplicate_when_it_comes_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = request(span("a")).SerializeToString()

    def full(records: object) -> None:
        raise StoreFullError("full")

    with monkeypatch.context() as patch:
        patch.setattr(stand.intake._journal, "append", full)
        for _ in range(2):
            with pytest.raises(StoreError):
                stand.send(data)
    stand.send(data)
    assert stand.names() == ["a"]


def test_a_refusal_forgets_nothing_that_was_accepted(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    data = request(span("a")).SerializeToString()
    stand.send(data)

    def full(records: object) -> None:
        raise StoreFullError("full")

    with monkeypatch.context() as patch:
        patch.setattr(stand.intake._journal, "append", full)
        with pytest.raises(StoreError):
            stand.send(request(span("b")).SerializeToString())
    stand.send(data)
    assert stand.names() == ["a"]


def test_two_stores_side_by_side_do_not_know_of_each_other(stand: Stand, tmp_path: Path) -> None:
    other = Stand(tmp_path / "other.db")
    data = request(span("a")).SerializeToString()
    for each in (stand, other):
        each.send(data)
        assert each.names() == ["a"]
    other.close()
