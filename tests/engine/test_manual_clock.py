"""The tests' clock wakes sleepers in the order of their times, and never by itself."""

import asyncio
from datetime import timedelta

import pytest

from remediator.testing import START, ManualClock


async def _turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_sleepers_wake_in_the_order_of_their_times() -> None:
    clock = ManualClock()
    woken: list[str] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    tasks = [asyncio.create_task(sleep(n, s)) for n, s in [("late", 3), ("early", 1), ("last", 9)]]
    await _turn()
    assert (woken, clock.next_wake) == ([], START + timedelta(seconds=1))
    clock.advance(timedelta(seconds=5))
    await _turn()
    assert woken == ["early", "late"]
    assert clock.now() == START + timedelta(seconds=5)
    assert clock.monotonic() == 5
    clock.advance(timedelta(seconds=4))
    await asyncio.gather(*tasks)
    assert woken == ["early", "late", "last"]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(1))
    await _turn()
    task.cancel()
    await _turn()
    assert clock.next_wake is None
    clock.advance(timedelta(seconds=2))
    assert task.cancelled()


async def test_no_time_passes_in_no_time() -> None:
    clock = ManualClock()
    await clock.sleep(0)
    assert clock.now() == START
    with pytest.raises(ValueError, match="back"):
        clock.advance(timedelta(seconds=-1))
