"""The whole of it with a real Alertmanager: a repair does not help, its noise is silenced
meanwhile, people are called in turn, one answers, and the alert's end closes what was opened."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from remediator import settings
from remediator.app import Daemon
from tests.notify import grafana_server, opsgenie_server, pagerduty_server, webhook_receiver
from tests.notify.mail_server import MailServer
from tests.servers.alertmanager import Alertmanager, webhook_config
from tests.servers.fixtures import AlertmanagerFactory
from tests.servers.process import free_port
from tests.servers.rest import request
from tests.servers.waiting import eventually_async

until: Callable[..., Awaitable[bool]] = eventually_async

TOOL = """\
#!/bin/sh
case "$1" in
  on) : > {folder}/on ;;
  off) rm -f {folder}/on ;;
  is-on) test -e {folder}/on ;;
esac
"""
CONFIG = """\
listen: 127.0.0.1:{port}
journal: sqlite:///{folder}/journal.db
runbooks: [{folder}/runbook.yaml]
policy: {{mode: auto, cooldown: 0s}}
exec: {{allow: ["{folder}/tool"], host: box}}
senders: {{default: {{alertmanager: ["{alertmanager}"], alertmanager_warmup: 0s}}}}
worker: {{poll: 100ms, hold: 200ms}}
reload_every: 1h
pagerduty: {{routing_key_file: {folder}/pagerduty, api_url: "{pagerduty}"}}
opsgenie: {{api_key_file: {folder}/opsgenie, api_url: "{opsgenie}"}}
grafana: {{url: "{grafana}", token_file: {folder}/grafana}}
webhooks: {{ops: {{url: "{webhook}/hook/x", secret_file: {folder}/webhook}}}}
email:
  {{host: 127.0.0.1, port: {mail}, security: none, from_address: r@x.example, to: [a@x.example]}}
"""
RUNBOOK = """\
name: turn-on
description: Turn the switch on.
match: ['alertname="Off"']
mode: auto
steps:
  - id: turn
    action: exec
    with:
      command: [{folder}/tool, "on"]
      plan_text: switch on
      check: [{folder}/tool, is-on]
      undo: [{folder}/tool, "off"]
      target: switch
verify: {{resolved_within: 2s}}
silence: {{match: ['alertname=~"Pod.*"'], equal: [item], for: 5m}}
on_failure:
  escalate: [email, {{after: 1s, to: pagerduty}}, {{after: 1h, to: opsgenie}}]
"""


class Whole:
    """A daemon with every channel, and the servers that it speaks to."""

    def __init__(self, alertmanager: Alertmanager) -> None:
        self.alertmanager = alertmanager
        self.pagerduty = pagerduty_server.PagerDuty()
        self.opsgenie = opsgenie_server.Opsgenie()
        self.grafana = grafana_server.Grafana()
        self.webhook = webhook_receiver.Receiver()
        self.mail = MailServer()

    def silences(self) -> list[dict[str, Any]]:
        """Alertmanager's, ended ones too."""
        found: list[dict[str, Any]] = request(
            "GET", f"{self.alertmanager.url}/api/v2/silences"
        ).json()
        return found

    def kinds(self) -> set[str]:
        """What the webhook was told."""
        return {one["type"] for one in self.webhook.taken.values()}


@pytest_asyncio.fixture
async def whole(
    alertmanager_factory: AlertmanagerFactory, tmp_path: Path
) -> AsyncIterator[tuple[Whole, str]]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    config = webhook_config(f"{url}/webhook/alertmanager")
    made = Whole(alertmanager_factory(config))
    async with AsyncExitStack() as stack:
        for server in (made.pagerduty, made.opsgenie, made.grafana, made.webhook, made.mail):
            await server.start()
            stack.push_async_callback(server.stop)
        secrets = {
            "pagerduty": made.pagerduty.routing_key,
            "opsgenie": made.opsgenie.api_key,
            "grafana": grafana_server.TOKEN,
            "webhook": made.webhook.secret,
            "tool": TOOL.format(folder=tmp_path),
            "runbook.yaml": RUNBOOK.format(folder=tmp_path),
            "config.yaml": CONFIG.format(
                port=port,
                folder=tmp_path,
                alertmanager=made.alertmanager.url,
                pagerduty=made.pagerduty.url,
                opsgenie=made.opsgenie.url,
                grafana=made.grafana.url,
                webhook=made.webhook.url,
                mail=made.mail.port,
            ),
        }
        for name, text in secrets.items():
            (tmp_path / name).write_text(text)
        (tmp_path / "tool").chmod(0o755)
        daemon = Daemon(settings.load(tmp_path / "config.yaml"))
        await daemon.start()
        stack.push_async_callback(daemon.stop)
        yield made, url


async def test_people_are_called_in_turn_and_everything_is_closed(
    whole: tuple[Whole, str],
) -> None:
    world, url = whole
    labels = {"alertname": "Off", "item": "lamp"}
    began = datetime.now(UTC)
    world.alertmanager.post_alerts([{"labels": labels, "startsAt": began.isoformat()}])

    await until(lambda: bool(world.silences()), what="the noise to be silenced")
    matchers = {m["name"]: m["value"] for m in world.silences()[0]["matchers"]}
    assert matchers == {"alertname": "Pod.*", "item": "lamp"}

    await until(lambda: bool(world.pagerduty.alerts), what="the pager's turn")
    assert [mail["Importance"] for mail in world.mail.inbox] == ["high"]
    (page,) = world.pagerduty.alerts.values()
    assert "turn-on did not help" in page.summary

    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/api/v1/runs") as answer:
            (run,) = json.loads(await answer.read())["items"]
        path = f"{url}/api/v1/runs/{run['id']}/acknowledge"
        async with session.post(path, json={"reason": "mine"}) as answer:
            assert answer.status == 200, await answer.text()
    await until(lambda: page.acknowledged, what="the pager to hear of it")

    ended = lambda: world.silences()[0]["status"]["state"] == "expired"  # noqa: E731 - a condition
    await until(ended, what="the silence to be removed")
    over = datetime.now(UTC) - timedelta(milliseconds=1)
    world.alertmanager.post_alerts(
        [{"labels": labels, "startsAt": began.isoformat(), "endsAt": over.isoformat()}]
    )
    await until(lambda: not page.open, what="the alert's end to resolve the page")
    assert world.opsgenie.alerts == {}, "whose turn was after somebody answered"
    marks = sorted(one["tags"][1] for one in world.grafana.annotations.values())
    assert marks == ["change", "undo"]
    await until(
        lambda: {"run.state", "run.step", "run.acknowledged"} <= world.kinds(),
        what="the webhook to be told",
    )
