"""Proves against a real API server with its real controllers that a daemon, killed at every commit
of a run and between its changes and their outcomes, makes each change once: for every action on
Kubernetes that changes something.

The API server's audit log shows what the daemon asked for, whatever became of it; a workload's
generation rises with every change of its spec, whoever makes it.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.actions.kubernetes.worlds import autoscaler, deployment, stateful_set
from tests.crash.everywhere import kill_everywhere, nothing_left
from tests.crash.rig import Act, Carried, Rig
from tests.scenarios.scene import rollout_is_whole
from tests.servers.binaries import find
from tests.servers.kubernetes import ControlPlane
from tests.servers.manifests import BAD, GOOD
from tests.servers.process import Process
from tests.servers.waiting import eventually

_SCALE_AND_RESTART = """
name: scale-and-restart
description: Scales a Deployment out, then restarts it.
match: ['alertname="Broken"']
mode: auto
steps:
  - id: scale
    action: kubernetes.scale
    with: {namespace: NAMESPACE, deployment: "${{ labels.case }}", to: 2, max: 5}
  - id: restart
    action: kubernetes.rollout_restart
    with: {namespace: NAMESPACE, deployment: "${{ labels.case }}"}
"""
_ROLL_BACK_AND_DELETE = """
name: roll-back-and-delete
description: Rolls a Deployment back, then deletes a pod of another workload.
match: ['alertname="Broken"']
mode: auto
steps:
  - id: roll-back
    action: kubernetes.rollout_undo
    with: {namespace: NAMESPACE, deployment: "${{ labels.case }}"}
  - id: delete
    action: kubernetes.delete_pod
    with: {namespace: NAMESPACE, pod: "${{ labels.case }}-set-0"}
"""
_RAISE = """
name: raise-the-minimum
description: Scales a Deployment out that an autoscaler owns, for a moment.
match: ['alertname="Broken"']
mode: auto
steps:
  - id: scale
    action: kubernetes.scale
    with: {namespace: NAMESPACE, deployment: "${{ labels.case }}", to: 2, max: 5, hold: 1s}
"""
_MINIMA = ("custom-columns=NAME:.metadata.name,MIN:.spec.minReplicas", "--no-headers")
# Two dozen starts of a daemon, and as many rollouts.
pytestmark = pytest.mark.timeout(900)


class Cluster:
    """The rig's daemon has the admin's rights in the namespace."""

    def __init__(self, folder: Path, runbook: str, cp: ControlPlane, namespace: str) -> None:
        self.cp = cp
        self.namespace = namespace
        self.rig = Rig(
            folder,
            runbook.replace("NAMESPACE", namespace),
            settings={"kubernetes": {"kubeconfig": str(cp.kubeconfig())}},
        )

    def read(self, path: str) -> Any:
        answer = self.cp.api("GET", path.replace("NAMESPACE", self.namespace))
        assert answer.status == 200, answer.text
        return answer.json()

    def deployment(self, name: str) -> Any:
        return self.read(f"/apis/apps/v1/namespaces/NAMESPACE/deployments/{name}")

    def pod(self, name: str) -> Any:
        return self.read(f"/api/v1/namespaces/NAMESPACE/pods/{name}")

    def wait_whole(self, name: str) -> None:
        eventually(lambda: rollout_is_whole(self.deployment(name)), what=f"the pods of {name}")

    def writes(self, name: str) -> list[str]:
        """Verb and object of what the daemon wanted to write about this case, each once in a row.

        A patch that meets a conflict, because a controller wrote the status in between, is sent
        again; the generation tells what came of it.
        """
        found = self.cp.writes("remediator")
        paths = ((verb, uri.partition("?")[0].split("/")) for verb, uri in found)
        about = (
            f"{verb} {'/'.join(path[path.index(self.namespace) + 1 :])}"
            for verb, path in paths
            if self.namespace in path
        )
        # `commit-1` is not `commit-10`.
        mine = (one for one in about if {name, f"{name}-set-0"} & set(one.split("/")))
        return [one for one, _ in groupby(mine)]


@pytest.fixture
def cluster(
    request: pytest.FixtureRequest, tmp_path: Path, control_plane: ControlPlane, namespace: str
) -> Iterator[Cluster]:
    made = Cluster(tmp_path, request.param, control_plane, namespace)
    made.rig.daemon.start()
    yield made
    made.rig.daemon.stop()


@pytest.mark.parametrize("cluster", [_SCALE_AND_RESTART], indirect=True, ids=["all"])
def test_a_deployment_is_scaled_once_and_restarted_once(cluster: Cluster) -> None:
    def acts(rig: Rig, case: str) -> dict[str, Act]:
        cluster.cp.apply(deployment(case, cluster.namespace, replicas=1))
        cluster.wait_whole(case)
        return {}

    def judge(rig: Rig, case: str, carried: Carried) -> None:
        assert carried.run["state"] == "succeeded", (case, carried.run, rig.daemon.log_tail())
        after = cluster.deployment(case)
        assert after["spec"]["replicas"] == 2
        assert after["metadata"]["generation"] == 3, (case, after)
        scaled, restarted = f"patch deployments/{case}/scale", f"patch deployments/{case}"
        assert cluster.writes(case) == [scaled, restarted]
        nothing_left(rig, carried)

    assert kill_everywhere(cluster.rig, acts, judge) >= 10


@pytest.mark.parametrize("cluster", [_ROLL_BACK_AND_DELETE], indirect=True, ids=["all"])
def test_a_release_is_rolled_back_once_and_a_pod_deleted_once(cluster: Cluster) -> None:
    pods: dict[str, str] = {}

    def acts(rig: Rig, case: str) -> dict[str, Act]:
        namespace = cluster.namespace
        cluster.cp.apply(
            deployment(case, namespace, replicas=1),
            stateful_set(f"{case}-set", namespace, replicas=1),
        )
        cluster.wait_whole(case)
        cluster.cp.apply(deployment(case, namespace, replicas=1, image=BAD))
        eventually(lambda: cluster.pod(f"{case}-set-0")["status"]["phase"] == "Running", what="it")
        pods[case] = cluster.pod(f"{case}-set-0")["metadata"]["uid"]
        return {}

    def judge(rig: Rig, case: str, carried: Carried) -> None:
        assert carried.run["state"] == "succeeded", (case, carried.run, rig.daemon.log_tail())
        after = cluster.deployment(case)
        assert after["spec"]["template"]["spec"]["containers"][0]["image"] == GOOD
        assert after["metadata"]["generation"] == 3, (case, after)
        assert cluster.pod(f"{case}-set-0")["metadata"]["uid"] != pods[case]
        rolled, deleted = f"patch deployments/{case}", f"delete pods/{case}-set-0"
        assert cluster.writes(case) == [rolled, deleted]
        nothing_left(rig, carried)

    assert kill_everywhere(cluster.rig, acts, judge) >= 10


@pytest.fixture
def minima(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[str], list[int]]]:
    """Every autoscaler's minReplicas as it went, by its name."""
    cp, log = cluster.cp, tmp_path / "minima"
    access = [f"--kubeconfig={cp.kubeconfig()}", f"--namespace={cluster.namespace}"]
    watching = Process(
        "kubectl",
        [find("kubectl"), *access, "get", "hpa", "--watch", "--output", *_MINIMA],
        log=log,
        ready=lambda: "watched" in log.read_text(),
    )
    cp.apply(
        deployment("watched", cluster.namespace, replicas=1),
        autoscaler("watched", cluster.namespace, least=1, most=5),
    )

    def seen(name: str) -> list[int]:
        lines = (line.split() for line in log.read_text().splitlines())
        return [value for value, _ in groupby(int(line[1]) for line in lines if line[0] == name)]

    watching.start()
    yield seen
    watching.stop()


@pytest.mark.parametrize("cluster", [_RAISE], indirect=True, ids=["all"])
def test_a_minimum_is_raised_once_and_comes_back_once(
    cluster: Cluster, minima: Callable[[str], list[int]]
) -> None:
    def acts(rig: Rig, case: str) -> dict[str, Act]:
        namespace = cluster.namespace
        cluster.cp.apply(
            deployment(case, namespace, replicas=1), autoscaler(case, namespace, least=1, most=5)
        )
        cluster.wait_whole(case)
        return {}

    def judge(rig: Rig, case: str, carried: Carried) -> None:
        assert carried.run["state"] == "succeeded", (case, carried.run, rig.daemon.log_tail())
        eventually(lambda: minima(case) == [1, 2, 1], what=f"{case} to come back: {minima(case)}")
        eventually(lambda: rig.locks() == {}, what="the way back to be on record")
        nothing_left(rig, carried)

    assert kill_everywhere(cluster.rig, acts, judge) >= 6
    assert cluster.deployment("watched")["spec"]["replicas"] == 1
