"""Runs and steps: their states, and the one table of allowed transitions.

Nothing changes a run's state except through `check`, which the journal calls in the transaction
that writes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from remediator.model.canonical import JSONObject
from remediator.model.plans import Plan
from remediator.model.reasons import Reason


class RunState(StrEnum):
    """Where a run is in its life."""

    PENDING = "pending"
    PLANNING = "planning"
    AWAITING_APPROVAL = "awaiting_approval"
    APPLYING = "applying"
    VERIFYING = "verifying"
    UNDOING = "undoing"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    OBSERVED = "observed"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing follows."""
        return not TRANSITIONS[self]

    @property
    def claimable(self) -> bool:
        """Whether a worker carries this state on when its time comes."""
        return not self.ended and self is not RunState.INTERRUPTED


_S = RunState

TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    # A raised limit's run goes straight to undoing; one that gets no turn is suppressed (`repeat`).
    _S.PENDING: frozenset({_S.PLANNING, _S.UNDOING, _S.SUPPRESSED, _S.FAILED, _S.CANCELLED}),
    _S.PLANNING: frozenset(
        {
            _S.PENDING,
            _S.AWAITING_APPROVAL,
            _S.APPLYING,
            _S.SUCCEEDED,
            _S.OBSERVED,
            _S.SUPPRESSED,
            _S.FAILED,
            _S.CANCELLED,
        }
    ),
    _S.AWAITING_APPROVAL: frozenset(
        {
            _S.APPLYING,
            _S.PLANNING,
            _S.PENDING,  # snoozed: nothing was changed, and the question is asked anew later
            # Asked in the middle of a run: the alert cleared, or nobody said yes.
            _S.VERIFYING,
            _S.SUCCEEDED,
            _S.UNDOING,
            _S.FAILED,
            _S.INTERRUPTED,
            _S.DENIED,
            _S.EXPIRED,
            _S.CANCELLED,
        }
    ),
    _S.APPLYING: frozenset(
        {
            _S.AWAITING_APPROVAL,
            _S.VERIFYING,
            _S.UNDOING,
            _S.SUCCEEDED,
            _S.SUPPRESSED,
            _S.FAILED,
            _S.INTERRUPTED,
            _S.CANCELLED,
        }
    ),
    _S.VERIFYING: frozenset(
        {_S.APPLYING, _S.UNDOING, _S.SUCCEEDED, _S.FAILED, _S.INTERRUPTED, _S.CANCELLED}
    ),
    _S.UNDOING: frozenset({_S.ROLLED_BACK, _S.FAILED, _S.INTERRUPTED}),
    # Only a person leads out of here.
    _S.INTERRUPTED: frozenset({_S.APPLYING, _S.UNDOING, _S.CANCELLED}),
    _S.SUCCEEDED: frozenset(),
    _S.ROLLED_BACK: frozenset(),
    _S.FAILED: frozenset(),
    _S.SUPPRESSED: frozenset(),
    _S.OBSERVED: frozenset(),
    _S.DENIED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.CANCELLED: frozenset(),
}


class IllegalTransition(Exception):
    """Code asked for a transition that the table does not have."""


def check(old: RunState, new: RunState) -> None:
    """Check one transition; staying in a state is always allowed (a new reason or wake-up).

    Raises:
        IllegalTransition: the table does not have it.
    """
    if new is not old and new not in TRANSITIONS[old]:
        raise IllegalTransition(f"a run can't go from {old} to {new}")


class Trigger(StrEnum):
    """What started a run."""

    FIRING = "firing"
    RESOLVED = "resolved"
    MANUAL = "manual"
    EXPIRY = "expiry"  # a raised limit's time is over


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of one runbook for one incident.

    `epoch` rises with each claim; every write names it, so that a stale owner changes nothing.
    `context` holds the alert as it was when the run began, and manual labels. `line` names the runs
    that it must not begin beside (`repeat`), once it wants to begin; `has_turn` that it may.
    """

    id: str
    incident_id: str | None
    runbook: str
    version: str
    trigger: Trigger
    state: RunState
    reason: Reason
    message: str
    target: str
    context: Mapping[str, Any]
    epoch: int
    owner: str | None
    wake_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    started_by: str
    cancel_requested_by: str | None = None
    deadline_at: datetime | None = None  # of the present state: verify, hold
    moved_at: datetime | None = None  # by the clock of who moved it last
    line: str = ""
    has_turn: bool = False

    @property
    def about_alert(self) -> bool:
        """Whether the run is there because an alert fires, so that it must still fire: one that the
        alert started, or one that a person started again for its incident (an override)."""
        if self.trigger is Trigger.MANUAL:
            return self.incident_id is not None
        return self.trigger is Trigger.FIRING


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a run that ended well leaves, by name, and why others could not be worked out."""

    values: JSONObject = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


class StepState(StrEnum):
    """Where one use of an action is."""

    PLANNED = "planned"
    STARTED = "started"  # the intent is stored; the change may or may not have been made
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNDOING = "undoing"  # the intent to take it back is stored
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Step:
    """One attempt of one step of a run, as the journal holds it.

    `sequence` is the place in the runbook from 0, `attempt` counts from 1. `owner` is the runbook's
    and `rules` name the policy's that applied when the change was begun: limits count by them.
    """

    run_id: str
    sequence: int
    attempt: int
    step_id: str
    action: str
    state: StepState
    plan: Plan | None
    params: JSONObject
    message: str
    output: JSONObject = field(default_factory=dict)
    changed: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    owner: str = ""
    rules: tuple[str, ...] = ()
