"""Proves that /metrics is a page that Prometheus and promtool accept, in both formats, that the
journal's backlog is read at the scrape, and that clients can't make labels grow."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.binaries import find

from .edge import Answer, Edge, listening
from .payloads import notification

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    async with listening() as started:
        yield started


def plain_families(answer: Answer) -> list[Metric]:
    return list(text_string_to_metric_families(answer.body.decode()))


async def samples(edge: Edge) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = await edge.ask("GET", "/metrics")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in plain_families(answer)
        for sample in family.samples
    }


async def test_both_formats_are_parsed(edge: Edge) -> None:
    await edge.ask("POST", "/webhook/alertmanager", data=notification())
    plain = await edge.ask("GET", "/metrics")
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    names = {f.name for f in plain_families(plain)}
    assert {"remediator_notifications", "remediator_build_info", "remediator_runs"} <= names
    open_ = await edge.ask("GET", "/metrics", headers=OPENMETRICS)
    assert open_.headers["Content-Type"].startswith("application/openmetrics-text")
    # The parser has no types.
    parsed = openmetrics_families(open_.body.decode())  # type: ignore[no-untyped-call]
    assert names == {f.name for f in parsed}


async def test_promtool_finds_nothing_wrong(edge: Edge) -> None:
    await edge.ask("POST", "/webhook/alertmanager", data=notification())
    page = (await edge.ask("GET", "/metrics")).body
    promtool = await asyncio.create_subprocess_exec(
        find("promtool"),
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await promtool.communicate(page)
    assert (promtool.returncode, said.decode()) == (0, "")


async def test_the_backlog_is_read_at_the_scrape(edge: Edge) -> None:
    found = await samples(edge)
    assert found["remediator_runs", frozenset({("state", "pending")})] == 3
    assert found["remediator_outbox_pending", frozenset({("notifier", "slack")})] == 2
    assert found["remediator_incidents_open", frozenset()] == 5
    assert found["remediator_journal_up", frozenset()] == 1


async def test_without_the_journal_the_other_metrics_are_there(edge: Edge) -> None:
    edge.backend.records.broken = True
    found = await samples(edge)
    assert found["remediator_journal_up", frozenset()] == 0
    assert ("process_cpu_seconds_total", frozenset()) in found


async def test_clients_do_not_make_labels(edge: Edge) -> None:
    await edge.ask("GET", "/invented/1")
    await edge.ask("BREW", "/invented/2")
    await edge.ask("POST", "/webhook/invented/3", data=b"")
    await edge.ask("GET", "/api/v1/runs/invented-4")
    found = await samples(edge)
    assert "invented" not in str(found)
    routes = {dict(labels)["route"] for name, labels in found if "http_request" in name}
    assert {"none", "/webhook/{source}/{sender}", "/api/v1/runs/{id}"} <= routes
    methods = {dict(labels)["method"] for name, labels in found if "http_request" in name}
    assert "BREW" not in methods
