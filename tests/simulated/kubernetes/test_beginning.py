"""Proves what a simulated cluster makes of an author's manifests; needs no server."""

import json
from typing import Any

import pytest

from remediator.clients.kubernetes.resources import (
    CLAIMS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from remediator.simulated.kubernetes.behaviour import ANNOTATION
from tests.actions.kubernetes.worlds import daemon_set, deployment, stateful_set
from tests.simulated.kubernetes.look import CRASHING, WAITING, World, image, pod


def test_what_is_not_listed_is_made_and_at_rest() -> None:
    world = World(
        deployment("api", "shop", replicas=4),
        stateful_set("db", "shop", replicas=3),
        daemon_set("agent", "shop"),
    )
    assert len(world.items(PODS)) == 4 + 3 + 3
    assert all(world.ready().values())
    status = world.status(DEPLOYMENTS, "api")
    assert (status["updatedReplicas"], status["availableReplicas"]) == (4, 4)
    reasons = {c["type"]: c["reason"] for c in status["conditions"]}
    assert reasons == {
        "Progressing": "NewReplicaSetAvailable",
        "Available": "MinimumReplicasAvailable",
    }
    assert world.get(PODS, "db-2")["spec"]["nodeName"]


def test_a_manifest_may_leave_out_what_a_test_does_not_care_about() -> None:
    bare = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "shop"},
    }
    world = World({**bare, "spec": {"replicas": 2}})
    assert len(world.ready()) == 2
    assert world.get(DEPLOYMENTS, "api")["spec"]["selector"] == {"matchLabels": {"app": "api"}}


def test_a_pod_that_is_ill_stays_so_until_it_is_replaced() -> None:
    """It is one of its Deployment's pods, whose rollout was over long ago."""
    world = World(
        deployment("api", "shop", replicas=3), pod("api-x", CRASHING, labels={"app": "api"})
    )
    assert world.after(hours=1).ready()["api-x"] is False
    assert len(world.items(PODS)) == 3
    status = world.status(DEPLOYMENTS, "api")
    assert (status["replicas"], status["availableReplicas"]) == (3, 2)
    assert "ProgressDeadlineExceeded" not in json.dumps(status)
    state = world.status(PODS, "api-x")["containerStatuses"][0]
    assert (state["state"], state["restartCount"]) == (WAITING, 9)

    world.delete(PODS, "api-x")
    assert "deletionTimestamp" in world.get(PODS, "api-x")["metadata"]
    world.after(seconds=10)
    assert world.get(PODS, "api-x") == 404
    assert list(world.ready().values()) == [True] * 3


@pytest.mark.parametrize(
    ("kind", "counts", "ready"),
    [
        ("api", {"readyReplicas": 1}, 1),
        ("api", {"replicas": 4, "unavailableReplicas": 3}, 1),
        ("db", {"readyReplicas": 0}, 0),
        ("agent", {"numberReady": 2}, 2),
        ("agent", {"numberUnavailable": 1}, 2),
    ],
)
def test_a_workloads_status_says_how_many_of_its_pods_are_ill(
    kind: str, counts: Any, ready: int
) -> None:
    makes: dict[str, Any] = {
        "api": deployment("api", "shop", replicas=4),
        "db": stateful_set("db", "shop"),
        "agent": daemon_set("agent", "shop"),
    }
    world = World({**makes[kind], "status": counts})
    assert sum(world.after(hours=1).ready().values()) == ready
    for name in [name for name, well in world.ready().items() if not well]:
        world.delete(PODS, name)
    assert all(world.after(minutes=1).ready().values())


def test_conditions_that_a_status_gives_stand_until_there_is_progress() -> None:
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    given = {"readyReplicas": 1, "conditions": [stuck]}
    world = World({**deployment("api", "shop", replicas=2), "status": given})
    found = [
        c for c in world.status(DEPLOYMENTS, "api")["conditions"] if c["type"] == "Progressing"
    ]
    assert [(c["status"], c["reason"]) for c in found] == [("False", "ProgressDeadlineExceeded")]
    world.patch(DEPLOYMENTS, "api", {"spec": {"template": {"spec": {"nodeName": None}}}})
    world.patch(DEPLOYMENTS, "api", image("app:v2"))
    assert "Exceeded" not in json.dumps(world.after(minutes=1).status(DEPLOYMENTS, "api"))


def test_a_listed_pod_is_what_its_annotation_says_since_time_zero() -> None:
    ill = pod("api-x", labels={"app": "api"}, annotations={ANNOTATION: "crashes"})
    world = World(deployment("api", "shop", replicas=2), ill)
    assert world.ready()["api-x"] is False
    assert "ProgressDeadlineExceeded" not in json.dumps(world.status(DEPLOYMENTS, "api"))
    world.cluster.apply(pod("api-x", annotations={ANNOTATION: "ready"}))
    assert world.after(seconds=5).ready()["api-x"] is True


def test_owners_that_are_not_listed_are_made_up() -> None:
    """As in a world that was recorded from one pod: deleting it brings another."""
    owner = {"kind": "ReplicaSet", "name": "web-5d9f", "uid": "u-1", "controller": True}
    world = World(
        pod("web-5d9f-abcde", CRASHING, labels={"app": "web"}, ownerReferences=[owner]),
        pod("db-1", labels={"app": "db"}, ownerReferences=[{"kind": "StatefulSet", "name": "db"}]),
    )
    assert world.get(REPLICA_SETS, "web-5d9f")["metadata"]["uid"] == "u-1"
    assert world.get(STATEFUL_SETS, "db")["spec"]["replicas"] == 2
    world.delete(PODS, "web-5d9f-abcde")
    assert sorted(world.after(minutes=1).ready().values()) == [True, True, True]


def test_a_replica_set_that_a_pod_names_is_its_deployments() -> None:
    owner = {"kind": "ReplicaSet", "name": "api-5d9f8c7b6"}
    world = World(
        deployment("api", "shop", replicas=2),
        pod("api-5d9f8c7b6-x2x9k", CRASHING, labels={"app": "api"}, ownerReferences=[owner]),
    )
    assert [rs["metadata"]["name"] for rs in world.items(REPLICA_SETS)] == ["api-5d9f8c7b6"]
    assert len(world.items(PODS)) == 2


@pytest.mark.parametrize("owned", [True, False])
def test_a_release_that_is_stuck_can_be_listed(owned: bool) -> None:
    """Its old ReplicaSet serves; the Deployment has a template whose pods never become ready."""
    reference = [{"kind": "Deployment", "name": "api"}] if owned else []
    notes = {"deployment.kubernetes.io/revision": "4"}
    metadata = {"name": "api-5d9f", "namespace": "shop", "annotations": notes}
    template = deployment("api", "shop", image="app:v1")["spec"]["template"]
    earlier = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {**metadata, "ownerReferences": reference},
        "spec": {"replicas": 3, "template": template},
    }
    broken = {ANNOTATION: "never-ready"}
    world = World(deployment("api", "shop", image="app:v2", pod_annotations=broken), earlier)
    sets = world.items(REPLICA_SETS)
    assert {rs["metadata"]["name"]: rs["spec"]["replicas"] for rs in sets}["api-5d9f"] == 3
    revisions = [rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for rs in sets]
    assert sorted(revisions) == ["4", "5"]
    assert sorted(world.ready().values()) == [False, True, True, True]
    assert "ProgressDeadlineExceeded" in json.dumps(world.status(DEPLOYMENTS, "api"))
    world.patch(DEPLOYMENTS, "api", {"spec": {"template": {"metadata": {"annotations": None}}}})
    world.patch(DEPLOYMENTS, "api", image("app:v1"))
    assert sorted(world.after(minutes=1).ready().values()) == [True] * 3
    assert [rs["spec"]["replicas"] for rs in world.items(REPLICA_SETS)].count(3) == 1
    assert world.get(REPLICA_SETS, "api-5d9f")["spec"]["replicas"] == 3


def test_a_kind_that_nobody_knows_is_stored_and_served() -> None:
    rollout = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 3},
        "status": {"phase": "Degraded"},
    }
    world = World(rollout)
    kind = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")
    assert world.get(kind, "web")["status"] == {"phase": "Degraded"}
    world.patch(kind, "web", {"spec": {"restartAt": "now"}})
    assert world.get(kind, "web")["metadata"]["generation"] == 2
    listed = json.loads(world.cluster.answer("GET", kind.path("shop")).body)
    assert (listed["kind"], listed["items"][0]["kind"]) == ("RolloutList", "Rollout")


def test_a_definition_says_where_its_kind_is_served() -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "oxen.farm.example.org"},
        "spec": {
            "group": "farm.example.org",
            "scope": "Cluster",
            "names": {"plural": "oxen", "kind": "Ox"},
            "versions": [{"name": "v1"}],
        },
    }
    ox = {"apiVersion": "farm.example.org/v1", "kind": "Ox", "metadata": {"name": "bob"}}
    world = World(ox, definition)  # in any order
    kind = Resource("farm.example.org", "v1", "oxen", "Ox", namespaced=False)
    assert world.get(kind, "bob")["metadata"]["name"] == "bob"
    assert world.cluster.delete("ox", "", "bob")
    assert world.get(kind, "bob") == 404


def test_a_claim_is_bound_unless_it_says_otherwise() -> None:
    head = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    world = World(
        {**head, "metadata": {"name": "a", "namespace": "shop"}, "spec": {}},
        {
            **head,
            "metadata": {"name": "b", "namespace": "shop"},
            "spec": {},
            "status": {"phase": "Lost"},
        },
    )
    phases = [claim["status"]["phase"] for claim in world.items(CLAIMS)]
    assert phases == ["Bound", "Lost"]


@pytest.mark.parametrize(
    ("manifest", "fault"),
    [
        ({"kind": "Pod", "metadata": {"name": "a"}}, "needs apiVersion and kind"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {}}, "needs metadata.name"),
        (
            {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"},
            "is served in autoscaling/v2 only, not in autoscaling/v1",
        ),
        (pod("Api"), 'Pod "Api" is invalid: metadata.name'),
        ({**deployment("api", "shop"), "spec": {"replicas": "3"}}, "spec.replicas: '3' is not a"),
        ({**deployment("api", "shop"), "spec": {"replicas": -1}}, "must be greater than or equal"),
        (pod("a", annotations={ANNOTATION: "sometimes"}), "'sometimes' says nothing; write ready"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(manifest: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        World(manifest)
    world = World()
    with pytest.raises(ValueError, match=fault):
        world.cluster.apply(manifest)


def test_an_object_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="Deployment shop/api is there twice"):
        World(deployment("api", "shop"), deployment("api", "shop"))
