"""A question withdrawn for a while: the run waits, and is then checked, planned and asked anew.

Only for a run that has changed nothing: one that was asked in its middle must go on or be taken
back, not stand half done for hours.
"""

from datetime import datetime

from remediator.journal import acknowledging, approvals, steps, transitions
from remediator.journal.statements import Env, Operation, Record
from remediator.journal.transitions import Move
from remediator.journal.values import AuditEntry
from remediator.model.approvals import ApprovalRequest, ApprovalStatus, SnoozeOutcome
from remediator.model.clock import to_minute, to_text
from remediator.model.reasons import Reason
from remediator.model.runs import Run, RunState

_CLOSED = {
    ApprovalStatus.APPROVED: SnoozeOutcome.DECIDED,
    ApprovalStatus.DENIED: SnoozeOutcome.DECIDED,
    ApprovalStatus.EXPIRED: SnoozeOutcome.EXPIRED,
    ApprovalStatus.VOID: SnoozeOutcome.VOID,
}


def snooze(
    env: Env, approval_id: str, *, by: str, reason: str, via: str, at: datetime, until: datetime
) -> Operation[tuple[SnoozeOutcome, ApprovalRequest | None]]:
    """Withdraw an open question until a time; the answers that it had count no more.

    Returns:
        What became of it, and the question as it is then (None if there is no such question).
    """
    found = yield from approvals.locked(approval_id)
    if found is None:
        return SnoozeOutcome.UNKNOWN, None
    request, run = found
    outcome = yield from _withdraw(env, request, run, by=by, reason=reason, at=at, until=until)
    details = {
        "approval_id": request.id,
        "reason": reason,
        "via": via,
        "until": to_text(until),
        "outcome": outcome.value,
    }
    yield Record([AuditEntry("approval.snoozed", by, at, details, run.id, run.incident_id)])
    return outcome, (yield from approvals.get(request.id))


def _withdraw(
    env: Env,
    request: ApprovalRequest,
    run: Run,
    *,
    by: str,
    reason: str,
    at: datetime,
    until: datetime,
) -> Operation[SnoozeOutcome]:
    if request.status is not ApprovalStatus.OPEN:
        return _CLOSED[request.status]
    if at >= request.expires_at:
        return SnoozeOutcome.EXPIRED
    if run.state is not RunState.AWAITING_APPROVAL:
        yield from approvals.settle(request.id, ApprovalStatus.VOID)
        return SnoozeOutcome.VOID
    if run.id in (yield from steps.runs_that_changed([run.id])):
        return SnoozeOutcome.HALF_DONE
    yield from acknowledging.by_person(env, run, by=by, at=at)
    message = f"Snoozed by {by} until {to_minute(until)}" + (f": {reason}" if reason else "")
    yield from approvals.settle(request.id, ApprovalStatus.VOID, message)
    yield from transitions.carry_out(
        env,
        [
            Move(
                run=run,
                to=RunState.PENDING,
                reason=Reason.SNOOZED,
                message=message,
                at=at,
                actor=by,
                wake_at=until,
                fence=True,
            )
        ],
        announce=True,
    )
    return SnoozeOutcome.SNOOZED
