"""Proves that an escalation pages once for each run, that a good end and only that resolves it,
and that an outage or a wrong key is told apart; against a PagerDuty with the documented rules.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from remediator.clients import errors
from remediator.clients.pagerduty import PagerDutyClient
from remediator.model.canonical import JSONObject
from remediator.model.plans import Change
from remediator.model.reasons import Reason
from remediator.model.runs import RunState, StepState
from remediator.model.views import Note, NoteKind, RunView
from remediator.notify import pagerduty, pagerduty_changes
from remediator.plugin import registry
from remediator.plugin.notifier import Refused, Undelivered
from remediator.settings import PagerDutySettings
from tests.notify import pagerduty_server, views
from tests.notify.context import GivenContext
from tests.notify.views import RUN_ID, T0, note, plan, step

KEY = f"remediator-{RUN_ID}"


@dataclass
class World:
    server: pagerduty_server.PagerDuty
    client: PagerDutyClient

    async def announce(
        self, given: Note, view: RunView, ref: JSONObject | None = None
    ) -> JSONObject | None:
        context = GivenContext({PagerDutyClient: self.client}, T0)
        return await pagerduty.PagerDuty().announce(given, view, ref, context)

    async def page(self, text: str = "api-latency failed: not healthy") -> JSONObject | None:
        failed = views.view(RunState.FAILED, run={"message": "not healthy"})
        return await self.announce(note(NoteKind.ESCALATION, text), failed)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    server = await pagerduty_server.PagerDuty().start()
    client = PagerDutyClient(
        PagerDutySettings(routing_key=SecretStr(server.routing_key), api_url=server.url)
    )
    try:
        yield World(server, client)
    finally:
        await client.close()
        await server.stop()


def test_is_found_as_a_pager() -> None:
    found = registry.load(["remediator.notify"], third_party=False).notifiers["pagerduty"]

    assert found.escalates


async def test_an_escalation_opens_an_alert_with_all_that_one_needs(world: World) -> None:
    ref = await world.page()

    alert = world.server.alerts[KEY]
    assert alert.summary == "api-latency failed: not healthy"
    assert alert.payload["severity"] == "critical"
    assert alert.payload["source"] == "deployment shop/api"
    assert alert.payload["timestamp"] == "2026-11-24T12:00:00+00:00"
    details = alert.payload["custom_details"]
    assert details["plan"] == ["deployment shop/api: spec.replicas: 4 → 6"]
    assert details["way_back"] == ["replicas 6 → 4"]
    assert details["labels"]["alertname"] == "HighLatency"
    assert details["look"] == f"remediator runs show {RUN_ID}"
    assert {link["text"] for link in alert.links} == {"alert", "dashboard"}
    assert ref == {"dedup_key": KEY, "open": True}


async def test_a_repeated_escalation_is_the_same_alert(world: World) -> None:
    await world.page()
    await world.page("undo failed as well")

    assert list(world.server.alerts) == [KEY]
    assert world.server.alerts[KEY].triggered == 2


@pytest.mark.parametrize(
    ("state", "reason", "resolved"),
    [
        (RunState.SUCCEEDED, Reason.VERIFIED, True),
        (RunState.CANCELLED, Reason.RESOLVED_BY_ITSELF, True),
        (RunState.CANCELLED, Reason.CANCELLED_BY_PERSON, False),
        (RunState.ROLLED_BACK, Reason.UNDONE, False),
        (RunState.FAILED, Reason.UNDO_FAILED, False),
        (RunState.APPLYING, Reason.RESUMED, False),
    ],
)
async def test_only_a_good_end_resolves(
    world: World, state: RunState, reason: Reason, resolved: bool
) -> None:
    ref = await world.page()

    after = await world.announce(note(), views.view(state, run={"reason": reason}), ref)

    assert world.server.alerts[KEY].open is not resolved
    assert after == {"dedup_key": KEY, "open": not resolved}


async def test_what_never_escalated_is_not_told(world: World) -> None:
    ref = await world.announce(note(), views.view(RunState.SUCCEEDED))

    assert ref is None
    assert world.server.events == []


async def test_a_huge_run_keeps_the_limits(world: World) -> None:
    changes = tuple(Change(f"spec.{n}", "a" * 5000, "b" * 5000) for n in range(500))
    steps = tuple(step(n, plan=plan(changes=changes)) for n in range(30))
    view = views.view(
        RunState.FAILED,
        steps=steps,
        labels={f"label{n}": "v" * 20_000 for n in range(200)},
        run={"target": "t" * 9000, "message": "m" * 9000},
        links={f"l{n}": "https://x.example/" + "p" * 300 for n in range(50)},
    )

    await world.announce(note(NoteKind.ESCALATION, "no " * 1000), view)

    alert = world.server.alerts[KEY]
    assert len(alert.summary) == 1024
    assert "characters)" in alert.summary
    assert len(alert.payload["custom_details"]["plan"]) == 20


@pytest.mark.parametrize(("status", "after_s"), [(429, 30), (500, None), (503, None)])
async def test_an_outage_is_undelivered(world: World, status: int, after_s: int | None) -> None:
    world.server.fail_with, world.server.retry_after_s = status, after_s

    with pytest.raises(Undelivered, match=str(status)) as caught:
        await world.page()

    assert caught.value.after == (timedelta(seconds=after_s) if after_s else None)
    world.server.fail_with = None
    await world.page()
    assert world.server.alerts[KEY].open


async def test_no_connection_is_undelivered(world: World) -> None:
    url = world.server.url
    await world.server.stop()
    settings = PagerDutySettings(routing_key=SecretStr("k" * 32), api_url=url)

    client = PagerDutyClient(settings)

    with pytest.raises(Undelivered, match="no connection"):
        await replace(world, client=client).page()

    await client.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"routing_key": SecretStr("short")}, "should be 32 characters"),
        ({"routing_key": SecretStr("f" * 32)}, "Invalid routing key"),
        ({"routing_key": None}, "set pagerduty.routing_key"),
        ({"api_url": "gopher:/nowhere"}, "no http or https URL"),
    ],
)
async def test_what_will_never_work_is_refused_and_says_why(
    world: World, settings: dict[str, Any], says: str
) -> None:
    given = {"routing_key": SecretStr(world.server.routing_key), "api_url": world.server.url}
    client = PagerDutyClient(PagerDutySettings(**{**given, **settings}))

    try:
        with pytest.raises(Refused, match=says) as caught:
            await replace(world, client=client).page()
    finally:
        await client.close()

    assert "f" * 32 not in str(caught.value)
    assert world.server.events == []


async def test_a_person_who_acts_acknowledges(world: World) -> None:
    failed = views.view(RunState.FAILED)
    await world.announce(note(NoteKind.ACKNOWLEDGED, "Acknowledged by api:al"), failed)
    assert world.server.events == []
    ref = await world.page()
    await world.announce(note(NoteKind.ACKNOWLEDGED, "Acknowledged by api:al"), failed, ref)
    assert world.server.alerts[KEY].acknowledged
    assert world.server.alerts[KEY].open


async def test_the_alert_clearing_after_the_end_resolves(world: World) -> None:
    ref = await world.page()
    await world.announce(note(NoteKind.CLEARED), views.view(RunState.FAILED), ref)
    assert not world.server.alerts[KEY].open


async def test_changes_are_told_once_and_page_nobody(world: World) -> None:
    context = GivenContext({PagerDutyClient: world.client}, T0)
    changes = pagerduty_changes.PagerDutyChanges()
    done = step(state=StepState.DONE, changed=True, started_at=T0, ended_at=T0)
    going = views.view(RunState.VERIFYING, steps=(done,))
    ref = await changes.announce(note(NoteKind.STEP), going, None, context)
    ref = await changes.announce(note(), going, ref, context)
    undone = views.view(RunState.UNDOING, steps=(replace(done, state=StepState.UNDONE),))
    ref = await changes.announce(note(NoteKind.STEP), undone, ref, context)
    assert [one["payload"]["summary"] for one in world.server.changes] == [
        f"remediator changed: {plan()}",
        f"remediator took back: {plan()}",
    ]
    assert world.server.alerts == {}


async def test_who_is_on_call_by_a_schedule(world: World) -> None:
    world.server.schedules = {"PSRE": [f"P{n:03}" for n in range(150)], "PDBA": ["PDBA1"]}
    client = _reading(world)
    try:
        assert await client.on_call("PDBA") == {"PDBA1"}
        assert len(await client.on_call("PSRE")) == 150
        assert await client.on_call("PNONE") == frozenset()
        world.server.fail_with = 503
        with pytest.raises(errors.Unavailable):
            await client.on_call("PSRE")
    finally:
        await client.close()


async def test_a_wrong_or_missing_token_is_no_empty_schedule(world: World) -> None:
    with pytest.raises(errors.Forbidden, match=r"pagerduty\.api_token"):
        await world.client.on_call("PSRE")
    client = _reading(world, "wr0ng-token")
    try:
        with pytest.raises(errors.Forbidden, match="401") as caught:
            await client.on_call("PSRE")
    finally:
        await client.close()
    assert "wr0ng" not in str(caught.value)


def _reading(world: World, token: str = pagerduty_server.API_TOKEN) -> PagerDutyClient:
    return PagerDutyClient(PagerDutySettings(api_token=SecretStr(token), rest_url=world.server.url))
