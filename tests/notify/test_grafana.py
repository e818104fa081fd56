"""Proves that each change gets one annotation from its beginning to its end, and each undo one;
once, whatever is told twice; against a Grafana with its permissions."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from remediator.clients.grafana import GrafanaClient
from remediator.model.runs import RunState, StepState, Trigger
from remediator.model.views import NoteKind, RunView
from remediator.notify.grafana import Grafana
from remediator.plugin import registry
from remediator.plugin.notifier import Undelivered
from remediator.settings import GrafanaSettings
from tests.notify import grafana_server, views
from tests.notify.channel import Channel, opened
from tests.notify.views import RUN_ID, T0, note, step

T1 = T0 + timedelta(seconds=40)
T2 = T0 + timedelta(minutes=5)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[grafana_server.Grafana]:
    server = await grafana_server.Grafana().start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def channel(server: grafana_server.Grafana) -> AsyncIterator[Channel]:
    settings = GrafanaSettings(url=server.url, token=SecretStr(grafana_server.TOKEN))
    async with opened(Grafana(), GrafanaClient(settings)) as channel:
        yield channel


def going(state: StepState, **changes: Any) -> RunView:
    given = {"started_at": T0, "changed": state is not StepState.STARTED, **changes}
    return views.view(RunState.APPLYING, steps=(step(state=state, **given),))


def ms(at: Any) -> int:
    return int(at.timestamp() * 1000)


async def test_a_change_is_shown_from_its_beginning_to_its_end(
    server: grafana_server.Grafana, channel: Channel
) -> None:
    await channel.tell(note(), views.view(RunState.APPLYING))
    assert server.annotations == {}
    await channel.tell(note(), going(StepState.STARTED))
    assert (server.annotations[1]["time"], server.annotations[1]["timeEnd"]) == (ms(T0), ms(T0))
    await channel.tell(note(NoteKind.STEP), going(StepState.DONE, ended_at=T1))
    (shown,) = server.annotations.values()
    assert (shown["time"], shown["timeEnd"]) == (ms(T0), ms(T1))
    assert set(shown["tags"]) == {
        "remediator",
        "change",
        "runbook:api-latency-scale-out",
        "target:deployment shop/api",
        f"run:{RUN_ID}",
        "step:scale/1",
    }


async def test_an_undo_is_shown_beside_the_change(
    server: grafana_server.Grafana, channel: Channel
) -> None:
    await channel.tell(note(), going(StepState.DONE, ended_at=T1))
    await channel.tell(note(), going(StepState.UNDOING, ended_at=T1 + timedelta(seconds=5)))
    await channel.tell(note(), going(StepState.UNDONE, ended_at=T2))
    change, undo = server.annotations.values()
    assert (change["timeEnd"], "change" in change["tags"]) == (ms(T1), True)
    assert (undo["timeEnd"], "undo" in undo["tags"]) == (ms(T2), True)


async def test_an_undo_that_is_all_that_is_known_shows_the_change_too(
    server: grafana_server.Grafana, channel: Channel
) -> None:
    await channel.tell(note(), going(StepState.UNDONE, ended_at=T2))
    assert [one["time"] for one in server.annotations.values()] == [ms(T0), ms(T2)]


async def test_a_raised_limit_that_is_taken_back_is_one_undo(
    server: grafana_server.Grafana, channel: Channel
) -> None:
    for state in (StepState.DONE, StepState.UNDONE):
        going_back = going(state, ended_at=T2)
        run = replace(going_back.run, trigger=Trigger.EXPIRY)
        await channel.tell(note(), replace(going_back, run=run))
    (undo,) = server.annotations.values()
    assert "undo" in undo["tags"]


async def test_what_is_told_twice_is_shown_once(
    server: grafana_server.Grafana, channel: Channel
) -> None:
    done = going(StepState.DONE, ended_at=T1)
    await channel.tell(note(), done)
    channel.ref = None  # it crashed before the journal had it
    await channel.tell(note(), done)
    asked = len(server.asked)
    await channel.tell(note(), done)
    assert (len(server.annotations), len(server.asked)) == (1, asked)


async def test_one_that_somebody_deleted_comes_back(
    server: grafana_server.Grafana, channel: Channel
) -> None:
    await channel.tell(note(), going(StepState.STARTED))
    server.annotations.clear()
    await channel.tell(note(), going(StepState.DONE, ended_at=T1))
    assert [one["timeEnd"] for one in server.annotations.values()] == [ms(T1)]


async def test_foreign_text_is_no_html(server: grafana_server.Grafana, channel: Channel) -> None:
    evil = going(StepState.DONE, ended_at=T1, message="<img src=x onerror=alert(1)>")
    await channel.tell(note(), evil)
    assert "<img" not in server.annotations[1]["text"]


async def test_a_missing_permission_waits_for_the_operator_and_names_it(
    server: grafana_server.Grafana, channel: Channel
) -> None:
    server.permissions -= {"annotations:create"}
    with pytest.raises(Undelivered, match="annotations:create") as caught:
        await channel.tell(note(), going(StepState.STARTED))
    assert caught.value.after == timedelta(minutes=1)
    server.permissions |= {"annotations:create"}
    await channel.tell(note(), going(StepState.STARTED))
    assert len(server.annotations) == 1


def test_nobody_is_called_through_a_graph() -> None:
    found = registry.load(["remediator.notify"], third_party=False).notifiers
    assert not found["grafana"].reaches_people
    assert not found["pagerduty-changes"].reaches_people
