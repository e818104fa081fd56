"""Proves that what Slack took, but whose answer was lost, is found and not told again, where the
app may read its channels; and that without that right it is told at least once. A real journal, a
loopback Slack whose answers are lost, a daemon that is killed.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from remediator.clients.slack.client import SlackClient
from tests.notify.views import T0, approved, note, view
from tests.slack.conftest import App, settings
from tests.slack.server import Slack
from tests.slack.test_delivery import Desk


@pytest.fixture
async def desk(slack: Slack, tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(slack, tmp_path)
    slack.limit(None)
    yield made
    slack.answer()
    await made.crash()
    await made.client.close()


async def killed_after_the_post(desk: Desk, posts: int) -> None:
    """Kill the daemon when Slack has taken so many posts, the last of whose answers never came."""
    desk.slack.slow(60, "chat.postMessage")
    desk.start()
    await desk.until(lambda: len(desk.channel.everything) == posts)
    await desk.crash()
    await desk.client.close()
    desk.slack.slow(0, "chat.postMessage")
    desk.client = SlackClient(settings(desk.slack), monotonic=desk.clock.monotonic)
    await desk.open()
    desk.start()
    await desk.pass_(10)


@pytest.mark.parametrize(("may_read", "messages"), [(True, 1), (False, 2)])
async def test_a_runs_message_after_a_crash(desk: Desk, may_read: bool, messages: int) -> None:
    if may_read:
        desk.slack.scopes.add("channels:history")
    else:
        desk.slack.scopes.discard("channels:history")
    await desk.open()
    await desk.note("api", "began", "went on")
    await killed_after_the_post(desk, 1)

    assert len(desk.channel.messages) == messages
    last = desk.channel.messages[-1]
    assert [m.words for m in desk.channel.thread(last.ts)] == ["🔹 went on"]
    assert await desk.waiting() == 0


async def test_a_threads_line_after_a_crash_is_told_once(desk: Desk) -> None:
    desk.slack.scopes.add("channels:history")
    await desk.open()
    await desk.note("api", "began")
    desk.start()
    await desk.pass_(2)
    await desk.note("api", "went on", "ended")
    await desk.crash()
    await desk.open()
    await killed_after_the_post(desk, 2)

    (message,) = desk.channel.messages
    thread = [m.words for m in desk.channel.thread(message.ts)]
    assert thread == ["🔹 went on", "🔹 ended"]


async def test_a_line_whose_answer_was_lost_on_the_wire_is_told_once(app: App) -> None:
    app.server.scopes.add("channels:history")
    await app.ask()
    applied = note(text="applied", id="n-1", again=True)
    await app.tell(approved(), applied)
    ref = app.ref
    await app.tell(approved(), applied)

    assert [m.words for m in app.thread] == ["🔹 applied"]
    assert app.ref == ref


async def test_what_was_told_for_certain_is_not_looked_for(app: App) -> None:
    app.server.scopes.add("channels:history")
    await app.ask()
    await app.tell(approved(), note(text="applied", id="n-1"))

    assert not [call for call in app.server.calls if call.startswith("conversations")]


async def test_a_message_that_is_too_old_or_anothers_is_none_of_ours(app: App) -> None:
    app.server.scopes.add("channels:history")
    person = app.server.person("U0ANNA")
    person.say(app.channel.id, "run-" + view().run.id)
    found = await app.client.find("run-" + view().run.id, since=T0 - timedelta(days=1))

    assert found is None
