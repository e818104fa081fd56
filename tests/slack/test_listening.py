"""Proves Socket Mode: that a click is acknowledged when it is stored and not before, that a
connection is replaced without losing one, that an envelope that comes again is done once, that an
outage is survived and shows in a metric, and that several replicas share the clicks. Over a real
WebSocket against the loopback Slack.
"""

import asyncio

import pytest
from pydantic import SecretStr

from remediator.clients.slack.client import SlackClient
from remediator.clients.slack.socket import Envelope, Socket
from remediator.model.canonical import JSONObject
from remediator.notify.slack.notifier import Slack as SlackNotifier
from remediator.observe import metrics
from tests.notify.views import T0
from tests.servers.waiting import eventually_async
from tests.slack.conftest import App, settings
from tests.slack.server import Slack


def connected() -> float:
    return (
        metrics.REGISTRY.get_sample_value("remediator_slack_connected", {"mode": "socket"}) or 0.0
    )


async def test_a_click_over_the_socket_decides_and_is_acknowledged(app: App) -> None:
    await app.listen()
    await eventually_async(lambda: connected() == 1, 5, what="the metric")
    click = await app.server.click(await app.ask(), "Approve", user="U0ANNA")

    assert click.acknowledged
    assert len(app.desk.decided) == 1
    assert app.server.socket.faults == []
    await app.stop()
    assert connected() == 0


async def test_what_could_not_be_stored_is_not_acknowledged(app: App) -> None:
    await app.listen()
    message = await app.ask()
    app.desk.broken = RuntimeError("the journal can't be written")
    pressed = asyncio.create_task(app.server.click(message, "Approve", user="U0ANNA"))
    await eventually_async(lambda: app.server.private, 5, what="a word to who pressed")
    app.server.clock.advance(3)
    click = await pressed

    assert not click.acknowledged
    assert "could not be stored" in app.server.private[0].text
    app.desk.broken = None
    assert (await app.server.click(message, "Approve", user="U0ANNA")).acknowledged


async def test_a_connection_that_slack_refreshes_is_replaced_before_it_goes(app: App) -> None:
    await app.listen()
    message = await app.ask()
    for _ in range(3):
        await app.server.socket.refresh()

    click = await app.server.click(message, "Approve", user="U0ANNA")
    assert click.acknowledged
    assert app.server.socket.opened == 4


@pytest.mark.parametrize("trouble", ["drop", "warning", "outage"])
async def test_a_connection_that_is_lost_comes_back(app: App, trouble: str) -> None:
    await app.listen()
    message = await app.ask()
    if trouble == "drop":
        app.server.socket.drop()
    elif trouble == "warning":
        await app.server.socket.disconnect("warning")
    else:
        await app.server.outage("500")
        app.server.socket.drop()
        await eventually_async(lambda: connected() == 0, 5, what="the metric")
        await app.server.recover()
    opened = app.server.socket.opened
    await eventually_async(
        lambda: app.server.socket.opened > opened or trouble == "warning", 10, what="another"
    )
    await app.server.socket.connected()

    assert (await app.server.click(message, "Approve", user="U0ANNA")).acknowledged


async def test_an_envelope_that_comes_again_is_done_once_and_answered_alike(app: App) -> None:
    await app.listen()
    anna = app.server.person("U0ANNA")
    app.server.socket.duplicates = 2
    await anna.command("/remediator", "run restart namespace=shop")
    (envelope, *_) = app.server.socket.delivered
    await app.server.socket.redeliver(envelope)

    await eventually_async(lambda: len(envelope.acks) >= 3, 5, what="an answer to each")
    assert [did[0] for did in app.desk.did] == ["start"]
    assert len({str(one) for one in envelope.acks}) == 1


async def test_replicas_share_the_clicks(app: App) -> None:
    await app.listen()
    other = SlackClient(
        settings(app.server, signing_secret=None, app_token=SecretStr(app.server.app_token))
    )
    stopping = asyncio.Event()
    context = type(app.context)({SlackClient: other}, T0)
    second = asyncio.create_task(SlackNotifier().listen(app.desk, context, stopping))
    try:
        await app.server.socket.connected(2)
        anna = app.server.person("U0ANNA")
        for _ in range(6):
            assert (await anna.command("/remediator", "resume all")).acknowledged
        assert len(app.desk.did) == 6
    finally:
        stopping.set()
        await second
        await other.close()


async def test_socket_mode_that_is_switched_off_is_said_and_waited_for(
    slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.socket_mode = True
    slack.socket.enabled = False

    async def handle(envelope: Envelope) -> JSONObject | None:
        return None

    stopping = asyncio.Event()
    socket = Socket(slack.api_url, slack.app_token, handle, first_wait_s=0.01)
    listening = asyncio.create_task(socket.run(stopping))
    try:
        await eventually_async(lambda: slack.socket.opened >= 1 or slack.calls, 5, what="a try")
        assert connected() == 0
    finally:
        stopping.set()
        async with asyncio.timeout(5):
            await listening


@pytest.mark.parametrize("token", ["xapp-1-wrong", "xoxb-loopback-1"])
async def test_a_token_that_is_none_breaks_nothing_and_ends_when_told(
    slack: Slack, token: str
) -> None:
    async def handle(envelope: Envelope) -> JSONObject | None:
        return None

    stopping = asyncio.Event()
    socket = Socket(slack.api_url, token, handle, first_wait_s=0.01)
    listening = asyncio.create_task(socket.run(stopping))
    await asyncio.sleep(0)
    assert connected() == 0
    stopping.set()
    async with asyncio.timeout(5):
        await listening
    assert slack.socket.opened == 0
