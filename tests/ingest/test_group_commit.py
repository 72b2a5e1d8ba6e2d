"""Group commit: admitted means answered, answered means stored, and the waiting room has a size."""

import threading
import time

import pytest

from support.otlp import batch, span
from tracescape_ingest.group_commit import GroupCommit, OverloadError
from tracescape_storage.errors import StoreError, StoreFullError
from tracescape_storage.schema import SpanBatch


class Sink:
    """An `append` that can be held up and made to fail."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.gate.set()
        self.failure: Exception | None = None

    def __call__(self, stored: SpanBatch) -> None:
        self.entered.set()
        assert self.gate.wait(10)
        if self.failure is not None:
            raise self.failure
        self.sizes.append(stored.spans.num_rows)


def test_what_waits_during_a_commit_goes_into_the_next_one_together() -> None:
    sink = Sink()
    sink.gate.clear()
    commits = GroupCommit(sink)
    first = commits.submit(batch(span()))
    assert sink.entered.wait(10)
    others = [commits.submit(batch(span(), span())) for _ in range(5)]
    assert not first.done()
    sink.gate.set()
    for future in (first, *others):
        future.result(10)
    commits.close()
    assert sink.sizes == [1, 10]


def test_a_commit_stops_growing_at_its_size() -> None:
    sink = Sink()
    sink.gate.clear()
    commits = GroupCommit(sink, max_commit_rows=3)
    futures = [commits.submit(batch(span(), span())) for _ in range(5)]
    sink.gate.set()
    for future in futures:
        future.result(10)
    commits.close()
    assert sum(sink.sizes) == 10
    assert max(sink.sizes) <= 4


def test_over_the_bound_nothing_is_admitted_until_there_is_room() -> None:
    sink = Sink()
    sink.gate.clear()
    one = batch(span())
    commits = GroupCommit(sink, max_waiting_bytes=int(one.nbytes * 2.5))
    admitted = [commits.submit(one), commits.submit(one)]
    with pytest.raises(OverloadError, match="wait to be stored"):
        commits.submit(one)
    sink.gate.set()
    for future in admitted:
        future.result(10)
    deadline = time.monotonic() + 10
    while True:  # the bytes are given back just after the futures resolve
        try:
            commits.submit(one).result(10)
            break
        except OverloadError:
            assert time.monotonic() < deadline
    commits.close()
    assert sum(sink.sizes) == 3


def test_a_batch_larger_than_the_bound_is_admitted_alone() -> None:
    sink = Sink()
    commits = GroupCommit(sink, max_waiting_bytes=1)
    commits.submit(batch(span())).result(10)
    commits.close()
    assert sink.sizes == [1]


@pytest.mark.parametrize("failure", [StoreFullError("full"), StoreError("broken")])
def test_a_failed_commit_fails_everyone_in_it_and_the_next_goes_on(failure: StoreError) -> None:
    sink = Sink()
    sink.failure = failure
    commits = GroupCommit(sink)
    with pytest.raises(type(failure), match=str(failure)):
        commits.submit(batch(span())).result(10)
    sink.failure = None
    commits.submit(batch(span())).result(10)
    commits.close()
    assert sink.sizes == [1]


def test_an_unexpected_failure_is_told_and_does_not_end_the_thread() -> None:
    sink = Sink()
    sink.failure = ZeroDivisionError("oops")
    commits = GroupCommit(sink)
    with pytest.raises(StoreError, match="ZeroDivisionError: oops"):
        commits.submit(batch(span())).result(10)
    sink.failure = None
    commits.submit(batch(span())).result(10)
    commits.close()


def test_closing_stores_what_was_admitted_and_refuses_what_comes_after() -> None:
    sink = Sink()
    sink.gate.clear()
    commits = GroupCommit(sink)
    futures = [commits.submit(batch(span())) for _ in range(4)]
    closer = threading.Thread(target=commits.close)
    closer.start()
    sink.gate.set()
    closer.join(10)
    assert all(future.done() and future.exception() is None for future in futures)
    assert sum(sink.sizes) == 4
    with pytest.raises(OverloadError, match="shutting down"):
        commits.submit(batch(span()))
