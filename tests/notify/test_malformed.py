"""Proves that an answer which is not the service's own (a proxy's page, half a document, megabytes)
is never taken for success where success says something, breaks nothing, and shows no secret."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from pydantic import SecretStr

from remediator.clients import errors
from remediator.clients.grafana import GrafanaClient
from remediator.clients.opsgenie import OpsgenieClient
from remediator.clients.pagerduty import PagerDutyClient
from remediator.clients.silences import AlertmanagerSilences
from remediator.engine.clock import SystemClock
from remediator.model.silences import Silence, SilenceState
from remediator.settings import (
    GrafanaSettings,
    OpsgenieSettings,
    PagerDutySettings,
    Sender,
)
from tests.notify.loopback import Loopback

SECRET = "s3cret-of-this-client-0123456789"


@dataclass
class Wrong(Loopback):
    """Answers everything with the same."""

    body: bytes = b""
    status: int = 200

    def routes(self, router: web.UrlDispatcher) -> None:
        """See `Loopback.routes`."""
        router.add_route("*", "/{any:.*}", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(status=self.status, body=self.body)


@pytest_asyncio.fixture
async def wrong() -> AsyncIterator[Wrong]:
    server = await Wrong().start()
    yield server
    await server.stop()


async def opsgenie(url: str) -> None:
    client = OpsgenieClient(OpsgenieSettings(api_key=SecretStr(SECRET), api_url=url))
    try:
        await client.create("a", message="m", description="", entity="", details={}, tags=[])
    finally:
        await client.close()


async def grafana(url: str) -> None:
    client = GrafanaClient(GrafanaSettings(url=url, token=SecretStr(SECRET)))
    try:
        await client.create(tags=["t"], text="t", start=datetime.now(UTC), end=None)
    finally:
        await client.close()


async def annotations(url: str) -> None:
    client = GrafanaClient(GrafanaSettings(url=url, token=SecretStr(SECRET)))
    try:
        assert await client.find(["t"]) is None, "an empty list is an answer"
        raise errors.Refused("nothing was there")
    finally:
        await client.close()


async def on_call(url: str) -> None:
    client = PagerDutyClient(PagerDutySettings(api_token=SecretStr(SECRET), rest_url=url))
    try:
        await client.on_call("PSRE")
    finally:
        await client.close()


async def silence(url: str) -> None:
    client = AlertmanagerSilences({"default": Sender(alertmanager=(url,))}, SystemClock())
    until = datetime.now(UTC) + timedelta(minutes=5)
    one = Silence("run-1", 1, "default", 'alertname="A"', until, SilenceState.WANTED)
    try:
        told = await client.silence(one)
        assert told.id == ""
        raise errors.Refused(told.error)
    finally:
        await client.close()


CALLS: dict[str, Callable[[str], Awaitable[None]]] = {
    "opsgenie": opsgenie,
    "grafana": grafana,
    "annotations": annotations,
    "on_call": on_call,
    "silence": silence,
}
BODIES: dict[str, bytes] = {
    "empty": b"",
    "a page": b"<html>Please log in</html>",
    "a number": b"7",
    "null": b"null",
    "a list of nothing known": b'[{"x": 1}]',
    "an object of nothing known": b'{"x": [null]}',
    "half": b'{"oncalls": [{"user": {"id": "P1"}, "sched',
    "wrong types": b'{"requestId": 7, "id": "x", "oncalls": {"user": 1}, "silenceID": []}',
    "not text": b"\xff\xfe\x00\xd8",
    "deep": b"[" * 5000,
    "a lot": b'"' + b"x" * 20_000_000 + b'"',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_what_is_no_answer_is_no_success(
    wrong: Wrong, call: Callable[[str], Awaitable[Any]], body: bytes
) -> None:
    wrong.body = body
    with pytest.raises(errors.ClientError) as caught:
        await call(wrong.url)
    assert len(str(caught.value)) < 1000


# Alertmanager is given no secret.
WITH_SECRET = [name for name in CALLS if name != "silence"]


@pytest.mark.parametrize("name", WITH_SECRET)
async def test_a_secret_that_is_sent_back_is_not_shown(wrong: Wrong, name: str) -> None:
    wrong.status = 400
    wrong.body = f'{{"message": "bad key {SECRET}", "errors": ["{SECRET}\\u202e"]}}'.encode()
    with pytest.raises(errors.ClientError) as caught:
        await CALLS[name](wrong.url)
    assert SECRET not in str(caught.value)
    assert "\u202e" not in str(caught.value)
