"""Proves what a daemon does when the cluster does not know our resources, goes away and comes back,
or holds what somebody wrote to harm us. The control plane is this test's own: it is broken."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.resources.conftest import install
from tests.resources.making import accepted, runbook
from tests.resources.test_story import settings
from tests.scenarios.daemon import RemediatorProcess
from tests.servers.kubernetes import ADMIN, ControlPlane
from tests.servers.waiting import eventually

_FILE = """
name: from-a-file
description: Look.
match: ['alertname="Stuck"']
steps:
  - {id: look, action: prometheus.query, with: {query: up, expect: value > 0}}
"""


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane of this test's own, which knows nothing of us yet."""
    with ControlPlane(tmp_path / "kubernetes") as started:
        started.kubectl("create", "namespace", "shop")
        yield started


def _names(daemon: RemediatorProcess) -> set[str]:
    return {one["name"] for one in daemon.api("/api/v1/runbooks")["items"]}


def _status(plane: ControlPlane, name: str) -> str:
    return str(accepted(plane, "shop", name)["status"])


def _feeds(daemon: RemediatorProcess, result: str) -> float:
    series = f'remediator_resource_feeds_total{{kind="Runbook",result="{result}"}}'
    return daemon.metrics().get(series, 0)


def test_an_eventful_day(plane: ControlPlane, tmp_path: Path) -> None:
    kubeconfig = str(plane.kubeconfig(ADMIN))
    given: dict[str, Any] = {**settings(plane, []), "kubernetes": {"kubeconfig": kubeconfig}}
    given["resources"] |= {"watch": "all"}
    daemon = RemediatorProcess(tmp_path / "daemon", given, {"file": _FILE})
    with daemon:
        # Without the definitions files are served, and somebody is told what to do. Nothing that
        # could be asked for a person exists, so nothing is held.
        assert _names(daemon) == {"from-a-file"}
        assert "kubectl apply -f deploy/crds" in daemon.log.read_text()
        assert daemon.api("/api/v1/policy")["policy"]["rules"] == []
        assert _feeds(daemon, "missing") == 1
        assert daemon.metrics()['remediator_resource_feed_up{kind="Runbook",namespace="*"}'] == 0

        install(plane)
        plane.apply(runbook("a", "shop"))
        eventually(lambda: _status(plane, "a") == "True", 60.0, what="the definitions to be found")
        assert _names(daemon) == {"from-a-file", "shop/a"}

        # The API server goes: what was there stays in force, and it is asked less and less often.
        plane.stop_apiserver()
        eventually(lambda: _feeds(daemon, "unavailable") >= 2, 60.0, what="the outage to be seen")
        assert _names(daemon) == {"from-a-file", "shop/a"}
        assert daemon.running
        plane.start_apiserver()
        plane.kubectl("delete", "runbook", "a", "--namespace", "shop")
        plane.apply(runbook("b", "shop"))
        eventually(lambda: _status(plane, "b") == "True", 60.0, what="it to go on")
        assert _names(daemon) == {"from-a-file", "shop/b"}, "what happened meanwhile is known"
        # Whether the server still remembers where the feed stood depends on its own start; a feed
        # that is told 410 is in tests/clients/test_watch.py and test_watching.py.
        assert daemon.metrics()['remediator_resource_feed_up{kind="Runbook",namespace="*"}'] == 1

        # Somebody nests an object deeper than Python reads: it is refused, and stops no other.
        deep = '{"a":' * 3000 + "1" + "}" * 3000
        poison = json.dumps(runbook("poison", "shop", vars={"v": "DEEP"})).replace('"DEEP"', deep)
        path = "/apis/remediator.dev/v1alpha1/namespaces/shop/runbooks"
        made = plane.api("POST", path, poison.encode())
        assert made.status == 201, made.text[:500]
        plane.apply(runbook("c", "shop"))
        eventually(lambda: "shop/c" in _names(daemon), 30.0, what="the next one")
        assert _names(daemon) == {"from-a-file", "shop/b", "shop/c"}
        daemon.restart()  # and in a listing
        eventually(lambda: "shop/c" in _names(daemon), 30.0, what="all of them")
        refused = [
            one["details"]
            for one in daemon.items("/api/v1/audit")
            if one["kind"] == "runbooks.refused"
        ]
        assert refused[-1]["resource"] == "Runbook shop/poison generation 1"
        assert refused[-1]["findings"] == ["nested too deeply"]

        # The definitions go, and every resource with them.
        plane.kubectl("delete", "crd", "runbooks.remediator.dev", timeout_s=90)
        eventually(lambda: _names(daemon) == {"from-a-file"}, 60.0, what="their end")
        assert daemon.running
