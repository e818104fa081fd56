"""Take a run's changes back, the newest first, each by the same care as it was made.

A stage of `run`. Guardrails are not asked: nothing may block the way back. Where one change can't
be taken back the run stops there and calls a person, since what lies below may depend on it.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from remediator.engine import recovery, retry, step, within
from remediator.engine.ending import failed
from remediator.engine.hand import Hand, may_have_changed
from remediator.journal.values import RunUpdate, Written
from remediator.model.plans import Progress, Result
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Step, StepState, Trigger
from remediator.model.views import Note, NoteKind
from remediator.plugin import lanes
from remediator.plugin.action import ActionError, Temporary

# Undo is worth more patience than apply: it is tried until this long after it began.
_UNDO_FOR = timedelta(minutes=30)


async def take_back(held: Hand) -> None:
    """Undo every change of the run that has a way back."""
    cause = (held.run.reason, held.run.message)
    for row in sorted(held.rows.values(), key=lambda r: -r.sequence):
        if not may_have_changed(row):
            continue
        if row.plan is None or row.plan.way_back is None:
            continue
        if held.stops:
            return
        interrupted = recovery.judge_undo(row)
        if interrupted is not None:
            await held.write(recovery.interrupt(held, interrupted))
            return
        if not await _undo(held, row):
            return
    await _ended(held, *cause)


async def _undo(held: Hand, row: Step) -> bool:
    """Take one change back. Returns whether to go on with the next."""
    plan = row.plan
    assert plan is not None and plan.way_back is not None  # noqa: S101,PT018 - caller checks
    one = held.step_of(row)
    until = held.run.deadline_at or held.now + _UNDO_FOR
    undoing = row
    try:
        if recovery.is_undone(row):
            result = Result(row.message)
        else:
            # `changed` on an undoing row: not yet known to be taken back.
            undoing = replace(row, state=StepState.UNDOING, changed=True, ended_at=held.now)
            if not await _intend(held, undoing, until):
                return False
            await held.prove_alive()
            call = one.action.undo(plan, held.ctx)
            result = await within.within(call, one.timeout, held.ports.clock)
            if not plan.checkable:
                # Nobody could find out later: put it on record before settling takes its time.
                undoing = replace(undoing, changed=False, message=result.message)
                await held.keep(_going_on(held, until, steps=(undoing,)))
        progress, message = await _settled(held, row, until)
    except TimeoutError:
        message = f"did not end within {format_duration(one.timeout)}"
        if not plan.checkable:  # to try again might be to do it twice
            await _stuck(held, undoing, message)
            return False
        return await _later(held, row, message, until, None)
    except Temporary as error:
        return await _later(held, row, str(error), until, error.after)
    except ActionError as error:
        await _stuck(held, undoing, str(error))
        return False
    if progress is Progress.PROGRESSING:
        return False  # the daemon stops; the row says `undoing`
    if progress is Progress.FAILED:
        await _stuck(held, undoing, f"{result.message}, and then: {message}")
        return False
    undone = replace(
        undoing,
        state=StepState.UNDONE,
        changed=True,
        message=result.message,
        ended_at=held.now,
    )
    await held.write(
        held.update(
            RunState.UNDOING,
            held.run.reason,
            held.run.message,
            steps=(undone,),
            facts=result.facts,
            not_raised=(row.step_id,),
            audit=(held.audit("step.undone", step.described(undone)),),
            notes=(held.note(NoteKind.STEP, f"{row.step_id} taken back: {result.message}"),),
        )
    )
    return True


async def _intend(held: Hand, undoing: Step, until: datetime) -> bool:
    """Record the intent under the target's lock. Returns False when another run holds it.

    That is waited for without end, since a raised limit must come back; a person hears of it each
    time that the patience of an undo is over.
    """
    assert undoing.plan is not None  # noqa: S101 - caller checks
    outcome = await held.write(
        _going_on(
            held,
            until,
            steps=(undoing,),
            lock=(undoing.plan.target.key,),
            audit=(held.audit("step.undoing", step.described(undoing)),),
        )
    )
    if outcome.written is Written.DONE:
        return True
    notes: tuple[Note, ...] = ()
    if held.now >= until:
        target = undoing.plan.target
        text = f"{target} can't be taken back while run {outcome.holder} holds it"
        notes, until = held.escalation(text), held.now + _UNDO_FOR
    wake_at = held.now + held.ports.pace.hold
    await held.wait(held.run.reason, held.run.message, wake_at, deadline_at=until, notes=notes)
    return False


def _going_on(held: Hand, until: datetime, **more: Any) -> RunUpdate:
    return held.update(
        RunState.UNDOING, held.run.reason, held.run.message, deadline_at=until, **more
    )


async def _settled(held: Hand, row: Step, deadline: datetime) -> tuple[Progress, str]:
    assert row.plan is not None  # noqa: S101 - caller checks
    one = held.step_of(row)
    clock = held.ports.clock
    left = min(deadline - held.now, one.timeout)
    until_s = clock.monotonic() + left.total_seconds()
    back = row.plan.inverse()
    while True:
        progress, message = await step.settle_once(held, one, back)
        if progress is not Progress.PROGRESSING:
            return progress, message
        if clock.monotonic() >= until_s:
            return Progress.FAILED, f"not healthy in time: {message}"
        if await held.pause():
            return Progress.PROGRESSING, message


async def _later(
    held: Hand, row: Step, message: str, until: datetime, after: timedelta | None
) -> bool:
    if held.now >= until:
        await _stuck(held, row, message)
        return False
    wait = max(held.ports.pace.hold, retry.next_delay(1, held.ports.pace.poll, after))
    wait = min(wait, max(until - held.now, held.ports.pace.hold))
    # The row is what it was before: no undo is in hand that a crash could leave in doubt.
    await held.wait(
        held.run.reason, held.run.message, held.now + wait, deadline_at=until, steps=(row,)
    )
    return False


async def _stuck(held: Hand, row: Step, message: str) -> None:
    text = f"{row.step_id} could not be taken back ({row.plan}): {message}"
    bad = replace(row, state=StepState.FAILED, changed=True, message=text, ended_at=held.now)
    await held.keep(
        failed(
            held,
            Reason.UNDO_FAILED,
            text,
            rows=(bad,),
            audit=(held.audit("step.undo_failed", step.described(bad)),),
        )
    )


async def _ended(held: Hand, reason: Reason, message: str) -> None:
    if held.run.trigger is Trigger.EXPIRY:
        await held.write(
            held.update(RunState.ROLLED_BACK, Reason.LIMIT_EXPIRED, "the limit is as it was")
        )
        return
    undone = [r for r in held.rows.values() if r.state is StepState.UNDONE]
    kept = [r for r in held.rows.values() if may_have_changed(r)]
    reasons: dict[str, list[str]] = {}
    for row in kept:
        if row.plan is not None:
            reasons.setdefault(row.plan.no_way_back or "no way back", []).append(row.step_id)
    stays = "".join(
        f"; {', '.join(lanes.names(ids))} {'stay' if len(ids) > 1 else 'stays'}: {why}"
        for why, ids in reasons.items()
    )
    if not undone:
        await held.write(failed(held, reason, f"{message}{stays}"))
        return
    text = f"{message}; taken back: {', '.join(lanes.names([r.step_id for r in undone]))}{stays}"
    await held.write(
        held.update(
            RunState.ROLLED_BACK,
            Reason.UNDONE,
            text,
            notes=held.escalation(f"{held.run.runbook} did not help: {text}"),
        )
    )
