"""/api/v1/runs: look at runs, start one by hand, decide, cancel, resume."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import Field

from remediator.journal.values import CancelOutcome, ResumeHow
from remediator.model.approvals import (
    Answer,
    ApprovalRequest,
    DecisionOutcome,
    SnoozeOutcome,
)
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.limits import Frozen
from remediator.model.quantities import Duration
from remediator.model.runs import Run, RunState
from remediator.plugin.source import Rejected
from remediator.runbook.arguments import MOST_ITEMS
from remediator.runbook.findings import did_you_mean
from remediator.runbook.schema import MOST_NAMES
from remediator.web import bodies, keys, paging, problems, render

# What people write is shown in Slack and kept in the audit log.
Reason = Annotated[str, Field(max_length=2000)]
_LabelText = Annotated[str, Field(max_length=4096)]
_Value = bool | int | float | _LabelText | Annotated[list[_LabelText], Field(max_length=MOST_ITEMS)]


class Start(Frozen):
    """Start a runbook by hand."""

    runbook: Annotated[str, Field(min_length=1, max_length=253)]
    labels: Annotated[Mapping[str, _LabelText], Field(max_length=64)] = Field(default_factory=dict)
    parameters: Annotated[Mapping[str, _Value], Field(max_length=MOST_NAMES)] = Field(
        default_factory=dict
    )
    """Values for the runbook's parameters; for the others, their defaults. Text is read as the
    parameter's type: `20`, `true`, `15m`, and `a,b` for a list."""


class Decide(Frozen):
    """An answer to a question: `approval.id` of the run as it was looked at, so that nobody says
    yes to plans that they did not see."""

    approval_id: str
    reason: Reason = ""


class Snooze(Frozen):
    """Ask again later: `approval.id` of the run as it was looked at."""

    approval_id: str
    for_: Annotated[Duration, Field(alias="for", gt=timedelta(0))]
    """How long, like 30m; from 1m to 8h."""
    reason: Reason = ""


class Cancel(Frozen):
    """Why a run is stopped."""

    reason: Reason = ""


class Acknowledge(Frozen):
    """What the person who looks wants to say."""

    reason: Reason = ""


class Resume(Frozen):
    """What a person found out about the step that an interrupted run was in."""

    how: ResumeHow


async def index(request: web.Request) -> web.Response:
    """List runs, newest first."""
    paging.known(request, "state", "runbook", "incident_id", "cursor", "limit")
    page = await request.app[keys.SERVICES].journal.runs(
        states=paging.one_of(request, "state", RunState, list(RunState)),
        runbook=request.query.get("runbook"),
        incident_id=request.query.get("incident_id"),
        cursor=paging.cursor(request),
        limit=paging.limit(request),
    )
    return paging.page([render.run(one) for one in page.items], page.next)


async def show(request: web.Request) -> web.Response:
    """Show one run with its steps, plans, verdicts and approval."""
    run = await _run(request)
    view = await request.app[keys.SERVICES].journal.view(run.id)
    if view is None:
        raise _unknown(run.id)
    return paging.answer(render.view(view))


async def start(request: web.Request) -> web.Response:
    """Start a run by hand."""
    services = request.app[keys.SERVICES]
    asked = await bodies.model(request, Start)
    names = [runbook.name for runbook in services.runbooks()]
    if asked.runbook not in names:
        near = did_you_mean(asked.runbook, names)
        raise problems.not_found(f"there is no runbook {asked.runbook}" + (near and f"; {near}"))
    run_id = await services.runs.start(
        asked.runbook,
        asked.labels,
        by=request[keys.IDENTITY].name,
        parameters=asked.parameters,
    )
    return paging.answer({"id": run_id}, 201, Location=f"/api/v1/runs/{run_id}")


async def approve(request: web.Request) -> web.Response:
    """Say yes to the plans that the run's open question shows."""
    return await _decide(request, Answer.APPROVE)


async def deny(request: web.Request) -> web.Response:
    """Say no."""
    return await _decide(request, Answer.DENY)


async def snooze(request: web.Request) -> web.Response:
    """Withdraw the run's open question for a while; then it is checked, planned and asked anew."""
    asked = await bodies.model(request, Snooze)
    run, question = await _asked(request, asked.approval_id)
    snoozed = await request.app[keys.SERVICES].people.put_off(
        question.id,
        actor=request[keys.IDENTITY].name,
        for_=asked.for_,
        reason=asked.reason,
        via="api",
    )
    if snoozed.outcome is SnoozeOutcome.OUT_OF_BOUNDS:
        raise Rejected("for", snoozed.message)
    if snoozed.outcome is not SnoozeOutcome.SNOOZED:
        raise problems.conflict(snoozed.message, outcome=snoozed.outcome.value)
    return paging.answer(
        {
            "id": run.id,
            "approval_id": question.id,
            "outcome": snoozed.outcome.value,
            "message": snoozed.message,
        }
    )


async def cancel(request: web.Request) -> web.Response:
    """Stop a run before its next change."""
    services = request.app[keys.SERVICES]
    run = await _run(request)
    asked = await bodies.model(request, Cancel)
    outcome = await services.runs.cancel(
        run.id, by=request[keys.IDENTITY].name, reason=asked.reason
    )
    match outcome:
        case CancelOutcome.CANCELLED:
            return paging.answer({"id": run.id, "outcome": outcome.value})
        case CancelOutcome.REQUESTED:
            return paging.answer({"id": run.id, "outcome": outcome.value}, 202)
        case CancelOutcome.ALREADY_ENDED:
            raise problems.conflict("the run has ended already", outcome=outcome.value)
        case CancelOutcome.UNDOING:
            raise problems.conflict(
                "the run takes its changes back, and that is not stopped", outcome=outcome.value
            )
    raise _unknown(run.id)


async def acknowledge(request: web.Request) -> web.Response:
    """Answer the run's escalation: you look, and nobody else need be called."""
    services = request.app[keys.SERVICES]
    run = await _run(request)
    asked = await bodies.model(request, Acknowledge)
    outcome = await services.runs.acknowledge(
        run.id, by=request[keys.IDENTITY].name, reason=asked.reason
    )
    if outcome is AcknowledgeOutcome.NOBODY_CALLED:
        raise problems.conflict("the run has called nobody", outcome=outcome.value)
    if outcome is AcknowledgeOutcome.UNKNOWN:
        raise _unknown(run.id)
    return paging.answer({"id": run.id, "outcome": outcome.value})


async def resume(request: web.Request) -> web.Response:
    """Let an interrupted run go on."""
    services = request.app[keys.SERVICES]
    run = await _run(request)
    asked = await bodies.model(request, Resume)
    resumed = await services.runs.resume(run.id, by=request[keys.IDENTITY].name, how=asked.how)
    if not resumed:
        raise problems.conflict(f"only an interrupted run is resumed; this one is {run.state}")
    return paging.answer({"id": run.id, "outcome": "resumed"})


async def _decide(request: web.Request, answer: Answer) -> web.Response:
    services = request.app[keys.SERVICES]
    asked = await bodies.model(request, Decide)
    run, question = await _asked(request, asked.approval_id)
    answered = await services.desk.decide(
        question.id,
        actor=request[keys.IDENTITY].name,
        answer=answer,
        reason=asked.reason,
        via="api",
    )
    if answered.outcome in _COUNTS:
        return paging.answer(
            {
                "id": run.id,
                "approval_id": question.id,
                "outcome": answered.outcome.value,
                "message": answered.message,
            }
        )
    if answered.outcome is DecisionOutcome.NEEDS_REASON:
        raise Rejected("reason", answered.message)
    raise problems.conflict(answered.message, outcome=answered.outcome.value)


async def _asked(request: web.Request, approval_id: str) -> tuple[Run, ApprovalRequest]:
    """Return the run, and its newest question if that is the one that was looked at."""
    run = await _run(request)
    view = await request.app[keys.SERVICES].journal.view(run.id)
    question = view.approval if view else None
    if question is None:
        raise problems.conflict(f"the run asks nothing; it is {run.state}")
    if approval_id != question.id:
        raise problems.conflict(
            "the run asks something else by now; look at it again", approval_id=question.id
        )
    return run, question


_COUNTS = frozenset(
    {
        DecisionOutcome.COUNTED,
        DecisionOutcome.APPROVED,
        DecisionOutcome.DENIED,
        DecisionOutcome.REPEATED,
    }
)


async def _run(request: web.Request) -> Run:
    run_id = request.match_info["id"]
    run = await request.app[keys.SERVICES].journal.run(run_id)
    if run is None:
        raise _unknown(run_id)
    return run


def _unknown(run_id: str) -> problems.Problem:
    return problems.not_found(f"there is no run {run_id[:40]}")
