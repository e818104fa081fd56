"""The loopback Slack, and an app that is connected to it: notifier, client, desk, listener."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from pydantic import SecretStr

from remediator.clients.slack.client import SlackClient
from remediator.model.canonical import JSONObject
from remediator.model.views import Note, NoteKind, RunView
from remediator.notify.slack.notifier import Slack as SlackNotifier
from remediator.plugin.notifier import Callback
from remediator.settings import SlackSettings
from tests.notify import views
from tests.notify.context import FirstWins, GivenContext
from tests.slack.fixtures import CHANNEL, slack
from tests.slack.server import Slack
from tests.slack.workspace import Channel, Message

__all__ = ["anyway", "app", "slack"]


@dataclass
class App:
    """remediator's side: announces as the outbox does, and listens for clicks."""

    server: Slack
    client: SlackClient
    context: GivenContext
    desk: FirstWins
    notifier: SlackNotifier = field(default_factory=SlackNotifier)
    ref: JSONObject | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    listening: asyncio.Task[None] | None = None

    @property
    def channel(self) -> Channel:
        return self.server.channel(CHANNEL)

    @property
    def message(self) -> Message:
        """The one message of the one run."""
        runs = [m for m in self.channel.messages if m.thread_ts is None]
        assert len(runs) == 1, [m.words for m in runs]
        return runs[0]

    @property
    def thread(self) -> list[Message]:
        return self.channel.thread(self.message.ts)

    async def tell(self, view: RunView, note: Note | None = None) -> None:
        """Deliver one note a second after the last one, and keep the ref."""
        self.server.clock.advance(1)
        given = note or views.note()
        self.ref = await self.notifier.announce(given, view, self.ref, self.context)

    async def ask(self, **changes: Any) -> Message:
        """Post a run that asks for approval."""
        await self.tell(views.view(**changes), views.note(NoteKind.APPROVAL, "asks for approval"))
        return self.message

    async def listen(self) -> None:
        """Go over to Socket Mode: no address, no signing secret."""
        self.server.socket_mode = True
        await self.client.close()
        given = settings(
            self.server, signing_secret=None, app_token=SecretStr(self.server.app_token)
        )
        self.client = SlackClient(given, monotonic=self.server.clock.now)
        self.context.clients = {SlackClient: self.client}
        self.listening = asyncio.create_task(
            self.notifier.listen(self.desk, self.context, self.stopping)
        )
        await self.server.socket.connected()

    async def stop(self) -> None:
        """Stop listening, close the client."""
        self.stopping.set()
        if self.listening is not None:
            async with asyncio.timeout(10):
                await self.listening
        await self.client.close()

    async def receive(self, request: web.Request) -> web.Response:
        """Hand a request over as the HTTP edge does; an exception is its 503."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        callback = Callback(await request.read(), headers)
        try:
            reply = await self.notifier.callback(callback, self.desk, self.context)
        except RuntimeError:
            return web.Response(status=503)
        return web.Response(
            status=reply.status, body=reply.body, headers={"Content-Type": reply.content_type}
        )


def settings(server: Slack, **changes: Any) -> SlackSettings:
    """Return the settings of the app in this workspace."""
    given = {
        "bot_token": SecretStr(server.token),
        "signing_secret": SecretStr(server.signing_secret),
        "channel": CHANNEL,
        "api_url": server.api_url,
    }
    return SlackSettings(**{**given, **changes})


@pytest_asyncio.fixture
async def app(slack: Slack) -> AsyncIterator[App]:
    """An app that Slack reaches at a loopback address, at a time that stands still."""
    client = SlackClient(settings(slack), monotonic=slack.clock.now)
    made = App(
        slack,
        client,
        GivenContext({SlackClient: client}, views.T0),
        FirstWins("slack:U0ANNA", "slack:U0BERT"),
    )
    slack.now = made.context.now
    listener = web.Application()
    for path in SlackNotifier.callback_paths:
        listener.router.add_post(path, made.receive)
    runner = web.AppRunner(listener, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    url = f"http://127.0.0.1:{port}"
    slack.app.interactivity_url = f"{url}/slack/interactions"
    slack.app.commands_url = f"{url}/slack/commands"
    slack.app.events_url = f"{url}/slack/events"
    try:
        yield made
    finally:
        await made.stop()
        await runner.cleanup()


@pytest_asyncio.fixture(params=["over HTTP", "over Socket Mode"])
async def anyway(app: App, request: pytest.FixtureRequest) -> App:
    """The app, listening in either way: what people do must come to the same."""
    if request.param == "over Socket Mode":
        await app.listen()
    return app
