"""What keeps memory bounded, on its own."""

import asyncio

import pytest

from tracescape_ingest.bounds import Budget, SlowLane, TooSlowError, Turns
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


class _Store:
    is_pressed = False


def test_with_room_a_message_is_read_at_once_and_without_it_when_another_has_been_answered() -> None:
    async def scenario() -> None:
        turns, store = Turns(100), _Store()
        async with turns.turn(store) as arrived:
            arrived(100)
            second = asyncio.ensure_future(_read(turns, store))
            await asyncio.sleep(0.05)
            assert (turns.held, turns.waiting, second.done()) == (100, 1, False)
        assert await asyncio.wait_for(second, 5) == b"x"
        assert (turns.held, turns.waiting) == (0, 0)

    asyncio.run(scenario())


def test_a_message_larger_than_all_room_is_read_alone() -> None:
    async def scenario() -> None:
        turns, store = Turns(100), _Store()
        for _ in range(100):  # and what all are counts as usual
            async with turns.turn(store) as arrived:
                arrived(1000)
        async with turns.turn(store):
            assert 900 < turns.held <= 1000, "what they usually are, until it is there"

    asyncio.run(scenario())


def test_while_the_store_catches_up_messages_wait_unread_in_their_order() -> None:
    async def scenario() -> None:
        turns, store = Turns(100), _Store()
        store.is_pressed = True
        order: list[int] = []
        waiting = [asyncio.ensure_future(_read(turns, store, order, number)) for number in range(5)]
        await asyncio.sleep(0.05)
        assert not order
        store.is_pressed = False
        await asyncio.gather(*waiting)
        assert order == [0, 1, 2, 3, 4]

    asyncio.run(scenario())


def test_the_store_of_one_tenant_keeps_no_other_waiting() -> None:
    async def scenario() -> None:
        turns, slow, quick = Turns(100), _Store(), _Store()
        slow.is_pressed = True
        waiting = asyncio.ensure_future(_read(turns, slow))
        await asyncio.sleep(0)
        assert await asyncio.wait_for(_read(turns, quick), 0.005) == b"x"
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(scenario())


def test_who_waits_too_long_or_behind_too_many_is_told_to_come_again() -> None:
    async def scenario() -> None:
        turns, store = Turns(100, patience_s=0.05, places=2), _Store()
        store.is_pressed = True
        waiting = [asyncio.ensure_future(_read(turns, store)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OverloadError, match="2 requests wait"):
            await _read(turns, store)
        for each in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(each, OverloadError)
        store.is_pressed = False
        assert await _read(turns, store) == b"x"
        assert turns.held == 0

    asyncio.run(scenario())


def test_who_goes_away_while_waiting_takes_no_room() -> None:
    async def scenario() -> None:
        turns, store = Turns(100), _Store()
        async with turns.turn(store) as arrived:
            arrived(100)
            waiting = [asyncio.ensure_future(_read(turns, store)) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
        await asyncio.sleep(0.05)
        assert waiting[0].cancelled()
        assert await asyncio.gather(*waiting[1:]) == [b"x"] * 2
        assert (turns.held, turns.waiting) == (0, 0)

    asyncio.run(scenario())


@pytest.mark.parametrize("called_up", [False, True])
def test_a_turn_that_comes_as_its_client_goes_is_given_back(called_up: bool) -> None:
    async def scenario() -> None:
        turns, store = Turns(100), _Store()
        async with turns.turn(store) as arrived:
            arrived(100)
            waiting = asyncio.ensure_future(_read(turns, store))
            await asyncio.sleep(0)
        if called_up:
            turns._look()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0.02)
        assert (turns.held, turns.waiting) == (0, 0)

    asyncio.run(scenario())


async def _read(turns: Turns, store: _Store, order: list[int] | None = None, number: int = 0) -> bytes:
    async with turns.turn(store) as arrived:
        arrived(40)
        if order is not None:
            order.append(number)
        return b"x"
