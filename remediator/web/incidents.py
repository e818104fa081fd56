"""/api/v1/incidents: firing episodes, open and over."""

from aiohttp import web

from remediator.model.incidents import IncidentStatus
from remediator.plugin.source import Rejected
from remediator.web import keys, paging, problems, render


async def index(request: web.Request) -> web.Response:
    """List incidents, newest first."""
    paging.known(request, "status", "cursor", "limit")
    status = paging.one_of(request, "status", IncidentStatus, list(IncidentStatus))
    if len(status) > 1:
        raise Rejected("status", "give it once")
    page = await request.app[keys.SERVICES].journal.incidents(
        status=status[0] if status else None,
        cursor=paging.cursor(request),
        limit=paging.limit(request),
    )
    return paging.page([render.incident(one) for one in page.items], page.next)


async def show(request: web.Request) -> web.Response:
    """Show one incident."""
    incident_id = request.match_info["id"]
    incident = await request.app[keys.SERVICES].journal.incident(incident_id)
    if incident is None:
        raise problems.not_found(f"there is no incident {incident_id[:40]}")
    return paging.answer(render.incident(incident))
