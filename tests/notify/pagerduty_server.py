"""A PagerDuty on loopback: Events API v2 with its documented rules, and one service's alerts.

Source: PagerDuty's «Events API v2», «Send an alert event». Tests read `alerts` as the person on
call would.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web

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
    triggered: int = 1


@dataclass
class PagerDuty:
    """One service with one integration. Start it, give the client `url`."""

    routing_key: str = ROUTING_KEY
    alerts: dict[str, Alert] = field(default_factory=dict)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    fail_with: int | None = None
    """Answer every request with this status: 429, 500 …"""
    retry_after_s: int | None = None
    _runner: web.AppRunner = field(init=False)

    def __post_init__(self) -> None:
        application = web.Application(client_max_size=2 * _MAX_BYTES)
        application.router.add_post("/v2/enqueue", self._enqueue)
        self._runner = web.AppRunner(application, shutdown_timeout=1)

    async def start(self) -> "PagerDuty":
        """Listen on a free loopback port."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def stop(self) -> None:
        """Stop listening. Idempotent."""
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What `pagerduty.api_url` must be set to."""
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _enqueue(self, request: web.Request) -> web.Response:
        if self.fail_with is not None:
            wait = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
            return web.Response(status=self.fail_with, headers=wait)
        body = await request.read()
        if len(body) > _MAX_BYTES:
            return web.Response(status=413)
        try:
            event = json.loads(body)
        except ValueError:
            return _invalid(["the body is no JSON"])
        errors = _faults(event)
        if errors:
            return _invalid(errors)
        if event["routing_key"] != self.routing_key:
            return _invalid(["Invalid routing key"])
        self.events.append(event)
        return web.json_response(
            {"status": "success", "message": "Event processed", "dedup_key": self._take(event)},
            status=202,
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
