"""The simulated Alertmanager answers our clients as a real one does, and notifies as it does."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.clients.alertmanager import Alertmanagers
from remediator.clients.http import Http, HttpClient
from remediator.clients.silences import AlertmanagerSilences
from remediator.model.alerts import Alert, AlertStatus, fingerprint
from remediator.model.clock import Clock
from remediator.model.signals import Signal
from remediator.model.silences import Silence, SilenceState
from remediator.rehearsal.happen import notification_body
from remediator.settings import Sender
from remediator.simulated.alertmanager import ALERTMANAGER_URL
from remediator.simulated.alertmanager import Alertmanager as Simulated
from remediator.simulated.http import Web
from remediator.testing.clock import ManualClock
from tests.servers.alertmanager import Alertmanager, webhook_config
from tests.servers.fixtures import AlertmanagerFactory
from tests.servers.waiting import eventually, eventually_async
from tests.servers.webhook import WebhookReceiver

until: Callable[..., Awaitable[bool]] = eventually_async

NOBODY = "http://127.0.0.1:1"
NOW = datetime.now(UTC).replace(microsecond=0)
A = {"alertname": "PodDown", "namespace": "shop", "pod": "web-1"}
B = {"alertname": "PodDown", "namespace": "pay", "pod": 'a"b\\c'}


class Wall(ManualClock):
    """A clock that stands at the time of the real server."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Pair:
    """Our clients of one Alertmanager, and how alerts get into it."""

    fires: Callable[[dict[str, str]], None]
    alertmanagers: Alertmanagers
    silences: AlertmanagerSilences
    http: Http
    url: str


def pair(url: str, http: Http, clock: Clock, fires: Callable[[dict[str, str]], None]) -> Pair:
    senders = {"default": Sender(alertmanager=(url,), alertmanager_warmup="0s")}
    return Pair(
        fires, Alertmanagers(senders, http), AlertmanagerSilences(senders, clock, http), http, url
    )


def simulated() -> Pair:
    clock = Wall()
    server = Simulated(clock)

    def fires(labels: dict[str, str]) -> None:
        server.fire(firing(labels))

    return pair(ALERTMANAGER_URL, Web([], clock, {ALERTMANAGER_URL: server}), clock, fires)


@contextmanager
def real(server: Alertmanager) -> Iterator[Pair]:
    def fires(labels: dict[str, str]) -> None:
        server.post_alerts([{"labels": labels, "startsAt": text(NOW)}])
        eventually(
            lambda: any(one["labels"] == labels for one in server.alerts()),
            10.0,
            what="the alert to be known",
        )

    yield pair(server.url, HttpClient(), Wall(), fires)


def firing(labels: dict[str, str]) -> Alert:
    return Alert(
        AlertStatus.FIRING,
        labels,
        {},
        NOW,
        None,
        "http://prometheus.test/graph",
        fingerprint(labels),
    )


def text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


Story = Callable[[Pair], Awaitable[list[Any]]]


async def what_fires(one: Pair) -> list[Any]:
    """Asked by some of its labels, by all, by others'; before and after."""
    seen: list[Any] = [await one.alertmanagers.firing("default", A)]
    one.fires(A)
    one.fires(B)
    for labels in (A, B, {"namespace": "shop"}, {"namespace": "other"}, {"zone": ""}, {}):
        sighting = await one.alertmanagers.look("default", labels)
        seen += [sighting.signal, sighting.starts_at]
    found = await one.alertmanagers.alerts("default", muted=True)
    seen += sorted((a.fingerprint, sorted(a.labels.items()), a.starts_at) for a in found or ())
    return seen


async def what_is_muted(one: Pair) -> list[Any]:
    """Set, found again, removed; who mutes is still told of when asked for."""
    one.fires(A)
    one.fires(B)
    end = datetime.now(UTC) + timedelta(minutes=10)
    line = 'alertname=~"Pod.*", namespace="shop", pod!="", zone!~"a|b"'
    wanted = Silence("run-1", 1, "default", line, end, SilenceState.WANTED)
    first, again = [await one.silences.silence(wanted) for _ in range(2)]
    seen: list[Any] = [first.error, first.id == again.id]

    async def notified() -> list[str]:
        found = await one.alertmanagers.alerts("default")
        return sorted(a.labels["namespace"] for a in found or ())

    async def is_muted() -> bool:
        return await notified() == ["pay"]

    assert await until(is_muted, what="the silence to hold")
    seen.append(await one.alertmanagers.firing("default", A))
    seen.append(await one.silences.unsilence(wanted))

    async def is_heard() -> bool:
        return await notified() == ["pay", "shop"]

    assert await until(is_heard, what="the silence to go")
    seen.append(await one.silences.unsilence(wanted))
    return seen


async def what_is_refused(one: Pair) -> list[Any]:
    """The status of what is no request of the API."""
    over = {
        "matchers": [{"name": "a", "value": "b", "isRegex": False, "isEqual": True}],
        "startsAt": text(NOW - timedelta(hours=2)),
        "endsAt": text(NOW - timedelta(hours=1)),
        "createdBy": "x",
        "comment": "y",
    }
    asked = [
        ("GET", "/api/v2/nothing", None),
        ("POST", "/api/v2/silences", b"{}"),
        ("POST", "/api/v2/silences", _json(over)),
        ("POST", "/api/v2/silences", _json({**over, "matchers": []})),
    ]
    found = []
    for method, path, body in asked:
        answer = await one.http.request(
            method,
            one.url + path,
            body=body,
            headers={"Content-Type": "application/json"},
            timeout_s=5,
            max_bytes=10_000,
        )
        found.append((path, answer.status // 100))
    return found


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("story", [what_fires, what_is_muted, what_is_refused])
async def test_our_clients_see_the_same(
    alertmanager_factory: AlertmanagerFactory, story: Story
) -> None:
    server = alertmanager_factory(webhook_config(NOBODY))
    with real(server) as there:
        truth = await asyncio.wait_for(story(there), 60)
        await there.http.close()
    assert await story(simulated()) == truth


async def test_one_that_is_down_says_nothing() -> None:
    clock = Wall()
    server = Simulated(clock)
    made = pair(
        ALERTMANAGER_URL, Web([], clock, {ALERTMANAGER_URL: server}), clock, lambda labels: None
    )
    server.reachable = False
    assert await made.alertmanagers.firing("default", A) is Signal.UNKNOWN
    wanted = Silence("r", 1, "default", 'a="b"', NOW, SilenceState.WANTED)
    assert "no connection" in (await made.silences.silence(wanted)).error


def test_a_notification_is_what_alertmanager_sends(
    alertmanager_factory: AlertmanagerFactory, webhook_receiver: WebhookReceiver
) -> None:
    """Two alerts of one group, of which one stops: key by key."""
    server = alertmanager_factory(
        webhook_config(webhook_receiver.url, group_by=("alertname",), group_wait="1s")
    )
    notes = {"summary": "it is down", "pod": "one"}
    given = [
        {"labels": A, "annotations": notes, "startsAt": text(NOW), "generatorURL": "http://p/g"},
        {"labels": B, "annotations": {**notes, "pod": "two"}, "startsAt": text(NOW)},
    ]
    server.post_alerts(given)
    truth = webhook_receiver.wait(1)[0]
    alerts = [
        Alert(AlertStatus.FIRING, A, notes, NOW, None, "http://p/g", fingerprint(A)),
        Alert(AlertStatus.FIRING, B, {**notes, "pod": "two"}, NOW, None, "", fingerprint(B)),
    ]
    ours = notification_body(alerts, {"alertname": "PodDown"})
    assert comparable(ours) == comparable(truth)


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what is this Alertmanager's own, and its alerts in one order."""
    own = {"receiver", "externalURL", "notification_reason", "routeLabels"}
    alerts = [
        {k: v for k, v in one.items() if k != "startsAt"}
        | {"startsAt": datetime.fromisoformat(one["startsAt"])}
        for one in body["alerts"]
    ]
    rest = {k: v for k, v in body.items() if k not in own}
    return {**rest, "alerts": sorted(alerts, key=lambda one: str(one["fingerprint"]))}
