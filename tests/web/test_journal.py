"""Proves the edge over the real SQLite journal: what is posted is committed when 200 is answered,
is listed page by page with the contract's names, and stands in the audit chain with who did it."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.journal.opening import open_journal
from remediator.journal.protocol import Journal
from remediator.journal.values import Candidate, Intake, Opening, Receipt, RunbookRecord, RunStart
from remediator.model.history import Control
from remediator.model.runs import Trigger
from remediator.sources.alertmanager import Alertmanager
from remediator.web.services import Services

from .edge import TOKENS, Edge, serving
from .payloads import notification
from .services import NOW, AnswerDesk, Backend, FixedClock, Records

PATH = "/webhook/alertmanager"


class JournalIntake:
    """Parses, starts one run for each firing alert, commits."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def receive(
        self, sender: str, source: str, body: bytes, received_at: datetime
    ) -> Receipt:
        start = RunStart("latency", "v1", Trigger.FIRING, NOW, {"alert": {}})
        return await self._journal.take(
            Intake(
                sender=sender,
                source=source,
                received_at=received_at,
                body=body,
                truncated=0,
                candidates=tuple(
                    Candidate(alert, on_firing=(start,))
                    for alert in Alertmanager().parse(body).alerts
                ),
            )
        )


class JournalDesk(AnswerDesk):
    """Sets and lifts kill switches in the journal."""

    def __init__(self, records: Records, journal: Journal) -> None:
        super().__init__(records)
        self._journal = journal

    async def pause(
        self, scope: str, *, actor: str, reason: str, for_: timedelta | None, via: str
    ) -> str:
        await self._journal.pause(Control(scope, actor, reason, NOW, NOW + for_ if for_ else None))
        return f"{scope} is paused."

    async def unpause(self, scope: str, *, actor: str, via: str) -> str:
        return "lifted" if await self._journal.unpause(scope, by=actor, at=NOW) else "it was not"


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    opening = Opening(node="test")
    journal = await open_journal(f"sqlite:///{tmp_path / 'j.db'}", FixedClock(), opening)
    try:
        await journal.register(
            [RunbookRecord("v1", "latency", "latency.yaml", "name: latency", "scales", "shop", {})]
        )
        backend = Backend()
        services: Services = dataclasses.replace(
            backend.services(),
            journal=journal,
            intake=JournalIntake(journal),
            desk=JournalDesk(backend.records, journal),
        )
        async with serving(services, backend, api=TOKENS) as started:
            yield started
    finally:
        await journal.close()


async def test_what_is_answered_200_is_listed(edge: Edge) -> None:
    answer = await edge.ask("POST", PATH, data=notification(5))
    assert answer.json["alerts"] == {"opened": 5}
    assert len(answer.json["runs_started"]) == 5
    again = await edge.ask("POST", PATH, data=notification(5))
    assert again.json["alerts"] == {"refreshed": 5}
    assert again.json["runs_started"] == []

    seen: list[str] = []
    cursor = ""
    while True:
        page = await edge.ask("GET", f"/api/v1/runs?limit=2{cursor}", token="viewer-token")
        seen += [run["id"] for run in page.json["items"]]
        if page.json["next"] is None:
            break
        cursor = f"&cursor={page.json['next']}"
    assert sorted(seen) == sorted(answer.json["runs_started"])
    assert len(set(seen)) == 5

    shown = await edge.ask("GET", f"/api/v1/runs/{seen[0]}", token="viewer-token")
    assert shown.json["state"] == "pending"
    assert shown.json["description"] == "scales"
    incident = shown.json["incident"]
    listed = await edge.ask("GET", "/api/v1/incidents?status=open", token="viewer-token")
    assert incident in listed.json["items"]
    assert incident["labels"]["alertname"] == "HighLatency"
    one = await edge.ask("GET", f"/api/v1/incidents/{incident['id']}", token="viewer-token")
    assert one.json == incident


async def test_a_cursor_that_is_none_gives_no_error_500(edge: Edge) -> None:
    for path in ("/api/v1/runs", "/api/v1/incidents", "/api/v1/audit"):
        answer = await edge.ask("GET", f"{path}?cursor=zzzz", token="viewer-token")
        assert answer.status in (200, 400)


async def test_the_audit_says_who_paused(edge: Edge) -> None:
    asked = {"scope": "scope:shop", "reason": "release", "for": "1h"}
    made = await edge.ask("POST", "/api/v1/controls", token="operator-token", json=asked)
    assert made.status == 200
    listed = await edge.ask("GET", "/api/v1/controls", token="viewer-token")
    assert listed.json["items"] == [made.json]
    lifted = await edge.ask("DELETE", "/api/v1/controls/scope:shop", token="operator-token")
    assert lifted.status == 200
    audit = await edge.ask("GET", "/api/v1/audit", token="viewer-token")
    actors = [record["actor"] for record in audit.json["items"]]
    assert actors.count("api:olga") == 2
    hashes = [record["hash"] for record in audit.json["items"]]
    assert [record["previous"] for record in audit.json["items"]][1:] == hashes[:-1]


async def test_the_backlog_is_in_the_metrics(edge: Edge) -> None:
    await edge.ask("POST", PATH, data=notification(3))
    page = (await edge.ask("GET", "/metrics", token="viewer-token")).body.decode()
    assert 'remediator_runs{state="pending"} 3.0' in page
    assert "remediator_incidents_open 3.0" in page


async def test_20_000_alerts_are_committed_in_one_request(edge: Edge) -> None:
    began = datetime.now(UTC)
    answer = await edge.ask("POST", PATH, data=notification(20_000, "x" * 800))
    assert answer.status == 200
    assert answer.json["alerts"] == {"opened": 20_000}
    assert answer.json["started"] == 20_000
    assert len(answer.body) < 10_000
    assert datetime.now(UTC) - began < timedelta(seconds=60)
