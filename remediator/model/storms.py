"""Storms: many runs at once in one place, told in one message."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from remediator.model.canonical import JSONObject
from remediator.model.runs import RunState

NEEDS_A_PERSON = (RunState.AWAITING_APPROVAL, RunState.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class StormMark:
    """A storm as its courier keeps it.

    Args:
        id: opaque.
        notifier: whose.
        place: where it is told.
        began_at: when it began.
        joined_at: when the last run joined.
        closed_at: since when none joins any more.
        ref: what the notifier remembers of it.
    """

    id: str
    notifier: str
    place: str
    began_at: datetime
    joined_at: datetime
    closed_at: datetime | None = None
    ref: JSONObject | None = None


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
        closed_at: since when it is over and nobody joins; None while it goes on.
        by_state: how many of its runs are in each state.
        by_runbook: how many are of each runbook, the most first.
        first: some of them: those that wait for a person first.
        escalated: for how many others a person was called, whom nobody has answered for.
    """

    id: str
    place: str
    began_at: datetime
    closed_at: datetime | None
    by_state: Mapping[RunState, int]
    by_runbook: Mapping[str, int]
    first: tuple[StormRun, ...]
    escalated: int = 0

    @property
    def runs(self) -> int:
        """How many there are."""
        return sum(self.by_state.values())

    @property
    def needed(self) -> int:
        """How many wait for a person's answer or look."""
        return self.escalated + sum(self.by_state.get(state, 0) for state in NEEDS_A_PERSON)

    @property
    def ended(self) -> bool:
        """Whether it is over, and all of its runs have ended."""
        return self.closed_at is not None and all(
            state.ended for state, count in self.by_state.items() if count
        )
