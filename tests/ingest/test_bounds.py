"""What keeps memory bounded, on its own."""

import asyncio

import pytest

from tracescape_ingest.bounds import Budget, TooSlowError, Turnstile
from tracescape_ingest.group_commit import OverloadError


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


def test_slow_messages_make_room_when_others_wait_and_only_then() -> None:
    async def scenario() -> None:
        turnstile = Turnstile(2, patience_s=0.1, limit_s=5)
        assert await turnstile.through(lambda: _arrives(0.3)) == b"x"
        slow = [asyncio.ensure_future(turnstile.through(lambda: _arrives(60))) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert await asyncio.wait_for(turnstile.through(_arrives), 1) == b"x"
        assert any(isinstance(task.exception(), TooSlowError) for task in slow if task.done())
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert await turnstile.through(_arrives) == b"x", "every turn was given back"

    asyncio.run(scenario())


def test_nothing_takes_for_ever() -> None:
    async def scenario() -> None:
        turnstile = Turnstile(1, patience_s=0.05, limit_s=0.2)
        with pytest.raises(TooSlowError):
            await turnstile.through(lambda: _arrives(60))

    asyncio.run(scenario())


def test_an_error_while_it_arrives_is_passed_on_and_gives_the_turn_back() -> None:
    async def broken() -> bytes:
        raise RuntimeError("gone")

    async def scenario() -> None:
        turnstile = Turnstile(1)
        for _ in range(3):
            with pytest.raises(RuntimeError, match="gone"):
                await turnstile.through(broken)
        assert await turnstile.through(_arrives) == b"x"

    asyncio.run(scenario())
