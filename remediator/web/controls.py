"""/api/v1/controls: the kill switches."""

from datetime import timedelta
from typing import Annotated

from aiohttp import web
from pydantic import Field

from remediator.model.policy import Frozen
from remediator.model.quantities import Duration
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
    asked = await bodies.model(request, Pause)
    control = await request.app[keys.SERVICES].controls.pause(
        asked.scope,
        by=request[keys.IDENTITY].name,
        reason=asked.reason,
        for_=asked.for_,
    )
    return paging.answer(render.control(control))


async def unpause(request: web.Request) -> web.Response:
    """Lift a kill switch."""
    scope = request.match_info["scope"]
    lifted = await request.app[keys.SERVICES].controls.unpause(
        scope, by=request[keys.IDENTITY].name
    )
    if not lifted:
        raise problems.not_found(f"nothing is paused at {scope[:80]}")
    return paging.answer({"scope": scope, "outcome": "lifted"})
