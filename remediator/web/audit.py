"""/api/v1/audit: the audit chain, oldest first, so that a script can follow it."""

from aiohttp import web

from remediator.plugin.source import Rejected
from remediator.web import keys, paging, render


async def index(request: web.Request) -> web.Response:
    """List records after `cursor`; `next` is null once the end is reached."""
    paging.known(request, "run_id", "cursor", "limit")
    cursor = paging.cursor(request) or "0"
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise Rejected("cursor", "write the `next` of the page before")
    limit = paging.limit(request)
    records = await request.app[keys.SERVICES].journal.audit(
        after=int(cursor), run_id=request.query.get("run_id"), limit=limit
    )
    more = str(records[-1].seq) if len(records) == limit else None
    return paging.page([render.audit(record) for record in records], more)
