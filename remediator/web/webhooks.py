"""POST /webhook/SOURCE[/SENDER] and the notifiers' callbacks: what other systems send us.

Reads, authenticates and hands over; 200 only after the commit, and never an action inside the
request. A callback authenticates itself, over the exact bytes.
"""

from collections import Counter

from aiohttp import web

from remediator.journal.values import JournalUnavailable, Overloaded
from remediator.observe import logs, metrics
from remediator.plugin.notifier import Callback, Notifier
from remediator.plugin.source import Rejected
from remediator.web import bodies, keys, paging, problems

DEFAULT_SENDER = "default"
# Senders throw the answer away; people who try it out by hand read a few ids.
_MOST_IDS = 100

log = logs.get(__name__)


async def receive(request: web.Request) -> web.Response:
    """Take one notification in."""
    source = request.match_info["source"]
    sender = request.match_info.get("sender", DEFAULT_SENDER)
    known_source = source if source in request.app[keys.SERVICES].sources else "unknown"
    result = "failed"
    try:
        answer = await _receive(request, source, sender)
        result = "accepted"
        return answer
    except Exception as error:
        result = _result(error)
        raise
    finally:
        label = request.app[keys.SENDERS].label(sender)
        metrics.counter(metrics.NOTIFICATIONS, known_source, label, result).inc()


async def _receive(request: web.Request, source: str, sender: str) -> web.Response:
    services = request.app[keys.SERVICES]
    request.app[keys.SENDERS].check(request, sender)
    if source not in services.sources:
        raise problems.not_found(
            f"there is no source {source[:40]}; there are {', '.join(sorted(services.sources))}"
        )
    if request.app[keys.CLOSING].begun:
        raise problems.later("stopping", "the daemon is stopping; try again")
    async with request.app[keys.READER].body(request) as body:
        try:
            receipt = await services.intake.receive(sender, source, body, services.clock.now())
        except Rejected as error:
            # The sender drops it for good: whoever looks for a lost alert finds it here.
            log.warning(
                "notification rejected",
                source=source,
                sender=sender,
                field=error.field,
                reason=error.reason,
            )
            raise
    return paging.answer(
        {
            "notification_id": receipt.notification_id,
            "alerts": dict(Counter(fate.value for fate in receipt.fates)),
            "started": len(receipt.started),
            "cancelled": len(receipt.cancelled),
            "runs_started": list(receipt.started[:_MOST_IDS]),
            "runs_cancelled": list(receipt.cancelled[:_MOST_IDS]),
        }
    )


def _result(error: Exception) -> str:
    match error:
        case Rejected():
            return "rejected"
        case Overloaded():
            return "overloaded"
        case JournalUnavailable():
            return "unavailable"
        case problems.Problem(status=401 | 403):
            return "unauthorized"
        case problems.Problem(status=413):
            return "too_large"
        case problems.Problem(status=503):
            return "overloaded"
        case problems.Problem():
            return "rejected"
    return "failed"


def callback(notifier: Notifier) -> problems.Handler:
    """Make the handler of a notifier's callback paths."""

    async def handle(request: web.Request) -> web.Response:
        services = request.app[keys.SERVICES]
        body = await bodies.small(request)
        reply = await notifier.callback(
            Callback(body, {name.lower(): value for name, value in request.headers.items()}),
            services.desk,
            services.context_for(notifier.name),
        )
        return web.Response(
            status=reply.status,
            body=reply.body,
            headers={**reply.headers, "Content-Type": reply.content_type},
        )

    return handle
