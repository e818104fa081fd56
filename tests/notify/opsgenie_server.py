"""An Opsgenie on loopback: Alert API v2 with its documented limits, carried out later.

Source: Atlassian's «Alert API» for Opsgenie, and the field limits of «Alerts and alert fields».
Tests read `alerts` as the person on call would.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.notify.loopback import Loopback

API_KEY = "11111111-2222-3333-4444-555555555555"

_LIMITS = {
    "message": 130,
    "alias": 512,
    "description": 15_000,
    "entity": 512,
    "source": 100,
    "user": 100,
    "note": 25_000,
}


@dataclass
class Alert:
    """One alert, as its page shows it."""

    created: Mapping[str, Any]
    open: bool = True
    acknowledged_by: str = ""
    count: int = 1
    notes: list[str] = field(default_factory=list)


@dataclass
class Opsgenie(Loopback):
    """One account with one API integration."""

    api_key: str = API_KEY
    alerts: dict[str, Alert] = field(default_factory=dict)
    slow: int = 0
    """How many times a request's status is asked for before there is one."""
    _results: dict[str, dict[str, Any]] = field(default_factory=dict)
    _waits: dict[str, int] = field(default_factory=dict)
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def routes(self, router: web.UrlDispatcher) -> None:
        """See `Loopback.routes`."""
        router.add_post("/v2/alerts", self._create)
        router.add_get("/v2/alerts/requests/{id}", self._result)
        router.add_post("/v2/alerts/{alias}/{what:acknowledge|notes|close}", self._act)

    async def _create(self, request: web.Request) -> web.Response:
        if (refused := self._key(request)) is not None:
            return refused
        body = await request.json()
        if faults := _faults(body, needs="message"):
            return _invalid(faults)
        alias = str(body.get("alias") or body["message"])
        known = self.alerts.get(alias)
        if known is not None and known.open:
            known.count += 1
            return self._taken(True, "Increased the count of alert")
        self.alerts[alias] = Alert(body)
        return self._taken(True, "Created alert")

    async def _act(self, request: web.Request) -> web.Response:
        if (refused := self._key(request)) is not None:
            return refused
        if request.query.get("identifierType") != "alias":
            return _invalid({"identifierType": "is id unless alias is asked for"})
        body = await request.json()
        if faults := _faults(body, needs="note" if request.match_info["what"] == "notes" else ""):
            return _invalid(faults)
        alert = self.alerts.get(request.match_info["alias"])
        if alert is None or not alert.open:
            return self._taken(False, "Alert does not exist")
        what = request.match_info["what"]
        if what == "acknowledge":
            alert.acknowledged_by = str(body.get("user", ""))
        if what == "close":
            alert.open = False
        if body.get("note"):
            alert.notes.append(str(body["note"]))
        return self._taken(True, "Done")

    def _key(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"GenieKey {self.api_key}":
            return None
        text = f"Key [{request.headers.get('Authorization')}] is not valid"
        return web.json_response({"message": text, "took": 0.001}, status=401)

    def _taken(self, success: bool, status: str) -> web.Response:
        id_ = f"request-{next(self._ids)}"
        self._results[id_] = {"success": success, "isSuccess": success, "status": status}
        self._waits[id_] = self.slow
        taken = {"result": "Request will be processed", "took": 0.1, "requestId": id_}
        return web.json_response(taken, status=202)

    async def _result(self, request: web.Request) -> web.Response:
        if (refused := self._key(request)) is not None:
            return refused
        id_ = request.match_info["id"]
        if self._waits.get(id_, 1):
            self._waits[id_] = self._waits.get(id_, 1) - 1
            return web.json_response({"message": "Request not found"}, status=404)
        return web.json_response({"data": self._results[id_], "took": 0.1, "requestId": "r"})


def _faults(body: Mapping[str, Any], needs: str) -> dict[str, str]:
    faults = {
        name: f"is longer than {most}"
        for name, most in _LIMITS.items()
        if len(str(body.get(name, ""))) > most
    }
    if needs and not body.get(needs):
        faults[needs] = "is missing"
    tags = body.get("tags", [])
    if len(tags) > 20 or any(len(tag) > 50 for tag in tags):
        faults["tags"] = "20 of 50 characters at most"
    details = body.get("details", {})
    if not all(isinstance(value, str) for value in details.values()):
        faults["details"] = "values must be text"
    elif sum(len(key) + len(value) for key, value in details.items()) > 8000:
        faults["details"] = "8000 characters at most"
    if body.get("priority", "P3") not in ("P1", "P2", "P3", "P4", "P5"):
        faults["priority"] = "P1 to P5"
    return faults


def _invalid(faults: Mapping[str, str]) -> web.Response:
    message = "; ".join(f"{name} {text}" for name, text in faults.items())
    return web.json_response({"message": message, "errors": faults}, status=422)
