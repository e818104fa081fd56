"""Proves that a notifier's own connection breaks nothing: one that raises is begun anew after a
while, the others go on, and a stop ends all of them, also one that does not listen to it.
"""

import asyncio
from datetime import timedelta
from typing import Any

from remediator.engine.listening import Listening
from remediator.plugin.context import Context
from remediator.plugin.notifier import Desk, Notifier
from remediator.testing.clock import ManualClock
from tests.notify.context import FirstWins, GivenContext


class Ear(Notifier):
    """Listens until told to stop; breaks as often as prepared before, or never looks."""

    def __init__(self, name: str, *, breaks: int = 0, deaf: bool = False) -> None:
        self.name = name  # type: ignore[misc]  # a class's name, elsewhere
        self.breaks = breaks
        self.deaf = deaf
        self.begun = 0
        self.over = False

    async def announce(self, *_: Any) -> None:
        raise AssertionError("nobody is told anything in here")

    async def listen(self, desk: Desk, ctx: Context, stopping: asyncio.Event) -> None:
        self.begun += 1
        if self.begun <= self.breaks:
            raise RuntimeError("the line is cut")
        try:
            await (asyncio.Event() if self.deaf else stopping).wait()
        finally:
            self.over = True


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_that_breaks_is_begun_anew_and_harms_no_other() -> None:
    clock = ManualClock()
    broken, sound, deaf = Ear("broken", breaks=2), Ear("sound"), Ear("deaf", deaf=True)
    ears = {ear.name: ear for ear in (broken, sound, deaf)}
    listening = Listening(
        ears, FirstWins(), lambda *_: GivenContext({}, clock.now()), clock, stop_within_s=0.05
    )
    listening.start()
    await settle()
    assert (broken.begun, sound.begun) == (1, 1)

    for seconds, begun in ((1, 1), (1, 2), (3, 2), (1, 3), (60, 3)):
        clock.advance(timedelta(seconds=seconds))
        await settle()
        assert broken.begun == begun
    assert sound.begun == 1
    await listening.stop()
    await listening.stop()
    assert [ear.over for ear in ears.values()] == [True, True, True]


async def test_a_stop_does_not_wait_for_the_next_try() -> None:
    clock = ManualClock()
    broken = Ear("broken", breaks=99)
    listening = Listening(
        {"broken": broken}, FirstWins(), lambda *_: GivenContext({}, clock.now()), clock
    )
    listening.start()
    await settle()
    async with asyncio.timeout(5):
        await listening.stop()
    assert broken.begun == 1
