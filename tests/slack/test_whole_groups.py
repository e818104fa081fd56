"""Proves with the real daemon and a Slack user group that whoever is in it at the click may decide:
not who was, and nobody while Slack does not say.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.slack.test_whole import Whole, asks, running, soon


@pytest_asyncio.fixture
async def whole(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Whole]:
    folder = tmp_path_factory.mktemp("groups")
    async with running(folder, "deploy/slack/manifest.yaml") as made:
        await made.slack.socket.connected()
        yield made


async def test_who_is_in_the_group_at_the_click_decides(whole: Whole) -> None:
    group = whole.slack.workspace.groups["S0ONCALL"]
    bert = whole.slack.person("U0BERT", "Bert")
    message = await whole.asked("lamp")

    group.users[:] = ["U0BERT"]  # she was asked, and has left since
    await whole.anna.press(message, "Approve")
    await soon(lambda: whole.anna.private, "an answer to her")
    assert "may not decide this; it is for sre-oncall" in whole.anna.private[-1].shown

    await whole.slack.outage("500", "usergroups.users.list")
    await bert.press(message, "Approve")
    await soon(lambda: bert.private, "an answer to him")
    assert "can't be found out now" in bert.private[-1].shown
    assert not whole.box.is_on("lamp")
    assert asks(message, "lamp")

    await whole.slack.recover()
    await bert.press(message, "Approve")
    await soon(lambda: whole.box.is_on("lamp"), "the switch to be on")
    await soon(lambda: "@Bert approved" in message.shown, "the message to say who")
    await whole.cleared("lamp")
    await soon(lambda: "Succeeded" in message.shown, "the end")
