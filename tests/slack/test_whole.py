"""Proves the whole way: the real daemon, an app made from our own manifest, and people in Slack who
approve, deny, put off, command and look, over Socket Mode; some of it by pressing in Chromium.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from tests.cli.commands import CONFIG, Box, serving
from tests.servers.waiting import eventually_async
from tests.slack import manifest
from tests.slack.browser import Browser
from tests.slack.fixtures import CHANNEL
from tests.slack.person import Person
from tests.slack.server import Slack
from tests.slack.workspace import Message

ROOT = Path(__file__).parents[2]
T = TypeVar("T")

SLACK = """\
slack:
  bot_token: {token}
  {way}
  channel: {channel}
  api_url: {api_url}
  mention: [sre-oncall]
groups: {{{{sre-oncall: ["slack-group:S0ONCALL"]}}}}
default_approvers: [sre-oncall]
roles: {{{{operator: [sre-oncall]}}}}
"""


@dataclass
class Whole:
    """A workspace with a channel, and the daemon beside it."""

    slack: Slack
    box: Box

    @property
    def anna(self) -> Person:
        """She is on call."""
        return self.slack.person("U0ANNA", "Anna")

    @property
    def stranger(self) -> Person:
        return self.slack.person("U0EVE", "Eve")

    async def asked(self, item: str) -> Message:
        """Let an alert come about a switch, and return the question."""
        await asyncio.to_thread(self.box.fire, "Asks", item)
        return await soon(
            lambda: [m for m in self.slack.channel(CHANNEL).messages if asks(m, item)][-1],
            f"a question about {item}",
        )

    async def cleared(self, item: str) -> None:
        await asyncio.to_thread(self.box.fire, "Asks", item, status="resolved")

    async def form(self, message: Message, label: str) -> None:
        """Press a button that opens a modal, and wait until it is filled."""
        assert (await self.anna.press(message, label)) is not None
        await soon(
            lambda: self.anna.modal and "One moment" not in self.anna.shown(self.anna.modal),
            f"the modal of {label}",
        )

    def thread(self, message: Message) -> str:
        return "\n".join(one.shown for one in self.slack.channel(CHANNEL).thread(message.ts))


def asks(message: Message, item: str) -> bool:
    return f"box/{item}" in message.shown and "Approve" in message.shown


async def soon(look: Callable[[], T], what: str) -> T:
    return await eventually_async(look, 20, what=what)


@asynccontextmanager
async def running(folder: Path, made_from: str) -> AsyncIterator[Whole]:
    """The daemon, and an app made from one of our manifests."""
    slack = Slack(CHANNEL).install(ROOT / made_from)
    slack.add_group("S0ONCALL", "sre-oncall", ["U0ANNA"])
    await slack.start()
    way = f"app_token: {slack.app_token}"
    if not slack.socket_mode:
        way = f"signing_secret: {slack.signing_secret}"
    settings = SLACK.format(token=slack.token, way=way, channel=CHANNEL, api_url=slack.api_url)
    box = Box.make(folder / "b", CONFIG + settings)
    daemon = serving(box)
    await asyncio.to_thread(daemon.__enter__)
    try:
        yield Whole(slack, box)
    finally:
        await asyncio.to_thread(daemon.__exit__, None, None, None)
        await slack.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    async with running(folder, "deploy/slack/manifest.yaml") as made:
        await made.slack.socket.connected()
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with Browser() as browser:
        yield browser


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_press_on_the_page_approves_and_the_message_follows_to_the_end(
    whole: Whole, chromium: Browser
) -> None:
    message = await whole.asked("one")
    assert [one.ts for one in whole.anna.notifications][-1:] == [message.ts]
    assert whole.stranger.notifications == []
    await chromium.open(f"{whole.slack.url}/channel/{CHANNEL}?as=U0ANNA")
    await chromium.press(f"[data-ts='{message.ts}'] .button.primary")
    await soon(lambda: whole.box.is_on("one"), "the switch to be on")
    await whole.cleared("one")
    await soon(lambda: "Succeeded" in message.shown, "the end")

    assert "@Anna approved" in message.shown
    assert message.buttons == []
    await soon(lambda: "one is on" in whole.thread(message), "the thread to say what was done")
    await chromium.open(f"{whole.slack.url}/channel/{CHANNEL}?as=U0ANNA&thread={message.ts}")
    assert "Succeeded: asks-first" in await chromium.text("aside")


async def test_a_stranger_changes_nothing_and_learns_for_whom_it_is(whole: Whole) -> None:
    message = await whole.asked("two")
    click = await whole.stranger.press(message, "Approve")
    await soon(lambda: whole.stranger.private, "an answer to the stranger")

    assert click is not None
    assert click.acknowledged
    assert "may not decide this; it is for sre-oncall" in whole.stranger.private[-1].shown
    assert not whole.box.is_on("two")
    assert asks(message, "two")
    await whole.cleared("two")
    await soon(lambda: not message.buttons, "the question to be withdrawn")


async def test_a_deny_takes_a_reason_which_forges_nothing(whole: Whole) -> None:
    message = await whole.asked("three")
    before = len(whole.stranger.notifications)
    await whole.form(message, "Deny")
    assert await whole.anna.submit() is None
    whole.anna.fill("Why not?", "too risky <!channel>")
    await whole.anna.submit()
    await soon(lambda: "Denied" in message.shown, "the denial")

    assert "too risky <!channel>" in message.shown
    assert len(whole.stranger.notifications) == before
    assert not whole.box.is_on("three")
    assert whole.anna.faults == []
    await whole.anna.close()


async def test_the_plan_is_shown_whole_and_a_question_can_be_put_off(whole: Whole) -> None:
    message = await whole.asked("four")
    await whole.form(message, "Show plan")
    assert "switch on four" in whole.anna.shown(whole.anna.modal)
    await whole.anna.close()
    await whole.form(message, "Snooze")
    whole.anna.fill("For how long?", "15m")
    await whole.anna.submit()
    await soon(lambda: not asks(message, "four"), "the question to be withdrawn")

    assert "Snoozed" in message.shown
    assert whole.anna.faults == []
    await whole.anna.close()
    await whole.cleared("four")
    await soon(lambda: not message.buttons, "the run to end")


async def test_commands_the_shortcut_and_home_say_how_things_stand(whole: Whole) -> None:
    message = await whole.asked("five")

    async def said(command: str) -> str:
        before = len(whole.anna.private)
        click = await whole.anna.command("/remediator", command, channel=CHANNEL)
        assert click.acknowledged
        await soon(lambda: len(whole.anna.private) > before, f"an answer to {command}")
        return whole.anna.private[-1].shown

    assert "1 waiting for a person" in await said("status")
    assert "asks-first" in await said("runs")
    assert "paused" in await said("pause all for 2h we deploy")
    assert "we deploy" in await said("status")
    assert "goes on" in await said("resume all")
    assert "/remediator help" in await said("sing")
    await whole.anna.open_home()
    await soon(lambda: "box/five" in whole.anna.shown(whole.anna.home), "her Home")
    assert whole.anna.home is not None
    await whole.anna.press(whole.anna.home, "Approve")
    await soon(lambda: whole.box.is_on("five"), "the switch to be on")
    await soon(lambda: "@Anna approved" in message.shown, "the message to say so")
    await whole.cleared("five")


async def test_a_connection_that_slack_renews_or_loses_costs_no_click(whole: Whole) -> None:
    message = await whole.asked("six")
    await whole.slack.socket.refresh()
    await whole.slack.socket.connected()
    click = await whole.anna.press(message, "Approve")
    await soon(lambda: whole.box.is_on("six"), "the switch to be on")
    opened = whole.slack.socket.opened
    whole.slack.socket.drop()
    await soon(lambda: whole.slack.socket.opened > opened, "another connection")
    await whole.slack.socket.connected()
    status = await whole.anna.command("/remediator", "status", channel=CHANNEL)

    assert click is not None
    assert click.acknowledged
    assert status.acknowledged
    assert whole.slack.socket.faults == []
    assert whole.anna.faults == []


async def test_the_other_manifest_does_the_same_for_a_public_address(tmp_path: Path) -> None:
    file = "deploy/slack/manifest-http.yaml"
    async with running(tmp_path, file) as whole:
        manifest.reach(whole.slack.app, manifest.load(ROOT / file), whole.box.url)
        assert await whole.slack.delivery.verify()
        message = await whole.asked("one")
        assert (await whole.anna.command("/remediator", "status", channel=CHANNEL)).acknowledged
        await soon(lambda: whole.anna.private, "an answer to the command")
        opened = await whole.anna.open_home()
        assert opened is not None
        await soon(lambda: "box/one" in whole.anna.shown(whole.anna.home), "her Home")
        await whole.form(message, "Deny")
        whole.anna.fill("Why not?", "not now")
        await whole.anna.submit()
        await soon(lambda: "Denied" in message.shown, "the denial")
        forged = await whole.slack.send(b"payload=%7B%7D", signature="v0=00")

        assert "1 waiting for a person" in whole.anna.private[-1].shown
        assert "not now" in message.shown
        assert forged.status == 401
        assert whole.anna.faults == []
