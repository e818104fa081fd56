"""A run's stages: what happens in each state until it waits or ends. The flow reads downwards.

pending → planning → (awaiting_approval) → applying → verifying → succeeded, or undoing; see
`remediator.model.runs` for the table. Called by `worker` with a claimed run. Each stage ends in
one journal write; `carry` goes on until the claim was handed back or the run has ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from remediator.engine import (
    applying,
    approvals,
    guardrails,
    hand,
    outputs,
    planning,
    recheck,
    step,
    track,
    turns,
    undo,
)
from remediator.engine import verify as verifying
from remediator.engine.ending import break_off, failed, failing, refused
from remediator.engine.hand import Fenced, Hand, count_verdicts
from remediator.engine.library import RunbookGone
from remediator.engine.ports import Ports
from remediator.journal.values import RunUpdate
from remediator.model.approvals import ApprovalStatus
from remediator.model.history import History
from remediator.model.limits import Mode
from remediator.model.plans import Plan
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState, Trigger
from remediator.model.signals import Signal
from remediator.model.verdicts import Ruling, Verdict, heaviest, worth_showing

log = structlog.get_logger(__name__)


async def carry(ports: Ports, run: Run, stopping: asyncio.Event) -> None:
    """Carry a claimed run on until it waits, ends, or turns out not to be ours any more."""
    try:
        held = await hand.load(ports, run, stopping)
    except RunbookGone as error:
        await break_off(ports, run, Reason.RUNBOOK_GONE, str(error))
        return
    try:
        while held.run.owner is not None and held.run.state in STAGES:
            await STAGES[held.run.state](held)
            if stopping.is_set() and held.run.owner is not None:
                await held.wait(held.run.reason, held.run.message, held.now)
    except Fenced:
        log.info("run was decided elsewhere; dropped", run_id=run.id)


async def pending(held: Hand) -> None:
    """Let it clear by itself first; then see whether it still fires, and whose turn it is."""
    if held.run.trigger is Trigger.EXPIRY:
        message = "the time of the raised limit is over"
        await held.write(held.update(RunState.UNDOING, Reason.LIMIT_EXPIRED, message))
        return
    # Of a run that waits for its turn nobody need ask again and again whether its alert fires.
    queued = turns.waits(held)
    if queued and not await turns.take(held):
        return
    signal = await recheck.signal(held)
    if signal is Signal.RESOLVED:
        message = "the alert cleared by itself"
        await held.write(held.update(RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF, message))
    elif signal is Signal.UNKNOWN:
        await hold(held, Reason.SIGNAL_UNKNOWN, "no Alertmanager of this sender answers")
    elif queued or await turns.take(held):
        # Why planning held stays: a run that holds again for the same tells it once.
        held_for = held.run.reason in (Reason.TARGET_BUSY, Reason.UNREACHABLE)
        reason = held.run.reason if held_for else Reason.NEW
        deadline = held.run.deadline_at
        await held.write(held.update(RunState.PLANNING, reason, "planning", deadline_at=deadline))


async def plan(held: Hand) -> None:
    """Plan every step, let the guardrails judge, and decide what follows."""
    outcome = await planning.plan_run(held)
    match outcome:
        case planning.TryLater(message, after):
            await hold(held, Reason.UNREACHABLE, message, after)
        case planning.Unmet(rows, message):
            await held.write(
                held.update(RunState.SUPPRESSED, Reason.EXPECTATION_UNMET, message, steps=rows)
            )
        case planning.Unplannable(rows, Reason.LIST_TOO_LONG, message):
            await held.write(
                held.update(RunState.SUPPRESSED, Reason.LIST_TOO_LONG, message, steps=rows)
            )
        case planning.Unplannable(rows, reason, message):
            await held.write(failed(held, reason, message, rows=rows))
        case planning.Strayed(rows, verdict):
            count_verdicts((verdict,))
            await held.write(refused(held, (verdict,), steps=rows))
        case planning.Planned():
            await _decide(held, outcome)


async def _decide(held: Hand, planned: planning.Planned) -> None:
    if not planned.plans and not planned.open_ends:
        await held.write(_without_a_change(held, planned))
        return
    history = await _past(held)
    verdicts = _judge(held, planned.plans, history)
    shown = worth_showing(verdicts)
    first = next(iter(planned.plans.values()), None)
    common: dict[str, Any] = {
        "steps": planned.rows,
        "verdicts": shown,
        "target": str(first.target) if first else None,
        "audit": (held.audit("run.planned", planning.described(planned.plans, verdicts)),),
    }
    if step.lowest_mode(held, planned.plans, history) is Mode.OBSERVE:
        await held.write(_observed(held, planned.plans, verdicts, **common))
        return
    ruling = heaviest(verdicts)
    binding = next((str(v) for v in shown if v.ruling is ruling), "")
    if ruling is Ruling.REFUSE:
        await held.write(refused(held, **common))
    elif ruling is Ruling.WAIT:
        await hold(held, guardrails.waiting_reason(shown), binding)
    elif ruling is Ruling.HOLD:
        reason = guardrails.holding_reason(shown)
        why = "; ".join((binding, *planning.later(planned)))
        await held.write(await approvals.asking(held, planned.plans, reason, why, **common))
    else:
        message = "allowed without a person" if planned.plans else "each change when it is reached"
        message = "; ".join(
            (message, *(str(v) for v in shown if v.override), *planning.later(planned))
        )
        await held.write(held.update(RunState.APPLYING, Reason.AUTOMATIC, message, **common))


async def await_approval(held: Hand) -> None:
    """Woken although nobody decided: the time is over, or it was only taken over."""
    request = held.approval
    over = held.incident is not None and not held.incident.open
    if over and held.changed:
        await held.write(verifying.cleared(held))
    elif request is not None and request.status is ApprovalStatus.DENIED:
        # Denied in the middle of the run: it must not be left half done.
        await held.write(failing(held, Reason.DENIED, held.run.message))
    elif request is None or request.status is not ApprovalStatus.OPEN:
        # What was done must not be planned anew; the next change is judged and asked for again.
        to = RunState.APPLYING if held.changed else RunState.PLANNING
        await held.write(held.update(to, Reason.PLAN_CHANGED, "the question was withdrawn"))
    elif held.now >= request.expires_at:
        await held.write(await approvals.nobody_decided(held, request))
    else:
        await held.write(await approvals.waiting(held, request))


STAGES: Mapping[RunState, Callable[[Hand], Awaitable[None]]] = {
    RunState.PENDING: pending,
    RunState.PLANNING: plan,
    RunState.AWAITING_APPROVAL: await_approval,
    RunState.APPLYING: applying.apply_steps,
    RunState.VERIFYING: verifying.look,
    RunState.UNDOING: undo.take_back,
}


async def hold(held: Hand, reason: Reason, message: str, after: timedelta | None = None) -> None:
    """Wait before anything was changed, and give up when it has taken too long.

    The deadline is set by the first hold and goes along through `pending` and `planning`, so that
    it counts this holding alone and not the time that people took.
    """
    pace = held.ports.pace
    deadline = held.run.deadline_at or held.now + pace.give_up
    if held.now >= deadline:
        text = f"gave up after {format_duration(pace.give_up)}: {message}"
        await held.write(failed(held, reason, text))
        return
    wake_at = held.now + max(pace.hold, after or timedelta())
    if held.run.state is RunState.PENDING:
        await held.wait(reason, message, wake_at, deadline_at=deadline)
    else:
        await held.write(
            held.update(
                RunState.PENDING,
                reason,
                message,
                wake_at=wake_at,
                deadline_at=deadline,
                release=True,
            )
        )


async def _past(held: Hand) -> History:
    look = step.look_back(held)
    held.track = await track.shown(held.ports, held.runbook)
    return await held.ports.journal.history(run_id=held.run.id, look=look, at=held.now)


def _judge(held: Hand, plans: Mapping[int, Plan], history: History) -> tuple[Verdict, ...]:
    # With no plan yet, the first change is judged, and approved, when it is reached.
    judged = step.judge_each(held, plans, history)
    found = tuple(dict.fromkeys(verdict for each in judged.values() for verdict in each))
    count_verdicts(found)
    return found


def _observed(
    held: Hand, plans: Mapping[int, Plan], all_verdicts: tuple[Verdict, ...], **common: Any
) -> RunUpdate:
    """Put the plans on record and end. Maintenance is named: the alert was to be expected."""
    told = "observed: " + "; ".join(str(p) for p in plans.values())
    for verdict in all_verdicts:
        if verdict.rule == "maintenance" and verdict.ruling is Ruling.REFUSE:
            message = f"{verdict.reason}; {told}"
            return held.update(RunState.OBSERVED, Reason.MAINTENANCE, message, **common)
    return held.update(RunState.OBSERVED, Reason.OBSERVE_ONLY, told, **common)


def _without_a_change(held: Hand, planned: planning.Planned) -> RunUpdate:
    """There is nothing to change: fine for probes alone; not when an alert wanted a repair."""
    wanted_change = any(row.plan is not None and row.plan.empty for row in planned.rows)
    if wanted_change and held.run.about_alert and held.runbook.verify:
        message = "nothing to do, and yet the alert fires"
        return failed(held, Reason.NOTHING_TO_DO, message, rows=planned.rows)
    reason = Reason.NOTHING_TO_DO if wanted_change else Reason.DONE
    message = "nothing to do" if wanted_change else "every check was made"
    return outputs.succeeded(held, reason, message, rows=planned.rows)
