"""/openapi.json: the API's description, OpenAPI 3.1, made of the route table and `schemas`.

A route without an entry here is an error when the application is built, so that the description
lists all that is served. Summaries are the handlers' docstrings.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import BaseModel

from remediator.settings import Role
from remediator.web import controls, keys, runs, schemas, trust
from remediator.web.paging import DEFAULT_LIMIT, MAX_LIMIT

Described = tuple[str, str, Callable[..., Any], str]
"""Method, path, handler, guard."""


@dataclass(frozen=True, slots=True)
class _Operation:
    """What the table does not say of a route.

    Args:
        answer: name of the schema of the answer in `schemas`, or a media type.
        body: the model of the request body, or a media type of a raw one.
        query: parameters with their schemas.
        status: of success.
        also: other statuses of success, with the same answer.
        problems: statuses of errors beside 401, 403 and 500.
    """

    answer: str
    body: type[BaseModel] | str | None = None
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    status: int = 200
    also: Sequence[int] = ()
    problems: Sequence[int] = ()


_SCHEMAS = "#/components/schemas/"
_PAGE: Mapping[str, Mapping[str, Any]] = {
    "cursor": {"type": "string", "description": "the `next` of the page before"},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
}
_TEXT = {"type": "string"}
_WEBHOOK = _Operation("Receipt", body="application/json", problems=(400, 404, 413, 415, 503))
_CALLBACK = _Operation(
    "text/plain", body="application/x-www-form-urlencoded", problems=(400, 413, 415, 503)
)
_ASKED = (400, 404, 409, 413, 415, 503)

_OPERATIONS: Mapping[tuple[str, str], _Operation] = {
    ("GET", "/"): _Operation("text/html"),
    ("GET", "/-/healthy"): _Operation("Status"),
    ("GET", "/-/ready"): _Operation("Status", problems=(503,)),
    ("POST", "/-/reload"): _Operation("Reloaded", problems=(422,)),
    ("GET", "/metrics"): _Operation("text/plain"),
    ("GET", "/openapi.json"): _Operation("application/json"),
    ("POST", "/webhook/{source}"): _WEBHOOK,
    ("POST", "/webhook/{source}/{sender}"): _WEBHOOK,
    ("GET", "/api/v1/incidents"): _Operation(
        "IncidentPage", query={"status": schemas.INCIDENT_STATUS, **_PAGE}, problems=(400,)
    ),
    ("GET", "/api/v1/incidents/{id}"): _Operation("Incident", problems=(404,)),
    ("GET", "/api/v1/runs"): _Operation(
        "RunPage",
        query={
            "state": {"type": "array", "items": schemas.RUN_STATE},
            "runbook": _TEXT,
            "incident_id": _TEXT,
            **_PAGE,
        },
        problems=(400,),
    ),
    ("POST", "/api/v1/runs"): _Operation(
        "Started", body=runs.Start, status=201, problems=(400, 404, 413, 415, 503)
    ),
    ("GET", "/api/v1/runs/{id}"): _Operation("RunView", problems=(404,)),
    ("POST", "/api/v1/runs/{id}/approve"): _Operation("Decided", body=runs.Decide, problems=_ASKED),
    ("POST", "/api/v1/runs/{id}/deny"): _Operation("Decided", body=runs.Decide, problems=_ASKED),
    ("POST", "/api/v1/runs/{id}/snooze"): _Operation("Snoozed", body=runs.Snooze, problems=_ASKED),
    ("GET", "/api/v1/approvals"): _Operation(
        "WaitingPage",
        query={"mine": {"type": "boolean"}, "limit": _PAGE["limit"]},
        problems=(400,),
    ),
    ("GET", "/api/v1/me"): _Operation("Me", problems=(400,)),
    ("POST", "/api/v1/runs/{id}/cancel"): _Operation(
        "Outcome", body=runs.Cancel, also=(202,), problems=_ASKED
    ),
    ("POST", "/api/v1/runs/{id}/acknowledge"): _Operation(
        "Acknowledged", body=runs.Acknowledge, problems=_ASKED
    ),
    ("POST", "/api/v1/runs/{id}/resume"): _Operation("Outcome", body=runs.Resume, problems=_ASKED),
    ("GET", "/api/v1/runs/{id}/verdicts"): _Operation("Explanation", problems=(404,)),
    ("POST", "/api/v1/runs/{id}/override"): _Operation(
        "Overridden", body=trust.OverrideRun, also=(201,), problems=_ASKED
    ),
    ("GET", "/api/v1/policy"): _Operation("Policy"),
    ("POST", "/api/v1/explain"): _Operation(
        "Simulation", body="application/json", problems=(400, 413, 415, 503)
    ),
    ("GET", "/api/v1/breakers"): _Operation("BreakerPage", problems=(400,)),
    ("POST", "/api/v1/breakers/{runbook}/reset"): _Operation(
        "BreakerReset", body=trust.ResetBreaker, problems=(400, 409, 413, 415, 503)
    ),
    ("GET", "/api/v1/report"): _Operation(
        "Report", query={"since": _TEXT, "runbook": _TEXT}, problems=(400, 404)
    ),
    ("GET", "/api/v1/runbooks"): _Operation("RunbookPage", problems=(400,)),
    ("GET", "/api/v1/audit"): _Operation(
        "AuditPage", query={"run_id": _TEXT, **_PAGE}, problems=(400,)
    ),
    ("GET", "/api/v1/controls"): _Operation("ControlPage", problems=(400,)),
    ("POST", "/api/v1/controls"): _Operation(
        "Control", body=controls.Pause, problems=(400, 413, 415, 503)
    ),
    ("DELETE", "/api/v1/controls/{scope}"): _Operation("Lifted", problems=(404, 503)),
}


async def show(request: web.Request) -> web.Response:
    """Show this description."""
    return web.Response(body=request.app[keys.OPENAPI], content_type="application/json")


def build(routes: Sequence[Described]) -> bytes:
    """Return the document.

    Raises:
        KeyError: a route of ours is not described.
    """
    paths: dict[str, dict[str, Any]] = {}
    models: dict[str, Any] = {}
    for method, path, handler, guard in routes:
        operation = _CALLBACK if guard == "itself" else _OPERATIONS[method, path]
        if isinstance(operation.body, type):
            schema = operation.body.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
            models |= schema.pop("$defs", {}) | {operation.body.__name__: schema}
        paths.setdefault(path, {})[method.lower()] = _describe(path, handler, guard, operation)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "remediator",
            "version": "1",
            "summary": "Alerts in, safe and recorded repairs out.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {**schemas.SCHEMAS, **models},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
                "certificate": {"type": "mutualTLS"},
            },
        },
    }
    return json.dumps(document, ensure_ascii=False, indent=1).encode()


def _describe(
    path: str, handler: Callable[..., Any], guard: str, operation: _Operation
) -> dict[str, Any]:
    summary = (handler.__doc__ or "A notifier's callback.").strip().splitlines()[0]
    described: dict[str, Any] = {
        "summary": summary,
        "responses": {
            **{
                str(status): {"description": "Done.", "content": _content(operation.answer)}
                for status in (operation.status, *operation.also)
            },
            **{str(status): _PROBLEM for status in sorted({*operation.problems, *_always(guard)})},
        },
        "security": _security(guard),
    }
    if isinstance(guard, Role):
        described["description"] = f"Needs the role {guard}."
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"{(\w+)}", path)
    ]
    parameters += [
        {"name": name, "in": "query", "schema": dict(schema)}
        for name, schema in operation.query.items()
    ]
    if parameters:
        described["parameters"] = parameters
    if isinstance(operation.body, str):
        described["requestBody"] = {"required": True, "content": {operation.body: {}}}
    elif operation.body is not None:
        described["requestBody"] = {"content": _content(operation.body.__name__)}
    return described


_PROBLEM = {
    "description": "A problem document (RFC 9457).",
    "content": {"application/problem+json": {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
}


def _always(guard: str) -> set[int]:
    # 503: whatever asks the journal may find it out of reach.
    return {500} if guard == "open" else {401, 403, 500, 503}


def _security(guard: str) -> list[dict[str, list[str]]]:
    if isinstance(guard, Role) or guard == "scraper":
        return [{"token": []}]
    if guard == "sender":
        return [{"token": []}, {"basic": []}, {"certificate": []}]
    return []


def _content(answer: str) -> dict[str, Any]:
    if "/" in answer:
        return {answer: {}}
    return {"application/json": {"schema": {"$ref": f"{_SCHEMAS}{answer}"}}}
