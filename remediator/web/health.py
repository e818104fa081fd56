"""/metrics, /-/healthy, /-/ready and the page at /: what is seen of the daemon itself."""

import asyncio

from aiohttp import web

from remediator.observe import logs, metrics
from remediator.settings import Role
from remediator.web import keys, paging, problems

# A scrape gives up after ten seconds by default; a slow journal must not cost the other metrics.
_BACKLOG_TIMEOUT_S = 3.0

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>remediator</title>
<h1>remediator</h1>
<p>It stands behind Alertmanager: it works out repairs, asks, carries them out, watches, and keeps
the record. It takes alerts at <code>POST /webhook/alertmanager</code>.</p>
<ul>
<li><a href="/api/v1/runs">runs</a>, <a href="/api/v1/incidents">incidents</a>,
<a href="/api/v1/runbooks">runbooks</a>, <a href="/api/v1/controls">controls</a>,
<a href="/api/v1/audit">audit</a></li>
<li><a href="/openapi.json">the API's description</a></li>
<li><a href="/metrics">metrics</a>, <a href="/-/ready">ready</a></li>
</ul>
</html>
"""

log = logs.get(__name__)


async def page(request: web.Request) -> web.Response:
    """Say what this is."""
    return web.Response(
        text=_PAGE,
        content_type="text/html",
        headers={"Content-Security-Policy": "default-src 'none'"},
    )


async def healthy(request: web.Request) -> web.Response:
    """Answer: the process runs and its event loop turns."""
    return paging.answer({"status": "healthy"})


async def ready(request: web.Request) -> web.Response:
    """Answer whether notifications are taken and runs carried on; the log says why not."""
    reasons = list(request.app[keys.SERVICES].ready())
    if request.app[keys.CLOSING].begun:
        reasons.append("stopping")
    if reasons:
        log.warning("not ready", reasons=reasons)
        raise problems.later("not-ready", "the daemon is not ready; its log says why")
    return paging.answer({"status": "ready"})


async def show_metrics(request: web.Request) -> web.Response:
    """Render the registry, with the journal's backlog read now."""
    request.app[keys.API].require_unless_local(request, Role.VIEWER)
    try:
        async with asyncio.timeout(_BACKLOG_TIMEOUT_S):
            backlog = await request.app[keys.SERVICES].journal.backlog()
    except Exception as error:  # whatever is wrong with the journal, the other metrics tell of it
        log.warning("the journal could not be read for metrics", error=repr(error))
        metrics.JOURNAL_UP.set(0)
    else:
        metrics.JOURNAL_UP.set(request.app[keys.SERVICES].journal.writable)
        metrics.show(metrics.RUNS, {state.value: n for state, n in backlog.runs.items()})
        metrics.show(metrics.OUTBOX_PENDING, dict(backlog.outbox))
        metrics.INCIDENTS_OPEN.set(backlog.open_incidents)
    metrics.TASKS.set(len(asyncio.all_tasks()))
    body, content_type = metrics.render(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})
