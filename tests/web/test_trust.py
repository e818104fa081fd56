"""Proves over a real socket what the API says about verdicts, overrides and the report."""

from collections.abc import AsyncIterator

import pytest

from remediator.model.overrides import GrantOutcome

from . import payloads
from .edge import Edge, listening, problem

RUN = "/api/v1/runs/run-1"
WANTED = {"guardrail": "cooldown", "reason": "customers wait"}


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with listening() as started:
        yield started


async def test_every_verdict_of_a_run_is_shown_allows_too(edge: Edge) -> None:
    shown = (await edge.ask("GET", f"{RUN}/verdicts")).json
    assert shown["run_id"] == "run-1"
    (step,) = shown["steps"]
    assert [(v["rule"], v["ruling"]) for v in step["verdicts"]] == [
        ("scope", "allow"),
        ("cooldown", "refuse"),
    ]
    assert step["plan"] == "deployment shop/api: replicas 4 → 6"
    assert shown["overrides"][0]["reason"] == "customers wait"
    problem(await edge.ask("GET", "/api/v1/runs/gone/verdicts"), 404)


async def test_an_override_names_who_and_why(edge: Edge) -> None:
    answer = await edge.ask("POST", f"{RUN}/override", json=WANTED)
    assert answer.status == 201
    assert answer.headers["Location"] == RUN
    assert (answer.json["outcome"], answer.json["override"]["by"]) == ("started", "api:ann")
    assert edge.backend.trust.wanted == [("run-1", "cooldown", "local", "customers wait", "api")]
    edge.backend.trust.outcome = GrantOutcome.GRANTED
    assert (await edge.ask("POST", f"{RUN}/override", json=WANTED)).status == 200


@pytest.mark.parametrize(
    "outcome",
    [GrantOutcome.NOT_REFUSED, GrantOutcome.OVER, GrantOutcome.BUSY, GrantOutcome.REPEATED],
)
async def test_what_there_is_nothing_to_override_conflicts(
    edge: Edge, outcome: GrantOutcome
) -> None:
    edge.backend.trust.outcome = outcome
    document = problem(await edge.ask("POST", f"{RUN}/override", json=WANTED), 409)
    assert document["outcome"] == outcome.value


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"guardrail": "cooldown"}, "reason"),
        ({"guardrail": "cooldown", "reason": ""}, "reason"),
        ({"reason": "why"}, "guardrail"),
        ({**WANTED, "guardrail": "scope"}, "guardrail"),
        ({**WANTED, "for": "1h"}, "for"),
    ],
)
async def test_wrong_overrides_are_refused(edge: Edge, asked: dict[str, str], field: str) -> None:
    document = problem(await edge.ask("POST", f"{RUN}/override", json=asked), 400)
    assert document["field"] == field
    assert edge.backend.trust.wanted == []
    problem(await edge.ask("POST", "/api/v1/runs/gone/override", json=WANTED), 404)


async def test_an_alert_is_explained(edge: Edge) -> None:
    answer = await edge.ask("POST", "/api/v1/explain", data=payloads.notification())
    (alert,) = answer.json["alerts"]
    assert alert["passed"] == [{"runbook": "latency", "why": "it wants another alert"}]
    problem(await edge.ask("POST", "/api/v1/explain", data=b"{}"), 400)


async def test_the_report(edge: Edge) -> None:
    found = (await edge.ask("GET", "/api/v1/report?since=7d")).json
    assert (found["since"], found["until"]) == (
        *("2026-11-17T12:00:00.000000Z", "2026-11-24T12:00:00.000000Z"),
    )
    gone, latency = found["items"]
    assert (gone["refused"], gone["trust"], gone["mean_time_s"]) == ({"cooldown": 2}, None, None)
    assert (latency["helped"], latency["mean_time_s"]) == (3, 240.0)
    assert latency["trust"]["proposal"] == {
        "to": "auto",
        "met": False,
        "bars": [{"text": "3 of 10 approved runs within 30d", "met": False}],
    }
    one = (await edge.ask("GET", "/api/v1/report?runbook=latency")).json
    assert [line["runbook"] for line in one["items"]] == ["latency"]


@pytest.mark.parametrize(
    ("query", "field"), [("since=7", "since"), ("since=400d", "since"), ("sinc=7d", "sinc")]
)
async def test_wrong_spans_are_refused(edge: Edge, query: str, field: str) -> None:
    document = problem(await edge.ask("GET", f"/api/v1/report?{query}"), 400)
    assert document["field"] == field


async def test_failure_breakers_are_listed_and_reset(edge: Edge) -> None:
    listed = (await edge.ask("GET", "/api/v1/breakers")).json["items"]
    assert [(one["runbook"], one["state"]) for one in listed] == [
        ("bad-release", "closed"),
        ("latency", "open"),
    ]
    assert listed[1]["reset"]["reason"] == "the image is fixed"
    path, why = "/api/v1/breakers/{}/reset", {"reason": "the image is fixed"}
    done = await edge.ask("POST", path.format("latency"), json=why)
    assert done.json == {"runbook": "latency", "outcome": "reset"}
    assert edge.backend.trust.wanted[-1] == ("latency", "reset", "local", why["reason"], "api")
    problem(await edge.ask("POST", path.format("bad-release"), json=why), 409)
    assert problem(await edge.ask("POST", path.format("nobody"), json=why), 400)["field"] == (
        "runbook"
    )
    assert problem(await edge.ask("POST", path.format("latency"), json={}), 400)["field"] == (
        "reason"
    )
