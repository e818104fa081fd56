"""What every request leaves behind: its time by route, a log line, headers that keep browsers safe.

Owns the outermost middleware. A line at *info* for what people do and for who is turned away; the
rest at *debug*, because notifications come by the thousand and intake tells what they led to.
"""

import logging
import time

from aiohttp import web

from remediator.observe import logs, metrics
from remediator.web import keys
from remediator.web.problems import Handler

# A client chooses method and path; labels must not grow with what it invents.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

log = logs.get(__name__)
# Asked whether a line would be shown, before the line is made.
_library_log = logging.getLogger(__name__)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Time, log and harden one request."""
    began = time.monotonic()
    response = await handler(request)
    took_s = time.monotonic() - began
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "none"
    method = request.method if request.method in _METHODS else "other"
    code = str(response.status)
    metrics.histogram(metrics.HTTP_DURATION, method, route, code).observe(took_s)
    _harden(response)
    if request.app[keys.CLOSING].begun:
        response.force_close()
    identity = request.get(keys.IDENTITY)
    acts = identity is not None and request.method not in ("GET", "HEAD")
    loud = acts or response.status in (401, 403)
    if not loud and not _library_log.isEnabledFor(logging.DEBUG):
        return response  # thousands a second, and nobody would see the line
    tell = log.info if loud else log.debug
    tell(
        "request",
        method=method,
        path=request.path,
        status=response.status,
        seconds=round(took_s, 6),
        peer=request.remote,
        identity=identity.name if identity else None,
    )
    return response


async def on_prepare(_: web.Request, response: web.StreamResponse) -> None:
    """Do not tell strangers which versions run here."""
    response.headers["Server"] = "remediator"


def _harden(response: web.StreamResponse) -> None:
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("X-Frame-Options", "DENY")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
