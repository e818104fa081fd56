"""Asking people, and counting their answers.

`asking` makes the transition that asks; `ApprovalDesk.decide` is where every answer arrives,
whether from Slack, the API or the CLI. Who may answer is decided here, once, before the journal's
compare-and-set decides the run. Nobody is let in by silence, by name, or by being the only one.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from remediator.engine.hand import Hand
from remediator.journal.protocol import AuditEntry, Journal, RunUpdate
from remediator.model.approvals import (
    Answer,
    ApprovalRequest,
    ApprovalStatus,
    Decision,
    DecisionOutcome,
)
from remediator.model.clock import Clock
from remediator.model.plans import Plan
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
    """Where answers are handed in (`remediator.plugin.notifier.Desk`)."""

    def __init__(
        self, journal: Journal, clock: Clock, groups: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._groups = groups

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

    async def _decide(
        self, request: ApprovalRequest, *, actor: str, answer: Answer, reason: str, via: str
    ) -> Answered:
        if actor not in members(request.approvers, self._groups):
            await self._refuse(request, actor, answer, via)
            raise NotAuthorised(
                f"{actor} may not decide this; it is for {', '.join(request.approvers) or 'nobody'}"
            )
        outcome, after = await self._journal.decide(
            Decision(
                approval_id=request.id,
                actor=actor,
                answer=answer,
                reason=reason[:_LONGEST_REASON],
                via=via,
                at=self._clock.now(),
            )
        )
        metrics.APPROVALS.labels(outcome=outcome.value).inc()
        if outcome is DecisionOutcome.DENIED:
            run = await self._journal.run(request.run_id)
            if run is not None and run.state.ended:
                metrics.run_ended(run.runbook, run.state, run.reason)
        log.info("approval", actor=actor, answer=answer, outcome=outcome)
        return _answered(outcome, after or request)

    async def _refuse(self, request: ApprovalRequest, actor: str, answer: Answer, via: str) -> None:
        metrics.APPROVALS.labels(outcome="not_authorised").inc()
        log.warning("approval refused", actor=actor, via=via)
        await self._journal.record(
            [
                AuditEntry(
                    kind="approval.not_authorised",
                    actor=actor,
                    at=self._clock.now(),
                    details={"approval": request.id, "answer": answer.value, "via": via},
                    run_id=request.run_id,
                )
            ]
        )


# People write sentences; a pasted log does not belong into the audit chain.
_LONGEST_REASON = 1000


def members(approvers: tuple[str, ...], groups: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Return the identities behind a list of groups and single identities; groups don't nest."""
    found: set[str] = set()
    for name in approvers:
        found.update(groups.get(name, (name,)))
    return frozenset(found)


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
}
