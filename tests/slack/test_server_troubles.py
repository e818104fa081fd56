"""Proves that the loopback Slack limits as the real one documents, and breaks in every way that a
test may ask for: as a whole or in one method, with the work done or not.
"""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.slack.fixtures import CHANNEL
from tests.slack.limits import TIERS
from tests.slack.server import Outage, Slack
from tests.slack.test_server import client, error_of


@pytest_asyncio.fixture
async def web(slack: Slack) -> AsyncIterator[AsyncWebClient]:
    yield client(slack)


async def wait_of(call: object) -> str:
    """Await a call that comes too soon, and return the `Retry-After` it is answered with."""
    with pytest.raises(SlackApiError) as caught:
        await call  # type: ignore[misc]  # a coroutine
    assert caught.value.response.status_code == 429
    assert caught.value.response["error"] == "ratelimited"
    return str(caught.value.response.headers["Retry-After"])


async def test_posts_are_limited_to_about_one_a_second_for_each_channel(
    slack: Slack, web: AsyncWebClient
) -> None:
    slack.limit(2)
    slack.add("C0OTHER")
    for number in range(2):
        await web.chat_postMessage(channel=CHANNEL, text=f"{number}")

    assert await wait_of(web.chat_postMessage(channel=CHANNEL, text="2")) == "1"
    await web.chat_postMessage(channel="C0OTHER", text="elsewhere")
    await web.chat_update(channel=CHANNEL, ts=slack.channel(CHANNEL).messages[0].ts, text="edited")
    slack.clock.advance(1.0)
    await web.chat_postMessage(channel=CHANNEL, text="2")
    assert slack.turned_away == 1


async def test_methods_are_limited_by_their_tiers(slack: Slack, web: AsyncWebClient) -> None:
    slack.limit(1)
    slack.scopes.update({"usergroups:read", "channels:history", "users:read"})
    slack.person("U0ANNA")
    await web.usergroups_list()
    await web.conversations_history(channel=CHANNEL)
    await web.users_info(user="U0ANNA")

    assert await wait_of(web.usergroups_list()) == "3"  # 20 a minute
    assert await wait_of(web.conversations_history(channel=CHANNEL)) == "2"  # 50 a minute
    assert await wait_of(web.users_info(user="U0ANNA")) == "1"  # 100 a minute
    assert TIERS["apps.connections.open"] == 1
    for _ in range(3):
        await web.auth_test()


async def test_one_method_may_be_turned_away_alone(slack: Slack, web: AsyncWebClient) -> None:
    slack.throttle(42, "chat.postMessage")

    assert await wait_of(web.chat_postMessage(channel=CHANNEL, text="x")) == "42"
    assert (await web.auth_test())["ok"]
    slack.throttle(None, "chat.postMessage")
    await web.chat_postMessage(channel=CHANNEL, text="x")


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


@pytest.mark.parametrize(("kind", "status"), [("500", 500), ("502", 502), ("503", 503)])
async def test_a_server_error_is_a_page_and_nothing_is_done(
    slack: Slack, web: AsyncWebClient, kind: Outage, status: int
) -> None:
    await slack.outage(kind)
    with pytest.raises(SlackApiError) as caught:
        await web.chat_postMessage(channel=CHANNEL, text="x")

    assert caught.value.response.status_code == status
    assert caught.value.response.data == {}
    assert slack.channel(CHANNEL).messages == []


async def test_a_page_with_status_200_is_no_answer(slack: Slack, web: AsyncWebClient) -> None:
    await slack.outage("html", "chat.postMessage")
    with pytest.raises(SlackApiError) as caught:
        await web.chat_postMessage(channel=CHANNEL, text="x")

    assert (caught.value.response.status_code, caught.value.response.data) == (200, {})
    assert slack.channel(CHANNEL).messages == []
    assert (await web.auth_test())["ok"]


async def test_a_message_may_be_taken_and_its_answer_lost(
    slack: Slack, web: AsyncWebClient
) -> None:
    await slack.outage("reset", "chat.postMessage", times=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await web.chat_postMessage(channel=CHANNEL, text="x")

    assert [one.text for one in slack.channel(CHANNEL).messages] == ["x"]
    await web.chat_postMessage(channel=CHANNEL, text="y")
    assert len(slack.channel(CHANNEL).messages) == 2


async def test_a_hanging_method_does_nothing_even_afterwards(
    slack: Slack, web: AsyncWebClient
) -> None:
    await slack.outage("hang", "chat.postMessage")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(web.chat_postMessage(channel=CHANNEL, text="x"), 0.2)
    await slack.recover()

    assert (await web.auth_test())["ok"]
    assert slack.channel(CHANNEL).messages == []


async def test_a_slow_answer_comes_late_and_the_work_is_done_at_once(
    slack: Slack, web: AsyncWebClient
) -> None:
    slack.slow(30.0, "chat.postMessage")
    posting = asyncio.ensure_future(web.chat_postMessage(channel=CHANNEL, text="x"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(posting), 0.2)
    assert [one.text for one in slack.channel(CHANNEL).messages] == ["x"]
    slack.clock.advance(30.0)

    assert (await posting)["ok"]


async def test_what_is_no_method_is_said_so(web: AsyncWebClient) -> None:
    assert await error_of(web.api_call("chat.shout")) == "unknown_method"
    assert await error_of(web.api_call("chat.postMessage", data={"channel": CHANNEL})) == "no_text"
