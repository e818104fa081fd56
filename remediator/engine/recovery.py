"""After a crash between intent and outcome: what may be done by itself, and what a person must
look at. Pure decisions; called by `applying` and `undo` for rows that the journal still shows as
begun.
"""

from dataclasses import replace

from remediator.engine.hand import Hand
from remediator.journal.values import RunUpdate
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Step, StepState
from remediator.model.views import how_to_resume


def judge(row: Step) -> str | None:
    """Return why a begun step must not be taken up by itself, or None when it may.

    An action that can compare the world with its plan may always: done already, not yet done, or
    stale. One that can't, and is not on record as applied, may have run or not.
    """
    if row.plan is None or row.plan.checkable or row.changed:
        return None
    return (
        f"the daemon stopped inside {row.step_id} ({row.plan}); whether it was carried out can't "
        "be found out by itself"
    )


def judge_undo(row: Step) -> str | None:
    """Return why an undo that was begun must not be taken up by itself, or None when it may."""
    if row.state is not StepState.UNDOING or is_undone(row):
        return None
    return judge(replace(row, changed=False))


def is_undone(row: Step) -> bool:
    """Whether an undo that nobody could check later is on record as carried out."""
    return (
        row.state is StepState.UNDOING
        and row.plan is not None
        and not row.plan.checkable
        and not row.changed
    )


def interrupt(held: Hand, message: str) -> RunUpdate:
    """Return the transition to `interrupted`: the run keeps its lock, and a person is called."""
    text = f"{held.run.runbook}: {message}. {how_to_resume(held.run.id)}"
    return held.update(
        RunState.INTERRUPTED,
        Reason.CRASHED_UNCHECKABLE,
        message,
        notes=held.escalation(text),
    )
