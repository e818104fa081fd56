"""Proves of asking Alertmanager, against the real one: exact matchers whatever the labels hold,
silenced alerts fire, resolved ones do not, peers are taken together and fail closed, and the
silence of an Alertmanager that has just started proves nothing."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.clients.alertmanager import Alertmanagers, matcher
from remediator.model.alerts import AlertStatus, fingerprint
from remediator.model.signals import Signal
from remediator.settings import Sender
from tests.servers.alertmanager import Alertmanager, webhook_config
from tests.servers.binaries import find
from tests.servers.endpoint import Endpoint, QuietHandler
from tests.servers.fixtures import AlertmanagerFactory
from tests.servers.rest import request
from tests.servers.waiting import eventually_async

# mypy does not find the type of a coroutine's answer through `T | Awaitable[T]`.
until: Callable[..., Awaitable[bool]] = eventually_async

NOBODY = "http://127.0.0.1:1"
NO_WARMUP = timedelta()
Ask = Callable[..., Alertmanagers]


@pytest.fixture
def server(alertmanager_factory: AlertmanagerFactory) -> Alertmanager:
    return alertmanager_factory(webhook_config(NOBODY))


@pytest.fixture
async def asking() -> AsyncIterator[Ask]:
    """`asking(url, …)` returns a client whose sender `default` has these peers."""
    made: list[Alertmanagers] = []

    def ask(*urls: str, warmup: timedelta = NO_WARMUP) -> Alertmanagers:
        sender = Sender(alertmanager=urls, alertmanager_warmup=warmup)
        made.append(Alertmanagers({"default": sender, "without": Sender()}))
        return made[-1]

    yield ask
    for client in made:
        await client.close()


def fire(
    server: Alertmanager,
    labels: Mapping[str, str],
    *,
    ago: timedelta = timedelta(),
    lasts_s: int = 600,
) -> datetime:
    starts_at = (datetime.now(UTC) - ago).replace(microsecond=123000)
    ends_at = datetime.now(UTC) + timedelta(seconds=lasts_s)
    server.post_alerts(
        [
            {
                "labels": dict(labels),
                "annotations": {"summary": "ü"},
                "startsAt": starts_at.isoformat(),
                "endsAt": ends_at.isoformat(),
                "generatorURL": "http://prometheus.example/graph",
            }
        ]
    )
    return starts_at


async def test_it_fires_and_resolves(server: Alertmanager, asking: Ask) -> None:
    client = asking(server.url)
    labels = {"alertname": "A", "namespace": "shop"}
    assert await client.firing("default", labels) is Signal.RESOLVED
    starts_at = fire(server, labels, ago=timedelta(minutes=5))
    seen = await client.look("default", labels)
    assert (seen.signal, seen.starts_at) == (Signal.FIRING, starts_at)
    assert await client.firing("default", {"alertname": "A"}) is Signal.FIRING
    for other in (
        {**labels, "pod": "x"},
        {"alertname": "A", "namespace": "sho"},
        {"alertname": "a"},
    ):
        assert await client.firing("default", other) is Signal.RESOLVED
    fire(server, labels, ago=timedelta(minutes=5), lasts_s=0)

    async def resolved() -> bool:
        return await client.firing("default", labels) is Signal.RESOLVED

    await until(resolved, 10, what="the alert to resolve")


async def test_a_silenced_alert_still_fires_and_is_not_notified(
    server: Alertmanager, asking: Ask
) -> None:
    client = asking(server.url)
    labels = {"alertname": "Silenced"}
    fire(server, labels)
    now = datetime.now(UTC)
    answer = request(
        "POST",
        f"{server.url}/api/v2/silences",
        {
            "matchers": [{"name": "alertname", "value": "Silenced", "isRegex": False}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "test",
            "comment": "test",
        },
    )
    assert answer.status == 200

    async def muted() -> bool:
        return await client.alerts("default") == ()

    await until(muted, 10, what="the silence to count")
    assert await client.firing("default", labels) is Signal.FIRING


async def test_peers_are_taken_together(
    alertmanager_factory: AlertmanagerFactory, asking: Ask
) -> None:
    one, other = (alertmanager_factory(webhook_config(NOBODY)) for _ in range(2))
    labels = {"alertname": "A"}
    both = asking(one.url, f"{other.url}/")
    assert await both.firing("default", labels) is Signal.RESOLVED
    later = fire(other, labels)
    assert await both.firing("default", labels) is Signal.FIRING
    earlier = fire(one, labels, ago=timedelta(minutes=1))
    seen = await both.look("default", labels)
    assert seen.starts_at == earlier < later
    alerts = await both.alerts("default")
    assert alerts is not None
    assert [a.starts_at for a in alerts] == [earlier]
    other.stop()
    half = await both.look("default", labels)
    assert half.signal is Signal.FIRING
    assert len(half.silent) == 1
    assert "no connection" in half.silent[0]
    one.stop()
    assert await both.firing("default", labels) is Signal.UNKNOWN
    assert await both.alerts("default") is None


async def test_without_addresses_nobody_is_asked(asking: Ask) -> None:
    client = asking(NOBODY)
    for sender in ("without", "unheard-of"):
        assert await client.firing(sender, {"a": "b"}) is Signal.NOT_CONFIGURED
        assert await client.alerts(sender) is None


async def test_the_silence_of_a_fresh_alertmanager_proves_nothing(
    server: Alertmanager, asking: Ask
) -> None:
    """It forgot its alerts when it restarted; what it does say counts at once."""
    careful = asking(server.url, warmup=timedelta(minutes=2))
    labels = {"alertname": "A"}
    seen = await careful.look("default", labels)
    assert seen.signal is Signal.UNKNOWN
    assert "may not have heard of the alert again; believed after 120s" in seen.silent[0]
    fire(server, labels)
    assert await careful.firing("default", labels) is Signal.FIRING
    soon = asking(server.url, warmup=timedelta(seconds=1))

    async def believed() -> bool:
        return await soon.firing("default", {"alertname": "B"}) is Signal.RESOLVED

    await until(believed, 10, what="the Alertmanager to be a second old")


async def test_alerts_are_told_in_our_shape(server: Alertmanager, asking: Ask) -> None:
    labels = {"alertname": "A", "text": 'é "quoted" \\ back\nnew'}
    starts_at = fire(server, labels)
    found = await asking(server.url).alerts("default")
    assert found is not None
    (alert,) = found
    assert alert.status is AlertStatus.FIRING
    assert alert.labels == labels
    assert alert.annotations == {"summary": "ü"}
    assert alert.starts_at == starts_at
    assert alert.ends_at is None
    assert alert.generator_url == "http://prometheus.example/graph"
    assert alert.fingerprint == fingerprint(labels)


async def test_alerts_of_one_receiver(
    alertmanager_factory: AlertmanagerFactory, asking: Ask
) -> None:
    config = json.loads(webhook_config(NOBODY))
    config["route"]["routes"] = [{"receiver": "team.x", "matchers": ["team=x"]}]
    config["receivers"].append({"name": "team.x"})
    server = alertmanager_factory(json.dumps(config))
    fire(server, {"alertname": "A", "team": "x"})
    fire(server, {"alertname": "B"})
    client = asking(server.url)
    mine = await client.alerts("default", receiver="team.x")
    assert mine is not None
    assert [a.labels["alertname"] for a in mine] == ["A"]
    assert await client.alerts("default", receiver="teamyx") == ()


async def test_labels_too_long_for_a_request_line(server: Alertmanager, asking: Ask) -> None:
    """The rest is compared here, so nothing is lost and nothing is mistaken."""
    client = asking(server.url)
    labels = {"a0": "ü" * 5000, "alertname": "A", **{f"l{n}": "x" * 300 for n in range(40)}}
    fire(server, labels)
    assert await client.firing("default", labels) is Signal.FIRING
    assert await client.firing("default", {**labels, "a0": "other"}) is Signal.RESOLVED
    assert await client.firing("default", {**labels, "l39": "other"}) is Signal.RESOLVED


class Lying(Endpoint):
    """Alertmanager's API gone wrong: every answer is the same text."""

    def __init__(self, status: int, body: bytes) -> None:
        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base calls it so
                self.answer(status, body, "application/json")

        super().__init__(Handler)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"[]"),
        (404, b"not found"),
        (302, b"[]"),
        (200, b"<html>"),
        (200, b"{}"),
        (200, b'[{"labels": {"a": 1}}]'),
        (200, b"\xff"),
    ],
)
async def test_an_answer_that_is_none_counts_as_none(asking: Ask, status: int, body: bytes) -> None:
    with Lying(status, body) as server:
        client = asking(f"http://{server.address}")
        assert await client.firing("default", {"a": "b"}) is Signal.UNKNOWN
        assert await client.alerts("default") is None


async def test_an_age_that_can_not_be_read_counts_as_none(asking: Ask) -> None:
    with Lying(200, b"[]") as server:  # no alerts, and no status either
        client = asking(f"http://{server.address}", warmup=timedelta(seconds=1))
        assert await client.firing("default", {"a": "b"}) is Signal.UNKNOWN


async def test_a_filter_that_is_ignored_is_compared_here(asking: Ask) -> None:
    alert = {"labels": {"a": "b"}, "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "1"}
    with Lying(200, json.dumps([alert]).encode()) as server:
        client = asking(f"http://{server.address}")
        assert await client.firing("default", {"a": "b"}) is Signal.FIRING
        assert await client.firing("default", {"a": "c"}) is Signal.RESOLVED


# What Alertmanager takes as a label's value: any text that is UTF-8, and not empty.
VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
TRICKY = st.text(st.sampled_from("\"\\\n,{}=~!;&+%# 'nt\tü\0"), min_size=1, max_size=20)
SLOW = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@SLOW
@given(value=VALUES | TRICKY, other=VALUES | TRICKY)
def test_the_real_one_finds_exactly_the_value(server: Alertmanager, value: str, other: str) -> None:
    async def check() -> None:
        client = Alertmanagers(
            {"default": Sender(alertmanager=(server.url,), alertmanager_warmup=NO_WARMUP)}
        )
        try:
            name = f"v{fingerprint({'v': value})}"  # each example has an alert of its own
            fire(server, {"alertname": name, "v": value})
            wanted = {"alertname": name, "v": value}
            assert await client.firing("default", wanted) is Signal.FIRING
            another = Signal.FIRING if other == value else Signal.RESOLVED
            assert await client.firing("default", {**wanted, "v": other}) is another
        finally:
            await client.close()

    asyncio.run(check())


@settings(max_examples=60, deadline=None)
@given(value=TRICKY)
def test_amtool_takes_the_matcher_in_a_route(value: str) -> None:
    """The parser of configurations is stricter than the API's."""
    config = {
        "route": {
            "receiver": "no",
            "routes": [{"receiver": "yes", "matchers": [matcher("v", value)]}],
        },
        "receivers": [{"name": "no"}, {"name": "yes"}],
    }
    checked = subprocess.run(
        [find("amtool"), "check-config", "/dev/stdin"],
        input=json.dumps(config), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_names_are_quoted_only_where_they_must_be() -> None:
    assert matcher("namespace", "shop") == 'namespace="shop"'
    assert matcher("a.b", 'x"y') == '"a.b"="x\\"y"'
    assert matcher("größe", "a\nb\\") == '"größe"="a\\nb\\\\"'
    assert matcher("0a", "") == '"0a"=""'
