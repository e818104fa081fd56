"""Asking people, asking them again, and what their silence means.

`asking` makes the transition that asks, `waiting` the one that reminds, `nobody_decided` what comes
of a question whose time is over. A question is a row with its times; nothing here holds a task.
Answers are handed in at `answers`.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from remediator.engine import differing, guardrails, recheck, silences, step, terms
from remediator.engine.ending import failing
from remediator.engine.hand import Hand
from remediator.journal.values import RunUpdate
from remediator.model.approvals import ApprovalRequest, ApprovalStatus, OnExpiry
from remediator.model.canonical import JSONObject
from remediator.model.history import History
from remediator.model.plans import Plan
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, Trigger
from remediator.model.signals import Signal
from remediator.model.views import NoteKind
from remediator.observe import metrics

SILENCE_GRACE = timedelta(minutes=5)
"""How late silence may be taken for a yes. Later the daemon was down when the time was over, and
who would have said no perhaps had nobody to say it to."""


async def asking(
    held: Hand, plans: Mapping[int, Plan], reason: Reason, why: str, **more: Any
) -> RunUpdate:
    """Return the transition that asks people about these plans, bound to their digests."""
    now = held.now
    asked = _asked(held, plans)
    shown = {held.runbook.steps[number].id: plan for number, plan in plans.items()}
    request = ApprovalRequest(
        id=secrets.token_urlsafe(16),
        run_id=held.run.id,
        digests={step_id: plan.digest for step_id, plan in shown.items()},
        approvers=asked.approvers,
        quorum=asked.quorum,
        status=ApprovalStatus.OPEN,
        created_at=now,
        expires_at=now + asked.timeout,
        asked_because=f"{why}{silences.promised(held)}",
        terms=asked.terms,
        differs=differing.lines(held.shown, shown),
    )
    text = "; ".join(str(plan) for plan in plans.values())
    told = f"asks for approval: {text}{await _on_call(held, request)}"
    entry = held.audit(
        "approval.asked",
        {
            "approval": request.id,
            "digests": dict(request.digests),
            "plans": [str(plan) for plan in plans.values()],
            "approvers": list(request.approvers),
            "quorum": request.quorum,
            "terms": request.terms.to_json(),
            "differs": list(request.differs),
            "because": why,
        },
    )
    return held.update(
        RunState.AWAITING_APPROVAL,
        reason,
        text,
        ask=request,
        wake_at=_next_wake(request, 0),
        release=True,
        notes=(*more.pop("notes", ()), held.note(NoteKind.APPROVAL, told)),
        audit=(*more.pop("audit", ()), entry),
        **more,
    )


async def waiting(held: Hand, request: ApprovalRequest) -> RunUpdate:
    """Return the transition of a run that goes on waiting, with a reminder if one is due.

    After a pause of the daemon's one reminder stands for all that were due in it. Which were sent
    is kept with the question, in the commit that queues the note: none comes twice.
    """
    run, now = held.run, held.now
    due = sum(1 for after in request.terms.remind if request.created_at + after <= now)
    more: dict[str, Any] = {}
    if due > request.reminded:
        left = format_duration(_whole_minutes(request.expires_at - now))
        text = f"reminder: nobody has decided yet, {left} left: {run.message}"
        text += await _on_call(held, request)
        more["reminded"] = due
        more["notes"] = (held.note(NoteKind.APPROVAL, text),)
        more["audit"] = (
            held.audit("approval.reminded", {"approval": request.id, "reminder": due}),
        )
        metrics.REMINDERS.inc()
    return held.update(
        run.state,
        run.reason,
        run.message,
        wake_at=_next_wake(request, max(due, request.reminded)),
        deadline_at=run.deadline_at,
        release=True,
        **more,
    )


async def nobody_decided(held: Hand, request: ApprovalRequest) -> RunUpdate:
    """Return what comes of a question whose time is over."""
    waited = format_duration(request.expires_at - request.created_at)
    message = f"nobody decided within {waited}"
    signal = None if held.changed else await recheck.signal(held)
    against = await _not_by_silence(held, request)
    if against is None and signal not in (Signal.RESOLVED, Signal.UNKNOWN):
        return _by_silence(held, request, f"{message}, which the policy takes for a yes here")
    metrics.QUESTIONS_CLOSED.labels(how="expired").inc()
    if against:
        message = f"{message}; {against}"
    expired = ApprovalStatus.EXPIRED
    if held.changed:
        # Asked in the middle of the run: it must not be left half done.
        return failing(held, Reason.APPROVAL_EXPIRED, message, close_approval=expired)
    if signal is Signal.RESOLVED:
        text = f"{message}, and the alert cleared by itself"
        reason = Reason.RESOLVED_BY_ITSELF
        return held.update(RunState.CANCELLED, reason, text, close_approval=expired)
    if signal is Signal.FIRING:
        message = f"{message}, and the alert still fires"
    called = request.terms.on_expiry is not OnExpiry.DENY
    notes = held.escalation(f"{held.run.runbook}: {message}") if called else ()
    return held.update(
        RunState.EXPIRED, Reason.APPROVAL_EXPIRED, message, close_approval=expired, notes=notes
    )


async def _not_by_silence(held: Hand, request: ApprovalRequest) -> str | None:
    """Return why silence is no yes: empty where it never was meant to be, None where it is one.

    It must have been allowed when the question was asked and be so now, somebody must have been
    told, in time; and where four eyes are wanted, silence has none.
    """
    run = held.run
    if request.terms.on_expiry is not OnExpiry.APPROVE:
        return ""
    if request.terms.four_eyes and run.trigger is Trigger.MANUAL:
        return "silence is no second person"
    plans = {
        held.step_of(row).sequence: row.plan
        for row in held.rows.values()
        if row.plan is not None and row.step_id in held.shown
    }
    if set(held.shown) != set(request.digests) or not plans:
        return "the plans that were shown are not known any more"
    if _asked(held, plans).terms.on_expiry is not OnExpiry.APPROVE:
        return "the policy no longer takes silence for a yes"
    if held.now - request.expires_at > SILENCE_GRACE:
        return "the daemon was not there when the time was over, so silence says nothing"
    if not await held.ports.journal.told(
        run.id, since=request.created_at, besides=held.ports.reaches_nobody
    ):
        return "nobody could be told, so silence says nothing"
    return None


def _by_silence(held: Hand, request: ApprovalRequest, message: str) -> RunUpdate:
    metrics.QUESTIONS_CLOSED.labels(how="silence").inc()
    details: JSONObject = {
        "approval": request.id,
        "digests": dict(request.digests),
        "policy": list(request.terms.policy),
    }
    return held.update(
        RunState.APPLYING,
        Reason.SILENCE,
        message,
        close_approval=ApprovalStatus.APPROVED,
        close_why=message,
        audit=(held.audit("approval.silence", details),),
    )


def _asked(held: Hand, plans: Mapping[int, Plan]) -> terms.Asked:
    """Return on what terms people are asked about these plans, by the policy as it is now."""
    return terms.merge(
        held.runbook.approval,
        [_blocks(held, number, plan) for number, plan in plans.items()],
        held.ports.default_approvers,
    )


def _blocks(held: Hand, number: int, plan: Plan) -> terms.Blocks:
    """Return what the policy asks for one plan; the past has no say in it."""
    nothing = History(changes=(), controls=(), locks={})
    return guardrails.approval_blocks(
        step.question(held, number, plan, history=nothing, signal=None, approved=False)
    )


async def _on_call(held: Hand, request: ApprovalRequest) -> str:
    """Return who is on call of those asked, as the end of a sentence; empty where nobody is."""
    found = await held.ports.on_call((*request.approvers, *chain(*request.terms.within)))
    return f" (on call: {', '.join(found)})" if found else ""


def _next_wake(request: ApprovalRequest, reminded: int) -> datetime:
    left = request.terms.remind[reminded:]
    return min([request.expires_at, *(request.created_at + after for after in left)])


def _whole_minutes(span: timedelta) -> timedelta:
    minute = timedelta(minutes=1)
    return max(minute, round(span / minute) * minute)
