"""Errors as problem documents (RFC 9457), for every status and every route.

Owns the kinds of problem and the middleware that turns what handlers raise into answers. What may
succeed later is 503 and never 429: Alertmanager gives a notification up on any 4xx.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import web

from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.observe import logs
from remediator.plugin.notifier import NotAuthorised
from remediator.plugin.source import Rejected

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CONTENT_TYPE = "application/problem+json"
_RETRY_AFTER_S = "5"

log = logs.get(__name__)


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: the HTTP status.
        kind: ends the problem's `type`; empty for what the status alone says (`about:blank`).
        detail: one sentence for the caller; never internals or secrets.
        more: further members of the document.
        headers: further headers.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        more: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.more = more or {}
        self.headers = headers or {}

    def response(self) -> web.Response:
        """Return the answer."""
        document = {
            "type": f"urn:remediator:problem:{self.kind}" if self.kind else "about:blank",
            "title": self.kind.replace("-", " ").capitalize() or _phrase(self.status),
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        return web.Response(
            status=self.status,
            body=json.dumps(document, ensure_ascii=False).encode(errors="replace"),
            content_type=CONTENT_TYPE,
            headers=self.headers,
        )


def rejected(error: Rejected) -> Problem:
    """What can never be accepted, with the field where it is wrong."""
    more = {"field": error.field} if error.field else {}
    return Problem(400, "rejected", error.reason, more=more)


def not_found(what: str) -> Problem:
    """There is no such thing."""
    return Problem(404, "not-found", what)


def conflict(detail: str, **more: object) -> Problem:
    """The thing's present state does not allow it."""
    return Problem(409, "conflict", detail, more=more)


def too_large(limit_bytes: int) -> Problem:
    """The body is above the limit."""
    size = f"{limit_bytes / 2**20:g} MiB" if limit_bytes >= 2**20 else f"{limit_bytes} bytes"
    # The rest of the body is not read, so the connection can't be used again.
    return Problem(
        413, "too-large", f"the body is larger than {size}", headers={"Connection": "close"}
    )


def later(kind: str, detail: str) -> Problem:
    """It may succeed later."""
    return Problem(503, kind, detail, headers={"Retry-After": _RETRY_AFTER_S})


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer whatever a handler raises with a problem document."""
    try:
        return await handler(request)
    except Exception as error:
        return _problem(error).response()


def _problem(error: Exception) -> Problem:
    match error:
        case Problem():
            return error
        case Rejected():
            return rejected(error)
        case NotAuthorised():
            return Problem(403, "not-authorised", str(error))
        case Overloaded():
            return later("overloaded", "too much is waiting to be stored; try again")
        case JournalUnavailable():
            log.error("the journal is unavailable", error=str(error))
            return later("journal-unavailable", "the journal can't be written now; try again")
        case ConnectionError():  # to whatever we needed, since `bodies` names the sender's own
            log.error("a connection was lost", error=str(error))
            return later("unavailable", "something that is needed is out of reach; try again")
        case web.HTTPException():
            return _of_status(error)
        case _:
            log.error("a request failed", exc_info=error)
            return Problem(500, "", "an unexpected error; the daemon's log has the details")


def _of_status(error: web.HTTPException) -> Problem:
    headers = {name: error.headers[name] for name in ("Allow", "Location") if name in error.headers}
    detail = {
        404: "there is nothing at this path; /openapi.json lists what is served",
        405: f"this path takes {headers.get('Allow', 'other methods')}",
    }.get(error.status, _phrase(error.status))
    return Problem(error.status, "", detail, headers=headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
