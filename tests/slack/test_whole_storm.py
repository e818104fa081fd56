"""Proves a storm with the real daemon, which is killed in the middle of it and started anew: people
in Slack find one message that goes on counting, and decide through it.
"""

import asyncio
import signal
from pathlib import Path

from tests.cli.commands import CONFIG, Box, serving
from tests.servers.waiting import eventually_async
from tests.slack.fixtures import CHANNEL
from tests.slack.server import Slack
from tests.slack.test_whole import ROOT, SLACK
from tests.slack.workspace import Message

_FIRST, _SECOND = 15, 8


async def test_a_storm_goes_on_over_kill_9_and_is_decided_through_its_message(
    tmp_path: Path,
) -> None:
    slack = Slack(CHANNEL).install(ROOT / "deploy/slack/manifest.yaml")
    slack.add_group("S0ONCALL", "sre-oncall", ["U0ANNA"])
    await slack.start()
    way = f"app_token: {slack.app_token}"
    settings = SLACK.format(token=slack.token, way=way, channel=CHANNEL, api_url=slack.api_url)
    box = Box.make(tmp_path / "b", CONFIG + settings)
    try:
        await _storm(slack, box)
    finally:
        await slack.stop()


async def _storm(slack: Slack, box: Box) -> None:
    def storms() -> list[Message]:
        return [one for one in slack.channel(CHANNEL).messages if "Storm" in one.shown]

    daemon = serving(box)
    process = await asyncio.to_thread(daemon.__enter__)
    for number in range(_FIRST):
        await asyncio.to_thread(box.fire, "Asks", f"item-{number}")
    await eventually_async(storms, 30, what="a storm's message")
    process.send_signal(signal.SIGKILL)
    await asyncio.to_thread(daemon.__exit__, None, None, None)

    again = serving(box)
    await asyncio.to_thread(again.__enter__)
    try:
        for number in range(_FIRST, _FIRST + _SECOND):
            await asyncio.to_thread(box.fire, "Asks", f"item-{number}")
        (message,) = storms()
        alone = [m for m in slack.channel(CHANNEL).messages if "Approve" in m.shown]
        shared = _FIRST + _SECOND - len(alone)
        await eventually_async(
            lambda: f"Storm: {shared} runs" in message.shown, 40, what=f"{shared} runs counted"
        )
        assert storms() == [message], "there is one message, edited in place"

        anna = slack.person("U0ANNA", "Anna")
        await slack.socket.connected()
        await anna.press(message, "Show what waits")
        await eventually_async(
            lambda: anna.modal and "Approve" in anna.shown(anna.modal), 20, what="the list"
        )
        assert anna.modal is not None
        await anna.press(anna.modal, "Approve")
        await eventually_async(lambda: box.is_on("item-0"), 20, what="the first to be switched on")
    finally:
        await asyncio.to_thread(again.__exit__, None, None, None)
