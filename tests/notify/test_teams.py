"""Proves what a Teams channel shows of a run, that foreign text can't style or forge, and that
cards keep the limit; against a workflow that refuses what Adaptive Cards do not know."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from pydantic import SecretStr

from remediator.clients.teams import TeamsClient
from remediator.model.plans import Change
from remediator.model.runs import RunState
from remediator.model.storms import Storm
from remediator.model.views import NoteKind
from remediator.notify import teams
from remediator.plugin.notifier import Refused, Undelivered
from remediator.settings import TeamsSettings
from tests.notify import teams_server, views
from tests.notify.channel import Channel, opened
from tests.notify.views import RUN_ID, T0, note, plan, step


@pytest_asyncio.fixture
async def server() -> AsyncIterator[teams_server.Teams]:
    server = await teams_server.Teams().start()
    yield server
    await server.stop()


@pytest_asyncio.fixture
async def channel(server: teams_server.Teams) -> AsyncIterator[Channel]:
    client = TeamsClient(TeamsSettings(url=SecretStr(server.address)))
    async with opened(teams.Teams(), client) as channel:
        yield channel


async def test_a_question_says_what_would_change_and_how_to_answer(
    server: teams_server.Teams, channel: Channel
) -> None:
    await channel.tell(note(NoteKind.APPROVAL, "asks for approval"), views.view())
    shown = server.text()
    assert "api-latency-scale-out: asks for approval" in shown
    assert "deployment shop/api: spec.replicas: 4 → 6" in shown
    assert "way back: replicas 6 → 4" in shown
    assert f"remediator approve {RUN_ID}" in shown
    assert [one["title"] for one in server.cards[0]["actions"]] == ["alert", "dashboard"]


async def test_only_what_matters_is_a_card_of_its_own(
    server: teams_server.Teams, channel: Channel
) -> None:
    await channel.tell(note(NoteKind.STEP, "scaled"), views.view(RunState.APPLYING))
    await channel.state(RunState.VERIFYING)
    assert server.cards == []
    await channel.page()
    await channel.state(RunState.SUCCEEDED)
    assert len(server.cards) == 2


async def test_an_end_that_says_what_the_call_said_is_no_second_card(
    server: teams_server.Teams, channel: Channel
) -> None:
    ended = views.view(RunState.ROLLED_BACK, run={"message": "it did not help"})
    await channel.tell(note(NoteKind.ESCALATION, "api failed: it did not help"), ended)
    await channel.tell(note(NoteKind.STATE, "it did not help"), ended)
    assert len(server.cards) == 1


async def test_foreign_text_is_shown_and_never_styled(
    server: teams_server.Teams, channel: Channel
) -> None:
    evil = "[click](https://evil.example) **all fine** <at>everyone</at>\n# done"
    forged = views.view(RunState.FAILED, labels={"alertname": evil}, run={"message": evil})
    await channel.tell(note(NoteKind.ESCALATION, evil), forged)
    # TextBlock and Fact read Markdown; TextRun shows what stands there.
    runs = [run for element in server.cards[0]["body"] for run in element["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    shown = "[click](https://evil.example) **all fine** <at>everyone</at>⏎# done"
    assert f"alertname: {shown}" in server.text()
    assert "\n" not in server.cards[0]["fallbackText"]


async def test_a_huge_run_fits(server: teams_server.Teams, channel: Channel) -> None:
    changes = tuple(Change(f"spec.{n}", "ä" * 5000, "ö" * 5000) for n in range(500))
    huge = views.view(
        RunState.FAILED,
        steps=tuple(step(n, plan=plan(changes=changes)) for n in range(30)),
        labels={f"label{n}": "*" * 20_000 for n in range(200)},
        run={"target": "t" * 9000, "message": "m" * 9000},
        links={f"l{n}": "https://x.example/" + "p" * 1900 for n in range(9)},
    )
    await channel.tell(note(NoteKind.ESCALATION, "ü" * 5000), huge)
    assert "more changes" in server.text()


@pytest.mark.parametrize(("status", "after_s"), [(429, 30), (502, None)])
async def test_an_outage_is_undelivered(
    server: teams_server.Teams, channel: Channel, status: int, after_s: int | None
) -> None:
    server.fail_with, server.retry_after_s = status, after_s
    with pytest.raises(Undelivered, match=str(status)) as caught:
        await channel.page()
    assert caught.value.after == (timedelta(seconds=after_s) if after_s else None)
    server.fail_with = None
    await channel.page()
    assert len(server.cards) == 1


async def test_the_address_is_a_secret(server: teams_server.Teams) -> None:
    wrong = server.address.replace("sig=s1g", "sig=wr0ng")
    async with opened(teams.Teams(), TeamsClient(TeamsSettings(url=SecretStr(wrong)))) as channel:
        with pytest.raises(Refused, match="401") as caught:
            await channel.page()  # the next of the chain is called at once
        with pytest.raises(Undelivered) as waiting:
            await channel.state(RunState.SUCCEEDED)  # what calls nobody waits for the operator
    assert waiting.value.after == timedelta(minutes=1)
    await server.stop()
    async with opened(teams.Teams(), TeamsClient(TeamsSettings(url=SecretStr(wrong)))) as channel:
        with pytest.raises(Undelivered, match="no connection") as down:
            await channel.page()
    assert not any(
        "wr0ng" in str(one) or "workflows" in str(one) for one in (caught.value, down.value)
    )


async def test_a_storm_is_a_card(server: teams_server.Teams, channel: Channel) -> None:
    one = Storm(
        id="s1",
        place="",
        began_at=T0,
        closed_at=T0,
        by_state={RunState.SUCCEEDED: 300},
        by_runbook={"**bold**": 300},
        first=(),
    )
    await channel.notifier.announce_storm(one, None, channel.context)
    assert "the storm is over: 300 runs" in server.text()
    assert "300 × **bold**" in server.text()
