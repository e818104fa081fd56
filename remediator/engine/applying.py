"""Carry out a run's steps in order: probe, or plan again → intent → apply → settle → outcome.

A stage of `run`. What one step's outcome has to say is written together with the next step's
intent, so that n steps cost n + 1 commits.
"""

from dataclasses import replace

from remediator.engine import (
    approvals,
    guardrails,
    planning,
    recheck,
    recovery,
    silences,
    step,
    track,
)
from remediator.engine.ending import failing, refused
from remediator.engine.hand import Hand, is_action, row_for, unused
from remediator.journal.values import AuditEntry, Expiry, RunUpdate, UpdateOutcome, Written
from remediator.model.plans import Fact, Plan
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Step, StepState
from remediator.model.signals import Signal
from remediator.model.verdicts import Ruling, heaviest, worth_showing
from remediator.model.views import Note, NoteKind
from remediator.plugin.action import ActionError, Temporary
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.runbook import CompiledStep

FINISHED = frozenset({StepState.DONE, StepState.SKIPPED, StepState.FAILED, StepState.UNDONE})


class Unwritten:
    """Outcomes of finished steps that the next write takes along."""

    def __init__(self) -> None:
        self.rows: tuple[Step, ...] = ()
        self.audit: tuple[AuditEntry, ...] = ()
        self.notes: tuple[Note, ...] = ()
        self.facts: tuple[Fact, ...] = ()
        self.not_raised: tuple[str, ...] = ()

    def add(self, held: Hand, row: Step, kind: str, facts: tuple[Fact, ...] = ()) -> None:
        """Take one step's outcome along."""
        self.rows += (row,)
        self.audit += (held.audit(kind, step.described(row)),)
        self.notes += (held.note(NoteKind.STEP, f"{row.step_id}: {row.message}"),)
        self.facts += facts
        if row.plan is not None and row.plan.lasts and not row.changed:
            self.not_raised += (row.step_id,)
        held.rows[row.sequence] = row

    def into(self, update: RunUpdate) -> RunUpdate:
        """Return the update with all of it in, and forget it."""
        mine = {row.sequence: row for row in self.rows}
        latest = tuple(r for r in mine.values() if r not in update.steps)
        return replace(
            update,
            steps=(*latest, *update.steps),
            audit=(*self.audit, *update.audit),
            notes=(*self.notes, *update.notes),
            facts=(*self.facts, *update.facts),
            not_raised=(*self.not_raised, *update.not_raised),
        )

    def clear(self) -> None:
        """Forget what has been written."""
        self.__init__()  # type: ignore[misc] # a fresh start is exactly what is meant


async def apply_steps(held: Hand) -> None:
    """Go on from the first unfinished step until the run waits, verifies or goes wrong."""
    unwritten = Unwritten()
    while (following := _following(held)) is not None:
        if held.stops:
            # No further change is begun; what was done is put on record, and `run` hands it back.
            await _write(
                held, held.update(held.run.state, held.run.reason, held.run.message), unwritten
            )
            return
        row = held.rows.get(following.sequence)
        if row is not None and row.state is StepState.STARTED:
            # First of all, whatever was asked for meanwhile: a begun change has an outcome.
            if not await _finish_started(held, following, row, unwritten):
                return
        elif held.run.cancel_requested_by:
            await _cancelled(held, unwritten)
            return
        elif not await _begin(held, following, row, unwritten):
            return
    if held.run.cancel_requested_by:
        await _cancelled(held, unwritten)
    else:
        await _all_done(held, unwritten)


async def _begin(held: Hand, one: CompiledStep, row: Step | None, unwritten: Unwritten) -> bool:
    """Take up one step. Returns whether to go on with the next."""
    further = row is not None and row.attempt > 1
    reached = row is not None and (row.started_at is not None or further)
    if one.is_rung and held.changed and not reached:
        # A rung is used only when what was done so far did not help: look first.
        if _watchable(held):
            await _write(held, watch(held, f"before {one.id}"), unwritten)
            return False
        if held.incident is None:
            message = "started by hand: no alert tells whether this is needed as well"
            skipped = row_for(held, one, state=StepState.SKIPPED, plan=None, message=message)
            unwritten.add(held, skipped, "step.skipped")
            return True
    signal = await recheck.signal(held)
    firing = None if signal in (None, Signal.NOT_CONFIGURED) else signal is not Signal.RESOLVED
    try:
        asked = one.conditional and not further
        if asked and not one.wanted(held.scope(one, firing=firing)):
            skipped = row_for(
                held, one, state=StepState.SKIPPED, plan=None, message="its condition is false"
            )
            unwritten.add(held, skipped, "step.skipped")
            return True
        if not is_action(one):
            return await _probe(held, one, unwritten)
        if signal is Signal.RESOLVED:
            await _write(held, cleared(held), unwritten)
            return False
        if further and row is not None and row.plan is not None:
            plan = row.plan  # a further attempt carries out the same plan
        else:
            row, plan = await planning.plan_step(held, one)
    except Temporary as error:
        await _hold(held, Reason.UNREACHABLE, f"{one.id}: {error}", unwritten)
        return False
    except ExpressionFailed as error:
        await _fail(held, one, Reason.EXPRESSION_FAILED, str(error), unwritten)
        return False
    except ActionError as error:
        await _fail(held, one, planning.failure_reason(error), str(error), unwritten)
        return False
    if plan.empty:
        done = replace(row, state=StepState.DONE, changed=False, message="nothing to do")
        unwritten.add(held, done, "step.done")
        return True
    return await _intend(held, one, row, signal, unwritten)


async def _intend(
    held: Hand, one: CompiledStep, row: Step, signal: Signal | None, unwritten: Unwritten
) -> bool:
    """Record the intent under the guardrails' last word; then change the world."""
    plan = _plan_of(row)
    held.track = await track.shown(held.ports, held.runbook)
    approved = held.approved_digests.get(one.id) == plan.digest
    started = step.intent(held, row)
    outcome = await _write(
        held,
        held.update(
            RunState.APPLYING,
            held.run.reason,
            started.message,
            steps=(started,),
            lock=_targets(held, plan),
            target=str(plan.target),
            guard=step.guard(held, row, signal=signal, approved=approved),
            audit=(held.audit("step.started", step.described(started)),),
            spawn=_expiry(held, started),
        ),
        unwritten,
    )
    if outcome.written is Written.DONE:
        await silences.ensure(held)
        return await _after(held, one, await step.carry_out(held, one, started), unwritten)
    await _not_allowed(held, one, row, outcome, unwritten)
    return False


async def _finish_started(held: Hand, one: CompiledStep, row: Step, unwritten: Unwritten) -> bool:
    """A step whose intent is stored and whose outcome is not: we crashed or were stopped."""
    interrupted = recovery.judge(row)
    if interrupted is not None:
        await _write(held, recovery.interrupt(held, interrupted), unwritten)
        return False
    if row.changed:  # on record as applied; it was settling
        return await _after(held, one, await step.carry_out(held, one, row), unwritten)
    # Perhaps it was not made yet. To make it now is a change like any other: is it still wanted?
    plan = _plan_of(row)
    signal = await recheck.signal(held)
    held.track = await track.shown(held.ports, held.runbook)
    approved = held.approved_digests.get(one.id) == plan.digest
    row = replace(row, started_at=held.now)
    outcome = await _write(
        held,
        held.update(
            RunState.APPLYING,
            held.run.reason,
            row.message,
            steps=(row,),
            lock=(plan.target.key,),
            guard=step.guard(held, row, signal=signal, approved=approved),
            audit=(held.audit("step.taken_up", step.described(row)),),
        ),
        unwritten,
    )
    if outcome.written is Written.DONE:
        await silences.ensure(held)
        ended = await step.carry_out(held, one, row, again=True)
        return await _after(held, one, ended, unwritten)
    if heaviest(outcome.verdicts) is Ruling.WAIT:
        await _not_allowed(held, one, row, outcome, unwritten)
        return False
    return await _after(held, one, await step.look_only(held, one, row), unwritten)


async def _after(
    held: Hand, one: CompiledStep, outcome: step.Outcome, unwritten: Unwritten
) -> bool:
    match outcome:
        case step.Done(row, facts):
            unwritten.add(held, row, "step.done", facts)
            if not _plan_of(row).checkable:
                # Nobody could find out after a crash that it was done: write it at once.
                await _keep(
                    held, held.update(held.run.state, held.run.reason, row.message), unwritten
                )
            return True
        case step.Stopped(row, facts):
            held.rows[row.sequence] = row
            run = held.run
            update = held.update(run.state, run.reason, row.message, steps=(row,), facts=facts)
            await _keep(held, update, unwritten)
            return False
        case step.Again(bad, row, at):
            unwritten.add(held, bad, "step.failed")
            held.rows[row.sequence] = row
            update = held.update(
                held.run.state,
                Reason.STEP_RETRY,
                f"{one.id}: trying again: {bad.message}",
                wake_at=at,
                release=True,
                steps=(bad, row),
            )
            unwritten.rows = ()
            await _keep(held, update, unwritten)
            return False
        case step.Failed(row, reason, facts):
            unwritten.add(held, row, "step.failed", facts)
            await _keep(
                held, failing(held, reason, f"{one.id}: {row.message}", rows=(row,)), unwritten
            )
            return False


async def _probe(held: Hand, one: CompiledStep, unwritten: Unwritten) -> bool:
    row = await planning.probe_step(held, one)
    if row.state is StepState.DONE:
        unwritten.add(held, row, "step.done")
        return True
    unwritten.add(held, row, "step.failed")
    message = f"{one.id}: {row.message}"
    if held.changed:
        update = failing(held, Reason.EXPECTATION_UNMET, message, rows=(row,))
    else:
        update = held.update(RunState.SUPPRESSED, Reason.EXPECTATION_UNMET, message, steps=(row,))
    await _write(held, update, unwritten)
    return False


async def _not_allowed(
    held: Hand, one: CompiledStep, row: Step, outcome: UpdateOutcome, unwritten: Unwritten
) -> None:
    """The intent was not stored: wait, ask a person, or end."""
    plan = _plan_of(row)
    if outcome.written is Written.STOPPED:
        assert outcome.run is not None, "who stopped it stands there"  # noqa: S101 - contract of the journal
        held.run = outcome.run
        await _cancelled(held, unwritten)
        return
    if outcome.written is Written.LOCKED:
        message = f"{plan.target} is being changed by run {outcome.holder}"
        await _hold(held, Reason.TARGET_BUSY, message, unwritten)
        return
    if any(v.rule == "still_firing" and v.ruling is Ruling.REFUSE for v in outcome.verdicts):
        await _write(held, cleared(held), unwritten)
        return
    ruling = heaviest(outcome.verdicts)
    shown = worth_showing(outcome.verdicts)
    binding = next((str(v) for v in shown if v.ruling is ruling), "")
    if ruling is Ruling.WAIT:
        await _hold(held, guardrails.waiting_reason(shown), binding, unwritten)
    elif ruling is Ruling.HOLD:
        changed = one.id in held.approved_digests
        reason = Reason.PLAN_CHANGED if changed else guardrails.holding_reason(shown)
        why = f"{one.id}: what would change is not what was approved" if changed else binding
        held.rows[row.sequence] = row
        plans = {row.sequence: plan, **_planned_after(held, row.sequence)}
        await _write(
            held,
            await approvals.asking(held, plans, reason, why, steps=(row,), verdicts=shown),
            unwritten,
        )
    elif held.changed:
        await _write(
            held, failing(held, Reason.GUARDRAIL_REFUSES, binding, verdicts=shown), unwritten
        )
    else:
        await _write(held, refused(held, shown), unwritten)


async def _all_done(held: Hand, unwritten: Unwritten) -> None:
    # A change that somebody else was faster to make is worth watching as well.
    repaired = any(row.plan is not None for row in held.rows.values())
    if repaired and _watchable(held):
        await _write(held, watch(held, "every step is done"), unwritten)
        return
    message = "every step is done" if held.changed else "nothing had to be changed"
    reason = Reason.DONE if held.changed else Reason.NOTHING_TO_DO
    await _write(held, held.update(RunState.SUCCEEDED, reason, message), unwritten)


def _watchable(held: Hand) -> bool:
    """Whether anything can tell if the run helped; a run by hand has no alert that could clear."""
    verify = held.runbook.verify
    return verify is not None and (verify.step is not None or held.incident is not None)


def watch(held: Hand, when: str) -> RunUpdate:
    """Return the transition that begins to look whether what was done helped."""
    verify = held.runbook.verify
    assert verify is not None, "only runbooks with a verify are watched"  # noqa: S101 - callers check
    message = f"{when}: watching for up to {format_duration(verify.within)} whether it helped"
    return held.update(
        RunState.VERIFYING, Reason.WATCHING, message, deadline_at=held.now + verify.within
    )


def cleared(held: Hand) -> RunUpdate:
    """Return the transition of a run whose alert no longer fires: no further change. What was done
    may well have been the cure."""
    if held.changed and _watchable(held):
        return watch(held, "the alert cleared")
    if held.changed:
        message = "the alert cleared; the remaining steps were not needed"
        return held.update(RunState.SUCCEEDED, Reason.DONE, message, steps=unused(held))
    message = "the alert cleared before anything was changed"
    return held.update(RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF, message)


async def _cancelled(held: Hand, unwritten: Unwritten) -> None:
    by = held.run.cancel_requested_by
    message = f"stopped by {by}; what was changed stays"
    await _write(
        held, held.update(RunState.CANCELLED, Reason.CANCELLED_BY_PERSON, message), unwritten
    )


async def _fail(
    held: Hand, one: CompiledStep, reason: Reason, message: str, unwritten: Unwritten
) -> None:
    row = row_for(held, one, state=StepState.FAILED, message=message, ended_at=held.now)
    if not row.changed:
        row = replace(row, plan=None, started_at=None)  # no change was begun, so none is counted
    unwritten.add(held, row, "step.failed")
    await _write(held, failing(held, reason, f"{one.id}: {message}", rows=(row,)), unwritten)


async def _hold(held: Hand, reason: Reason, message: str, unwritten: Unwritten) -> None:
    """Wait in place, and go wrong when it has taken too long."""
    pace = held.ports.pace
    since = held.run.deadline_at or held.now + pace.give_up
    if held.now >= since:
        text = f"gave up after {format_duration(pace.give_up)}: {message}"
        await _write(held, failing(held, reason, text), unwritten)
        return
    update = held.update(
        held.run.state,
        reason,
        message,
        wake_at=held.now + pace.hold,
        deadline_at=since,
        release=True,
    )
    await _write(held, update, unwritten)


async def _write(held: Hand, update: RunUpdate, unwritten: Unwritten) -> UpdateOutcome:
    outcome = await held.write(unwritten.into(update))
    if outcome.written is Written.DONE:
        unwritten.clear()
    return outcome


async def _keep(held: Hand, update: RunUpdate, unwritten: Unwritten) -> None:
    """Write what came of a change, however long the journal can't be written."""
    await held.keep(unwritten.into(update))
    unwritten.clear()


def _following(held: Hand) -> CompiledStep | None:
    for one in held.runbook.steps:
        row = held.rows.get(one.sequence)
        if row is None or row.state not in FINISHED:
            return one
    return None


def _targets(held: Hand, plan: Plan) -> tuple[str, ...]:
    """Lock everything that is planned with the first change; in order, so nobody deadlocks."""
    planned = [row.plan for row in held.rows.values() if row.plan and not row.plan.empty]
    return tuple(sorted({plan.target.key, *(p.target.key for p in planned)}))


def _expiry(held: Hand, row: Step) -> tuple[Expiry, ...]:
    """A raised limit ends in time however its step ends, so its end is stored with the intent."""
    if row.plan is None or row.plan.lasts is None:
        return ()
    return (Expiry(replace(row, changed=True), held.now + row.plan.lasts),)


def _planned_after(held: Hand, sequence: int) -> dict[int, Plan]:
    return {
        number: row.plan
        for number, row in sorted(held.rows.items())
        if number > sequence
        and row.state is StepState.PLANNED
        and row.plan is not None
        and not row.plan.empty
    }


def _plan_of(row: Step) -> Plan:
    assert row.plan is not None, "a step that changes something has a plan"  # noqa: S101 - by construction
    return row.plan
