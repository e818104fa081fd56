"""Proves over a real socket that the API answers by its contract (design, part 10): its field
names, its pages, its outcomes; that every error is a problem document; and that /openapi.json
lists every route and describes the answers as they are."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from remediator.journal.values import CancelOutcome
from remediator.model.approvals import DecisionOutcome, SnoozeOutcome
from remediator.model.escalation import AcknowledgeOutcome
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.settings import Settings
from remediator.web import render
from remediator.web.routes import build_app

from . import payloads
from .edge import Answer, Edge, listening, problem
from .services import Backend, question, run, step

RUN = "/api/v1/runs/run-1"
SEEN = {"approval_id": "ask-1"}
BREAKER = "/api/v1/breakers/latency"
RESET = "/api/v1/breakers/{runbook}/reset"
OVERRIDE = {"guardrail": "cooldown", "reason": "customers wait"}


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with listening() as started:
        yield started


async def pages(edge: Edge, path: str, key: str, limit: int) -> list[object]:
    found, cursor = [], ""
    for _ in range(20):
        answer = await edge.ask("GET", f"{path}?limit={limit}{cursor}")
        assert set(answer.json) == {"items", "next"}
        assert len(answer.json["items"]) <= limit
        found += [item[key] for item in answer.json["items"]]
        if answer.json["next"] is None:
            return found
        cursor = f"&cursor={answer.json['next']}"
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("limit", [1, 2, 5, 500])
async def test_pages_hold_everything_once(edge: Edge, limit: int) -> None:
    assert await pages(edge, "/api/v1/runs", "id", limit) == [f"run-{n}" for n in range(5, 0, -1)]
    assert await pages(edge, "/api/v1/incidents", "id", limit) == [
        f"inc-{n}" for n in range(5, 0, -1)
    ]
    assert await pages(edge, "/api/v1/audit", "seq", limit) == [1, 2, 3, 4, 5]


async def test_field_names_of_the_contract(edge: Edge) -> None:
    runs = await edge.ask("GET", "/api/v1/runs")
    assert {
        "id",
        "incident_id",
        "runbook",
        "state",
        "reason",
        "target",
        "started_at",
        "ended_at",
    } <= set(runs.json["items"][0])
    incidents = await edge.ask("GET", "/api/v1/incidents")
    assert {
        "id",
        "sender",
        "fingerprint",
        "status",
        "labels",
        "starts_at",
        "ends_at",
    } <= set(incidents.json["items"][0])
    assert incidents.json["items"][0]["starts_at"] == "2026-11-24T12:00:00.000000Z"
    assert incidents.json["items"][0]["labels"]["team"] == "zürich"


async def test_filters(edge: Edge) -> None:
    done = run("run-3", state=RunState.SUCCEEDED, reason=Reason.VERIFIED, runbook="other")
    edge.backend.records.all_runs["run-3"] = done
    by_state = await edge.ask("GET", "/api/v1/runs?state=succeeded&state=failed")
    assert [r["id"] for r in by_state.json["items"]] == ["run-3"]
    by_runbook = await edge.ask("GET", "/api/v1/runs?runbook=latency")
    assert len(by_runbook.json["items"]) == 4
    resolved = await edge.ask("GET", "/api/v1/incidents?status=resolved")
    assert resolved.json == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=runing", "state"),
        ("stat=failed", "stat"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=ten", "limit"),
        ("limit=٣", "limit"),
        ("cursor=%00", "cursor"),
        ("cursor=", "cursor"),
    ],
)
async def test_wrong_parameters_are_named(edge: Edge, query: str, field: str) -> None:
    document = problem(await edge.ask("GET", f"/api/v1/runs?{query}"), 400)
    assert document["field"] == field


async def test_a_misspelt_parameter_gets_the_nearest_name(edge: Edge) -> None:
    document = problem(await edge.ask("GET", "/api/v1/runs?stat=failed"), 400)
    assert "did you mean state?" in document["detail"]


async def test_a_run_shows_all_that_a_person_needs(edge: Edge) -> None:
    shown = (await edge.ask("GET", RUN)).json
    assert shown["steps"][0]["plan"]["changes"] == [
        {"path": "spec.replicas", "before": 4, "after": 6}
    ]
    assert shown["steps"][0]["target"] == "deployment shop/api"
    assert shown["steps"][0]["impact"] == "2 pods of 6 (33%)"
    assert shown["verdicts"][0]["rule"] == "cooldown"
    assert shown["approval"]["digests"] == {"scale": "d" * 64}
    assert shown["approval"]["decisions"][0]["actor"] == "api:ann"
    assert shown["incident"]["id"] == "inc-5"
    assert shown["context"]["alert"]["labels"] == {"alertname": "HighLatency"}


def test_what_others_wrote_is_masked() -> None:
    secret = "hunter2hunter2"
    given = replace(
        step("run-1"), output={"stdout": f"token={secret}"}, message=f"password: {secret}"
    )
    shown = json.dumps(render.step(given))
    assert "hunter2" not in shown
    assert "spec.replicas" in shown


async def test_a_run_is_found_by_a_unique_part_of_its_id(edge: Edge) -> None:
    assert (await edge.ask("GET", "/api/v1/runs/n-1")).json["id"] == "run-1"
    answer = await edge.ask("POST", "/api/v1/runs/n-1/cancel", json={"reason": "no"})
    assert answer.json == {"id": "run-1", "outcome": "cancelled"}


@pytest.mark.parametrize("verb", ["approve", "deny"])
async def test_an_answer_is_handed_in(edge: Edge, verb: str) -> None:
    answer = await edge.ask(
        "POST", f"{RUN}/{verb}", json={"approval_id": "ask-1", "reason": "looks right"}
    )
    assert answer.status == 200
    assert answer.json["outcome"] == "approved"
    assert edge.backend.desk.answers == [("ask-1", "local", verb, "looks right", "api")]


async def test_an_answer_to_another_question_is_refused(edge: Edge) -> None:
    edge.backend.records.question = question("ask-2")
    document = problem(await edge.ask("POST", f"{RUN}/approve", json={"approval_id": "ask-1"}), 409)
    assert document["approval_id"] == "ask-2"
    assert edge.backend.desk.answers == []
    edge.backend.records.question = None
    problem(await edge.ask("POST", f"{RUN}/approve", json=SEEN), 409)


async def test_an_answer_to_no_question_in_particular_is_refused(edge: Edge) -> None:
    document = problem(await edge.ask("POST", f"{RUN}/approve", json={"reason": "yes"}), 400)
    assert document["field"] == "approval_id"
    assert edge.backend.desk.answers == []


@pytest.mark.parametrize(
    "outcome",
    [
        DecisionOutcome.ALREADY_DECIDED,
        DecisionOutcome.EXPIRED,
        DecisionOutcome.VOID,
        DecisionOutcome.UNKNOWN,
    ],
)
async def test_an_answer_too_late_is_a_conflict(edge: Edge, outcome: DecisionOutcome) -> None:
    edge.backend.desk.outcome = outcome
    assert (
        problem(await edge.ask("POST", f"{RUN}/approve", json=SEEN), 409)["outcome"]
        == outcome.value
    )


async def test_who_may_not_decide_is_told_who_may(edge: Edge) -> None:
    edge.backend.desk.strangers = {"local"}
    document = problem(await edge.ask("POST", f"{RUN}/approve", json=SEEN), 403)
    assert "sre-oncall" in document["detail"]


async def test_a_no_without_the_reason_that_it_needs_names_the_field(edge: Edge) -> None:
    edge.backend.desk.outcome = DecisionOutcome.NEEDS_REASON
    assert problem(await edge.ask("POST", f"{RUN}/deny", json=SEEN), 400)["field"] == "reason"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (SnoozeOutcome.SNOOZED, 200),
        (SnoozeOutcome.OUT_OF_BOUNDS, 400),
        (SnoozeOutcome.HALF_DONE, 409),
        (SnoozeOutcome.DECIDED, 409),
        (SnoozeOutcome.EXPIRED, 409),
        (SnoozeOutcome.VOID, 409),
    ],
)
async def test_snooze(edge: Edge, outcome: SnoozeOutcome, status: int) -> None:
    edge.backend.desk.snoozed = outcome
    answer = await edge.ask("POST", f"{RUN}/snooze", json={**SEEN, "for": "30m", "reason": "lunch"})
    assert answer.status == status
    assert edge.backend.desk.did == [
        ("snooze", "ask-1", "local", timedelta(minutes=30), "lunch", "api")
    ]


@pytest.mark.parametrize(
    ("asked", "field"),
    [({**SEEN}, "for"), ({**SEEN, "for": "0s"}, "for"), ({"for": "30m"}, "approval_id")],
)
async def test_a_snooze_says_what_and_for_how_long(
    edge: Edge, asked: dict[str, str], field: str
) -> None:
    assert problem(await edge.ask("POST", f"{RUN}/snooze", json=asked), 400)["field"] == field
    assert edge.backend.desk.did == []


async def test_open_questions_and_which_are_mine(edge: Edge) -> None:
    (one,) = (await edge.ask("GET", "/api/v1/approvals")).json["items"]
    assert (one["mine"], one["run"]["id"], one["approval"]["id"]) == (True, "run-1", "ask-1")
    assert one["plans"] == ["deployment shop/api: replicas 4 → 6"]
    edge.backend.desk.strangers = {"local"}
    (one,) = (await edge.ask("GET", "/api/v1/approvals?mine=0")).json["items"]
    assert one["mine"] is False
    assert (await edge.ask("GET", "/api/v1/approvals?mine=true")).json["items"] == []
    assert problem(await edge.ask("GET", "/api/v1/approvals?mine=x"), 400)["field"] == "mine"


async def test_who_i_am_and_what_waits_for_me(edge: Edge) -> None:
    me = (await edge.ask("GET", "/api/v1/me")).json
    assert {key: me[key] for key in ("identity", "person", "role", "groups")} == {
        "identity": "local",
        "person": "local",
        "role": "admin",
        "groups": ["sre-oncall"],
    }
    assert [one["run"]["id"] for one in me["waiting"]] == ["run-1"]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (CancelOutcome.CANCELLED, 200),
        (CancelOutcome.REQUESTED, 202),
        (CancelOutcome.ALREADY_ENDED, 409),
        (CancelOutcome.UNDOING, 409),
        (CancelOutcome.UNKNOWN, 404),
    ],
)
async def test_cancel(edge: Edge, outcome: CancelOutcome, status: int) -> None:
    edge.backend.runs.cancelled = outcome
    answer = await edge.ask("POST", f"{RUN}/cancel", json={"reason": "wrong one"})
    assert answer.status == status
    assert edge.backend.runs.did == [("cancel", "run-1", "local", "wrong one")]


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (AcknowledgeOutcome.ACKNOWLEDGED, 200),
        (AcknowledgeOutcome.REPEATED, 200),
        (AcknowledgeOutcome.NOBODY_CALLED, 409),
        (AcknowledgeOutcome.UNKNOWN, 404),
    ],
)
async def test_acknowledge(edge: Edge, outcome: AcknowledgeOutcome, status: int) -> None:
    edge.backend.runs.acknowledged = outcome
    answer = await edge.ask("POST", f"{RUN}/acknowledge", json={"reason": "I look"})
    assert answer.status == status
    assert edge.backend.runs.did == [("acknowledge", "run-1", "local", "I look")]


async def test_resume_an_interrupted_run_only(edge: Edge) -> None:
    problem(await edge.ask("POST", f"{RUN}/resume", json={"how": "done"}), 409)
    edge.backend.records.all_runs["run-1"] = run("run-1", state=RunState.INTERRUPTED)
    assert (await edge.ask("POST", f"{RUN}/resume", json={"how": "undo"})).status == 200
    assert (
        problem(await edge.ask("POST", f"{RUN}/resume", json={"how": "x"}), 400)["field"] == "how"
    )


async def test_runbooks_say_what_they_take(edge: Edge) -> None:
    first = (await edge.ask("GET", "/api/v1/runbooks")).json["items"][0]
    assert first["parameters"] == {"max": {"type": "integer", "default": 20}}


async def test_start_by_hand(edge: Edge) -> None:
    parameters = {"max": 20, "names": ["a"], "share": 0.5, "wait": "5m", "hard": True}
    asked = {"runbook": "latency", "labels": {"deployment": "api"}, "parameters": parameters}
    answer = await edge.ask("POST", "/api/v1/runs", json=asked)
    assert answer.status == 201
    assert answer.headers["Location"] == "/api/v1/runs/run-1"
    assert edge.backend.runs.did == [
        ("start", "latency", {"deployment": "api"}, parameters, "local")
    ]
    problem(await edge.ask("POST", "/api/v1/runs", json={**asked, "parameters": {"a": {}}}), 400)
    problem(await edge.ask("POST", "/api/v1/runs", json={"runbook": "gone"}), 404)
    document = problem(await edge.ask("POST", "/api/v1/runs", json={"runbook": "latency"}), 400)
    assert document["field"] == "labels.deployment"


async def test_controls(edge: Edge) -> None:
    asked = {"scope": "scope:shop", "reason": "release", "for": "1h"}
    made = await edge.ask("POST", "/api/v1/controls", json=asked)
    assert made.json == {
        "scope": "scope:shop",
        "by": "local",
        "reason": "release",
        "since": "2026-11-24T12:00:00.000000Z",
        "until": "2026-11-24T13:00:00.000000Z",
    }
    assert (await edge.ask("POST", "/api/v1/controls")).json["scope"] == "*"
    listed = await edge.ask("GET", "/api/v1/controls")
    assert [c["scope"] for c in listed.json["items"]] == ["scope:shop", "*"]
    for path in ("scope:shop", "*"):
        assert (await edge.ask("DELETE", f"/api/v1/controls/{path}")).status == 200
    problem(await edge.ask("DELETE", "/api/v1/controls/*"), 404)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"scope": "shop"}, "scope"),
        ({"scope": "runbook:"}, "scope"),
        ({"for": "0s"}, "for"),
        ({"for": "soon"}, "for"),
        ({"for": 3600}, "for"),
        ({"reason": "x" * 2001}, "reason"),
        ({"until": "x"}, "until"),
    ],
)
async def test_wrong_controls_are_refused(edge: Edge, asked: object, field: str) -> None:
    assert problem(await edge.ask("POST", "/api/v1/controls", json=asked), 400)["field"] == field


async def test_reload_and_readiness(edge: Edge) -> None:
    assert (await edge.ask("POST", "/-/reload")).json == {"runbooks": 2}
    edge.backend.findings.append("latency.yaml:3:5: unknown key stepz")
    document = problem(await edge.ask("POST", "/-/reload"), 422)
    assert document["findings"] == ["latency.yaml:3:5: unknown key stepz"]
    assert (await edge.ask("GET", "/-/ready")).status == 200
    edge.backend.not_ready.append("the journal is at /secret/path")
    answer = await edge.ask("GET", "/-/ready")
    problem(answer, 503)
    assert b"secret" not in answer.body
    assert (await edge.ask("GET", "/-/healthy")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/api/v1/nothing", {}, 404),
        ("GET", "/api/v1/runs/gone", {}, 404),
        ("GET", "/api/v1/incidents/gone", {}, 404),
        ("POST", "/api/v1/runs/gone/approve", {"json": SEEN}, 404),
        ("GET", "/webhook/alertmanager", {}, 405),
        ("PUT", "/api/v1/runs", {}, 405),
        ("DELETE", "/metrics", {}, 405),
        ("POST", f"{RUN}/deny", {"data": b"{}"}, 415),
        ("POST", f"{RUN}/deny", {"data": b"a=1", "headers": {"Content-Type": "text/plain"}}, 415),
        (
            "POST",
            f"{RUN}/deny",
            {"data": b"{", "headers": {"Content-Type": "application/json"}},
            400,
        ),
        ("POST", f"{RUN}/deny", {"json": []}, 400),
        ("POST", f"{RUN}/deny", {"data": b" " * (2**20 + 1)}, 413),
    ],
)
async def test_every_error_is_a_problem_document(
    edge: Edge, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = await edge.ask(method, path, **options)
    problem(answer, status)
    assert status != 405 or answer.headers["Allow"]


async def test_answers_are_safe_for_browsers_and_do_not_tell_versions(edge: Edge) -> None:
    for path in ("/", "/api/v1/runs", "/nothing"):
        headers = (await edge.ask("GET", path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Server"] == "remediator"
    page = await edge.ask("GET", "/")
    assert b"<script" not in page.body
    assert page.headers["Content-Security-Policy"] == "default-src 'none'"


async def description(edge: Edge) -> dict[str, Any]:
    document: dict[str, Any] = (await edge.ask("GET", "/openapi.json")).json
    return document


async def test_openapi_lists_every_route(edge: Edge) -> None:
    document = await description(edge)
    assert document["openapi"].startswith("3.1")
    described = {(m.upper(), path) for path, item in document["paths"].items() for m in item}
    app = build_app(Backend().services(), Settings())
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert described == served
    for item in document["paths"].values():
        for operation in item.values():
            assert operation["summary"].endswith(".")


async def test_openapi_refers_only_to_what_it_has(edge: Edge) -> None:
    document = await description(edge)

    def references(value: object) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [r for inner in value.values() for r in references(inner)]
        if isinstance(value, list):
            return [r for inner in value for r in references(inner)]
        return []

    found = references(document)
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    jsonschema.Draft202012Validator.check_schema(
        {"$defs": document["components"]["schemas"], "type": "object"}
    )


@pytest.mark.parametrize(
    ("method", "path", "template", "options"),
    [
        ("GET", "/api/v1/runs", "/api/v1/runs", {}),
        ("GET", RUN, "/api/v1/runs/{id}", {}),
        ("GET", "/api/v1/incidents", "/api/v1/incidents", {}),
        ("GET", "/api/v1/incidents/inc-1", "/api/v1/incidents/{id}", {}),
        ("GET", "/api/v1/runbooks", "/api/v1/runbooks", {}),
        ("GET", "/api/v1/audit", "/api/v1/audit", {}),
        ("POST", "/api/v1/controls", "/api/v1/controls", {"json": {"scope": "*", "for": "1h"}}),
        ("GET", "/api/v1/controls", "/api/v1/controls", {}),
        ("DELETE", "/api/v1/controls/*", "/api/v1/controls/{scope}", {}),
        ("POST", f"{RUN}/approve", "/api/v1/runs/{id}/approve", {"json": SEEN}),
        ("POST", f"{RUN}/cancel", "/api/v1/runs/{id}/cancel", {}),
        ("GET", f"{RUN}/verdicts", "/api/v1/runs/{id}/verdicts", {}),
        ("POST", f"{RUN}/override", "/api/v1/runs/{id}/override", {"json": OVERRIDE}),
        ("POST", "/api/v1/explain", "/api/v1/explain", {"data": payloads.notification()}),
        ("GET", "/api/v1/policy", "/api/v1/policy", {}),
        ("GET", "/api/v1/breakers", "/api/v1/breakers", {}),
        ("POST", f"{BREAKER}/reset", RESET, {"json": {"reason": "the image is fixed"}}),
        ("POST", f"{BREAKER}/reset", RESET, {"json": {}}),
        ("GET", "/api/v1/report", "/api/v1/report", {}),
        ("GET", "/api/v1/report?runbook=nobody", "/api/v1/report", {}),
        ("POST", "/-/reload", "/-/reload", {}),
        ("GET", "/-/healthy", "/-/healthy", {}),
        ("GET", "/-/ready", "/-/ready", {}),
        ("GET", "/api/v1/approvals?mine=1", "/api/v1/approvals", {}),
        ("GET", "/api/v1/me", "/api/v1/me", {}),
        (
            "POST",
            f"{RUN}/snooze",
            "/api/v1/runs/{id}/snooze",
            {"json": {**SEEN, "for": "30m"}},
        ),
        ("GET", "/api/v1/runs/gone", "/api/v1/runs/{id}", {}),
        ("GET", "/api/v1/runs?limit=0", "/api/v1/runs", {}),
    ],
)
async def test_answers_are_as_described(
    edge: Edge, method: str, path: str, template: str, options: dict[str, Any]
) -> None:
    document = await description(edge)
    await edge.ask("POST", "/api/v1/controls")  # so that there is one to list and to lift
    answer: Answer = await edge.ask(method, path, **options)
    operation = document["paths"][template][method.lower()]
    content = operation["responses"][str(answer.status)]["content"]
    described = content[answer.headers["Content-Type"].partition(";")[0]]["schema"]
    schema = json.loads(
        json.dumps({**described, "$defs": document["components"]["schemas"]}).replace(
            "#/components/schemas/", "#/$defs/"
        )
    )
    jsonschema.Draft202012Validator(schema).validate(answer.json)
