"""Whether a store answers is told soon, to however many ask."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tracescape import readiness
from tracescape.readiness import Probe


class Slow:
    """A store that says ``answer`` once it may."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.asked = 0
        self.may_answer = threading.Event()

    def __call__(self) -> str:
        self.asked += 1
        self.may_answer.wait(30)
        return self._answer


def test_many_who_ask_at_once_are_one_question() -> None:
    store = Slow("no")
    probe = Probe(store, within_s=30)
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(probe.reason) for _ in range(8)]
        store.may_answer.set()
        assert {each.result(60) for each in waiting} == {"no"}
    assert store.asked == 1


def test_a_store_that_is_silent_does_not_answer_and_is_not_asked_twice() -> None:
    store = Slow("")
    probe = Probe(store, within_s=0.01)
    assert [probe.reason() for _ in range(3)] == ["the store has not answered within 0.01 s"] * 3
    assert store.asked == 1
    store.may_answer.set()


def test_it_is_asked_anew_once_the_answer_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_KEPT_S", 0.0)
    answers = iter(["down", "", "down"])
    probe = Probe(lambda: next(answers), within_s=30)
    assert [probe.reason() for _ in range(3)] == ["down", "", "down"]


def test_a_failure_that_nobody_foresaw_is_a_reason() -> None:
    def ask() -> str:
        raise KeyError("x")

    assert Probe(ask, within_s=30).reason() == "KeyError: 'x'"
