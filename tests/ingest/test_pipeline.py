"""Between acceptance and the store: what is answered when, what goes together, and what failures cost."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.otlp import request, span
from tracescape_ingest import pipeline as module
from tracescape_ingest.accepting import Accepted, Decoder, Signal
from tracescape_ingest.errors import OverloadError
from tracescape_ingest.pipeline import Pipeline
from tracescape_storage.duckdb_file import Position
from tracescape_storage.errors import StoreError, StoreFullError, UnstorableError
from tracescape_storage.journal import Journal, Known, Record

NEVER = 3600.0


class Store:
    """Keeps the names of spans and the positions that it is given; can be told to fail."""

    def __init__(self) -> None:
        self.commits: list[list[str]] = []
        self.positions: list[Position] = []
        self.fail: Callable[[list[str]], Exception | None] = lambda names: None
        self.gate = threading.Event()
        self.gate.set()

    def append(self, *batches: Mapping[str, pa.Table], position: Position | None = None) -> None:
        self.gate.wait()
        names = [name for batch in batches for name in batch["spans"]["operation"].to_pylist()]
        if (failure := self.fail(names)) is not None:
            raise failure
        assert position is not None
        self.commits.append(names)
        self.positions.append(position)

    @property
    def names(self) -> list[str]:
        return [name for commit in self.commits for name in commit]


class Stand:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.store = Store()
        self.journal = Journal(folder, settled=-1)
        self.groups: list[int] = []
        self.rooms: list[int] = []
        self.refuse: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self._append = self.journal.append
        self.journal.append = self.append  # type: ignore[method-assign]
        self.pipeline = Pipeline(self.store, self.journal, **{"linger_s": NEVER, **options})
        self.decoder = Decoder(1)
        self.pipeline.start()

    def append(self, records: Sequence[Record], *, room: int = 0) -> list[Record]:
        self.groups.append(len(records))
        self.rooms.append(room)
        self.gate.wait()
        if self.refuse is not None:
            raise self.refuse
        return self._append(records)

    def accepted(self, *names: str) -> Accepted:
        return self.decoder.decode(Signal.TRACES, request(*map(span, names)).SerializeToString())

    def send(self, *names: str) -> None:
        self.pipeline.submit(self.accepted(*names)).result(10)

    def close(self) -> None:
        self.gate.set()
        self.store.gate.set()
        self.pipeline.close()
        self.journal.close()


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Stand]]:
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    made: list[Stand] = []

    def make(**options: Any) -> Stand:
        made.append(Stand(tmp_path / f"{len(made)}.journal", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def stand(stands: Callable[..., Stand]) -> Stand:
    return stands()


@pytest.fixture(scope="module")
def compiled() -> Decoder:
    decoder = Decoder(1)
    decoder.start()
    assert decoder.wait(100)
    return decoder


def test_an_answer_waits_for_the_journal_and_not_for_the_store(stand: Stand) -> None:
    stand.store.gate.clear()
    stand.send("a")
    assert [each.sequence for each in stand.journal.records()] == [0]
    assert not stand.store.commits
    stand.gate.clear()
    done = stand.pipeline.submit(stand.accepted("b"))
    until(lambda: len(stand.groups) == 2)
    assert not done.done(), "it is not in the journal yet"
    assert not done.cancel(), "what is admitted cannot be called off"
    stand.gate.set()
    done.result(10)


def test_what_waits_during_a_write_goes_into_the_next_one_together(stand: Stand) -> None:
    stand.gate.clear()
    futures = [stand.pipeline.submit(stand.accepted("first"))]
    until(lambda: stand.groups)
    futures += [stand.pipeline.submit(stand.accepted(f"{number}")) for number in range(20)]
    stand.gate.set()
    for future in futures:
        future.result(10)
    assert stand.groups == [1, 20]
    assert stand.pipeline.settle()
    assert len(stand.store.names) == 21
    assert stand.store.positions[-1] == (20, 0)


def test_a_duplicate_within_a_group_is_answered_and_not_written(stand: Stand) -> None:
    stand.gate.clear()
    again = stand.accepted("a")
    first = stand.pipeline.submit(stand.accepted("x"))
    until(lambda: stand.groups)
    futures = [
        first,
        *(
            stand.pipeline.submit(each)
            for each in (again, stand.decoder.decode(Signal.TRACES, again.payload))
        ),
    ]
    stand.gate.set()
    for future in futures:
        future.result(10)
    assert stand.groups == [1, 1]
    stand.pipeline.settle()
    assert sorted(stand.store.names) == ["a", "x"]


def test_a_failure_reaches_all_who_wait_for_it_and_the_next_goes_on(stand: Stand) -> None:
    stand.gate.clear()
    stand.refuse = StoreFullError("full")
    first = stand.pipeline.submit(stand.accepted("x"))
    until(lambda: stand.groups)
    others = [stand.pipeline.submit(stand.accepted(name)) for name in "yz"]
    stand.gate.set()
    errors = [future.exception(10) for future in [first, *others]]
    assert all(isinstance(error, StoreFullError) for error in errors)
    assert len({id(error) for error in errors}) == 3
    stand.refuse = None
    stand.send("later")
    assert stand.pipeline.settle()
    assert stand.store.names == ["later"]
    assert stand.pipeline.held_bytes == 0


def test_a_second_copy_is_stored_when_the_first_fails_in_flight(stand: Stand) -> None:
    stand.gate.clear()
    stand.refuse = StoreError("no")
    one = stand.accepted("a")
    first = stand.pipeline.submit(one)
    until(lambda: stand.groups)
    second = stand.pipeline.submit(stand.decoder.decode(Signal.TRACES, one.payload))
    taken = stand._append
    stand._append = lambda records: taken(records)
    stand.gate.set()
    assert first.exception(10) is not None
    stand.refuse = None
    if second.exception(10) is not None:  # it was in the next group, which failed as well
        stand.pipeline.submit(stand.decoder.decode(Signal.TRACES, one.payload)).result(10)
    assert stand.pipeline.settle()
    assert stand.store.names == ["a"]


def test_what_nobody_foresaw_is_an_error_of_those_who_wait_and_not_of_the_thread(stand: Stand) -> None:
    stand.refuse = RuntimeError("a bug")
    with pytest.raises(StoreError, match="unexpectedly: RuntimeError: a bug"):
        stand.send("a")
    stand.refuse = None
    broken = stand.accepted("b")
    broken.digest = b"not 16 bytes"
    with pytest.raises(StoreError, match="unexpectedly"):
        stand.pipeline.submit(broken).result(10)
    stand.send("c")


def test_an_answer_is_given_even_if_it_cannot_be_kept_in_mind(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(stand.pipeline._seen._spans, "keep_pending", fail)
        stand.send("a")
    stand.send("b")
    assert stand.pipeline.settle()
    assert stand.store.names == ["a", "b"]


def test_over_the_bound_is_refused_until_the_store_has_taken_some(stands: Callable[..., Stand]) -> None:
    size = Decoder(1).decode(Signal.TRACES, request(span("a")).SerializeToString()).nbytes
    stand = stands(max_waiting_bytes=2 * size)
    stand.store.gate.clear()
    stand.send("a")
    stand.send("b")
    assert stand.pipeline.held_bytes == 2 * size, "up to the very bound"
    for _ in range(3):
        with pytest.raises(OverloadError, match="wait to be stored already"):
            stand.pipeline.submit(stand.accepted("c"))
    stand.store.gate.set()
    assert stand.pipeline.settle()
    stand.send("c")
    assert stand.pipeline.settle()
    assert stand.store.names == ["a", "b", "c"], "what was refused is not stored"


def test_it_is_pressed_near_its_bound_while_waiting_helps(stands: Callable[..., Stand]) -> None:
    size = Decoder(1).decode(Signal.TRACES, request(span("a")).SerializeToString()).nbytes
    stand = stands(max_waiting_bytes=4 * size)
    stand.store.gate.clear()
    for name, pressed in (("a", False), ("b", False), ("c", False), ("d", True)):
        stand.send(name)
        assert stand.pipeline.is_pressed is pressed
    stand.store.fail = lambda names: StoreFullError("full")
    stand.store.gate.set()
    assert not stand.pipeline.settle()
    assert not stand.pipeline.is_pressed, "a store that takes nothing is not waited for"
    stand.store.fail = lambda names: None
    until(stand.pipeline.settle)
    assert not stand.pipeline.is_pressed


def test_the_journal_leaves_room_for_what_the_store_has_yet_to_take(stand: Stand) -> None:
    stand.store.gate.clear()
    for name in "abc":
        stand.send(name)
    sizes = [stand.accepted(name).nbytes for name in "abc"]
    assert stand.rooms == [sum(sizes[:1]), sum(sizes[:2]), sum(sizes)]


def test_admission_counts_the_bytes_that_came_as_well(compiled: Decoder) -> None:
    """The names of spans that are scanned stay where they were in their request."""
    data = request(span("x" * 1_000_000)).SerializeToString()
    assert compiled.decode(Signal.TRACES, data).nbytes > len(data)


def test_one_that_is_larger_than_the_bound_is_admitted_alone(stands: Callable[..., Stand]) -> None:
    stand = stands(max_waiting_bytes=1)
    stand.store.gate.clear()
    stand.send("a")
    with pytest.raises(OverloadError):
        stand.pipeline.submit(stand.accepted("b"))
    stand.store.gate.set()
    stand.pipeline.settle()
    stand.send("b")


def test_duplicates_hold_nothing(stand: Stand) -> None:
    data = request(span("a"), span("b")).SerializeToString()
    for _ in range(5):
        stand.pipeline.submit(stand.decoder.decode(Signal.TRACES, data)).result(10)
    stand.pipeline.settle()
    assert stand.pipeline.held_bytes == 0
    assert stand.store.names == ["a", "b"]


def test_what_nobody_asks_for_settles_after_a_while(stands: Callable[..., Stand]) -> None:
    stand = stands(linger_s=0.05)
    stand.send("a")
    stand.send("b")
    until(lambda: stand.store.names == ["a", "b"])


def test_a_question_waits_for_what_was_acknowledged_and_no_longer(stand: Stand) -> None:
    assert stand.pipeline.settle(), "nothing is due"
    stand.send("a")
    assert stand.pipeline.settle()
    assert stand.store.names == ["a"]
    stand.store.gate.clear()
    stand.send("b")
    assert not stand.pipeline.settle(timeout_s=0.01)


def test_a_question_beside_a_stream_waits_for_no_commit(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STREAM_ITEMS", 3)
    monkeypatch.setattr(module, "_STREAM_S", 600.0)
    monkeypatch.setattr(module, "_FRESH_S", 600.0)
    monkeypatch.setattr(module, "_PAUSE_S", 0.01)
    stand.store.gate.clear()
    for name in "abc":
        stand.send(name)
    assert not stand.pipeline.catch_up(timeout_s=0.01), "nothing more comes: what was written shall be seen"
    monkeypatch.setattr(module, "_PAUSE_S", 60.0)
    asking = threading.Event()
    seen: list[bool] = []

    def ask() -> None:
        asking.set()
        seen.append(stand.pipeline.catch_up(timeout_s=60))

    asker = threading.Thread(target=ask)
    asker.start()
    asking.wait()
    numbers = itertools.count()
    while asker.is_alive():
        stand.send(f"more {next(numbers)}")
    asker.join()
    assert seen == [True]
    assert stand.store.names == [], "it has waited for no commit"
    monkeypatch.setattr(module, "_FRESH_S", 0.0)
    assert not stand.pipeline.catch_up(timeout_s=0.01), "what waits for long is waited for"


def test_a_question_does_not_wait_for_a_store_that_takes_nothing(stand: Stand) -> None:
    stand.store.fail = lambda names: StoreFullError("full")
    stand.send("a")
    begin = time.monotonic()
    assert not stand.pipeline.settle(timeout_s=60)
    assert time.monotonic() - begin < 10


def test_whole_row_groups_go_together_and_the_rest_waits(
    stand: Stand, compiled: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROW_GROUP", 10)
    stand.decoder = compiled
    stand.store.gate.clear()
    names = [f"{number}" for number in range(28)]
    for begin in range(0, 28, 4):
        stand.send(*names[begin : begin + 4])
    stand.store.gate.set()
    until(lambda: sum(map(len, stand.store.commits)) >= 20)
    assert sum(map(len, stand.store.commits)) == 20
    assert all(len(commit) % 10 == 0 for commit in stand.store.commits)
    assert stand.store.positions[-1] == (4, 0)
    assert stand.pipeline.settle()
    assert stand.store.names == names
    assert stand.pipeline._rows == stand.pipeline.held_bytes == 0


def test_a_request_is_split_at_a_row_group_and_its_rest_comes_next(
    stand: Stand, compiled: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROW_GROUP", 10)
    stand.decoder = compiled
    names = [f"{number}" for number in range(16)]
    stand.send(*names[:4])
    stand.send(*names[4:])
    until(lambda: stand.store.commits)
    assert stand.store.commits == [names[:10]]
    assert stand.store.positions == [Position(0, 6)]
    assert stand.pipeline.settle()
    assert stand.store.commits[1:] == [names[10:]]
    assert stand.store.positions[1:] == [Position(1, 0)]


def test_the_rows_of_a_split_request_are_counted_with_what_was_left_out(
    stand: Stand, compiled: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROW_GROUP", 10)
    stand.decoder = compiled
    first = [span(f"{number}") for number in range(5)]
    more = [span(f"{number}") for number in range(5, 17)]
    for spans in (first, [*first, *more]):
        data = request(*spans).SerializeToString()
        stand.pipeline.submit(compiled.decode(Signal.TRACES, data)).result(10)
    until(lambda: stand.store.commits)
    assert stand.store.positions == [Position(0, 10)], "5 new ones are stored, after 5 that were left out"
    assert stand.pipeline.settle()
    assert stand.store.names == [f"{number}" for number in range(17)]


def test_a_poisoned_request_is_set_aside_and_the_others_are_stored(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    stand.store.fail = lambda names: UnstorableError("bad value") if "poison" in names else None
    stand.store.gate.clear()
    for name in ("a", "poison", "b"):
        stand.send(name)
    poison = list(stand.journal.records())[1].payload
    stand.store.gate.set()
    assert stand.pipeline.settle()
    assert stand.store.names == ["a", "b"]
    assert stand.store.positions == [(0, 0), (1, 0), (2, 0)], "no position is ahead of what is stored"
    (kept,) = stand.folder.glob("*.otlp")
    assert kept.read_bytes() == poison
    assert "a request cannot be stored: bad value" in caplog.text
    assert f"it is kept as {kept}" in caplog.text
    stand.send("c")
    assert stand.pipeline.settle()


def test_what_seemed_poisoned_and_then_meets_a_full_disk_is_not_taken_for_stored(stand: Stand) -> None:
    errors = iter([UnstorableError("odd"), StoreFullError("full"), StoreError("odd")])
    stand.store.fail = lambda names: next(errors, None)
    stand.send("a")
    until(lambda: stand.pipeline.settle())
    assert stand.store.names == ["a"]


def test_a_poisoned_request_waits_until_it_can_be_set_aside(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.store.fail = lambda names: ValueError("bad") if "poison" in names else None
    real, tries = stand.journal.set_aside, []

    def set_aside(sequence: int) -> Path:
        tries.append(sequence)
        if len(tries) < 3:
            raise StoreError("no room")
        return real(sequence)

    monkeypatch.setattr(stand.journal, "set_aside", set_aside)
    stand.send("poison")
    stand.send("a")
    until(lambda: stand.pipeline.settle())
    assert tries == [0, 0, 0]
    assert stand.store.names == ["a"]
    assert len(list(stand.folder.glob("*.otlp"))) == 1


@pytest.mark.parametrize(
    "error", [StoreFullError("full"), StoreError("disk"), OSError(5, "I/O"), MemoryError()]
)
def test_a_store_that_takes_nothing_for_a_while_costs_nothing(stand: Stand, error: Exception) -> None:
    tries = []

    def fail(names: list[str]) -> Exception | None:
        tries.append(names)
        return error if len(tries) < 6 else None

    stand.store.gate.clear()
    stand.store.fail = fail
    for name in "abc":
        stand.send(name)
    stand.store.gate.set()
    until(lambda: stand.pipeline.settle())
    assert stand.store.names == ["a", "b", "c"]
    assert stand.store.positions[-1] == (2, 0)
    assert not list(stand.folder.glob("*.otlp")), "the requests are not to blame"


def test_closing_stores_what_was_admitted(stand: Stand) -> None:
    stand.gate.clear()
    first = stand.pipeline.submit(stand.accepted("a"))
    until(lambda: stand.groups)
    second = stand.pipeline.submit(stand.accepted("b"))
    closing = threading.Thread(target=stand.pipeline.close)
    closing.start()
    until(lambda: stand.pipeline._closing)
    with pytest.raises(OverloadError, match="shutting down"):
        stand.pipeline.submit(stand.accepted("c"))
    stand.gate.set()
    closing.join(10)
    assert first.done() and second.done()
    assert stand.store.names == ["a", "b"]
    stand.pipeline.close()


def test_closing_on_a_full_disk_ends_and_goes_past_nothing(stand: Stand) -> None:
    """The store must not take what came later, or its position would pass what it never took."""
    stand.store.fail = lambda names: StoreFullError("full") if "a" in names else None
    stand.send("a")
    until(lambda: not stand.pipeline.settle())
    stand.send("b")
    stand.pipeline.close()
    assert stand.store.commits == []
    assert stand.store.positions == []
    assert [each.sequence for each in stand.journal.records()] == [0, 1]


def test_a_bug_in_settling_is_tried_again_and_loses_nothing(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, tries = stand.pipeline._next_batch, []

    def fail_twice() -> Any:
        batch = real()
        tries.append(batch)
        if len(tries) < 3:
            raise ZeroDivisionError("a bug")
        return batch

    monkeypatch.setattr(stand.pipeline, "_next_batch", fail_twice)
    stand.send("warm")
    stand.pipeline.settle()
    stand.send("a")
    until(lambda: stand.pipeline.settle())
    assert stand.store.names == ["warm", "a"]
    assert "settling failed: ZeroDivisionError: a bug" in caplog.text


def test_segments_that_cannot_be_removed_stop_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(settled: int) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(stand.journal, "forget", fail)
    for name in "ab":
        stand.send(name)
        assert stand.pipeline.settle()
    assert stand.store.names == ["a", "b"]


def test_nothing_is_removed_from_the_journal_before_it_has_been_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what it holds a request that is sent again is recognised, also on a disk that is full."""
    monkeypatch.setattr(module, "_RETRY_S", 0.01)
    before = Journal(tmp_path / "j", settled=-1)
    data = request(span("a")).SerializeToString()
    accepted = Decoder(1).decode(Signal.TRACES, data)
    before.append([module._record(accepted)])
    before.close()
    store, journal, looked = Store(), Journal(tmp_path / "j", settled=-1), threading.Event()
    removed: list[str] = []
    monkeypatch.setattr(journal, "forget", lambda settled: removed.append("settled"))
    monkeypatch.setattr(journal, "make_room", lambda: removed.append("all that is settled"))
    tries: list[object] = []

    def full_at_first(names: list[str]) -> Exception | None:
        tries.append(names)
        return StoreFullError("full") if len(tries) < 3 else None

    def known() -> Iterator[Known]:
        looked.wait(10)
        yield from journal.known()

    def left_behind(after: int) -> Iterator[Accepted]:
        for record in journal.records(after):
            found = Decoder(1).decode(Signal.TRACES, record.payload)
            found.sequence = record.sequence
            yield found

    store.fail = full_at_first
    pipeline = Pipeline(store, journal, linger_s=NEVER)
    pipeline.recover(known(), left_behind)
    pipeline.start()
    until(lambda: store.names)
    again = pipeline.submit(Decoder(1).decode(Signal.TRACES, data))
    assert not removed
    looked.set()
    again.result(10)
    pipeline.submit(Decoder(1).decode(Signal.TRACES, request(span("b")).SerializeToString())).result(10)
    assert pipeline.settle()
    assert store.names == ["a", "b"]
    until(lambda: removed)
    pipeline.close()
    journal.close()


def test_tables_are_built_while_others_are_admitted(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    building, go_on = threading.Event(), threading.Event()
    real = module.tables_of

    def slow(requests: Sequence[Accepted]) -> Any:
        building.set()
        go_on.wait(10)
        return real(requests)

    monkeypatch.setattr(module, "tables_of", slow)
    stand.send("a")
    asking = threading.Thread(target=stand.pipeline.settle)
    asking.start()
    assert building.wait(10)
    stand.send("b")
    go_on.set()
    asking.join()
