"""Proves that an address of Apprise's gets plain messages, and what its failures mean; through the
real library, whose JSON service posts to a server on loopback."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from pydantic import SecretStr

from remediator import app
from remediator.clients.apprise import AppriseClient
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.notify.apprise import Apprise
from remediator.plugin import registry
from remediator.plugin.notifier import Refused, Undelivered
from remediator.settings import AppriseSettings, Settings
from tests.notify import views
from tests.notify.channel import Channel, opened
from tests.notify.loopback import Loopback
from tests.notify.views import note


@dataclass
class Sink(Loopback):
    """Keeps what Apprise posts."""

    taken: list[Any] = field(default_factory=list)

    def routes(self, router: web.UrlDispatcher) -> None:
        """See `Loopback.routes`."""
        router.add_post("/t0ken", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        self.taken.append(json.loads(await request.read()))
        return web.Response()


@pytest_asyncio.fixture
async def sink() -> AsyncIterator[Sink]:
    sink = await Sink().start()
    yield sink
    await sink.stop()


@pytest_asyncio.fixture
async def channel(sink: Sink) -> AsyncIterator[Channel]:
    address = SecretStr(sink.url.replace("http://", "json://") + "/t0ken")
    client = AppriseClient({"phone": AppriseSettings(url=address)})
    async with opened(Apprise("phone"), client) as channel:
        yield channel


async def test_what_matters_is_told_in_plain_words(sink: Sink, channel: Channel) -> None:
    await channel.tell(note(NoteKind.STEP, "scaled"), views.view(RunState.APPLYING))
    assert sink.taken == []
    await channel.page()
    (told,) = sink.taken
    assert told["title"] == "api-latency-scale-out: a person must look"
    assert told["type"] == "failure"
    assert "api-latency failed: not healthy" in told["message"]
    assert "deployment shop/api: spec.replicas: 4 → 6" in told["message"]


async def test_an_outage_is_tried_again(sink: Sink, channel: Channel) -> None:
    sink.fail_with = 503
    with pytest.raises(Undelivered, match="apprise phone: not delivered") as caught:
        await channel.state(RunState.SUCCEEDED)
    assert "t0ken" not in str(caught.value)
    sink.fail_with = None
    await channel.state(RunState.SUCCEEDED)
    assert len(sink.taken) == 1


async def test_an_address_that_is_none_lets_the_next_be_called() -> None:
    client = AppriseClient({"phone": AppriseSettings(url=SecretStr("nosuchthing://x"))})
    async with opened(Apprise("phone"), client) as channel:
        with pytest.raises(Refused, match="none that Apprise knows"):
            await channel.page()


def test_each_address_is_a_notifier_of_its_own() -> None:
    settings = Settings(
        apprise={"phone": AppriseSettings(url=SecretStr("json://127.0.0.1"))},
        escalate_to=["apprise:phone"],
    )
    found = app.configured_notifiers(settings, registry.load(third_party=False))
    assert set(found) == {"apprise:phone"}
