"""Whose turn it is in a replay: `repeat` of runbooks, as `journal.turns` decides it. Pure.

A run takes its turn once, before it is planned, and keeps it to its end. Used by `course`.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from remediator.model.repeats import RepeatMode
from remediator.runbook.runbook import Runbook


class Turn(StrEnum):
    """What becomes of a run that wants to begin."""

    TAKEN = "taken"
    WAITS = "waits"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome: the runs that are stopped for it, and a sentence."""

    turn: Turn
    stopped: tuple[str, ...] = ()
    message: str = ""


@dataclass(slots=True)
class _Place:
    run_id: str
    has_turn: bool


class Turns:
    """The lines of one replay."""

    def __init__(self, untouched: Callable[[str], bool]) -> None:
        """Begin with none; `untouched` says whether a run has changed nothing yet."""
        self._untouched = untouched
        self._lines: dict[tuple[str, str], list[_Place]] = defaultdict(list)
        self._of: dict[str, tuple[str, str]] = {}

    def take(self, run_id: str, runbook: Runbook, key: str) -> Taken:
        """Give a run its turn, or a place in its line, or nothing."""
        repeat = runbook.repeat
        if repeat.mode is RepeatMode.PARALLEL and repeat.most is None:
            return Taken(Turn.TAKEN)
        line = self._lines[(runbook.name, key)]
        joins = all(place.run_id != run_id for place in line)
        stopped: tuple[str, ...] = ()
        if repeat.mode is RepeatMode.RESTART and joins:
            stopped = tuple(p.run_id for p in line if self._untouched(p.run_id))
            for one in stopped:
                self.leave(one)
        turn, message = _decided(runbook, [p for p in line if p.run_id != run_id], run_id, joins)
        if turn is not Turn.REFUSED:
            self._stand(line, run_id, (runbook.name, key), has_turn=turn is Turn.TAKEN)
        return Taken(turn, stopped, message)

    def leave(self, run_id: str) -> None:
        """Take a run that has ended out of its line."""
        where = self._of.pop(run_id, None)
        if where is None:
            return
        self._lines[where][:] = [p for p in self._lines[where] if p.run_id != run_id]
        if not self._lines[where]:
            del self._lines[where]

    def _stand(
        self, line: list[_Place], run_id: str, where: tuple[str, str], *, has_turn: bool
    ) -> None:
        for place in line:
            if place.run_id == run_id:
                place.has_turn = has_turn
                return
        line.append(_Place(run_id, has_turn))
        self._lines[where] = line
        self._of[run_id] = where


def _decided(
    runbook: Runbook, others: Sequence[_Place], run_id: str, joins: bool
) -> tuple[Turn, str]:
    repeat = runbook.repeat
    going = [place for place in others if place.has_turn]
    waiting = [place for place in others if not place.has_turn]
    text = f"{len(others)} other runs of {runbook.name} go on or wait"
    match repeat.mode:
        case RepeatMode.SINGLE:
            return (Turn.REFUSED, text) if others else (Turn.TAKEN, "")
        case RepeatMode.PARALLEL:
            full = repeat.most is not None and len(going) >= repeat.most
            return (Turn.REFUSED, text) if full else (Turn.TAKEN, "")
        case RepeatMode.RESTART:
            return (Turn.WAITS, text) if going else (Turn.TAKEN, "")
        case RepeatMode.QUEUED:
            if not going and not _before(waiting, run_id):
                return Turn.TAKEN, ""
            full = len(waiting) >= repeat.most_waiting
            return (Turn.REFUSED if joins and full else Turn.WAITS), text


def _before(waiting: Sequence[_Place], run_id: str) -> bool:
    """Whether one of those who wait came earlier; ids grow with time."""
    return any(_number(place.run_id) < _number(run_id) for place in waiting)


def _number(run_id: str) -> int:
    return int(run_id.rpartition("-")[2])
