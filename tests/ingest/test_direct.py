"""Straight into a shared store: what is answered when, and that doubt never costs or repeats a span."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.otlp import request, span
from support.signals import log, logs_request
from tracescape_ingest import direct as module
from tracescape_ingest.accepting import Accepted, Decoder, Signal
from tracescape_ingest.counting import Counting
from tracescape_ingest.direct import Direct, Fate, fate_of
from tracescape_ingest.errors import OverloadError
from tracescape_storage.errors import InDoubtError, StoreError, StoreFullError, UnstorableError

Block = list[str]
DECODER = Decoder(1)


class Sink:
    """Keeps names of spans; each token once. ``fail`` says how an insert ends, ``gate`` when."""

    def __init__(self) -> None:
        self.stored: dict[str, Block] = {}
        self.attempts: list[tuple[Block, str]] = []
        self.before: Callable[[Block], Exception | None] = lambda block: None
        self.after: Callable[[Block], Exception | None] = lambda block: None
        self.preparing: Callable[[Block], Exception | None] = lambda block: None
        self.gate = threading.Event()
        self.gate.set()

    def prepare(self, *batches: Mapping[str, pa.Table]) -> Block:
        parts = [each["spans"]["operation"] if "spans" in each else each["logs"]["body"] for each in batches]
        block = [name for part in parts for name in part.to_pylist()]
        _raised(self.preparing(block))
        return block

    def insert(self, block: Block, token: str) -> None:
        self.attempts.append((block, token))
        self.gate.wait()
        _raised(self.before(block))
        self.stored.setdefault(token, block)
        _raised(self.after(block))

    @property
    def names(self) -> list[str]:
        return [name for block in self.stored.values() for name in block]


def _raised(error: Exception | None) -> None:
    if error is not None:
        raise error


def first(count: int, error: Exception) -> Callable[[Block], Exception | None]:
    """Fails so often, then no more."""
    left = itertools.chain(itertools.repeat(error, count), itertools.repeat(None))
    return lambda block: next(left)


def accepted(*names: str) -> Accepted:
    return DECODER.decode(Signal.TRACES, request(*map(span, names)).SerializeToString())


def again(each: Accepted) -> Accepted:
    return DECODER.decode(each.signal, each.payload)


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_S", 0.002)
    monkeypatch.setattr(module, "_MAX_RETRY_S", 0.01)


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def make(sink: Sink) -> Iterator[Callable[..., Direct]]:
    made: list[Direct] = []

    def started(**options: Any) -> Direct:
        made.append(Direct(sink, **{"linger_s": 0.0, **options}))
        made[-1].start()
        return made[-1]

    yield started
    sink.gate.set()
    for each in made:
        each.close(0.2)
        assert each.held_bytes == 0


@pytest.fixture
def direct(make: Callable[..., Direct]) -> Direct:
    return make()


def held(direct: Direct, sink: Sink) -> Future[None]:
    """A request that is being inserted, until the gate opens."""
    sink.gate.clear()
    before = len(sink.attempts)
    done = direct.submit(accepted("held"))
    until(lambda: len(sink.attempts) > before)
    return done


def test_an_answer_waits_for_the_store(direct: Direct, sink: Sink) -> None:
    done = held(direct, sink)
    assert not done.done()
    assert not done.cancel(), "what is admitted cannot be called off"
    sink.gate.set()
    done.result(10)
    assert sink.names == ["held"]


def test_what_waits_during_an_insert_goes_into_the_next_one_together(direct: Direct, sink: Sink) -> None:
    futures = [held(direct, sink), *(direct.submit(accepted(f"{n}")) for n in range(20))]
    sink.gate.set()
    for future in futures:
        future.result(10)
    assert [len(block) for block, _ in sink.attempts] == [1, 20]


def test_an_insert_has_no_more_rows_than_it_may(make: Callable[..., Direct], sink: Sink) -> None:
    direct = make(insert_rows=4)
    futures = [held(direct, sink), *(direct.submit(accepted(f"{n}", "x")) for n in range(5))]
    sink.gate.set()
    for future in futures:
        future.result(10)
    assert [len(block) for block, _ in sink.attempts] == [1, 4, 4, 2]


def test_each_signal_has_inserts_of_its_own_and_none_is_overtaken_twice(
    make: Callable[..., Direct], sink: Sink
) -> None:
    direct = make(insert_rows=2)
    first_one = held(direct, sink)
    said = DECODER.decode(Signal.LOGS, logs_request(log("said")).SerializeToString())
    waiting = [accepted("a"), said, accepted("b"), accepted("c"), accepted("d")]
    futures = [first_one, *map(direct.submit, waiting)]
    sink.gate.set()
    for future in futures:
        future.result(10)
    assert [block for block, _ in sink.attempts] == [["held"], ["a", "b"], ['"said"'], ["c", "d"]]


def test_what_is_refused_for_its_content_after_doubt_is_not_stored_and_may_come_again(
    direct: Direct, sink: Sink
) -> None:
    sink.after = first(1, InDoubtError("cut off"))
    tries = itertools.count()
    sink.before = lambda block: [InDoubtError("cut off"), UnstorableError("no"), None][min(next(tries), 2)]
    one = accepted("a")
    assert isinstance(direct.submit(one).exception(10), InDoubtError)
    until(lambda: not direct.held_bytes)
    assert sink.names == []
    sink.after = lambda block: None
    direct.submit(again(one)).result(10)
    assert sink.names == ["a"]


def test_a_little_waits_for_company_and_much_does_not(make: Callable[..., Direct], sink: Sink) -> None:
    direct = make(linger_s=3600.0, insert_rows=8)
    direct.submit(accepted("at once, after a pause")).result(10)
    waits = direct.submit(accepted("a"))
    assert not waits.done()
    direct.submit(accepted("b")).result(10)
    waits.result(10)
    assert [len(block) for block, _ in sink.attempts] == [1, 2]


def test_more_than_may_wait_is_refused_and_one_that_is_larger_is_taken_alone(
    make: Callable[..., Direct], sink: Sink
) -> None:
    direct = make(max_waiting_bytes=1)
    done = held(direct, sink)
    with pytest.raises(OverloadError, match="wait to be stored"):
        direct.submit(accepted("a"))
    assert direct.is_pressed
    sink.gate.set()
    done.result(10)
    until(lambda: not direct.held_bytes)
    direct.submit(accepted("a")).result(10)


def test_what_is_sent_twice_counts_once_also_within_an_insert(
    make: Callable[..., Direct], sink: Sink
) -> None:
    counting = Counting()
    direct = make(counting=counting)
    one = accepted("a", "b")
    futures = [held(direct, sink), direct.submit(one), direct.submit(again(one))]
    sink.gate.set()
    for future in futures:
        future.result(10)
    direct.submit(again(one)).result(10)
    assert sorted(sink.names) == ["a", "b", "held"]
    assert counting.read().duplicates == {"traces": 4}


def test_what_is_certainly_not_stored_is_told_and_may_come_again(direct: Direct, sink: Sink) -> None:
    sink.before = first(1, StoreError("refused"))
    one = accepted("a")
    error = direct.submit(one).exception(10)
    assert type(error) is StoreError
    direct.submit(again(one)).result(10)
    assert sink.names == ["a"]
    assert len({token for _, token in sink.attempts}) == 2


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("error", [InDoubtError("cut off"), ConnectionResetError("gone"), MemoryError()])
def test_in_doubt_senders_are_told_at_once_and_the_same_insert_is_tried_until_it_is_known(
    direct: Direct, sink: Sink, stored: bool, error: Exception
) -> None:
    setattr(sink, "after" if stored else "before", first(1, error))
    one = accepted("a")
    assert isinstance(direct.submit(one).exception(10), InDoubtError)
    direct.submit(again(one)).result(10)
    assert sink.names == ["a"]
    assert len({token for _, token in sink.attempts}) == 1


def test_a_certain_failure_after_doubt_does_not_make_it_certain(direct: Direct, sink: Sink) -> None:
    """Stored, the answer lost, then the server restarts: refused connections say nothing of the insert."""
    sink.after = first(1, InDoubtError("cut off"))
    one = accepted("a")
    assert direct.submit(one).exception(10) is not None
    sink.before = first(5, StoreError("connection refused"))
    deadline = time.monotonic() + 20
    while True:
        try:
            direct.submit(again(one)).result(10)
            break
        except (StoreError, OverloadError):
            assert time.monotonic() < deadline
    assert sink.names == ["a"]


def test_while_the_store_does_not_answer_nobody_waits_for_it(direct: Direct, sink: Sink) -> None:
    broken = threading.Event()
    sink.after = lambda block: None if broken.is_set() else InDoubtError("cut off")
    done = direct.submit(accepted("a"))
    assert isinstance(done.exception(10), InDoubtError)

    def refused() -> bool:
        try:
            direct.submit(accepted("b")).result(10)
        except OverloadError:
            return True
        except StoreError:
            return False
        return False

    until(refused)
    broken.set()
    until(lambda: not direct.held_bytes)
    direct.submit(accepted("c")).result(10)
    assert sink.names == ["a", "c"]


@pytest.mark.parametrize("where", ["before", "preparing"])
def test_content_that_is_refused_is_found_and_the_others_are_stored(
    direct: Direct, sink: Sink, where: str
) -> None:
    bad = UnstorableError("no") if where == "before" else ValueError("no")
    setattr(sink, where, lambda block: bad if "bad" in block else None)
    guilty = accepted("bad", "beside it")
    others = [accepted(f"{n}") for n in range(7)]
    futures = [held(direct, sink)]
    futures += [direct.submit(each) for each in (*others[:3], guilty, *others[3:], again(guilty))]
    sink.gate.set()
    failed = [type(future.exception(10)) for future in futures]
    assert failed.count(UnstorableError) == 2 and failed.count(type(None)) == 8
    assert failed[4] is failed[9] is UnstorableError, "a copy is not told that it was stored"
    assert sorted(sink.names) == [*(f"{n}" for n in range(7)), "held"]


def test_a_full_store_says_so(direct: Direct, sink: Sink) -> None:
    sink.before = first(1, StoreFullError("no room"))
    assert isinstance(direct.submit(accepted("a")).exception(10), StoreFullError)


def test_closing_stores_what_was_admitted(direct: Direct, sink: Sink) -> None:
    futures = [held(direct, sink), direct.submit(accepted("a"))]
    closing = threading.Thread(target=direct.close)
    closing.start()
    until(lambda: direct._close_by is not None)
    with pytest.raises(OverloadError, match="shutting down"):
        direct.submit(accepted("late"))
    sink.gate.set()
    closing.join()
    assert all(future.exception(10) is None for future in futures)
    assert sink.names == ["held", "a"]


def test_closing_over_a_store_that_does_not_answer_ends_and_tells(
    make: Callable[..., Direct], sink: Sink
) -> None:
    direct = make()
    sink.before = lambda block: InDoubtError("cut off")
    first_one = held(direct, sink)
    second = direct.submit(accepted("b"))
    sink.gate.set()
    direct.close(0.05)
    assert isinstance(first_one.exception(10), StoreError)
    assert isinstance(second.exception(10), StoreError)
    direct.close()


def test_one_that_was_never_started_tells_too(sink: Sink) -> None:
    direct = Direct(sink)
    done = direct.submit(accepted("a"))
    direct.close()
    assert isinstance(done.exception(1), StoreError)


@pytest.mark.parametrize(
    ("error", "at_first", "after_doubt"),
    [
        (None, Fate.STORED, Fate.STORED),
        (StoreError("x"), Fate.NOT_STORED, Fate.IN_DOUBT),
        (StoreFullError("x"), Fate.NOT_STORED, Fate.IN_DOUBT),
        (UnstorableError("x"), Fate.UNSTORABLE, Fate.UNSTORABLE),
        (InDoubtError("x"), Fate.IN_DOUBT, Fate.IN_DOUBT),
        (OSError("x"), Fate.IN_DOUBT, Fate.IN_DOUBT),
    ],
)
def test_what_an_attempt_says(error: Exception | None, at_first: Fate, after_doubt: Fate) -> None:
    assert (fate_of(error, doubted=False), fate_of(error, doubted=True)) == (at_first, after_doubt)


class WildSink(Sink):
    """Ends each insert as chance has it: before or after it is stored, certain or not, at once or slowly."""

    def __init__(self, seed: int, trouble: float) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self.trouble = trouble

    def insert(self, block: Block, token: str) -> None:
        chance = self._random.random
        if chance() < self.trouble / 2:
            time.sleep(0.002)
        if "bad" in block:
            raise UnstorableError("bad")
        if chance() < self.trouble:
            raise self._random.choice([StoreError, StoreFullError, InDoubtError, ConnectionResetError])("x")
        self.stored.setdefault(token, block)
        if chance() < self.trouble:
            raise self._random.choice([InDoubtError, TimeoutError])("x")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from([0.0, 0.2, 0.6]), st.booleans())
def test_nothing_acknowledged_is_missing_and_nothing_is_stored_twice(
    seed: int, trouble: float, closes_early: bool
) -> None:
    sink = WildSink(seed, trouble)
    direct = Direct(sink, linger_s=0.0, insert_rows=7)
    direct.start()
    acknowledged: list[str] = []
    refused: list[str] = []
    closed = threading.Event()

    def client(number: int) -> None:
        for turn in range(6):
            names = [f"{number}.{turn}.{n}" for n in range(1 + turn % 3)]
            if (number + turn) % 7 == 3:
                names[0] = "bad"
            message = accepted(*names)
            for _ in range(200):
                try:
                    direct.submit(again(message)).result(10)
                except UnstorableError:
                    refused.extend(names)
                except (StoreError, OverloadError):
                    if closed.is_set():
                        return
                    time.sleep(0.001)
                    continue
                else:
                    acknowledged.extend(names)
                break

    clients = [threading.Thread(target=client, args=(number,)) for number in range(4)]
    for each in clients:
        each.start()
    if closes_early:
        time.sleep(0.01)
        direct.close(0.02)
        closed.set()
    for each in clients:
        each.join()
    sink.trouble = 0.0
    direct.close()
    stored = Counter(sink.names)
    assert set(acknowledged) <= set(stored)
    assert max(stored.values(), default=1) == 1
    assert not set(refused) & set(stored)
    assert closes_early or "bad" in refused
    assert direct.held_bytes == 0
