"""/api/v1/controls: the kill switches. The desk sets and lifts them, as for every other channel."""

from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import Field

from remediator.model.limits import Frozen
from remediator.model.quantities import Duration
from remediator.runbook.findings import did_you_mean
from remediator.web import bodies, keys, paging, problems, render

# As `remediator.journal.protocol.Control` has it.
SCOPE_PATTERN = r"^(\*|runbook:[^\s]{1,253}|scope:[^\s]{1,253})$"


class Pause(Frozen):
    """Stop automatic changes in a scope."""

    scope: Annotated[str, Field(pattern=SCOPE_PATTERN)] = "*"
    """`*`, `runbook:<name>` or `scope:<namespace>`."""
    reason: Annotated[str, Field(max_length=2000)] = ""
    for_: Annotated[Duration | None, Field(alias="for", gt=timedelta(0))] = None
    """How long, like 1h; until it is lifted when left out."""


async def index(request: web.Request) -> web.Response:
    """List the kill switches that are on, all on one page."""
    paging.known(request)
    services = request.app[keys.SERVICES]
    controls = await services.journal.controls(services.clock.now())
    return paging.page([render.control(one) for one in controls], None)


async def pause(request: web.Request) -> web.Response:
    """Set a kill switch; the same scope again replaces it."""
    services = request.app[keys.SERVICES]
    asked = await bodies.model(request, Pause)
    services.controls.check(asked.scope)
    message = await services.desk.pause(
        asked.scope,
        actor=request[keys.IDENTITY].name,
        reason=asked.reason,
        for_=asked.for_,
        via="api",
    )
    for control in await services.journal.controls(services.clock.now()):
        if control.scope == asked.scope:
            return paging.answer(render.control(control))
    raise problems.conflict(message)  # it was lifted in the same moment, or is over already


async def unpause(request: web.Request) -> web.Response:
    """Lift a kill switch."""
    services = request.app[keys.SERVICES]
    scope = request.match_info["scope"]
    paused = [one.scope for one in await services.journal.controls(services.clock.now())]
    if scope not in paused:
        near = did_you_mean(scope, paused)
        raise problems.not_found(
            f"nothing is paused at {scope[:80]}" + (f"; {near}" if near else "")
        )
    await services.desk.unpause(scope, actor=request[keys.IDENTITY].name, via="api")
    return paging.answer({"scope": scope, "outcome": "lifted"})
