"""The one table of what is served and who may ask; makes the aiohttp application of it.

Owns the table and the order of the middlewares. Called by `server` (and by tests).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

from remediator import settings
from remediator.settings import Role
from remediator.web import (
    approvals,
    audit,
    auth,
    bodies,
    controls,
    health,
    incidents,
    keys,
    observation,
    openapi,
    problems,
    runbooks,
    runs,
    trust,
    webhooks,
)
from remediator.web.services import Services


class Door(StrEnum):
    """How a route that asks for no role is guarded."""

    OPEN = "open"  # shows nothing of the installation
    SENDER = "sender"  # `auth.Senders`, in the handler: who it is stands in the path
    SCRAPER = "scraper"  # a viewer's token, or this machine
    ITSELF = "itself"  # the notifier checks a signature over the raw bytes


@dataclass(frozen=True, slots=True)
class Route:
    """One method at one path."""

    method: str
    path: str
    handler: problems.Handler
    guard: Role | Door


ROUTES: Sequence[Route] = (
    Route("GET", "/", health.page, Door.OPEN),
    Route("GET", "/-/healthy", health.healthy, Door.OPEN),
    Route("GET", "/-/ready", health.ready, Door.OPEN),
    Route("POST", "/-/reload", runbooks.reload, Role.ADMIN),
    Route("GET", "/metrics", health.show_metrics, Door.SCRAPER),
    Route("GET", "/openapi.json", openapi.show, Door.OPEN),
    Route("POST", "/webhook/{source}", webhooks.receive, Door.SENDER),
    Route("POST", "/webhook/{source}/{sender}", webhooks.receive, Door.SENDER),
    Route("GET", "/api/v1/incidents", incidents.index, Role.VIEWER),
    Route("GET", "/api/v1/incidents/{id}", incidents.show, Role.VIEWER),
    Route("GET", "/api/v1/runs", runs.index, Role.VIEWER),
    Route("POST", "/api/v1/runs", runs.start, Role.OPERATOR),
    Route("GET", "/api/v1/runs/{id}", runs.show, Role.VIEWER),
    Route("POST", "/api/v1/runs/{id}/approve", runs.approve, Role.OPERATOR),
    Route("POST", "/api/v1/runs/{id}/deny", runs.deny, Role.OPERATOR),
    Route("POST", "/api/v1/runs/{id}/snooze", runs.snooze, Role.OPERATOR),
    Route("POST", "/api/v1/runs/{id}/cancel", runs.cancel, Role.OPERATOR),
    Route("POST", "/api/v1/runs/{id}/acknowledge", runs.acknowledge, Role.OPERATOR),
    Route("POST", "/api/v1/runs/{id}/resume", runs.resume, Role.ADMIN),
    Route("GET", "/api/v1/runs/{id}/verdicts", trust.verdicts, Role.VIEWER),
    Route("POST", "/api/v1/runs/{id}/override", trust.override, Role.OPERATOR),
    Route("GET", "/api/v1/policy", trust.policy, Role.VIEWER),
    Route("POST", "/api/v1/explain", trust.explain, Role.OPERATOR),
    Route("GET", "/api/v1/breakers", trust.breakers, Role.VIEWER),
    Route("POST", "/api/v1/breakers/{runbook}/reset", trust.reset_breaker, Role.OPERATOR),
    Route("GET", "/api/v1/report", trust.report, Role.VIEWER),
    Route("GET", "/api/v1/approvals", approvals.index, Role.VIEWER),
    Route("GET", "/api/v1/me", approvals.me, Role.VIEWER),
    Route("GET", "/api/v1/runbooks", runbooks.index, Role.VIEWER),
    Route("GET", "/api/v1/audit", audit.index, Role.VIEWER),
    Route("GET", "/api/v1/controls", controls.index, Role.VIEWER),
    Route("POST", "/api/v1/controls", controls.pause, Role.OPERATOR),
    Route("DELETE", "/api/v1/controls/{scope}", controls.unpause, Role.OPERATOR),
)


def build_app(services: Services, configured: settings.Settings) -> web.Application:
    """Make the application.

    Args:
        services: what the engine offers.
        configured: senders, API tokens, bounds and the external URL are read.
    """
    limit_bytes = configured.http.max_body_mib * 2**20
    app = web.Application(
        # Bodies are read by `bodies` with their own limits; aiohttp's 1 MiB would answer 413.
        client_max_size=limit_bytes,
        middlewares=[observation.middleware, problems.middleware],
    )
    app.on_response_prepare.append(observation.on_prepare)
    local = auth.Local(configured.external_url)
    routes = [*ROUTES, *_callbacks(services)]
    app[keys.SERVICES] = services
    app[keys.API] = auth.Api(configured.api.tokens, local)
    app[keys.SENDERS] = auth.Senders(configured.senders, local)
    app[keys.READER] = bodies.Reader(limit_bytes)
    app[keys.CLOSING] = keys.Closing()
    app[keys.OPENAPI] = openapi.build([(r.method, r.path, r.handler, r.guard) for r in routes])
    for route in routes:
        app.router.add_route(route.method, route.path, _guarded(route))
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, _guarded(route))
    return app


def _guarded(route: Route) -> problems.Handler:
    role = route.guard
    if not isinstance(role, Role):
        return route.handler

    async def handle(request: web.Request) -> web.StreamResponse:
        request[keys.IDENTITY] = request.app[keys.API].require(request, role)
        return await route.handler(request)

    return handle


def _callbacks(services: Services) -> Sequence[Route]:
    return [
        Route("POST", path, webhooks.callback(notifier), Door.ITSELF)
        for notifier in services.notifiers.values()
        for path in notifier.callback_paths
    ]
