"""Proves against the real Alertmanager that what it sends is read as it was posted, and that our
fingerprint is its fingerprint."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from remediator.model.alerts import fingerprint
from remediator.sources.alertmanager import Alertmanager
from tests.servers import alertmanager as servers
from tests.servers.waiting import eventually
from tests.servers.webhook import WebhookReceiver

LABEL_SETS = [
    {"alertname": "HighLatency", "namespace": "shop"},
    {"alertname": "a"},
    {"alertname": "unicode", "team": "Zürich – 東京 🚒", "quote": "\"'\\\n\t"},
    {"alertname": "order", "zz": "1", "a": "2", "Z": "3", "_b": "4", "a1": "5"},
    {"alertname": "long", "text": "x" * 2000},
]


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as listening:
        yield listening


def test_what_it_sends_is_read_as_posted(tmp_path: Path, receiver: WebhookReceiver) -> None:
    starts_at = datetime.now(UTC).replace(microsecond=123456)
    config = servers.webhook_config(receiver.url, group_by=("nothing",))
    config = config.replace('"webhook"', '"team.x (a+b)"')  # the receiver's name
    with servers.Alertmanager(tmp_path / "am", config) as sender:
        sender.post_alerts(
            [
                {
                    "labels": labels,
                    "annotations": {"summary": "ü"},
                    "startsAt": starts_at.isoformat(),
                    "endsAt": (starts_at + timedelta(hours=1)).isoformat(),
                    "generatorURL": "http://prometheus.example/graph?g0.expr=up",
                }
                for labels in LABEL_SETS
            ]
        )
        # The group's wait may end before all of them have reached the group.
        whole = eventually(
            lambda: [n for n in receiver.notifications if len(n["alerts"]) == len(LABEL_SETS)],
            what="a notification of all alerts",
        )
        firing = Alertmanager().parse(json.dumps(whole[0]).encode())
        assert firing.receiver == "team.x (a+b)"
        assert firing.truncated == 0
        posted = {fingerprint(labels): labels for labels in LABEL_SETS}
        assert {a.fingerprint: a.labels for a in firing.alerts} == posted
        for one in firing.alerts:
            assert one.firing
            assert one.starts_at == starts_at
            assert one.ends_at is None
            assert one.annotations == {"summary": "ü"}
            assert one.generator_url == "http://prometheus.example/graph?g0.expr=up"
