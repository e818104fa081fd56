"""Proves `remediator notify`: what is configured is listed, and a test note arrives and is closed
again, or says why it did not."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.cli.commands import remediator
from tests.notify import grafana_server, pagerduty_server, webhook_receiver


@pytest_asyncio.fixture
async def pager() -> AsyncIterator[pagerduty_server.PagerDuty]:
    server = await pagerduty_server.PagerDuty().start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[webhook_receiver.Receiver]:
    server = await webhook_receiver.Receiver().start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def grafana() -> AsyncIterator[grafana_server.Grafana]:
    server = await grafana_server.Grafana().start()
    yield server
    await server.stop()


@pytest.fixture
def config(
    tmp_path: Path,
    pager: pagerduty_server.PagerDuty,
    receiver: webhook_receiver.Receiver,
    grafana: grafana_server.Grafana,
) -> Path:
    for name, secret in (
        ("pagerduty", pager.routing_key),
        ("webhook", receiver.secret),
        ("grafana", grafana_server.TOKEN),
    ):
        (tmp_path / name).write_text(secret)
    file = tmp_path / "remediator.yaml"
    file.write_text(
        f"""\
pagerduty: {{routing_key_file: {tmp_path}/pagerduty, api_url: {pager.url}}}
webhooks:
  ops: {{url: "{receiver.url}/hook/x", secret_file: {tmp_path}/webhook}}
grafana: {{url: "{grafana.url}", token_file: {tmp_path}/grafana}}
escalate_to: [webhook:ops, {{after: 10m, to: pagerduty}}]
"""
    )
    return file


async def run(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(remediator, "notify", *arguments, "--config", str(config))


async def test_a_test_note_arrives_everywhere_and_is_closed_again(
    config: Path,
    pager: pagerduty_server.PagerDuty,
    receiver: webhook_receiver.Receiver,
    grafana: grafana_server.Grafana,
) -> None:
    tried = await run(config, "test")
    assert (tried.returncode, tried.stderr) == (0, "")
    assert tried.stdout == "grafana: delivered\npagerduty: delivered\nwebhook:ops: delivered\n"
    (alert,) = pager.alerts.values()
    assert (alert.open, "a test of remediator" in alert.summary) == (False, True)
    assert len(receiver.taken) == 2
    assert len(grafana.annotations) == 1


async def test_a_pager_may_be_left_open(config: Path, pager: pagerduty_server.PagerDuty) -> None:
    await run(config, "test", "pagerduty", "--leave-open")
    (alert,) = pager.alerts.values()
    assert alert.open


async def test_what_can_not_be_told_says_why(
    config: Path, receiver: webhook_receiver.Receiver
) -> None:
    receiver.fail_with = 503
    tried = await run(config, "test", "webhook:ops")
    assert tried.returncode == 1
    assert tried.stderr == ("webhook:ops: not delivered: webhook ops (127.0.0.1): HTTP 503\n")
    unknown = await run(config, "test", "slack")
    assert "slack is not configured; these are: grafana, pagerduty, webhook:ops" in unknown.stderr


async def test_the_list(config: Path) -> None:
    told = json.loads((await run(config, "list", "-o", "json")).stdout)["items"]
    assert told == [
        {"name": "grafana", "told": "everything", "calls_people": False},
        {"name": "pagerduty", "told": "escalations", "calls_people": True},
        {"name": "webhook:ops", "told": "everything", "calls_people": True},
    ]
    shown = (await run(config, "list")).stdout
    assert "webhook:ops" in shown


def test_nobody_is_called_through_a_graph(config: Path) -> None:
    config.write_text(config.read_text().replace("to: pagerduty", "to: grafana"))
    refused = remediator("notify", "list", "--config", str(config))
    assert refused.returncode == 1
    assert "escalate_to: 'grafana' is not configured, or reaches nobody" in refused.stderr
