"""Two sides of a replay put together, run by run: today's runbooks, and what happened or others.

Holds a line only until the other side's has come, so that a long recording needs no memory.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from remediator.engine.replay import Key, Moment
from remediator.engine.replay.course import Course
from remediator.engine.replay.lines import Line, Pair, of_history, with_history, with_other

_NOW, _THEN = 0, 1


class Pairing:
    """Lines of two sides on their way to each other."""

    def __init__(self, compare: Callable[[Line | None, Line | None], Pair]) -> None:
        self._compare = compare
        self._started: tuple[set[Key], set[Key]] = (set(), set())
        self._ended: tuple[dict[Key, Line], dict[Key, Line]] = ({}, {})

    def started(self, side: int, keys: Sequence[Key]) -> None:
        """Take runs as begun on one side; both sides' of a moment, before any of them ends."""
        self._started[side].update(keys)

    def ended(self, side: int, lines: Sequence[Line]) -> Iterator[Pair]:
        """Take lines of one side; yields the pairs that are whole by that."""
        for line in lines:
            key = line.key
            other = 1 - side
            if key in self._started[other] and key not in self._ended[other]:
                self._ended[side][key] = line
                continue
            across = self._ended[other].pop(key, None)
            self._started[side].discard(key)
            self._started[other].discard(key)
            yield self._compare(*((line, across) if side == _NOW else (across, line)))


async def replay(
    moments: AsyncIterator[Moment], now: Course, then: Course | None = None
) -> AsyncIterator[Pair]:
    """Lead recorded notifications through one course, or two, and yield the runs in pairs.

    Args:
        moments: in the order of time.
        now: today's runbooks.
        then: other runbooks, to be held against; None for what happened.
    """
    pairing = Pairing(with_other if then else with_history)
    async for moment in moments:
        at = moment.received.at
        for side, course in ((_NOW, now), (_THEN, then)):
            if course is not None:
                for pair in pairing.ended(side, await course.until(at, inclusive=False)):
                    yield pair
        pairing.started(_NOW, now.take(moment.received))
        if then is not None:
            pairing.started(_THEN, then.take(moment.received))
        else:
            before = [of_history(one) for one in moment.happened or ()]
            pairing.started(_THEN, [line.key for line in before])
            for pair in pairing.ended(_THEN, before):
                yield pair
        for side, course in ((_NOW, now), (_THEN, then)):
            if course is not None:
                for pair in pairing.ended(side, await course.until(at, inclusive=True)):
                    yield pair
    for side, course in ((_NOW, now), (_THEN, then)):
        if course is not None:
            for pair in pairing.ended(side, await course.finish()):
                yield pair
