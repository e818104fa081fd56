"""Proves that webhooks carry a run whole, that receivers can check and deduplicate them with the
library of Standard Webhooks, and that endpoints do not disturb each other."""

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr, ValidationError

from remediator import app
from remediator.clients.webhooks import WebhookClient
from remediator.model.runs import RunState
from remediator.model.views import NoteKind
from remediator.notify.webhook import Webhook
from remediator.plugin import registry
from remediator.plugin.notifier import Refused, Undelivered
from remediator.settings import Settings, Wanted, WebhookSettings
from tests.notify import views, webhook_receiver
from tests.notify.channel import Channel, opened
from tests.notify.views import RUN_ID, note

# Receivers refuse what is older than five minutes by their own clock.


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[webhook_receiver.Receiver]:
    receiver = await webhook_receiver.Receiver().start()
    yield receiver
    await receiver.stop()


def client(receiver: webhook_receiver.Receiver, secret: str | None = None) -> WebhookClient:
    url = SecretStr(f"{receiver.url}/hook/t0ken-in-the-path")
    given = WebhookSettings(url=url, secret=SecretStr(secret or receiver.secret))
    return WebhookClient({"ops": given})


@pytest_asyncio.fixture
async def channel(receiver: webhook_receiver.Receiver) -> AsyncIterator[Channel]:
    async with opened(Webhook("ops"), client(receiver)) as channel:
        channel.context.at = datetime.now(UTC)  # the receivers' library reads the clock
        yield channel


async def test_a_note_arrives_signed_and_whole(
    receiver: webhook_receiver.Receiver, channel: Channel
) -> None:
    await channel.page()
    body = receiver.taken["run-7"]
    assert body["type"] == "run.escalation"
    assert body["data"]["note"]["text"] == "api-latency failed: not healthy"
    assert body["data"]["run"]["id"] == RUN_ID
    assert body["data"]["run"]["steps"][0]["changes"] == ["spec.replicas: 4 → 6"]
    assert body["data"]["alert"]["labels"]["alertname"] == "HighLatency"


async def test_what_is_told_twice_has_one_id(
    receiver: webhook_receiver.Receiver, channel: Channel
) -> None:
    receiver.lose_answers = 1
    with pytest.raises(Undelivered):
        await channel.page()
    await channel.page()
    assert (list(receiver.taken), receiver.repeats) == (["run-7"], 1)


async def test_a_key_can_be_replaced_without_a_gap(receiver: webhook_receiver.Receiver) -> None:
    new = "whsec_" + b64encode(b"n" * 32).decode()
    async with opened(Webhook("ops"), client(receiver, f"{new} {receiver.secret}")) as channel:
        channel.context.at = datetime.now(UTC)  # the receivers' library reads the clock
        await channel.page()
    assert list(receiver.taken) == ["run-7"]


async def test_a_wrong_key_waits_for_the_operator_and_the_address_is_not_shown(
    receiver: webhook_receiver.Receiver,
) -> None:
    wrong = "whsec_" + b64encode(b"w" * 32).decode()
    async with opened(Webhook("ops"), client(receiver, wrong)) as channel:
        channel.context.at = datetime.now(UTC)  # the receivers' library reads the clock
        with pytest.raises(Undelivered, match=r"webhook ops \(127\.0\.0\.1\): HTTP 401") as caught:
            await channel.state(RunState.SUCCEEDED)
    assert caught.value.after == timedelta(minutes=1)
    assert "t0ken" not in str(caught.value)


@pytest.mark.parametrize("status", [404, 429, 500, 503])
async def test_what_may_come_right_is_tried_again(
    receiver: webhook_receiver.Receiver, channel: Channel, status: int
) -> None:
    receiver.fail_with = status
    with pytest.raises(Undelivered, match=str(status)):
        await channel.state(RunState.SUCCEEDED)
    receiver.fail_with = None
    await channel.state(RunState.SUCCEEDED)
    assert list(receiver.taken) == ["run-9"]


@pytest.mark.parametrize("status", [400, 410, 413])
async def test_what_will_never_be_taken_is_given_up(
    receiver: webhook_receiver.Receiver, channel: Channel, status: int
) -> None:
    receiver.fail_with = status
    with pytest.raises(Refused, match=str(status)):
        await channel.tell(note(NoteKind.STATE), views.view())


@pytest.mark.parametrize("secret", ["whsec_short", "whsec_" + "!" * 40, b64encode(b"x" * 65)])
def test_a_key_that_is_none_is_an_error_at_the_start(secret: Any) -> None:
    with pytest.raises(ValidationError, match="24 to 64 random bytes"):
        WebhookSettings(url=SecretStr("https://x.example"), secret=secret)


def test_each_endpoint_is_a_notifier_of_its_own() -> None:
    def endpoint(notes: Wanted) -> WebhookSettings:
        secret = SecretStr("whsec_" + b64encode(b"x" * 32).decode())
        return WebhookSettings(url=SecretStr("https://x.example"), secret=secret, notes=notes)

    given = {"ops": endpoint(Wanted.ALL), "pager": endpoint(Wanted.ESCALATIONS)}
    settings = Settings(webhooks=given, escalate_to=["webhook:pager"])
    found = app.configured_notifiers(settings, registry.load(third_party=False))
    assert {name: one.escalates for name, one in found.items()} == {
        "webhook:ops": False,
        "webhook:pager": True,
    }
