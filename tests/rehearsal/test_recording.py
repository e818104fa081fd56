"""Proves what is kept of a recording: manifests without noise and secrets, series on a grid, and a
file whose comments end where they should."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ruamel.yaml import YAML

from remediator.cli import record_series
from remediator.clients.recording import Exchange, Tape
from remediator.model.alerts import Alert, AlertStatus, Notification
from remediator.rehearsal import recording, trimming
from remediator.rehearsal.recording import Expected, Recording, Series
from remediator.rehearsal.schema import TestFile

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def test_a_manifest_without_noise_and_secrets() -> None:
    found = trimming.trimmed(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "api",
                "uid": "u1",
                "resourceVersion": "7",
                "managedFields": [{"manager": "x"}],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "s3cret",
                    "note": "curl https://ann:s3cret@shop/",
                },
            },
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {
                                "env": [
                                    {"name": "STRIPE_KEY", "value": "s3cret"},
                                    {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"key": "t"}}},
                                    {"name": "PORT", "value": "80"},
                                ],
                                "args": [
                                    "--db-password",
                                    "s3cret",
                                    "--port",
                                    "80",
                                    "--key=s3cretx",
                                ],
                            }
                        ],
                        "volumes": [{"secret": {"secretName": "tls"}}],
                    }
                }
            },
        }
    )
    assert "s3cret" not in str(found)
    assert found["metadata"] == {
        "name": "api",
        "uid": "u1",
        "annotations": {"note": "curl https://ann:***@shop/"},
    }
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert container["env"][1:] == [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"key": "t"}}},
        {"name": "PORT", "value": "80"},
    ]
    assert container["args"][2:4] == ["--port", "80"]
    assert found["spec"]["template"]["spec"]["volumes"] == [{"secret": {"secretName": "tls"}}]


def test_a_secrets_data_is_gone() -> None:
    given = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "x"}, "type": "Opaque"}
    found = trimming.trimmed({**given, "data": {"a": "czNjcmV0"}, "stringData": {"b": "s3cret"}})
    assert found["data"] == {"a": "Kioq"}
    assert found["stringData"] == {"b": "***"}
    assert found["type"] == "Opaque"


async def _series(query: str, samples: Sequence[tuple[float, str]], **more: Any) -> Series:
    async def ask(_: str) -> Sequence[Any]:
        return [{"metric": {"__name__": "up", "job": "a"}, "values": samples}]

    return await record_series.series([query], ask, NOW, **more)


async def test_series_are_on_a_grid_that_ends_now() -> None:
    end = NOW.timestamp()
    plain = await _series("up == 1", [(end - 40, "1"), (end - 10, "0")])
    assert (plain.lead, plain.items) == (timedelta(), (('up{job="a"}', "0 0x240"),))
    counter = [(end - 120 + 30 * n, str(n)) for n in range(5)]
    back = await _series("rate(up[2m])", counter)
    assert (back.lead, back.interval) == (timedelta(minutes=2), timedelta(seconds=30))
    assert back.items[0][1] == "0 1 2 3 4 4x240"
    waited = await _series("up", [(end - 10, "1")], also=timedelta(minutes=1))
    assert waited.lead == timedelta(minutes=1)
    assert waited.items[0][1].startswith("_")
    broken = await _series("sum(", [])
    assert "could not be read" in broken.doubts[0]


@pytest.mark.parametrize("line_end", ["\n", "\r", "\x85", "\u2028"])
def test_a_comment_ends_where_it_should(line_end: str) -> None:
    alert = Alert(AlertStatus.FIRING, {"alertname": "A\nb"}, {}, NOW, None, "", "f")
    notification = Notification("", AlertStatus.FIRING, "", {}, {}, {}, "", (alert,))
    tape = Tape()
    tape.exchanges.append(Exchange("GET", "http://shop/x", (), {}, None))
    text = recording.text(
        Recording(
            at=NOW,
            runbooks=("a.yaml",),
            notification=notification,
            body={},
            raw="",
            tape=tape,
            series=Series(),
            expected=Expected("a", "failed", "plan_failed", (), ()),
            held=False,
            wait_for=timedelta(minutes=1),
            doubts=[f"it said x{line_end}tests: gone"],
        )
    )
    written = YAML(typ="safe").load(text)
    assert written["world"]["http"] == [{"request": "GET http://shop/x", "fails": "no connection"}]
    found = TestFile.model_validate(written)
    assert found.tests[0].timeline[0].firing == ({"alertname": "A\nb"},)
    assert found.tests[0].expect[0].at == timedelta(seconds=70)
    assert found.start == NOW - timedelta(minutes=1)
