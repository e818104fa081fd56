"""/api/v1/runbooks and POST /-/reload: the runbooks in force."""

from aiohttp import web

from remediator.web import keys, paging, problems, render


async def index(request: web.Request) -> web.Response:
    """List the runbooks in force, by name, all on one page."""
    paging.known(request)
    runbooks = sorted(request.app[keys.SERVICES].runbooks(), key=lambda one: one.name)
    return paging.page([render.runbook(one) for one in runbooks], None)


async def reload(request: web.Request) -> web.Response:
    """Read the runbooks again; all or nothing."""
    findings = list(await request.app[keys.SERVICES].reload())
    if findings:
        raise problems.Problem(
            422,
            "not-reloaded",
            "the runbooks have faults, so the last good set goes on being served",
            more={"findings": findings},
        )
    return paging.answer({"runbooks": len(request.app[keys.SERVICES].runbooks())})
