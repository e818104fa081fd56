"""Proves what happens in a simulated cluster as time passes and a test changes it."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remediator.clients.kubernetes import Kubernetes
from remediator.clients.kubernetes.resources import (
    DEPLOYMENTS,
    JOBS,
    NODES,
    PODS,
    REPLICA_SETS,
)
from remediator.settings import KubernetesSettings
from remediator.simulated.kubernetes.behaviour import ANNOTATION
from tests.actions.kubernetes.worlds import deployment, job, stateful_set
from tests.servers.manifests import disruption_budget
from tests.simulated.kubernetes.look import CRASHING, World, image, node, pod


@pytest.mark.parametrize(
    ("says", "phase", "reason"),
    [
        ("never-ready", "Running", ""),
        ("crashes", "Running", "CrashLoopBackOff"),
        ("fails", "Running", "CrashLoopBackOff"),
        ("image-missing", "Pending", "ImagePullBackOff"),
        ("unschedulable", "Pending", ""),
    ],
)
def test_a_template_says_that_its_pods_never_become_ready(
    says: str, phase: str, reason: str
) -> None:
    world = World(deployment("api", "shop", replicas=2, pod_annotations={ANNOTATION: says}))
    stuck = world.items(PODS)
    assert [item["status"]["phase"] for item in stuck] == [phase] * 2
    if reason:
        state = stuck[0]["status"]["containerStatuses"][0]["state"]
        assert state["waiting"]["reason"] == reason
    assert "ProgressDeadlineExceeded" in json.dumps(world.status(DEPLOYMENTS, "api"))


def test_a_pod_takes_the_time_that_its_template_says() -> None:
    slow = {ANNOTATION: "ready-after=30s, stops-after=8s"}
    world = World(deployment("api", "shop", replicas=1, pod_annotations=slow))
    (first,) = world.ready()
    world.delete(PODS, first)
    assert first in world.after(seconds=7).ready()
    assert first not in world.after(seconds=2).ready()
    assert list(world.after(seconds=19).ready().values()) == [False]
    assert list(world.after(seconds=4).ready().values()) == [True]


def test_a_rollout_never_has_more_pods_than_it_may_nor_fewer_in_service() -> None:
    spec = {"strategy": {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}}
    world = World(deployment("api", "shop", replicas=10, spec=spec))
    world.patch(DEPLOYMENTS, "api", image("app:v2"))
    steps = set()
    for _ in range(60):
        status = world.status(DEPLOYMENTS, "api")
        steps.add(status.get("updatedReplicas", 0))
        assert status["replicas"] <= 12
        assert status["availableReplicas"] >= 9
        world.after(seconds=1)
    assert len(steps) > 3
    assert world.status(DEPLOYMENTS, "api")["updatedReplicas"] == 10


def test_a_stuck_release_that_is_scaled_in_keeps_what_serves() -> None:
    spec = {"strategy": {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": "50%"}}}
    world = World(deployment("api", "shop", replicas=9, spec=spec))
    note = {"metadata": {"annotations": {ANNOTATION: "image-missing"}}}
    world.patch(DEPLOYMENTS, "api", {"spec": {"template": note}})
    assert world.after(minutes=30).status(DEPLOYMENTS, "api")["availableReplicas"] == 5
    world.patch(DEPLOYMENTS, "api", {"spec": {"replicas": 4}})
    status = world.after(minutes=1).status(DEPLOYMENTS, "api")
    assert (status["availableReplicas"], status["updatedReplicas"]) == (2, 4)


def test_min_ready_seconds_count_before_a_pod_is_available() -> None:
    world = World(deployment("api", "shop", replicas=1, spec={"minReadySeconds": 20}))
    (first,) = world.ready()
    world.delete(PODS, first)
    status = world.after(seconds=15).status(DEPLOYMENTS, "api")
    assert (status["readyReplicas"], status.get("availableReplicas", 0)) == (1, 0)
    assert world.after(seconds=20).status(DEPLOYMENTS, "api")["availableReplicas"] == 1


def test_the_pods_of_a_lost_node_are_unready_and_then_made_elsewhere() -> None:
    lost = node("node-2")
    world = World(node("node-1"), lost, deployment("api", "shop", replicas=4))
    world.cluster.apply(node("node-2", "Unknown"))
    assert sorted(world.ready().values()) == [False, False, True, True]
    assert len(world.after(minutes=4).ready()) == 4
    world.after(minutes=2)
    assert world.status(DEPLOYMENTS, "api")["availableReplicas"] == 4
    stay = [item for item in world.items(PODS) if "deletionTimestamp" in item["metadata"]]
    assert {item["spec"]["nodeName"] for item in stay} == {"node-2"}  # nobody says they stopped


def test_nodes_that_are_cordoned_get_no_new_pods() -> None:
    world = World(node("node-1", unschedulable=True), node("node-2"), deployment("api", "shop"))
    assert {item["spec"]["nodeName"] for item in world.items(PODS)} == {"node-2"}
    assert world.get(NODES, "node-1")["status"]["conditions"][0]["status"] == "True"


def test_a_job_fails_when_its_pods_do() -> None:
    failing = job("once", "shop")
    failing["spec"]["backoffLimit"] = 1
    failing["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION: "fails"}
    status = World(failing).status(JOBS, "once")
    assert status["failed"] == 2
    assert [c["type"] for c in status["conditions"]] == ["FailureTarget", "Failed"]


# --- the world changes ---------------------------------------------------------------------------


def test_a_later_manifest_is_laid_over_what_is_there() -> None:
    world = World(deployment("api", "shop", replicas=2))
    head = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "shop"},
    }
    world.cluster.apply({**head, "status": {"readyReplicas": 0}})
    assert sum(world.ready().values()) == 0
    world.cluster.apply({**head, "status": {"readyReplicas": 2}})
    assert sum(world.ready().values()) == 2
    world.cluster.apply({**head, "spec": {"replicas": 3}})
    assert len(world.after(seconds=5).ready()) == 3
    (first, *_) = world.ready()
    world.cluster.apply(pod(first, CRASHING))
    assert world.after(hours=1).ready()[first] is False
    world.cluster.apply(pod(first))
    assert world.after(minutes=1).ready()[first] is True


def test_what_is_deleted_is_gone_at_once_by_any_name_of_its_kind() -> None:
    world = World(deployment("api", "shop", replicas=1), pod("alone"))
    assert world.cluster.delete("pod", "shop", "alone")
    assert world.get(PODS, "alone") == 404
    assert not world.cluster.delete("Pod", "shop", "alone")
    assert world.cluster.delete("deploy", "shop", "api")
    assert world.items(REPLICA_SETS) == []
    with pytest.raises(ValueError, match="no object is of a kind 'gadget'"):
        world.cluster.delete("gadget", "shop", "api")


# --- the same each time, and quick ---------------------------------------------------------------


def _told(*objects: Any) -> str:
    world = World(*objects)
    world.patch(DEPLOYMENTS, "api", image("app:v2"))
    world.after(seconds=7)
    return json.dumps(world.cluster.objects())


def test_the_same_world_gives_the_same_answers_to_the_letter() -> None:
    objects = (
        deployment("api", "shop"),
        stateful_set("db", "shop"),
        disruption_budget("api", "shop", app="api", min_available=1),
    )
    assert _told(*objects) == _told(*objects)


def test_one_more_object_leaves_the_others_identities_as_they_were() -> None:
    alone = World(deployment("api", "shop"))
    beside = World(deployment("other", "shop"), deployment("api", "shop"))
    uids = [world.get(DEPLOYMENTS, "api")["metadata"]["uid"] for world in (alone, beside)]
    assert uids[0] == uids[1]
    assert set(alone.ready()) <= set(beside.ready())


def test_a_large_cluster_is_quick() -> None:
    """Ten times what it takes; a loop over all pods for each of them would take far longer."""
    began = time.perf_counter()
    world = World(deployment("api", "shop", replicas=500))
    world.patch(DEPLOYMENTS, "api", image("app:v2"))
    assert world.after(minutes=10).status(DEPLOYMENTS, "api")["updatedReplicas"] == 500
    assert time.perf_counter() - began < 5


async def test_a_client_reaches_it_in_a_connections_place() -> None:
    world = World(deployment("api", "shop", replicas=2))
    client = Kubernetes(KubernetesSettings(), connect=world.cluster.connect)
    found = await client.get(DEPLOYMENTS, "shop", "api")
    assert found["status"]["availableReplicas"] == 2
    assert len(await client.items(PODS, "shop", selector="app=api")) == 2
    made = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    assert world.clock.now() - made.astimezone(UTC) == timedelta(days=1)
    await client.close()
