"""The failure breaker of one runbook: a state machine over how its runs ended. Pure.

closed → open after so many failures in a window → half-open once the cool-off is over: one
automatic run at a time may show that the runbook works again. A success then closes it, a failure
opens it anew; a failure while it is open makes the cool-off begin again. A person's reset closes
it.
Nothing of this is stored but the outcomes and the reset, so that every replica comes to the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from remediator.model.history import Outcome, Reset
from remediator.model.policy import Breaker


class State(StrEnum):
    """Where a breaker is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Standing:
    """A breaker's state at one time.

    Args:
        failures: how many count in the window now.
        opened_at: when it opened last; None while it is closed.
        half_open_at: when its cool-off is over; None while it is closed.
    """

    state: State
    failures: int
    opened_at: datetime | None = None
    half_open_at: datetime | None = None


def standing(
    outcomes: Sequence[Outcome], reset: Reset | None, limit: Breaker, now: datetime
) -> Standing:
    """Return the state that these outcomes, in any order, lead to.

    Args:
        outcomes: of runs that changed something; those before the last reset count for nothing.
        reset: the last one.
        limit: the policy's figures.
        now: the time. Outcomes after it count too: a clock that was set back is no fresh start.
    """
    if limit.failures is None:
        return Standing(State.CLOSED, 0)
    failed: list[datetime] = []
    opened_at: datetime | None = None
    since = reset.at if reset else None
    for outcome in sorted(outcomes, key=lambda one: (one.at, one.run_id)):
        if since is not None and outcome.at <= since:
            continue
        if outcome.good:
            if opened_at is not None and outcome.at >= opened_at + limit.cool_off:
                opened_at, failed = None, []
            continue
        failed = [at for at in failed if outcome.at - at < limit.failures.per] + [outcome.at]
        if opened_at is not None or len(failed) >= limit.failures.count:
            opened_at = outcome.at
    count = sum(1 for at in failed if now - at < limit.failures.per)
    if opened_at is None:
        return Standing(State.CLOSED, count)
    half_open_at = opened_at + limit.cool_off
    state = State.OPEN if now < half_open_at else State.HALF_OPEN
    return Standing(state, count, opened_at, half_open_at)
