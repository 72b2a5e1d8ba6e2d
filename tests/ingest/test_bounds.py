"""What keeps memory bounded, on its own."""

import asyncio

import pytest

from tracescape_ingest.bounds import Budget, SlowLane, TooSlowError
from tracescape_ingest.errors import OverloadError


def test_a_budget_refuses_what_does_not_fit_and_takes_it_later() -> None:
    budget = Budget(100)
    with budget.hold() as first:
        first.add(60)
        second = budget.hold()
        second.add(40)
        with pytest.raises(OverloadError):
            second.add(1)
        with pytest.raises(OverloadError):
            first.add(1)
        assert budget.held == 100
        second.release()
        second.release()
        first.add(40)
    assert budget.held == 0


def test_a_request_larger_than_the_budget_is_taken_alone() -> None:
    budget = Budget(100)
    with budget.hold() as large:
        large.add(90)
        large.add(90)
        with pytest.raises(OverloadError):
            budget.hold().add(1)
    budget.hold().add(1)


def test_what_moved_is_released_by_its_new_owner() -> None:
    budget = Budget(100)
    with budget.hold() as hold:
        hold.add(10)
        moved = hold.moved()
    assert budget.held == 10
    moved.release()
    assert budget.held == 0


async def _arrives(after: float = 0.0) -> bytes:
    await asyncio.sleep(after)
    return b"x"


def test_slow_messages_lose_their_seat_to_others_and_only_then() -> None:
    async def scenario() -> None:
        lane = SlowLane(2, moment_s=0.05, patience_s=0.2, limit_s=5)
        assert await lane.arrival(lambda: _arrives(0.4)) == b"x", "alone it may take its time"
        stuck = [asyncio.ensure_future(lane.arrival(lambda: _arrives(60))) for _ in range(20)]
        assert await asyncio.wait_for(lane.arrival(_arrives), 0.04) == b"x", "they are in nobody's way"
        await asyncio.sleep(0.1)
        refused = [task.exception() for task in stuck if task.done()]
        assert len(refused) == 18
        assert all(isinstance(error, OverloadError) for error in refused)
        await asyncio.sleep(0.2)
        assert await lane.arrival(lambda: _arrives(0.1)) == b"x", "slow, but it finds a seat"
        assert isinstance(stuck[0].exception(), TooSlowError)
        assert not stuck[1].done()
        stuck[1].cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
        assert not lane._slow

    asyncio.run(scenario())


def test_nothing_takes_for_ever() -> None:
    async def scenario() -> None:
        lane = SlowLane(1, moment_s=0.05, limit_s=0.2)
        with pytest.raises(TooSlowError):
            await lane.arrival(lambda: _arrives(60))

    asyncio.run(scenario())


@pytest.mark.parametrize("after", [0.0, 0.1])
def test_an_error_while_it_arrives_is_passed_on_and_frees_the_seat(after: float) -> None:
    async def broken() -> bytes:
        await asyncio.sleep(after)
        raise RuntimeError("gone")

    async def scenario() -> None:
        lane = SlowLane(1, moment_s=0.05)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="gone"):
                await lane.arrival(broken)
        assert not lane._slow

    asyncio.run(scenario())
