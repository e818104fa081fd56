"""The desk where people's words arrive, from Slack, the API and the CLI (`plugin.notifier.Desk`).

Checks that the actor may, puts on record who was turned away, and hands on: answers to
`approvals`, the rest to `control`. Must not know how an actor was authenticated, nor how what is
returned will look.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from remediator.engine.answers import ApprovalDesk, Snoozed
from remediator.engine.control import PauseControl, RunControl
from remediator.engine.people import CannotTell, Directory
from remediator.journal.protocol import Journal
from remediator.journal.values import AuditEntry, CancelOutcome
from remediator.model.approvals import Answer, ApprovalRequest, ApprovalStatus
from remediator.model.clock import Clock, to_minute
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.history import Control
from remediator.model.runs import RunState
from remediator.model.views import RunView, Waiting, Who
from remediator.observe import logs, metrics
from remediator.plugin.notifier import MOST_SHOWN, Answered, NotAuthorised, Standing
from remediator.plugin.source import Rejected
from remediator.settings import Role

log = logs.get(__name__)

_RUNNING = tuple(state for state in RunState if not state.ended)
# Beyond this many open questions at once nobody reads a list of them; the oldest come first.
_MOST_LOOKED_AT = 500


class PeopleDesk:
    """Implements `remediator.plugin.notifier.Desk`."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        directory: Directory,
        approvals: ApprovalDesk,
        runs: RunControl,
        pauses: PauseControl,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._directory = directory
        self._approvals = approvals
        self._runs = runs
        self._pauses = pauses

    async def decide(
        self, approval_id: str, *, actor: str, answer: Answer, reason: str, via: str
    ) -> Answered:
        """See `Desk.decide`."""
        return await self._approvals.decide(
            approval_id, actor=actor, answer=answer, reason=reason, via=via
        )

    async def snooze(
        self, approval_id: str, *, actor: str, for_: timedelta, reason: str, via: str
    ) -> str:
        """See `Desk.snooze`."""
        put_off = await self.put_off(approval_id, actor=actor, for_=for_, reason=reason, via=via)
        return put_off.message

    async def put_off(
        self, approval_id: str, *, actor: str, for_: timedelta, reason: str, via: str
    ) -> Snoozed:
        """Do as `snooze`, and return what became of it beside the sentence.

        Raises:
            NotAuthorised: as for `snooze`.
        """
        operator = await self._role(actor, fresh=True)
        return await self._approvals.snooze(
            approval_id,
            actor=actor,
            for_=for_,
            reason=reason,
            via=via,
            operator=operator is not None and operator.includes(Role.OPERATOR),
        )

    async def question(self, approval_id: str, *, actor: str) -> RunView | None:
        """See `Desk.question`."""
        request = await self._journal.approval(approval_id)
        if request is None:
            return None
        if not await self._may_see(actor, request):
            await self._refuse(actor, "look at a question", run_id=request.run_id)
        return await self._journal.view(request.run_id)

    async def cancel(self, run_id: str, *, actor: str, reason: str, via: str) -> str:
        """See `Desk.cancel`: operators, and whoever may answer the run's open question."""
        view = await self._journal.view(run_id)
        question = view.approval if view else None
        if question is not None and question.status is not ApprovalStatus.OPEN:
            question = None
        if not await self._has(actor, Role.OPERATOR) and not (
            question is not None and await self._approvals.may_answer(actor, question, fresh=True)
        ):
            await self._refuse(actor, "cancel this run", run_id=view.run.id if view else "")
        if view is None:
            return f"There is no run {run_id[:40]}."
        outcome = await self._runs.cancel(view.run.id, by=actor, reason=reason)
        return _CANCELLED[outcome]

    async def acknowledge(self, run_id: str, *, actor: str, reason: str, via: str) -> str:
        """See `Desk.acknowledge`: operators, and whoever may answer the run's newest question."""
        view = await self._journal.view(run_id)
        question = view.approval if view else None
        operator = await self._has(actor, Role.OPERATOR)
        if not operator and not (
            question is not None and await self._approvals.may_answer(actor, question, fresh=True)
        ):
            await self._refuse(actor, "acknowledge", run_id=view.run.id if view else "")
        if view is None:
            return f"There is no run {run_id[:40]}."
        outcome = await self._runs.acknowledge(view.run.id, by=actor, reason=reason)
        return _ACKNOWLEDGED[outcome]

    async def start(
        self,
        runbook: str,
        labels: Mapping[str, str],
        *,
        actor: str,
        via: str,
        parameters: Mapping[str, Any] | None = None,
    ) -> tuple[str, str]:
        """See `Desk.start`: operators."""
        if not await self._has(actor, Role.OPERATOR):
            await self._refuse(actor, f"start {runbook[:100]}")
        try:
            run_id = await self._runs.start(runbook, labels, by=actor, parameters=parameters)
        except Rejected as error:
            return "", f"Not started: {error}."
        return run_id, f"{runbook} was started as run {run_id}."

    async def pause(
        self, scope: str, *, actor: str, reason: str, for_: timedelta | None, via: str
    ) -> str:
        """See `Desk.pause`: operators."""
        if not await self._has(actor, Role.OPERATOR):
            await self._refuse(actor, f"pause {scope[:100]}")
        try:
            control = await self._pauses.pause(scope, by=actor, reason=reason, for_=for_)
        except Rejected as error:
            return f"Nothing was paused: {error}."
        return f"{_paused(control)}."

    async def unpause(self, scope: str, *, actor: str, via: str) -> str:
        """See `Desk.unpause`: operators."""
        if not await self._has(actor, Role.OPERATOR):
            await self._refuse(actor, f"resume {scope[:100]}")
        if await self._pauses.unpause(scope, by=actor):
            return f"{_named(scope)} goes on."
        return f"Nothing was paused at {scope}."

    async def waiting_for(self, actor: str) -> Sequence[RunView]:
        """See `Desk.waiting_for`."""
        found = await self.questions(actor, mine=True, limit=MOST_SHOWN)
        return [waiting.view for waiting in found]

    async def questions(self, actor: str, *, mine: bool, limit: int) -> Sequence[Waiting]:
        """Return the open questions, oldest first, and which of them an actor may answer.

        Args:
            actor: who looks.
            mine: only those.
            limit: at most so many.
        """
        found: list[Waiting] = []
        now = self._clock.now()
        for request in await self._journal.open_approvals(limit=_MOST_LOOKED_AT):
            if len(found) == limit:
                break
            if now >= request.expires_at:
                continue
            may = await self._approvals.may_answer(actor, request)
            view = await self._journal.view(request.run_id) if may or not mine else None
            if view is not None and view.approval is not None and view.approval.id == request.id:
                found.append(Waiting(view, may))
        return found

    async def who(self, actor: str) -> Who:
        """Return what is known of an actor."""
        groups = await self._directory.groups_of(actor)
        return Who(actor, self._directory.person(actor), groups)

    async def standing(self, *, actor: str) -> Standing:
        """See `Desk.standing`: viewers."""
        if not await self._has(actor, Role.VIEWER):
            await self._refuse(actor, "see how things stand")
        page = await self._journal.runs(states=_RUNNING, limit=MOST_SHOWN)
        backlog = await self._journal.backlog()
        controls = await self._journal.controls(self._clock.now())
        return Standing(
            running=page.items,
            waiting=backlog.runs.get(RunState.AWAITING_APPROVAL, 0),
            open_incidents=backlog.open_incidents,
            paused=tuple(_paused(one) for one in controls[:MOST_SHOWN]),
        )

    async def run(self, run_id: str, *, actor: str) -> RunView | None:
        """See `Desk.run`: viewers, and whoever was asked about it."""
        view = await self._journal.view(run_id)
        if await self._has(actor, Role.VIEWER):
            return view
        question = view.approval if view else None
        if question is None or not await self._approvals.may_answer(actor, question):
            await self._refuse(actor, "look at a run", run_id=view.run.id if view else "")
        return view

    async def _may_see(self, actor: str, request: ApprovalRequest) -> bool:
        if await self._has(actor, Role.VIEWER):
            return True
        return await self._approvals.may_answer(actor, request)

    async def _has(self, actor: str, role: Role) -> bool:
        found = await self._role(actor, fresh=role is not Role.VIEWER)
        return found is not None and found.includes(role)

    async def _role(self, actor: str, *, fresh: bool) -> Role | None:
        try:
            return await self._directory.role(actor, fresh=fresh)
        except CannotTell:
            return None  # on record as refused, if it matters

    async def _refuse(self, actor: str, what: str, *, run_id: str = "") -> NoReturn:
        metrics.NOT_AUTHORISED.inc()
        why = "no role of the settings allows it"
        try:
            await self._directory.role(actor, fresh=False)
        except CannotTell as error:
            why = str(error)
        log.warning("not authorised", actor=actor, what=what, why=why)
        await self._journal.record([_refused(actor, what, run_id, self._clock.now())])
        raise NotAuthorised(f"{actor} may not {what}: {why}")


def _refused(actor: str, what: str, run_id: str, at: datetime) -> AuditEntry:
    return AuditEntry("not_authorised", actor, at, {"what": what}, run_id or None)


def _named(scope: str) -> str:
    kind, _, name = scope.partition(":")
    return {"runbook": f"Runbook {name}", "scope": f"Scope {name}"}.get(kind, "Everything")


def _paused(control: Control) -> str:
    until = f" until {to_minute(control.until)}" if control.until else ""
    why = f": {control.reason}" if control.reason else ""
    return f"{_named(control.scope)} is paused by {control.by}{until}{why}"


_ACKNOWLEDGED = {
    AcknowledgeOutcome.ACKNOWLEDGED: "Acknowledged. Nobody else is called for this run.",
    AcknowledgeOutcome.REPEATED: "Somebody had acknowledged it before.",
    AcknowledgeOutcome.NOBODY_CALLED: "This run has called nobody.",
    AcknowledgeOutcome.UNKNOWN: "There is no such run.",
}
_CANCELLED = {
    CancelOutcome.CANCELLED: "Cancelled. Nothing more will be changed.",
    CancelOutcome.REQUESTED: "A change is in hand; the run ends after it.",
    CancelOutcome.ALREADY_ENDED: "The run has ended already.",
    CancelOutcome.UNDOING: "The run takes its changes back, and that is not stopped.",
    CancelOutcome.UNKNOWN: "There is no such run.",
}
