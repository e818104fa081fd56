"""Storms: many runs at once in one place, told in one message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from remediator.model.runs import RunState


@dataclass(frozen=True, slots=True)
class StormRun:
    """One run of a storm, in a line."""

    id: str
    runbook: str
    target: str
    state: RunState


@dataclass(frozen=True, slots=True)
class Storm:
    """How a storm stands.

    Args:
        id: opaque.
        place: where it is told.
        began_at: when it began.
        ended_at: when it was over; None while it goes on.
        by_state: how many of its runs are in each state.
        by_runbook: how many are of each runbook, the most first.
        first: some of them: those that wait for a person first.
        needed: how many wait for a person's answer or look.
    """

    id: str
    place: str
    began_at: datetime
    ended_at: datetime | None
    by_state: Mapping[RunState, int]
    by_runbook: Mapping[str, int]
    first: tuple[StormRun, ...]
    needed: int

    @property
    def runs(self) -> int:
        """How many there are."""
        return sum(self.by_state.values())
