"""Proves that a storm of runs is one message: that it counts, that people are called once and can
answer, that nothing is lost at its end or in a restart, and that other channels notice nothing. A
real journal, a loopback Slack, a clock that the test moves.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from remediator.clients.slack.client import SlackClient
from remediator.journal.protocol import Journal
from remediator.model.reasons import Reason
from remediator.model.runs import RunState
from remediator.model.views import Note, NoteKind
from remediator.notify.slack.notifier import Slack as SlackNotifier
from remediator.settings import SlackRoute
from tests.journal import factories as make
from tests.slack.conftest import settings
from tests.slack.server import Slack
from tests.slack.test_delivery import Desk
from tests.slack.workspace import Message

_RUNS = 40
_APART_S = int(SlackNotifier.storm.apart.total_seconds()) if SlackNotifier.storm else 0
_OVER_S = int(SlackNotifier.storm.over_after.total_seconds()) if SlackNotifier.storm else 0


@pytest.fixture
async def desk(slack: Slack, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(slack, tmp_path)
    slack.limit(None)
    yield made
    slack.answer()
    await made.crash()
    await made.client.close()


async def storm(desk: Desk, count: int = _RUNS, *, kind: NoteKind = NoteKind.STATE) -> Message:
    """Let a storm come, and return its message."""
    await desk.open()
    for number in range(count):
        await desk.note(f"run-{number}", "began", kind=kind)
    desk.start()
    await desk.pass_(2)
    return the_message(desk)


def the_message(desk: Desk) -> Message:
    """Return the one message of the storm."""
    (found,) = [m for m in desk.channel.messages if "torm" in m.words]
    return found


async def ask(desk: Desk, name: str) -> None:
    """Let a run ask for approval."""
    run = desk.runs[name]
    desk.runs[name] = await make.move(
        cast(Journal, desk.journal),
        run,
        RunState.PLANNING,
        RunState.AWAITING_APPROVAL,
        reason=Reason.MODE_APPROVE,
        ask=make.question(run, id_=f"asks-{name}"),
        wake_at=make.after(minutes=30),
        release=True,
        notes=(Note(NoteKind.APPROVAL, run.id, f"{name} asks", desk.clock.now()),),
    )


async def test_many_runs_at_once_share_one_message(desk: Desk) -> None:
    message = await storm(desk)
    await desk.pass_(_APART_S)

    assert len(desk.channel.messages) == 1
    for expected in (f"Storm: {_RUNS} runs", f"*{_RUNS}* scale-out", "… and 30 more"):
        assert expected in message.words, expected
    assert await desk.waiting() == 0


async def test_few_runs_have_a_message_each(desk: Desk) -> None:
    await desk.open()
    for number in range(10):
        await desk.note(f"run-{number}", "began")
    desk.start()
    await desk.pass_(12)

    assert len(desk.channel.messages) == 10
    assert all("torm" not in m.words for m in desk.channel.messages)


async def test_those_that_come_over_a_minute_share_from_the_eleventh_on(desk: Desk) -> None:
    await desk.open()
    desk.start()
    for number in range(14):
        await desk.note(f"run-{number}", "began")
        await desk.pass_(3)

    alone = [m for m in desk.channel.messages if "torm" not in m.words]
    assert len(alone) == 10
    assert "Storm: 4 runs" in the_message(desk).words


async def test_its_message_is_edited_at_a_bounded_pace(desk: Desk) -> None:
    message = await storm(desk)
    before = message.edits
    for number in range(20):
        await desk.note(f"run-{number}", "went on")
        await desk.pass_(1)

    assert 1 <= message.edits - before <= 20 // _APART_S + 1
    assert len(desk.channel.everything) == 1, "and nothing is written into its thread"


async def test_what_waits_for_a_person_is_counted_called_for_once_and_can_be_seen(
    desk: Desk,
) -> None:
    message = await storm(desk)
    for number in range(5):
        await ask(desk, f"run-{number}")
    await desk.pass_(3 * _APART_S)

    assert "*5* approval needed" in message.words
    assert message.button("Show what waits")["value"]
    rung = [m.words for m in desk.channel.messages if m.broadcast]
    assert rung == ["✋ 5 runs wait for a person"]
    assert len([m for m in desk.channel.messages if not m.broadcast]) == 1


async def test_an_escalation_rings_at_once_though_the_storm_goes_on(desk: Desk) -> None:
    message = await storm(desk)
    await desk.note("run-7", "run-7 failed: look", kind=NoteKind.ESCALATION)
    await desk.pass_(_APART_S + 1)

    assert "*1* called a person" in message.words
    assert [m.words for m in desk.channel.messages if m.broadcast] == [
        "✋ 1 run waits for a person"
    ]


async def test_when_it_is_over_what_needs_a_person_has_its_own_message(desk: Desk) -> None:
    message = await storm(desk)
    for number in range(12):
        await ask(desk, f"run-{number}")
    await desk.note("run-20", "run-20 failed: look", kind=NoteKind.ESCALATION)
    await desk.pass_(_OVER_S + 2 * _APART_S + 20)

    alone = [m for m in desk.channel.messages if m is not message and not m.broadcast]
    assert len(alone) == 13, "though they are more than make a storm"
    assert [m.button("Approve")["value"] for m in alone if m.buttons and "✋" in m.text][:1]
    assert any("run-20 failed: look" in m.words for m in alone)
    assert "The storm is over: 40 runs" in message.words
    assert await desk.waiting() == 0


async def test_after_a_storm_nobody_is_called_again_for_what_it_called_for(desk: Desk) -> None:
    ringing = settings(desk.slack, mention=("slack:U0ANNA",))
    desk.client = SlackClient(ringing, monotonic=desk.clock.monotonic)
    message = await storm(desk)
    for number in range(3):
        await ask(desk, f"run-{number}")
    await desk.note("run-20", "run-20 failed: look", kind=NoteKind.ESCALATION)
    await desk.pass_(_OVER_S + 2 * _APART_S + 20)

    alone = [m for m in desk.channel.messages if m is not message and not m.broadcast]
    asked = [m for m in alone if m.buttons and "run-20" not in m.words]
    assert len(asked) == 3
    assert not any("@U0ANNA" in m.words for m in asked), "the storm's message called them"
    rung = [m for m in desk.channel.messages if m.broadcast and "@U0ANNA" in m.words]
    assert [m.words for m in rung] == ["✋ 4 runs wait for a person @U0ANNA"]


async def test_a_storm_survives_a_crash(desk: Desk) -> None:
    message = await storm(desk)
    await ask(desk, "run-0")
    await desk.crash()
    await desk.client.close()
    desk.client = SlackClient(settings(desk.slack), monotonic=desk.clock.monotonic)

    await desk.open()
    for number in range(_RUNS, _RUNS + 5):
        await desk.note(f"run-{number}", "began")
    desk.start()
    await desk.pass_(2 * _APART_S)

    assert "Storm: 45 runs" in message.words
    assert [m for m in desk.channel.messages if not m.broadcast] == [message]
    await desk.pass_(_OVER_S + _APART_S)
    assert len([m for m in desk.channel.messages if not m.broadcast]) == 2


async def test_a_storms_message_whose_answer_was_lost_is_not_posted_again(desk: Desk) -> None:
    desk.slack.scopes.add("channels:history")
    await desk.open()
    for number in range(_RUNS):
        await desk.note(f"run-{number}", "began")
    desk.slack.slow(60, "chat.postMessage")
    desk.start()
    await desk.until(lambda: desk.channel.messages)
    await desk.crash()
    await desk.client.close()
    desk.slack.slow(0, "chat.postMessage")
    desk.client = SlackClient(settings(desk.slack), monotonic=desk.clock.monotonic)

    await desk.open()
    desk.start()
    await desk.pass_(2 * _APART_S)
    assert len(desk.channel.messages) == 1
    assert f"Storm: {_RUNS} runs" in the_message(desk).words


async def test_a_storm_in_one_channel_is_none_of_anothers_business(desk: Desk) -> None:
    desk.slack.add("C0PAYTEAM")
    route = SlackRoute(match=('deployment="pay"',), channel="C0PAYTEAM")
    await desk.client.close()
    desk.client = SlackClient(settings(desk.slack, routes=(route,)), monotonic=desk.clock.monotonic)
    await storm(desk)
    await desk.note("pay", "began")
    await desk.pass_(1)

    assert [m.channel for m in desk.slack.channel("C0PAYTEAM").messages] == ["C0PAYTEAM"]
    assert "torm" not in desk.slack.channel("C0PAYTEAM").messages[0].words
