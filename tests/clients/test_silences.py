"""Proves that silences are set, found again, and removed once, against the real Alertmanager; alone
and in a cluster of two, of which one may be down."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.clients.silences import AlertmanagerSilences
from remediator.engine.clock import SystemClock
from remediator.model.silences import Silence, SilenceState
from remediator.settings import Sender
from tests.servers.alertmanager import Alertmanager, webhook_config
from tests.servers.fixtures import AlertmanagerClusterFactory, AlertmanagerFactory
from tests.servers.rest import request
from tests.servers.waiting import eventually_async

until: Callable[..., Awaitable[bool]] = eventually_async

NOBODY = "http://127.0.0.1:1"


@pytest.fixture
def server(alertmanager_factory: AlertmanagerFactory) -> Alertmanager:
    return alertmanager_factory(webhook_config(NOBODY))


def client(*urls: str) -> AlertmanagerSilences:
    return AlertmanagerSilences({"default": Sender(alertmanager=urls)}, SystemClock())


@pytest.fixture
async def silences(server: Alertmanager) -> AsyncIterator[AlertmanagerSilences]:
    made = client(server.url)
    yield made
    await made.close()


def wanted(number: int = 1, *, seconds: float = 600, matchers: str = "") -> Silence:
    line = matchers or 'alertname=~"Pod.*", namespace="shop", pod!="", zone!~"a|b"'
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    return Silence("run-1", number, "default", line, end, SilenceState.WANTED)


def active(server: Alertmanager) -> list[dict[str, Any]]:
    found = request("GET", f"{server.url}/api/v2/silences").json()
    return [one for one in found if one["status"]["state"] != "expired"]


async def test_a_silence_says_what_is_wanted_and_mutes_just_that(
    server: Alertmanager, silences: AlertmanagerSilences
) -> None:
    one = wanted()
    told = await silences.silence(one)
    (held,) = active(server)
    assert (held["id"], told.error) == (told.id, "")
    assert (held["createdBy"], held["comment"]) == ("remediator", "remediator run run-1, silence 1")
    assert [(m["name"], m["isRegex"], m["isEqual"]) for m in held["matchers"]] == [
        ("alertname", True, True),
        ("namespace", False, True),
        ("pod", False, False),
        ("zone", True, False),
    ]
    ends = datetime.fromisoformat(held["endsAt"])
    assert abs(ends - one.until) < timedelta(seconds=1)
    inside = {"alertname": "PodDown", "namespace": "shop", "pod": "p"}
    server.post_alerts([{"labels": inside}, {"labels": {**inside, "namespace": "pay"}}])

    async def muted() -> bool:
        states = {a["labels"]["namespace"]: a["status"]["state"] for a in server.alerts()}
        return states == {"shop": "suppressed", "pay": "active"}

    assert await until(muted, what="the alert to be muted")


async def test_one_whose_answer_was_lost_is_not_set_twice(
    server: Alertmanager, silences: AlertmanagerSilences
) -> None:
    first = await silences.silence(wanted())
    assert (await silences.silence(wanted())).id == first.id
    await silences.silence(wanted(2))
    assert len(active(server)) == 2


async def test_it_is_removed_and_nothing_else(
    server: Alertmanager, silences: AlertmanagerSilences
) -> None:
    await silences.silence(wanted(1))
    other = await silences.silence(wanted(2))
    for _ in range(2):
        assert await silences.unsilence(wanted(1)) == ""
    assert [one["id"] for one in active(server)] == [other.id]


async def test_what_has_expired_is_gone(
    server: Alertmanager, silences: AlertmanagerSilences
) -> None:
    await silences.silence(wanted(seconds=1))

    async def expired() -> bool:
        return not active(server)

    assert await until(expired, what="the silence to expire")
    assert await silences.unsilence(wanted()) == ""


async def test_nobody_answers(server: Alertmanager, silences: AlertmanagerSilences) -> None:
    server.stop()
    assert "no connection" in (await silences.silence(wanted())).error
    assert "no connection" in await silences.unsilence(wanted())
    nowhere = AlertmanagerSilences({}, SystemClock())
    assert "no alertmanager" in (await nowhere.silence(wanted())).error


async def test_an_operator_may_forbid_it(server: Alertmanager) -> None:
    sender = Sender(alertmanager=(server.url,), silences=False)
    forbidden = AlertmanagerSilences({"default": sender}, SystemClock())
    told = await forbidden.silence(wanted())
    assert told.error == "senders.default.silences is off in the settings"
    assert active(server) == []
    await forbidden.close()


async def test_what_alertmanager_refuses_is_told(silences: AlertmanagerSilences) -> None:
    told = await silences.silence(wanted(seconds=-60))
    assert "HTTP 400" in told.error


async def test_of_a_cluster_one_may_be_down(
    alertmanager_cluster_factory: AlertmanagerClusterFactory,
) -> None:
    cluster = alertmanager_cluster_factory(webhook_config(NOBODY))
    one, two = cluster.members
    both = client(one.url, two.url)
    try:
        told = await both.silence(wanted())

        async def known() -> bool:
            return [held["id"] for held in active(two)] == [told.id]

        assert await until(known, what="the peer to hear of it")
        await asyncio.to_thread(one.stop)
        assert await both.unsilence(wanted()) == ""
        assert active(two) == []
    finally:
        await both.close()
