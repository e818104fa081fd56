"""A PagerDuty on loopback: Events API v2 with its documented rules, and one service's alerts.

Source: PagerDuty's «Events API v2», «Send an alert event». Tests read `alerts` as the person on
call would.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

from tests.notify.loopback import Loopback

API_TOKEN = "u+0123456789abcdefghi"
ROUTING_KEY = "0123456789abcdef0123456789abcdef"

_MAX_BYTES = 512 * 1024
_SEVERITIES = ("critical", "error", "warning", "info")
_ACTIONS = ("trigger", "acknowledge", "resolve")


@dataclass
class Alert:
    """One alert of the service: what was said of it, and whether it is open."""

    summary: str
    payload: Mapping[str, Any]
    links: list[Mapping[str, str]]
    open: bool = True
    acknowledged: bool = False
    triggered: int = 1


@dataclass
class PagerDuty(Loopback):
    """One service with one integration, and the account's schedules."""

    routing_key: str = ROUTING_KEY
    alerts: dict[str, Alert] = field(default_factory=dict)
    changes: list[Mapping[str, Any]] = field(default_factory=list)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    schedules: dict[str, list[str]] = field(default_factory=dict)
    """Schedule → users on call now."""

    def routes(self, router: web.UrlDispatcher) -> None:
        """See `Loopback.routes`."""
        router.add_post("/v2/enqueue", self._enqueue)
        router.add_post("/v2/change/enqueue", self._change)
        router.add_get("/oncalls", self._oncalls)

    async def _enqueue(self, request: web.Request) -> web.Response:
        event = await self._event(request, _faults)
        if isinstance(event, web.Response):
            return event
        self.events.append(event)
        return web.json_response(
            {"status": "success", "message": "Event processed", "dedup_key": self._take(event)},
            status=202,
        )

    async def _change(self, request: web.Request) -> web.Response:
        event = await self._event(request, _change_faults)
        if isinstance(event, web.Response):
            return event
        self.changes.append(event)
        return web.json_response(
            {"status": "success", "message": "Change event processed"}, status=202
        )

    async def _event(
        self, request: web.Request, faults: Callable[[Any], list[str]]
    ) -> Mapping[str, Any] | web.Response:
        body = await request.read()
        if len(body) > _MAX_BYTES:
            return web.Response(status=413)
        try:
            event: Mapping[str, Any] = json.loads(body)
        except ValueError:
            return _invalid(["the body is no JSON"])
        if errors := faults(event):
            return _invalid(errors)
        if event["routing_key"] != self.routing_key:
            return _invalid(["Invalid routing key"])
        return event

    async def _oncalls(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Token token={API_TOKEN}":
            return web.json_response({"error": {"message": "Unauthorized"}}, status=401)
        if request.headers.get("Accept") != "application/vnd.pagerduty+json;version=2":
            return web.json_response({"error": {"message": "Bad version"}}, status=400)
        wanted = request.query.getall("schedule_ids[]", [])
        rows = [
            {
                "user": {"id": user, "type": "user_reference"},
                "schedule": {"id": schedule, "type": "schedule_reference"},
                "escalation_level": 1,
            }
            for schedule, users in self.schedules.items()
            if schedule in wanted
            for user in users
        ]
        # Whoever is on an escalation policy without a schedule is always on call.
        rows.append({"user": {"id": "PALWAYS"}, "schedule": None, "escalation_level": 1})
        start, limit = int(request.query["offset"]), min(int(request.query["limit"]), 100)
        more = len(rows) > start + limit
        return web.json_response(
            {"oncalls": rows[start : start + limit], "limit": limit, "offset": start, "more": more}
        )

    def _take(self, event: Mapping[str, Any]) -> str:
        key = str(event.get("dedup_key") or f"made-up-{len(self.events)}")
        known = self.alerts.get(key)
        if event["event_action"] == "trigger":
            if known is not None and known.open:
                known.triggered += 1
            else:
                payload = event["payload"]
                links = list(event.get("links", ()))
                self.alerts[key] = Alert(payload["summary"], payload, links)
        elif event["event_action"] == "acknowledge" and known is not None:
            known.acknowledged = True
        elif event["event_action"] == "resolve" and known is not None:
            known.open = False
        return key


def _faults(event: Any) -> list[str]:
    if not isinstance(event, dict):
        return ["the event must be an object"]
    errors = []
    if len(str(event.get("routing_key", ""))) != 32:
        errors.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    action = event.get("event_action")
    if action not in _ACTIONS:
        errors.append(f"'event_action' must be one of {', '.join(_ACTIONS)}")
    if len(str(event.get("dedup_key", ""))) > 255:
        errors.append("'dedup_key' is longer than 255 characters")
    if action in ("acknowledge", "resolve"):
        return errors if event.get("dedup_key") else [*errors, "'dedup_key' is missing or blank"]
    errors += _payload_faults(event.get("payload"))
    for link in event.get("links", ()):
        if not isinstance(link, dict) or not str(link.get("href", "")).startswith("http"):
            errors.append("'links[].href' must be a URL")
    return errors


def _change_faults(event: Any) -> list[str]:
    errors = []
    payload = event.get("payload") or {}
    if "event_action" in event or "dedup_key" in event:
        errors.append("a change has neither 'event_action' nor 'dedup_key'")
    if not payload.get("summary") or len(payload["summary"]) > 1024:
        errors.append("'payload.summary' is missing, or longer than 1024 characters")
    if "severity" in payload:
        errors.append("a change has no 'payload.severity'")
    return errors


def _payload_faults(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    errors = [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source", "severity")
        if not payload.get(name)
    ]
    if len(str(payload.get("summary", ""))) > 1024:
        errors.append("'payload.summary' is longer than 1024 characters")
    if payload.get("severity") not in _SEVERITIES:
        errors.append(f"'payload.severity' must be one of {', '.join(_SEVERITIES)}")
    if "timestamp" in payload:
        try:
            datetime.fromisoformat(str(payload["timestamp"]))
        except ValueError:
            errors.append("'payload.timestamp' is no ISO 8601 time")
    if not isinstance(payload.get("custom_details", {}), dict):
        errors.append("'payload.custom_details' must be an object")
    return errors


def _invalid(errors: list[str]) -> web.Response:
    return web.json_response(
        {"status": "invalid event", "message": "Event object is invalid", "errors": errors},
        status=400,
    )
