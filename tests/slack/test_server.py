"""Proves that the loopback Slack refuses what the real one refuses, so that tests which pass
against it mean something: tokens, scopes, channels, threads, limits, rate limits, response URLs.
Called with slack_sdk, as an app would.
"""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.slack import blockkit
from tests.slack.fixtures import CHANNEL
from tests.slack.server import BOT_TOKEN, Slack


@pytest_asyncio.fixture
async def web(slack: Slack) -> AsyncIterator[AsyncWebClient]:
    yield client(slack)


def client(slack: Slack, token: str | None = BOT_TOKEN) -> AsyncWebClient:
    made = AsyncWebClient(token=token, base_url=slack.api_url, retry_handlers=[])
    made.proxy = None
    return made


async def error_of(call: Any) -> str:
    """Await a call that must fail, and return Slack's code for it."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_a_token_is_checked(slack: Slack, web: AsyncWebClient) -> None:
    assert (await web.auth_test())["team_id"] == "T01"
    assert await error_of(client(slack, "xoxb-other").auth_test()) == "invalid_auth"
    assert await error_of(client(slack, None).auth_test()) == "not_authed"


async def test_scopes_channels_and_membership_are_checked(
    slack: Slack, web: AsyncWebClient
) -> None:
    assert await error_of(web.chat_postMessage(channel="C0", text="x")) == "channel_not_found"
    assert await error_of(web.conversations_history(channel=CHANNEL)) == "missing_scope"
    slack.channel(CHANNEL).archived = True
    assert await error_of(web.chat_postMessage(channel=CHANNEL, text="x")) == "is_archived"
    slack.channel(CHANNEL).archived, slack.channel(CHANNEL).invited = False, False
    assert await error_of(web.chat_postMessage(channel=CHANNEL, text="x")) == "not_in_channel"


async def test_messages_and_threads_are_found_or_not(slack: Slack, web: AsyncWebClient) -> None:
    slack.scopes.add("channels:history")
    first = await web.chat_postMessage(channel=CHANNEL, text="first")
    await web.chat_postMessage(channel=CHANNEL, text="reply", thread_ts=first["ts"])
    await web.chat_postMessage(channel=CHANNEL, text="second")

    history = await web.conversations_history(channel=CHANNEL)
    replies = await web.conversations_replies(channel=CHANNEL, ts=first["ts"])
    assert [m["text"] for m in history["messages"]] == ["second", "first"]
    assert [m["text"] for m in replies["messages"]] == ["first", "reply"]
    missing = web.chat_update(channel=CHANNEL, ts="1.000001", text="x")
    assert await error_of(missing) == "message_not_found"
    orphan = web.chat_postMessage(channel=CHANNEL, text="x", thread_ts="1.000001")
    assert await error_of(orphan) == "thread_not_found"
    slack.channel(CHANNEL).messages[0].user = "U0ANNA"
    foreign = web.chat_update(channel=CHANNEL, ts=first["ts"], text="x")
    assert await error_of(foreign) == "cant_update_message"


async def test_posts_are_limited_to_about_one_a_second_for_each_channel(
    slack: Slack, web: AsyncWebClient
) -> None:
    slack.limit(2)
    for number in range(2):
        await web.chat_postMessage(channel=CHANNEL, text=f"{number}")

    with pytest.raises(SlackApiError) as caught:
        await web.chat_postMessage(channel=CHANNEL, text="2")

    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "1"
    await web.chat_update(channel=CHANNEL, ts=slack.channel(CHANNEL).messages[0].ts, text="edited")


async def test_a_refused_connection_comes_back_at_the_same_address(
    slack: Slack, web: AsyncWebClient
) -> None:
    before = slack.api_url
    await slack.outage("refuse")
    with pytest.raises(aiohttp.ClientConnectorError):
        await web.auth_test()
    await slack.recover()

    assert (await web.auth_test())["ok"]
    assert slack.api_url == before


async def test_nothing_at_all_is_no_message(web: AsyncWebClient) -> None:
    assert await error_of(web.api_call("chat.postMessage", json={"channel": CHANNEL})) == "no_text"
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}
    together = web.chat_postMessage(channel=CHANNEL, text="x", blocks=[block] * 4)
    assert await error_of(together) == "msg_blocks_too_long"


def _mrkdwn(text: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": text}


def _plain(text: str) -> dict[str, object]:
    return {"type": "plain_text", "text": text}


def _button(**changes: object) -> dict[str, object]:
    button = {"type": "button", "text": _plain("b"), "action_id": "a", "value": "v", **changes}
    return {"type": "actions", "elements": [button]}


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ({"type": "header", "text": _plain("x" * 151)}, "less than 151 characters"),
        ({"type": "header", "text": _mrkdwn("x")}, "type plain_text"),
        ({"type": "section"}, "missing required field: text"),
        ({"type": "section", "text": _mrkdwn("")}, "more than 0 characters"),
        ({"type": "section", "text": _mrkdwn("x" * 3001)}, "less than 3001 characters"),
        ({"type": "section", "text": "x"}, "must be a text object"),
        ({"type": "section", "fields": [_mrkdwn("x")] * 11}, "no more than 10 items"),
        ({"type": "section", "fields": [_mrkdwn("x" * 2001)]}, "less than 2001 characters"),
        ({"type": "context", "elements": []}, "at least one item"),
        ({"type": "context", "elements": [_mrkdwn("x")] * 11}, "no more than 10 items"),
        ({"type": "actions", "elements": [{"type": "knob"}]}, "unsupported element"),
        (_button(value="x" * 2001), "less than 2001 characters"),
        (_button(action_id="x" * 256), "less than 256 characters"),
        (_button(style="loud"), "primary, danger"),
        (_button(text=_plain("x" * 76)), "less than 76 characters"),
        (_button(confirm={"title": _plain("t")}), "missing required field: confirm"),
        (_button(colour="red"), "additional property not allowed: colour"),
        ({"type": "actions", "elements": _button()["elements"] * 2}, "action_id must be unique"),  # type: ignore[operator]  # a list
        ({"type": "section", "text": {**_plain("x"), "verbatim": True}}, "not allowed: verbatim"),
        ({"type": "video"}, "unsupported type: video"),
        ("text", "unsupported type"),
    ],
)
def test_blocks_are_held_to_the_documented_limits(block: object, fault: str) -> None:
    assert fault in "\n".join(blockkit.faults([block]))


def test_good_blocks_have_no_fault_and_fifty_one_are_too_many() -> None:
    good = [{"type": "header", "text": _plain("x" * 150)}, {"type": "divider"}, _button()]

    assert blockkit.faults(good) == []
    same = [{"type": "divider", "block_id": "one"}] * 2
    assert blockkit.faults(same) == ["block_id must be unique [json-pointer:/blocks]"]
    assert blockkit.faults([{"type": "divider"}] * 51) == [
        "no more than 50 items allowed [json-pointer:/blocks]"
    ]
