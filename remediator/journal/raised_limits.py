"""The end of a raised limit: a run that waits for its time and then takes the change back.

It is stored with the intent of the change and cancelled when the change turns out not to stand, so
that no crash and no failure leaves a limit raised for ever. Called by `updates` alone.
"""

from collections.abc import Sequence
from dataclasses import replace

from remediator.journal import runs, steps, transitions
from remediator.journal.statements import Env, Operation, Query
from remediator.journal.transitions import Move
from remediator.journal.values import Expiry, RunUpdate
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, StepState, Trigger

ACTOR = "remediator"


def keep(env: Env, parent: Run, update: RunUpdate) -> Operation[None]:
    """Store the ends of what this update begins to raise, cancel those of what it does not."""
    if not update.spawn and not update.not_raised:
        return
    waiting = yield from _waiting(parent)
    yield from _spawn(env, parent, [e for e in update.spawn if e.step.step_id not in waiting])
    moot = [run for step_id, run in waiting.items() if step_id in update.not_raised]
    if moot:
        yield from transitions.carry_out(
            env,
            [
                Move(
                    run=run,
                    to=RunState.CANCELLED,
                    reason=Reason.NOTHING_TO_DO,
                    message="the limit is not raised any more",
                    at=update.at,
                    actor=ACTOR,
                    fence=True,
                )
                for run in moot
            ],
            announce=False,
        )


def _waiting(parent: Run) -> Operation[dict[str, Run]]:
    """Return the runs that wait for their time, by the step whose change they take back."""
    rows = yield Query(
        f"SELECT {runs.COLUMNS} FROM runs"  # noqa: S608 - constants
        " WHERE started_by = $1 AND trigger = 'expiry' AND ended_us IS NULL"
        " ORDER BY id FOR NO KEY UPDATE",
        (_started_by(parent),),
    )
    found: dict[str, Run] = {}
    for run in map(runs.from_row, rows):
        if run.state is RunState.PENDING:
            for step in (yield from steps.of_run(run.id)):
                found[step.step_id] = run
    return found


def _spawn(env: Env, parent: Run, expiries: Sequence[Expiry]) -> Operation[None]:
    begun = [(_run(env, parent, expiry), expiry) for expiry in expiries]
    yield from runs.insert([run for run, _ in begun])
    yield from steps.write(
        [
            replace(expiry.step, run_id=run.id, sequence=0, attempt=1, state=StepState.DONE)
            for run, expiry in begun
        ]
    )


def _run(env: Env, parent: Run, expiry: Expiry) -> Run:
    plan = expiry.step.plan
    return Run(
        id=env.ids.new(),
        incident_id=parent.incident_id,
        runbook=parent.runbook,
        version=parent.version,
        trigger=Trigger.EXPIRY,
        state=RunState.PENDING,
        reason=Reason.LIMIT_EXPIRED,
        message=f"takes back what run {parent.id} raised: {plan}" if plan else "",
        target=str(plan.target) if plan else parent.target,
        context=parent.context,
        epoch=0,
        owner=None,
        wake_at=expiry.due_at,
        created_at=expiry.step.started_at or expiry.due_at,
        started_at=None,
        ended_at=None,
        started_by=_started_by(parent),
    )


def _started_by(parent: Run) -> str:
    return f"run:{parent.id}"
