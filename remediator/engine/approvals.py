"""Asking people, and counting their answers.

`asking` makes the transition that asks; `ApprovalDesk.decide` is where every answer arrives,
whether from Slack, the API or the CLI. Who may answer is decided here, once, before the journal's
compare-and-set decides the run. Nobody is let in by silence, by name, or by being the only one.
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from remediator.engine.hand import Hand
from remediator.engine.people import CannotTell, Directory
from remediator.journal.protocol import AuditEntry, Journal, RunUpdate
from remediator.model.approvals import (
    Answer,
    ApprovalRequest,
    ApprovalStatus,
    Decision,
    DecisionOutcome,
    SnoozeOutcome,
)
from remediator.model.clock import Clock, to_text
from remediator.model.plans import Plan
from remediator.model.quantities import format_duration
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.observe import logs, metrics
from remediator.plugin.notifier import Answered, NotAuthorised

log = logs.get(__name__)


def asking(
    held: Hand, plans: Mapping[int, Plan], reason: Reason, why: str, **more: Any
) -> RunUpdate:
    """Return the transition that asks people about these plans, bound to their digests."""
    wanted = held.runbook.approval
    now = held.now
    request = ApprovalRequest(
        id=secrets.token_urlsafe(16),
        run_id=held.run.id,
        digests={held.runbook.steps[number].id: plan.digest for number, plan in plans.items()},
        approvers=tuple(wanted.approvers) or held.ports.default_approvers,
        quorum=wanted.quorum,
        status=ApprovalStatus.OPEN,
        created_at=now,
        expires_at=now + wanted.timeout,
        asked_because=why,
    )
    shown = "; ".join(str(plan) for plan in plans.values())
    entry = held.audit(
        "approval.asked",
        {
            "approval": request.id,
            "digests": dict(request.digests),
            "plans": [str(plan) for plan in plans.values()],
            "approvers": list(request.approvers),
            "quorum": request.quorum,
            "because": why,
        },
    )
    return held.update(
        RunState.AWAITING_APPROVAL,
        reason,
        shown,
        ask=request,
        wake_at=request.expires_at,
        release=True,
        notes=(*more.pop("notes", ()), held.note(NoteKind.APPROVAL, f"asks for approval: {shown}")),
        audit=(*more.pop("audit", ()), entry),
        **more,
    )


class ApprovalDesk:
    """Where answers are handed in. Whether somebody may is found out afresh for each."""

    def __init__(self, journal: Journal, clock: Clock, directory: Directory) -> None:
        self._journal = journal
        self._clock = clock
        self._directory = directory

    async def decide(
        self, approval_id: str, *, actor: str, answer: Answer, reason: str, via: str
    ) -> Answered:
        """Hand in one person's answer.

        Raises:
            NotAuthorised: the actor is not among the approvers; it is put on record.
        """
        request = await self._journal.approval(approval_id)
        if request is None:
            return _answered(DecisionOutcome.UNKNOWN, None)
        run = await self._journal.run(request.run_id)
        with logs.bound(
            run_id=request.run_id,
            runbook=run.runbook if run else "",
            incident_id=run.incident_id if run else None,
        ):
            return await self._decide(request, actor=actor, answer=answer, reason=reason, via=via)

    async def snooze(
        self,
        approval_id: str,
        *,
        actor: str,
        for_: timedelta,
        reason: str,
        via: str,
        operator: bool,
    ) -> str:
        """Withdraw a question for a while. Returns a sentence for the actor.

        Args:
            operator: the actor's role allows it, whoever the question is for.

        Raises:
            NotAuthorised: the actor is neither an operator nor among the approvers.
        """
        request = await self._journal.approval(approval_id)
        if request is None:
            return _SNOOZED[SnoozeOutcome.UNKNOWN]
        if not operator:
            await self._require(request, actor, "snooze", via)
        if not SHORTEST_SNOOZE <= for_ <= LONGEST_SNOOZE:
            least, most = format_duration(SHORTEST_SNOOZE), format_duration(LONGEST_SNOOZE)
            return f"Snooze for {least} to {most}; to stop it for longer, deny it or pause it."
        now = self._clock.now()
        outcome, _ = await self._journal.snooze(
            approval_id,
            by=actor,
            reason=reason[:_LONGEST_REASON],
            via=via,
            at=now,
            until=now + for_,
        )
        metrics.APPROVALS.labels(outcome=f"snooze_{outcome.value}").inc()
        log.info("snooze", actor=actor, outcome=outcome, run_id=request.run_id)
        if outcome is SnoozeOutcome.SNOOZED:
            return f"Snoozed until {to_text(now + for_)}; then it is checked and asked anew."
        return _SNOOZED[outcome]

    async def may_answer(self, actor: str, request: ApprovalRequest) -> bool:
        """Whether an actor is among those asked, for what is only shown; no, where it can't be
        told."""
        try:
            return await self._directory.among(actor, request.approvers, fresh=False)
        except CannotTell:
            return False

    async def _decide(
        self, request: ApprovalRequest, *, actor: str, answer: Answer, reason: str, via: str
    ) -> Answered:
        await self._require(request, actor, answer.value, via)
        outcome, after = await self._journal.decide(
            Decision(
                approval_id=request.id,
                actor=actor,
                answer=answer,
                reason=reason[:_LONGEST_REASON],
                via=via,
                at=self._clock.now(),
                person=self._directory.person(actor),
            )
        )
        metrics.APPROVALS.labels(outcome=outcome.value).inc()
        if outcome is DecisionOutcome.DENIED:
            run = await self._journal.run(request.run_id)
            if run is not None and run.state.ended:
                metrics.run_ended(run.runbook, run.state, run.reason)
        log.info("approval", actor=actor, answer=answer, outcome=outcome)
        return _answered(outcome, after or request)

    async def _require(self, request: ApprovalRequest, actor: str, what: str, via: str) -> None:
        why = ""
        try:
            if await self._directory.among(actor, request.approvers, fresh=True):
                return
        except CannotTell as error:
            why = f"; {error}"
        await self._refuse(request, actor, what, via)
        raise NotAuthorised(
            f"{actor} may not decide this; it is for {', '.join(request.approvers) or 'nobody'}"
            + why
        )

    async def _refuse(self, request: ApprovalRequest, actor: str, what: str, via: str) -> None:
        metrics.APPROVALS.labels(outcome="not_authorised").inc()
        log.warning("approval refused", actor=actor, via=via)
        await self._journal.record(
            [
                AuditEntry(
                    kind="approval.not_authorised",
                    actor=actor,
                    at=self._clock.now(),
                    details={"approval": request.id, "answer": what, "via": via},
                    run_id=request.run_id,
                )
            ]
        )


# People write sentences; a pasted log does not belong into the audit chain.
_LONGEST_REASON = 1000

SHORTEST_SNOOZE = timedelta(minutes=1)
"""Less would ask again before anybody has looked."""

LONGEST_SNOOZE = timedelta(hours=8)
"""One shift: who puts a question off is still there when it is asked anew. An alert that may wait
longer needs a decision, or a silence."""


def _answered(outcome: DecisionOutcome, request: ApprovalRequest | None) -> Answered:
    if outcome is DecisionOutcome.COUNTED and request is not None:
        return Answered(
            outcome, f"Counted. {request.quorum} different people must approve; more are needed."
        )
    return Answered(outcome, _SENTENCES[outcome])


_SENTENCES = {
    DecisionOutcome.COUNTED: "Counted. More approvals are needed.",
    DecisionOutcome.APPROVED: "Approved. The change is being made.",
    DecisionOutcome.DENIED: "Denied. Nothing more will be changed.",
    DecisionOutcome.REPEATED: "You had already said so; nothing changes.",
    DecisionOutcome.ALREADY_DECIDED: "This had already been decided; nothing changes.",
    DecisionOutcome.EXPIRED: "Too late: the time to decide is over. Nothing was changed.",
    DecisionOutcome.VOID: "This question no longer stands: the plan changed, the alert cleared or "
    "the run was cancelled.",
    DecisionOutcome.UNKNOWN: "There is no such approval.",
    DecisionOutcome.NEEDS_REASON: "Say why: a no needs a reason here. Nothing was decided.",
}

_SNOOZED = {
    SnoozeOutcome.HALF_DONE: "This run has changed something already and can't stand half done: "
    "approve what is left, or deny it and it is taken back.",
    SnoozeOutcome.DECIDED: _SENTENCES[DecisionOutcome.ALREADY_DECIDED],
    SnoozeOutcome.EXPIRED: _SENTENCES[DecisionOutcome.EXPIRED],
    SnoozeOutcome.VOID: _SENTENCES[DecisionOutcome.VOID],
    SnoozeOutcome.UNKNOWN: _SENTENCES[DecisionOutcome.UNKNOWN],
}
