"""Proves that an escalation pages once for each run through Opsgenie, and what follows on its
alert; against an Opsgenie with the documented rules that carries requests out later."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from remediator.clients.opsgenie import OpsgenieClient
from remediator.model.plans import Change
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.views import Acknowledgement, NoteKind
from remediator.notify.opsgenie import Opsgenie
from remediator.plugin.notifier import Refused, Undelivered
from remediator.settings import OpsgenieSettings
from tests.notify import opsgenie_server, views
from tests.notify.channel import Channel, opened
from tests.notify.views import RUN_ID, T0, note, plan, step

ALIAS = f"remediator-{RUN_ID}"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[opsgenie_server.Opsgenie]:
    server = await opsgenie_server.Opsgenie().start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def channel(server: opsgenie_server.Opsgenie) -> AsyncIterator[Channel]:
    async with opened(Opsgenie(), client(server)) as channel:
        yield channel


def client(server: opsgenie_server.Opsgenie, **changes: Any) -> OpsgenieClient:
    given = {"api_key": SecretStr(server.api_key), "api_url": server.url, "teams": ("sre",)}
    return OpsgenieClient(OpsgenieSettings(**{**given, **changes}))


async def test_an_escalation_opens_an_alert(
    server: opsgenie_server.Opsgenie, channel: Channel
) -> None:
    server.slow = 1
    await channel.page()
    created = server.alerts[ALIAS].created
    assert created["message"] == "api-latency failed: not healthy"
    assert created["responders"] == [{"type": "team", "name": "sre"}]
    assert created["priority"] == "P1"
    assert created["entity"] == "deployment shop/api"
    assert created["details"]["label_alertname"] == "HighLatency"
    assert "plan: deployment shop/api: spec.replicas: 4 → 6" in created["description"]
    assert f"remediator runs ack {RUN_ID}" in created["description"]


async def test_a_second_escalation_is_a_note_on_the_open_alert(
    server: opsgenie_server.Opsgenie, channel: Channel
) -> None:
    await channel.page()
    await channel.page("undo failed as well")
    assert (server.alerts[ALIAS].count, server.alerts[ALIAS].notes) == (2, ["undo failed as well"])


async def test_it_is_acknowledged_and_closed_with_the_run(
    server: opsgenie_server.Opsgenie, channel: Channel
) -> None:
    await channel.page()
    seen = views.view(RunState.FAILED, acknowledged=Acknowledgement("api:al", T0))
    await channel.tell(note(NoteKind.ACKNOWLEDGED, "Acknowledged by api:al"), seen)
    assert server.alerts[ALIAS].acknowledged_by == "api:al"
    assert server.alerts[ALIAS].open
    await channel.state(RunState.SUCCEEDED, reason=Reason.VERIFIED)
    assert not server.alerts[ALIAS].open
    asked = len(server.asked)
    await channel.state(RunState.SUCCEEDED, reason=Reason.VERIFIED)
    assert len(server.asked) == asked, "closed once"


async def test_the_alert_clearing_later_closes_it(
    server: opsgenie_server.Opsgenie, channel: Channel
) -> None:
    await channel.page()
    await channel.tell(note(NoteKind.CLEARED), views.view(RunState.FAILED))
    assert not server.alerts[ALIAS].open


async def test_an_alert_that_somebody_closed_there_is_no_error(
    server: opsgenie_server.Opsgenie, channel: Channel
) -> None:
    await channel.page()
    server.alerts[ALIAS].open = False
    assert await channel.state(RunState.SUCCEEDED) == {"alias": ALIAS, "open": False}


async def test_a_lost_answer_pages_nobody_twice(
    server: opsgenie_server.Opsgenie, channel: Channel
) -> None:
    server.lose_answers = 1
    with pytest.raises(Undelivered):
        await channel.page()
    await channel.page()
    assert (list(server.alerts), server.alerts[ALIAS].count) == ([ALIAS], 2)


@pytest.mark.parametrize(("status", "after_s"), [(429, 30), (500, None), (503, None)])
async def test_an_outage_is_undelivered_and_over_when_it_is(
    server: opsgenie_server.Opsgenie, channel: Channel, status: int, after_s: int | None
) -> None:
    server.fail_with, server.retry_after_s = status, after_s
    with pytest.raises(Undelivered, match=str(status)) as caught:
        await channel.page()
    assert caught.value.after == (timedelta(seconds=after_s) if after_s else None)
    server.fail_with = None
    await channel.page()
    assert server.alerts[ALIAS].open


async def test_a_wrong_key_lets_the_next_be_called_and_is_not_shown(
    server: opsgenie_server.Opsgenie,
) -> None:
    wrong = client(server, api_key=SecretStr("wr0ng-key-of-an-integration"))
    async with opened(Opsgenie(), wrong) as channel:
        with pytest.raises(Refused, match="401") as caught:
            await channel.page()
    assert "wr0ng" not in str(caught.value)
    assert "***" in str(caught.value)


async def test_a_huge_run_keeps_the_limits(
    server: opsgenie_server.Opsgenie, channel: Channel
) -> None:
    changes = tuple(Change(f"spec.{n}", "a" * 5000, "b" * 5000) for n in range(500))
    huge = views.view(
        RunState.FAILED,
        steps=tuple(step(n, plan=plan(changes=changes)) for n in range(30)),
        labels={f"label{n}": "v" * 20_000 for n in range(200)},
        run={"target": "t" * 9000, "message": "m" * 9000, "runbook": "r" * 63},
    )
    await channel.tell(note(NoteKind.ESCALATION, "no " * 1000), huge)
    assert len(server.alerts[ALIAS].created["message"]) == 130
