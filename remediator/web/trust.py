"""Why a plan is held, and how trust stands: verdicts and overrides of a run, explanations of an
alert, and the report. `engine.trust` does all of it.
"""

from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import Field

from remediator.model.canonical import JSONObject
from remediator.model.limits import Frozen
from remediator.model.overrides import GrantOutcome
from remediator.model.quantities import parse_duration
from remediator.plugin.source import Rejected
from remediator.web import bodies, keys, paging, problems, render_trust

# As for every list: an answer that holds more is of no use to anybody.
LONGEST_SPAN = timedelta(days=366)
DEFAULT_SPAN = "30d"


class OverrideRun(Frozen):
    """Lift one guardrail for one run, once."""

    guardrail: Annotated[str, Field(min_length=1, max_length=100)]
    """As verdicts name it: cooldown."""
    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    """Why; shown to everyone and kept in the audit log."""


async def policy(request: web.Request) -> web.Response:
    """Show the policy in force, with the digest of its values."""
    return paging.answer(render_trust.policy(request.app[keys.SERVICES].trust.policy()))


async def verdicts(request: web.Request) -> web.Response:
    """Judge the run's newest plans now: every guardrail's verdict, allows too."""
    services = request.app[keys.SERVICES]
    run_id = request.match_info["id"]
    run = await services.journal.run(run_id)
    if run is None:
        raise problems.not_found(f"there is no run {run_id[:40]}")
    return paging.answer(render_trust.explanation(await services.trust.explain(run)))


async def explain(request: web.Request) -> web.Response:
    """Say what would be done about a notification now, and what every guardrail would say.

    The body is one of Alertmanager's webhooks. Targets are only read.
    """
    services = request.app[keys.SERVICES]
    answers = await services.trust.explain_alert(await bodies.small(request))
    return paging.answer(render_trust.answers(answers))


async def override(request: web.Request) -> web.Response:
    """Lift a guardrail for a run, once, with a reason; a run that it ended is started again."""
    services = request.app[keys.SERVICES]
    asked = await bodies.model(request, OverrideRun)
    done = await services.trust.override(
        request.match_info["id"],
        asked.guardrail,
        actor=request[keys.IDENTITY].name,
        reason=asked.reason,
        via="api",
    )
    if done.outcome is GrantOutcome.UNKNOWN:
        raise problems.not_found(done.message)
    if done.override is None or done.outcome is GrantOutcome.REPEATED:
        raise problems.conflict(done.message, outcome=done.outcome.value)
    answer: JSONObject = {
        "id": done.override.run_id,
        "outcome": done.outcome.value,
        "message": done.message,
        "override": done.override.to_json(),
    }
    if done.outcome is GrantOutcome.STARTED:
        return paging.answer(answer, 201, Location=f"/api/v1/runs/{done.override.run_id}")
    return paging.answer(answer)


class ResetBreaker(Frozen):
    """Let a runbook that kept failing act by itself again."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    """What was wrong, and why it works again; kept in the audit log."""


async def breakers(request: web.Request) -> web.Response:
    """List the failure breakers of all runbooks, all on one page."""
    paging.known(request)
    found = await request.app[keys.SERVICES].trust.breakers()
    return paging.page([render_trust.breaker(one) for one in found], None)


async def reset_breaker(request: web.Request) -> web.Response:
    """Close a runbook's failure breaker: earlier failures count no longer."""
    asked = await bodies.model(request, ResetBreaker)
    runbook = request.match_info["runbook"]
    before = await request.app[keys.SERVICES].trust.reset_breaker(
        runbook, actor=request[keys.IDENTITY].name, reason=asked.reason
    )
    if before is None:
        raise problems.conflict(f"the failure breaker of {runbook[:100]} is closed")
    return paging.answer({"runbook": runbook, "outcome": "reset"})


async def report(request: web.Request) -> web.Response:
    """Say how often each runbook ran, helped, was refused, and what it has earned."""
    paging.known(request, "since", "runbook")
    services = request.app[keys.SERVICES]
    try:
        span = parse_duration(request.query.get("since", DEFAULT_SPAN))
    except ValueError as error:
        raise Rejected("since", str(error)) from None
    if not timedelta() < span <= LONGEST_SPAN:
        raise Rejected("since", f"write a duration of up to {LONGEST_SPAN.days}d")
    name = request.query.get("runbook")
    found = await services.trust.report(span, name)
    if name is not None and not found.lines:
        raise problems.not_found(f"there is no runbook {name[:100]}, and none of the name has run")
    return paging.answer(render_trust.report(found))
