"""What a collector does now and then goes on, whatever goes wrong once."""

import logging
import threading

import pytest

from tracescape.periodic import Periodic


def test_a_step_that_fails_comes_again_and_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    failed, again, other = [], threading.Event(), threading.Event()

    def failing() -> None:
        if failed:
            again.set()
        failed.append(1)
        raise RuntimeError("not now")

    with caplog.at_level(logging.WARNING):
        periodic = Periodic("test", [failing, other.set], interval_s=0.01, at_once=True)
        assert again.wait(10)
        assert other.wait(10)
        periodic.close()
        periodic.close()
    assert "test failed, trying again later: RuntimeError: not now" in caplog.text


def test_what_waits_for_its_first_interval_may_be_closed_before() -> None:
    done: list[int] = []
    periodic = Periodic("test", [lambda: done.append(1)], interval_s=60, at_once=False)
    periodic.close()
    assert done == []


def test_what_begins_at_once_has_been_done_when_it_is_closed() -> None:
    done = threading.Event()
    periodic = Periodic("test", [done.set], interval_s=60, at_once=True)
    assert done.wait(10)
    periodic.close()
