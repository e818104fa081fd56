"""What a person does to a run beside answering: start, cancel, resume."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from remediator.journal import acknowledging, runs, steps, transitions
from remediator.journal.statements import Env, Execute, Operation, Record
from remediator.journal.transitions import Move
from remediator.journal.values import AuditEntry, CancelOutcome, ResumeHow, RunStart
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Step, StepState, Trigger


def new_run(env: Env, start: RunStart, *, incident_id: str | None, by: str, at: datetime) -> Run:
    """Return the run that a start asks for, not yet written."""
    return Run(
        id=env.ids.new(),
        incident_id=incident_id,
        runbook=start.runbook,
        version=start.version,
        trigger=start.trigger,
        state=RunState.PENDING,
        reason=Reason.NEW,
        message=start.message,
        target="",
        context=start.context,
        epoch=0,
        owner=None,
        wake_at=start.wake_at,
        created_at=at,
        started_at=None,
        ended_at=None,
        started_by=by,
    )


def start_run(env: Env, start: RunStart, *, by: str, at: datetime) -> Operation[str]:
    """Start a run by hand, without an incident; returns its id."""
    run = new_run(env, start, incident_id=None, by=by, at=at)
    yield from runs.insert([run])
    return run.id


def cancel(
    env: Env, run_id: str, *, by: str, reason: str, at: datetime
) -> Operation[CancelOutcome]:
    """Stop a run before its next change; a change that is in hand is finished first."""
    run = yield from runs.get(run_id, lock=True)
    if run is None:
        return CancelOutcome.UNKNOWN
    if run.state.ended:
        return CancelOutcome.ALREADY_ENDED
    if run.state is RunState.UNDOING:
        return CancelOutcome.UNDOING
    yield from acknowledging.by_person(env, run, by=by, at=at)
    message = f"Cancelled by {by}" + (f": {reason}" if reason else "")
    if run.trigger is Trigger.EXPIRY:
        message += "; the raised limit stays, and nothing takes it back by itself"
    if run.state is RunState.APPLYING and (yield from steps.in_hand(run_id)):
        yield Execute("UPDATE runs SET cancel_requested_by = $2 WHERE id = $1", (run_id, by))
        yield Record(
            [
                AuditEntry(
                    kind="run.cancel_requested",
                    actor=by,
                    at=at,
                    details={"state": run.state.value, "reason": reason},
                    run_id=run.id,
                    incident_id=run.incident_id,
                )
            ]
        )
        return CancelOutcome.REQUESTED
    yield from transitions.carry_out(
        env,
        [
            Move(
                run=run,
                to=RunState.CANCELLED,
                reason=Reason.CANCELLED_BY_PERSON,
                message=message,
                at=at,
                actor=by,
                fence=True,
            )
        ],
        announce=True,
    )
    return CancelOutcome.CANCELLED


def resume(env: Env, run_id: str, *, by: str, how: ResumeHow, at: datetime) -> Operation[bool]:
    """Let an interrupted run go on as a person says; False if it is not interrupted."""
    run = yield from runs.get(run_id, lock=True)
    if run is None or run.state is not RunState.INTERRUPTED:
        return False
    yield from acknowledging.by_person(env, run, by=by, at=at)
    in_hand = yield from steps.in_hand(run_id)
    asked_about = _asked_about(in_hand, how)
    yield from steps.write([_as_found(step, how, by, at) for step in asked_about])
    # A run that was taking its changes back goes on with that, whatever was found; one that takes
    # back a raised limit has nothing else to do.
    back = (
        how is ResumeHow.UNDO
        or run.trigger is Trigger.EXPIRY
        or any(step.state is StepState.UNDOING for step in in_hand)
    )
    yield from transitions.carry_out(
        env,
        [
            Move(
                run=run,
                to=RunState.UNDOING if back else RunState.APPLYING,
                reason=Reason.RESUMED,
                message=f"Resumed by {by}: {_FOUND[how]}",
                at=at,
                actor=by,
                wake_at=at,
                fence=True,
            )
        ],
        announce=True,
    )
    return True


_FOUND = {
    ResumeHow.DONE: "the interrupted step was carried out, go on after it",
    ResumeHow.REPEAT: "the interrupted step was not carried out, repeat it",
    ResumeHow.UNDO: "take back what was done",
}


def _asked_about(in_hand: Sequence[Step], how: ResumeHow) -> Sequence[Step]:
    """Return the steps that a person's answer is about.

    Of several lanes that were in hand, those whose action can look at the world itself have no need
    of an answer: they are taken up when the run goes on.
    """
    unknown = [step for step in in_hand if _nobody_can_tell(step)]
    if unknown or len(in_hand) == 1 or how is ResumeHow.UNDO:
        return unknown or in_hand
    return [step for step in in_hand if step.state is StepState.UNDOING]


def _nobody_can_tell(step: Step) -> bool:
    # `changed` says of a begun step that it is on record as applied; of one that is being taken
    # back, that it is not on record as taken back.
    open_ = step.changed if step.state is StepState.UNDOING else not step.changed
    return step.plan is not None and not step.plan.checkable and open_


def _as_found(step: Step, how: ResumeHow, by: str, at: datetime) -> Step:
    if step.state is StepState.UNDOING:
        if how is ResumeHow.DONE:
            message = f"{by} found that it was taken back"
            return replace(step, state=StepState.UNDONE, message=message, ended_at=at)
        # Done, and so still to be taken back.
        message = f"{by} asked to take it back"
        return replace(step, state=StepState.DONE, changed=True, message=message)
    if how is ResumeHow.REPEAT:
        message = f"{by} found that it was not carried out"
        return replace(step, state=StepState.PLANNED, message=message)
    undo = how is ResumeHow.UNDO
    message = f"{by} asked to take it back" if undo else f"{by} found that it was carried out"
    return replace(step, state=StepState.DONE, changed=True, message=message, ended_at=at)
