"""One step of a run: probe, or plan again → intent → apply → settle → outcome.

Called by `applying` for steps in order, and by `lanes` for those of a block, several at once. What
comes of a step is left in `Unwritten` for the next write; a step that can't be gone on from answers
with a `Halt`, and nothing here leads the run into another state.
"""

from dataclasses import dataclass, replace

from remediator.engine import (
    guardrails,
    halting,
    planning,
    recheck,
    recovery,
    silences,
    step,
    track,
)
from remediator.engine import verify as verifying
from remediator.engine.floor import Floor
from remediator.engine.halting import Halt
from remediator.engine.hand import Hand, is_action, row_for
from remediator.engine.unwritten import Unwritten
from remediator.journal.values import Expiry, UpdateOutcome, Written
from remediator.model.plans import Plan
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Step, StepState
from remediator.model.signals import Signal
from remediator.model.verdicts import Ruling, heaviest, worth_showing
from remediator.plugin.action import ActionError, Temporary
from remediator.runbook.expressions import ExpressionFailed
from remediator.runbook.runbook import CompiledStep


@dataclass(frozen=True, slots=True)
class _Ready:
    """A change that may be begun: its row, and what Alertmanager said just now."""

    row: Step
    signal: Signal | None


async def begin(held: Hand, one: CompiledStep, unwritten: Unwritten, floor: Floor) -> Halt | None:
    """Take up one step. Returns what halts the run there, None to go on with the next.

    Raises:
        Fenced, JournalUnavailable, Overloaded: as for `Hand.write`.
    """
    while True:
        found = await _look(held, one, unwritten)
        if not isinstance(found, _Ready):
            return found
        plan = plan_of(found.row)
        if floor.closed:
            return halting.Stopped()
        if floor.take(plan):
            break
        # What another lane makes of the target is to be seen by this one's plan.
        await floor.until_free(plan)
    try:
        return await _intend(held, one, found, unwritten, floor)
    finally:
        floor.free(plan)


async def _look(held: Hand, one: CompiledStep, unwritten: Unwritten) -> _Ready | Halt | None:
    """Find out what there is to change; a probe is carried out."""
    row = held.rows.get(one.sequence)
    further = row is not None and row.attempt > 1
    reached = row is not None and (row.started_at is not None or further)
    if one.is_rung and held.changed and not reached:
        # A rung is used only when what was done so far did not help: look first.
        if verifying.watchable(held):
            return halting.Watched(one.id)
        if held.incident is None:
            message = "started by hand: no alert tells whether this is needed as well"
            _skip(held, one, message, unwritten)
            return None
    signal = await recheck.signal(held)
    firing = None if signal in (None, Signal.NOT_CONFIGURED) else signal is not Signal.RESOLVED
    try:
        asked = one.conditional and not further
        if asked and not one.wanted(held.scope(one, firing=firing)):
            _skip(held, one, "its condition is false", unwritten)
            return None
        if not is_action(one):
            return await _probe(held, one, unwritten)
        if signal is Signal.RESOLVED:
            return halting.Cleared()
        if further and row is not None and row.plan is not None:
            plan = row.plan  # a further attempt carries out the same plan
        else:
            row, plan = await planning.plan_step(held, one)
    except Temporary as error:
        return halting.Waits(Reason.UNREACHABLE, f"{one.id}: {error}")
    except ExpressionFailed as error:
        return _fail(held, one, Reason.EXPRESSION_FAILED, str(error), unwritten)
    except ActionError as error:
        return _fail(held, one, planning.failure_reason(error), str(error), unwritten)
    if plan.empty:
        done = replace(row, state=StepState.DONE, changed=False, message="nothing to do")
        unwritten.add(held, done, "step.done")
        return None
    return _Ready(row, signal)


async def _intend(
    held: Hand, one: CompiledStep, ready: _Ready, unwritten: Unwritten, floor: Floor
) -> Halt | None:
    """Record the intent under the guardrails' last word; then change the world."""
    row, plan = ready.row, plan_of(ready.row)
    held.track = await track.shown(held.ports, held.runbook)
    if floor.closed:
        return halting.Stopped()
    approved = held.approved_digests.get(one.id) == plan.digest
    started = step.intent(held, row)
    # Of a block's many targets the first stands for the run.
    target = str(plan.target) if one.block is None or not held.run.target else None
    outcome = await unwritten.write(
        held,
        held.update(
            RunState.APPLYING,
            held.run.reason,
            started.message,
            steps=(started,),
            lock=_targets(held, plan),
            target=target,
            guard=step.guard(held, row, signal=ready.signal, approved=approved),
            audit=(held.audit("step.started", step.described(started)),),
            spawn=_expiry(held, started),
        ),
    )
    if outcome.written is Written.DONE:
        async with floor.silencing:
            await silences.ensure(held)
        return await _after(held, one, await step.carry_out(held, one, started), unwritten)
    return _not_allowed(held, one, row, outcome)


async def finish_started(
    held: Hand, one: CompiledStep, row: Step, unwritten: Unwritten
) -> Halt | None:
    """Take up a step whose intent is stored and whose outcome is not: we crashed or were stopped.

    Raises:
        Fenced, JournalUnavailable, Overloaded: as for `Hand.write`.
    """
    interrupted = recovery.judge(row)
    if interrupted is not None:
        return halting.Interrupted(interrupted)
    if row.changed:  # on record as applied; it was settling
        return await _after(held, one, await step.carry_out(held, one, row), unwritten)
    # Perhaps it was not made yet. To make it now is a change like any other: is it still wanted?
    plan = plan_of(row)
    signal = await recheck.signal(held)
    held.track = await track.shown(held.ports, held.runbook)
    approved = held.approved_digests.get(one.id) == plan.digest
    row = replace(row, started_at=held.now)
    outcome = await unwritten.write(
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
    )
    if outcome.written is Written.DONE:
        await silences.ensure(held)
        ended = await step.carry_out(held, one, row, again=True)
        return await _after(held, one, ended, unwritten)
    if heaviest(outcome.verdicts) is Ruling.WAIT:
        return _not_allowed(held, one, row, outcome)
    return await _after(held, one, await step.look_only(held, one, row), unwritten)


async def _after(
    held: Hand, one: CompiledStep, outcome: step.Outcome, unwritten: Unwritten
) -> Halt | None:
    match outcome:
        case step.Done(row, facts):
            unwritten.add(held, row, "step.done", facts)
            if not plan_of(row).checkable:
                # Nobody could find out after a crash that it was done: write it at once.
                await unwritten.keep(
                    held, held.update(held.run.state, held.run.reason, row.message)
                )
            return None
        case step.Stopped(row, facts):
            unwritten.put(held, row, facts)
            await unwritten.flush(held)
            return halting.Stopped()
        case step.Again(bad, row, at):
            unwritten.add(held, bad, "step.failed")
            unwritten.put(held, row)
            return halting.Retries(f"{one.id}: trying again: {bad.message}", at)
        case step.Failed(row, reason, facts):
            unwritten.add(held, row, "step.failed", facts)
            return halting.Failing(reason, f"{one.id}: {row.message}")


async def _probe(held: Hand, one: CompiledStep, unwritten: Unwritten) -> Halt | None:
    row = await planning.probe_step(held, one)
    if row.state is StepState.DONE:
        unwritten.add(held, row, "step.done")
        return None
    unwritten.add(held, row, "step.failed")
    return halting.Unmet(Reason.EXPECTATION_UNMET, f"{one.id}: {row.message}")


def _not_allowed(held: Hand, one: CompiledStep, row: Step, outcome: UpdateOutcome) -> Halt:
    """Say what follows where the intent was not stored: wait, ask a person, or end."""
    if outcome.written is Written.STOPPED:
        assert outcome.run is not None, "who stopped it stands there"  # noqa: S101 - contract of the journal
        held.run = outcome.run
        return halting.Cancelled()
    if outcome.written is Written.LOCKED:
        message = f"{plan_of(row).target} is being changed by run {outcome.holder}"
        return halting.Waits(Reason.TARGET_BUSY, message)
    verdicts = outcome.verdicts
    if any(v.rule == "still_firing" and v.ruling is Ruling.REFUSE for v in verdicts):
        return halting.Cleared()
    shown = worth_showing(verdicts)
    ruling = heaviest(verdicts)
    why = halting.binding(shown, ruling)
    if ruling is Ruling.WAIT:
        return halting.Waits(guardrails.waiting_reason(shown), why)
    if ruling is not Ruling.HOLD:
        return halting.Refused(verdicts)
    reason = guardrails.holding_reason(shown)
    if one.id in held.approved_digests:
        reason = Reason.PLAN_CHANGED
        why = f"{one.id}: what would change is not what was approved"
    held.rows[row.sequence] = row
    return halting.Asks(row.sequence, reason, why, shown)


def _skip(held: Hand, one: CompiledStep, message: str, unwritten: Unwritten) -> None:
    row = row_for(held, one, state=StepState.SKIPPED, plan=None, message=message)
    unwritten.add(held, row, "step.skipped")


def _fail(
    held: Hand, one: CompiledStep, reason: Reason, message: str, unwritten: Unwritten
) -> Halt:
    row = row_for(held, one, state=StepState.FAILED, message=message, ended_at=held.now)
    if not row.changed:
        row = replace(row, plan=None, started_at=None)  # no change was begun, so none is counted
    unwritten.add(held, row, "step.failed")
    return halting.Failing(reason, f"{one.id}: {message}")


def _targets(held: Hand, plan: Plan) -> tuple[str, ...]:
    """Lock everything that is planned with the first change; in order, so nobody deadlocks."""
    planned = [row.plan for row in held.rows.values() if row.plan and not row.plan.empty]
    return tuple(sorted({plan.target.key, *(p.target.key for p in planned)}))


def _expiry(held: Hand, row: Step) -> tuple[Expiry, ...]:
    """A raised limit ends in time however its step ends, so its end is stored with the intent."""
    if row.plan is None or row.plan.lasts is None:
        return ()
    return (Expiry(replace(row, changed=True), held.now + row.plan.lasts),)


def plan_of(row: Step) -> Plan:
    """Return the plan of a step that changes something."""
    assert row.plan is not None, "a step that changes something has a plan"  # noqa: S101 - by construction
    return row.plan
