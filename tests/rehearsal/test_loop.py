"""What lets a story run in milliseconds, and the same each time."""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from remediator.rehearsal import files
from remediator.rehearsal.play import Played, play
from remediator.testing.loop import SettlingLoop
from tests.rehearsal.stage import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
_ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{26}\b")


def test_a_loop_is_idle_when_nothing_is_left_to_run() -> None:
    done: list[int] = []

    async def chain(left: int) -> None:
        for number in range(left):
            await asyncio.sleep(0)
            done.append(number)

    async def main(loop: SettlingLoop) -> None:
        task = asyncio.create_task(chain(500))
        await loop.idle()
        assert len(done) == 500
        await task

    run(main)


def test_a_loop_is_not_idle_while_a_thread_of_its_own_is_at_work() -> None:
    async def main(loop: SettlingLoop) -> None:
        work = asyncio.ensure_future(asyncio.to_thread(time.sleep, 0.05))
        await loop.idle()
        assert work.done()

    run(main)


def test_who_waits_for_idleness_may_be_several_or_give_up() -> None:
    async def main(loop: SettlingLoop) -> None:
        waiting = [asyncio.create_task(loop.idle()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        assert await asyncio.gather(*waiting[1:]) == [None, None]
        await loop.idle()

    run(main)


def run(main: Callable[[SettlingLoop], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=SettlingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, SettlingLoop)
        runner.run(main(loop))


@pytest.mark.parametrize("number", range(2))
def test_a_story_is_the_same_each_time(number: int) -> None:
    path = ROOT / "runbooks/kube-pod-crash-looping.test.yaml"
    rehearsal = files.load(path, REGISTRY)
    case = rehearsal.cases[number]
    first, again = (play(rehearsal, case, REGISTRY) for _ in range(2))
    assert told(first) == told(again)


def told(played: Played) -> list[str]:
    """The story, the ids of runs left out."""
    return [f"{one.at} {one.who} {_ID.sub('…', one.text)}" for one in played.story]
