"""Counting people's answers: who may give one, and what becomes of it.

`ApprovalDesk.decide` is where every answer arrives, whether from Slack, the API or the CLI. Who may
answer is found out afresh for each, and for each yes that was given before; then the journal's
compare-and-set decides the run. Nobody is let in by silence, by name, or by being the only one.
Called by `desk`. What is asked, and when again, is in `approvals`.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from remediator.engine.people import Asked, CannotTell, Directory
from remediator.journal.protocol import Journal
from remediator.journal.values import AuditEntry
from remediator.model.approvals import (
    MAX_REASON,
    Answer,
    ApprovalRequest,
    Decision,
    DecisionOutcome,
    SnoozeOutcome,
)
from remediator.model.clock import Clock, to_minute
from remediator.model.quantities import format_duration
from remediator.model.runs import Run, Trigger
from remediator.observe import logs, metrics
from remediator.plugin.notifier import Answered, NotAuthorised

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Snoozed:
    """What became of a wish to be asked later, with a sentence for who had it."""

    outcome: SnoozeOutcome
    message: str


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
            return await self._decide(
                request, run, actor=actor, answer=answer, reason=reason, via=via
            )

    async def snooze(
        self,
        approval_id: str,
        *,
        actor: str,
        for_: timedelta,
        reason: str,
        via: str,
        operator: bool,
    ) -> "Snoozed":
        """Withdraw a question for a while.

        Args:
            operator: the actor's role allows it, whoever the question is for.

        Raises:
            NotAuthorised: the actor is neither an operator nor among the approvers.
        """
        request = await self._journal.approval(approval_id)
        if request is None:
            return Snoozed(SnoozeOutcome.UNKNOWN, _SNOOZED[SnoozeOutcome.UNKNOWN])
        if not operator:
            await self._require(request, actor, "snooze", via)
        if not SHORTEST_SNOOZE <= for_ <= LONGEST_SNOOZE:
            least, most = format_duration(SHORTEST_SNOOZE), format_duration(LONGEST_SNOOZE)
            text = f"Snooze for {least} to {most}; to stop it for longer, deny it or pause it."
            return Snoozed(SnoozeOutcome.OUT_OF_BOUNDS, text)
        now = self._clock.now()
        outcome, _ = await self._journal.snooze(
            approval_id,
            by=actor,
            reason=reason[:MAX_REASON],
            via=via,
            at=now,
            until=now + for_,
        )
        metrics.APPROVALS.labels(outcome=f"snooze_{outcome.value}").inc()
        log.info("snooze", actor=actor, outcome=outcome, run_id=request.run_id)
        if outcome is SnoozeOutcome.SNOOZED:
            metrics.QUESTIONS_CLOSED.labels(how=outcome.value).inc()
            text = f"Snoozed until {to_minute(now + for_)}; then it is checked and asked anew."
            return Snoozed(outcome, text)
        return Snoozed(outcome, _SNOOZED[outcome])

    async def may_answer(
        self, actor: str, request: ApprovalRequest, *, fresh: bool = False
    ) -> bool:
        """Whether an actor is among those asked; no, where it can't be told. Afresh for what is
        more than shown."""
        try:
            return await self._asked(actor, request, fresh=fresh)
        except CannotTell:
            return False

    async def _decide(
        self,
        request: ApprovalRequest,
        run: Run | None,
        *,
        actor: str,
        answer: Answer,
        reason: str,
        via: str,
    ) -> Answered:
        # For all of one answer, so that each list elsewhere is asked for once: Slack waits three
        # seconds.
        asked: Asked = {}
        await self._require(request, actor, answer.value, via, asked)
        if answer is Answer.APPROVE and self._has_started(actor, request, run):
            await self._refuse(request, actor, answer.value, via, "four_eyes")
            raise NotAuthorised(f"{actor} started this run; somebody else must say yes to it")
        if answer is Answer.DENY and request.terms.deny_reason and not reason.strip():
            _count_refusal("needs_reason")
            return _answered(DecisionOutcome.NEEDS_REASON, request)
        decision = Decision(
            approval_id=request.id,
            actor=actor,
            answer=answer,
            reason=reason[:MAX_REASON],
            via=via,
            at=self._clock.now(),
            person=self._directory.person(actor),
        )
        outcome, after = DecisionOutcome.LOOK_AGAIN, None
        for _ in range(_MOST_LOOKS):
            earlier = await self._earlier(request, run, decision, asked)
            outcome, after = await self._journal.decide(decision, earlier=earlier)
            if outcome is not DecisionOutcome.LOOK_AGAIN:
                break
        await self._tell(outcome, decision, request)
        return _answered(outcome, after or request)

    async def _earlier(
        self, request: ApprovalRequest, run: Run | None, decision: Decision, asked: Asked
    ) -> dict[str, str]:
        """Return who stands behind each earlier yes, empty where it counts no more.

        Somebody who has left since, or of whom it can't be told, is not counted.
        """
        found = {}
        for one in await self._journal.answers(request.id):
            if one.answer is not Answer.APPROVE or one.actor == decision.actor:
                continue
            try:
                still = await self._asked(one.actor, request, fresh=True, asked=asked)
            except CannotTell:
                still = False
            still = still and self._directory.comes_in(one.actor)
            still = still and not self._has_started(one.actor, request, run)
            found[one.actor] = self._directory.person(one.actor) if still else ""
        return found

    async def _asked(
        self, actor: str, request: ApprovalRequest, *, fresh: bool, asked: Asked | None = None
    ) -> bool:
        lists = (request.approvers, *request.terms.within)
        found = await asyncio.gather(
            *(self._directory.among(actor, names, fresh=fresh, asked=asked) for names in lists),
            return_exceptions=True,
        )
        if any(one is False for one in found):
            return False
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return True

    def _has_started(self, actor: str, request: ApprovalRequest, run: Run | None) -> bool:
        """Whether four eyes are wanted, and these are the two that the run was started with."""
        if not request.terms.four_eyes or run is None or run.trigger is not Trigger.MANUAL:
            return False
        return self._directory.person(run.started_by) == self._directory.person(actor)

    async def _tell(
        self, outcome: DecisionOutcome, decision: Decision, request: ApprovalRequest
    ) -> None:
        metrics.APPROVALS.labels(outcome=outcome.value).inc()
        if outcome in _DECIDED:
            took = decision.at - request.created_at
            metrics.ANSWER_TIME.labels(answer=decision.answer.value).observe(
                max(0.0, took.total_seconds())
            )
            metrics.QUESTIONS_CLOSED.labels(how=outcome.value).inc()
        if outcome is DecisionOutcome.DENIED:
            run = await self._journal.run(request.run_id)
            if run is not None and run.state.ended:
                metrics.run_ended(run.runbook, run.state, run.reason)
        log.info("approval", actor=decision.actor, answer=decision.answer, outcome=outcome)

    async def _require(
        self,
        request: ApprovalRequest,
        actor: str,
        what: str,
        via: str,
        asked: Asked | None = None,
    ) -> None:
        """Let in who was asked.

        Raises:
            NotAuthorised: it is for others, or it can't be told; on record.
        """
        why, reason = "", "not_among"
        try:
            if await self._asked(actor, request, fresh=True, asked=asked):
                return
        except CannotTell as error:
            why, reason = f"; {error}", "cannot_tell"
        await self._refuse(request, actor, what, via, reason)
        raise NotAuthorised(f"{actor} may not decide this; it is for {asked_of(request)}{why}")

    async def _refuse(
        self, request: ApprovalRequest, actor: str, what: str, via: str, reason: str
    ) -> None:
        metrics.APPROVALS.labels(outcome="not_authorised").inc()
        _count_refusal(reason)
        log.warning("approval refused", actor=actor, via=via, reason=reason)
        await self._journal.record(
            [
                AuditEntry(
                    kind="approval.not_authorised",
                    actor=actor,
                    at=self._clock.now(),
                    details={
                        "approval": request.id,
                        "answer": what,
                        "via": via,
                        "reason": reason,
                    },
                    run_id=request.run_id,
                )
            ]
        )


def asked_of(request: ApprovalRequest) -> str:
    """Return whom a question is for, in words."""
    lists = [", ".join(names) for names in (request.approvers, *request.terms.within) if names]
    return ", if also among ".join(lists) or "nobody"


def _count_refusal(reason: str) -> None:
    metrics.REFUSED_ANSWERS.labels(reason=reason).inc()


_DECIDED = frozenset({DecisionOutcome.APPROVED, DecisionOutcome.DENIED})

# Each look that is one too few means that somebody else has answered between; a quorum is ten
# people at most.
_MOST_LOOKS = 12

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
    why = request.closed_why if request is not None and outcome is DecisionOutcome.VOID else ""
    return Answered(outcome, SENTENCES[outcome] + (f" {why}." if why else ""))


SENTENCES = {
    DecisionOutcome.COUNTED: "Counted. More approvals are needed.",
    DecisionOutcome.APPROVED: "Approved. The change is being made.",
    DecisionOutcome.DENIED: "Denied. Nothing more will be changed.",
    DecisionOutcome.REPEATED: "You had already said so; nothing changes.",
    DecisionOutcome.ALREADY_DECIDED: "This had already been decided; nothing changes.",
    DecisionOutcome.EXPIRED: "Too late: the time to decide is over. Nothing was changed.",
    DecisionOutcome.VOID: "This question no longer stands: the plan changed, the alert cleared or "
    "the run was cancelled.",
    DecisionOutcome.UNKNOWN: "There is no such approval.",
    DecisionOutcome.LOOK_AGAIN: "Others are answering at this moment; try again.",
    DecisionOutcome.NEEDS_REASON: "Say why: a no needs a reason here. Nothing was decided.",
}

_SNOOZED = {
    SnoozeOutcome.HALF_DONE: "This run has changed something already and can't stand half done: "
    "approve what is left, or deny it and it is taken back.",
    SnoozeOutcome.DECIDED: SENTENCES[DecisionOutcome.ALREADY_DECIDED],
    SnoozeOutcome.EXPIRED: SENTENCES[DecisionOutcome.EXPIRED],
    SnoozeOutcome.VOID: SENTENCES[DecisionOutcome.VOID],
    SnoozeOutcome.UNKNOWN: SENTENCES[DecisionOutcome.UNKNOWN],
}
