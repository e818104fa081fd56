"""Proves that the loopback Slack speaks Socket Mode as the real one does: whom it lets in, hello,
acknowledgements in time, retries of events, several connections, goodbyes of each kind, connections
that die without a word. Spoken to over a plain WebSocket, and by slack_sdk's own client.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from tests.servers.waiting import eventually_async
from tests.slack.fixtures import CHANNEL
from tests.slack.server import APP_TOKEN, Slack
from tests.slack.test_server import client, error_of


@dataclass
class App:
    """An app that speaks the WebSocket protocol by hand."""

    slack: Slack
    session: aiohttp.ClientSession
    sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    async def url(self) -> str:
        answer = await client(self.slack).apps_connections_open(app_token=APP_TOKEN)
        return str(answer["url"])

    async def connect(self, url: str | None = None) -> aiohttp.ClientWebSocketResponse:
        """Open one more connection; its hello is not read yet."""
        socket = await self.session.ws_connect(url or await self.url(), autoping=False)
        self.sockets.append(socket)
        return socket

    async def greeted(self) -> aiohttp.ClientWebSocketResponse:
        """Open one more connection and read its hello."""
        socket = await self.connect()
        assert (await heard(socket))["type"] == "hello"
        return socket


async def heard(socket: aiohttp.ClientWebSocketResponse) -> Any:
    """Return the next frame's JSON."""
    return json.loads(await socket.receive_str(timeout=5))


async def acknowledge(socket: aiohttp.ClientWebSocketResponse, **more: Any) -> Any:
    """Read the next envelope and acknowledge it."""
    envelope = await heard(socket)
    await socket.send_json({"envelope_id": envelope["envelope_id"], **more})
    return envelope


@pytest_asyncio.fixture
async def app(slack: Slack) -> AsyncIterator[App]:
    async with aiohttp.ClientSession() as session:
        made = App(slack, session)
        yield made
        for socket in made.sockets:
            await socket.close()


async def test_a_url_is_for_an_app_level_token_with_its_scope(slack: Slack) -> None:
    web = client(slack)
    bot = web.apps_connections_open(app_token=slack.token)
    assert await error_of(bot) == "not_allowed_token_type"
    assert await error_of(client(slack, APP_TOKEN).auth_test()) == "not_allowed_token_type"
    slack.app_scopes.clear()
    assert await error_of(web.apps_connections_open(app_token=APP_TOKEN)) == "missing_scope"


async def test_a_url_works_once(app: App) -> None:
    url = await app.url()
    hello = await heard(await app.connect(url))

    assert hello["type"] == "hello"
    assert hello["num_connections"] == 1
    assert hello["connection_info"] == {"app_id": "A01"}
    assert hello["debug_info"]["approximate_connection_time"] > 0
    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        await app.connect(url)


async def test_a_click_is_an_envelope_and_its_acknowledgement_is_counted(app: App) -> None:
    socket = await app.greeted()
    sending = asyncio.ensure_future(app.slack.socket.deliver("interactive", {"type": "x"}))
    envelope = await acknowledge(socket)
    sent = await sending

    assert set(envelope) == {"envelope_id", "type", "payload", "accepts_response_payload"}
    assert envelope["payload"] == {"type": "x"}
    assert sent.acknowledged
    assert app.slack.socket.acks == 1
    assert app.slack.socket.faults == []


async def test_a_payload_is_heard_only_where_it_is_asked_for(app: App) -> None:
    socket = await app.greeted()
    deliver = app.slack.socket.deliver
    asked = asyncio.ensure_future(deliver("slash_commands", {}, accepts_response_payload=True))
    await acknowledge(socket, payload={"text": "hello"})
    unasked = asyncio.ensure_future(deliver("interactive", {}))
    await acknowledge(socket, payload={"text": "hello"})

    assert (await asked).response == {"text": "hello"}
    assert (await unasked).response is None
    assert app.slack.socket.faults == [
        "interactive: a payload that nobody asked for: {'text': 'hello'}"
    ]


async def test_what_is_no_acknowledgement_is_a_fault(app: App) -> None:
    socket = await app.greeted()
    for text in ("hello", "[]", '{"envelope_id": "guess"}'):
        await socket.send_str(text)

    faults = app.slack.socket.faults
    await eventually_async(lambda: len(faults) == 3, 5, what="three faults")
    assert faults[2] == "no such envelope: guess"


async def test_a_click_that_is_not_acknowledged_in_three_seconds_is_not_sent_again(
    app: App,
) -> None:
    socket = await app.greeted()
    sending = asyncio.ensure_future(app.slack.socket.deliver("interactive", {}))
    envelope = await heard(socket)
    app.slack.clock.advance(3.0)
    sent = await sending
    await socket.send_json({"envelope_id": envelope["envelope_id"]})
    await eventually_async(lambda: sent.acks, 5, what="the late acknowledgement")

    assert not sent.acknowledged
    app.slack.clock.advance(3600.0)
    assert app.slack.socket.delivered == [sent]


async def test_an_event_is_sent_again_at_once_after_one_minute_and_after_five(app: App) -> None:
    socket = await app.greeted()
    first = asyncio.ensure_future(app.slack.socket.deliver("events_api", {"event_id": "Ev1"}))
    seen = [await heard(socket)]
    app.slack.clock.advance(3.0)
    await first
    for wait_s in (0.0, 60.0, 240.0):
        app.slack.clock.advance(wait_s)
        seen.append(await heard(socket))
        app.slack.clock.advance(3.0)

    assert [one["retry_attempt"] for one in seen] == [0, 1, 2, 3]
    assert [one["retry_reason"] for one in seen] == ["", "timeout", "timeout", "timeout"]
    assert {one["payload"]["event_id"] for one in seen} == {"Ev1"}
    assert len({one["envelope_id"] for one in seen}) == 4


async def test_an_event_that_found_no_connection_comes_to_the_next_one(app: App) -> None:
    sent = await app.slack.socket.deliver("events_api", {"event_id": "Ev1"})
    await eventually_async(
        lambda: len(app.slack.socket.delivered) == 2, 5, what="the first attempt again"
    )
    socket = await app.greeted()
    app.slack.clock.advance(60.0)
    envelope = await acknowledge(socket)

    assert sent.frames == 0
    assert (envelope["retry_attempt"], envelope["retry_reason"]) == (2, "connection_failed")
    await eventually_async(lambda: app.slack.socket.acks == 1, 5, what="the acknowledgement")
    assert app.slack.socket.delivered[-1].acknowledged


async def test_each_envelope_goes_to_one_of_several_connections(app: App) -> None:
    sockets = [await app.greeted() for _ in range(3)]
    sent = []
    for socket in sockets:
        sending = asyncio.ensure_future(app.slack.socket.deliver("interactive", {}))
        await acknowledge(socket)
        sent.append(await sending)

    assert [one.frames for one in sent] == [1, 1, 1]
    assert [len(one.envelopes) for one in app.slack.socket.connections] == [1, 1, 1]


async def test_a_duplicate_arrives_over_another_connection(app: App) -> None:
    app.slack.socket.duplicates = 1
    first, second = await app.greeted(), await app.greeted()
    sending = asyncio.ensure_future(app.slack.socket.deliver("interactive", {"n": 1}))
    one, other = await acknowledge(first), await acknowledge(second)

    assert one == other
    sent = await sending
    await eventually_async(lambda: len(sent.acks) == 2, 5, what="both acknowledgements")
    assert app.slack.socket.acks == 2


async def test_the_eleventh_connection_is_one_too_many(app: App) -> None:
    for _ in range(10):
        await app.greeted()
    goodbye = await heard(await app.connect())

    assert (goodbye["type"], goodbye["reason"]) == ("disconnect", "too_many_websockets")
    assert len(app.slack.socket.connections) == 10


async def test_a_warning_leaves_the_connection_open_and_nothing_new_comes_over_it(
    app: App,
) -> None:
    old = await app.greeted()
    await app.slack.socket.disconnect("warning")
    assert (await heard(old))["reason"] == "warning"
    alone = asyncio.ensure_future(app.slack.socket.deliver("interactive", {"n": 1}))
    assert (await acknowledge(old))["payload"] == {"n": 1}
    await alone

    new = await app.greeted()
    after = asyncio.ensure_future(app.slack.socket.deliver("interactive", {"n": 2}))
    assert (await acknowledge(new))["payload"] == {"n": 2}
    assert (await after).acknowledged


async def test_a_refresh_closes_the_connection(app: App) -> None:
    socket = await app.greeted()
    refreshing = asyncio.ensure_future(app.slack.socket.refresh())
    assert (await heard(socket))["reason"] == "warning"
    app.slack.clock.advance(10.0)

    assert (await heard(socket))["reason"] == "refresh_requested"
    assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    await refreshing
    await app.slack.socket.connected(0)


async def test_when_socket_mode_is_turned_off_everybody_is_sent_away(app: App) -> None:
    sockets = [await app.greeted(), await app.greeted()]
    leaving = asyncio.ensure_future(app.slack.socket.disconnect("link_disabled"))

    assert [(await heard(one))["reason"] for one in sockets] == ["link_disabled"] * 2
    for one in sockets:
        await one.receive(timeout=5)
    await leaving
    assert (await heard(await app.connect()))["reason"] == "link_disabled"
    assert app.slack.socket.connections == []


async def test_a_dropped_connection_has_no_close_frame(app: App) -> None:
    socket = await app.greeted()
    app.slack.socket.drop()
    end = await socket.receive(timeout=5)

    assert end.type is not aiohttp.WSMsgType.CLOSE
    assert socket.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
    assert (await app.slack.socket.deliver("interactive", {})).frames == 0


async def test_pings_are_answered_on_both_sides_until_the_line_goes_silent(app: App) -> None:
    socket = await app.greeted()
    (connection,) = app.slack.socket.connections
    await socket.ping(b"are you there")
    answer = await socket.receive(timeout=5)
    await app.slack.socket.ping()
    question = await socket.receive(timeout=5)
    await socket.pong(question.data)

    assert (answer.type, answer.data) == (aiohttp.WSMsgType.PONG, b"are you there")
    await eventually_async(lambda: connection.pongs == 1, 5, what="the pong")
    app.slack.socket.silence()
    await socket.ping(b"and now")
    await socket.send_json({"envelope_id": "guess"})
    with pytest.raises(TimeoutError):
        await socket.receive(timeout=0.2)
    assert app.slack.socket.faults == []


async def test_slack_sdk_reconnects_when_asked_and_when_the_line_is_cut(app: App) -> None:
    heard_of: list[SocketModeRequest] = []

    async def listener(via: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        await via.send_socket_mode_response(SocketModeResponse(request.envelope_id))
        heard_of.append(request)

    web = client(app.slack)
    sdk = SocketModeClient(APP_TOKEN, web_client=web, ping_interval=0.1)
    sdk.socket_mode_request_listeners.append(listener)
    socket = app.slack.socket
    try:
        await sdk.connect()  # type: ignore[no-untyped-call]  # slack_sdk's
        await socket.connected()
        assert (await socket.deliver("interactive", {"n": 1})).acknowledged
        await socket.refresh()
        await eventually_async(lambda: socket.opened == 2, 10, what="a second connection")
        await socket.connected()
        assert (await socket.deliver("slash_commands", {"n": 2})).acknowledged
        socket.drop()
        await eventually_async(lambda: socket.opened == 3, 10, what="a third connection")
        await socket.connected()
        assert (await socket.deliver("events_api", {"n": 3})).acknowledged
    finally:
        await sdk.close()  # type: ignore[no-untyped-call]  # likewise
    assert [one.type for one in heard_of] == ["interactive", "slash_commands", "events_api"]


async def test_a_person_sees_whether_a_click_was_acknowledged(app: App) -> None:
    app.slack.socket_mode = True
    button = {
        "type": "button",
        "action_id": "a",
        "text": {"type": "plain_text", "text": "Go"},
        "value": "v",
    }
    blocks = [{"type": "actions", "elements": [button]}]
    await client(app.slack).chat_postMessage(channel=CHANNEL, text="x", blocks=blocks)
    (message,) = app.slack.channel(CHANNEL).messages
    nobody = await app.slack.click(message, "Go", user="U0ANNA")
    socket = await app.greeted()
    clicking = asyncio.ensure_future(app.slack.click(message, "Go", user="U0ANNA"))
    envelope = await acknowledge(socket)

    assert not nobody.acknowledged
    assert (await clicking).acknowledged
    assert envelope["payload"]["actions"][0]["value"] == "v"
    assert envelope["payload"]["response_url"].startswith(app.slack.url)
