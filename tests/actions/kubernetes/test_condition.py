"""Proves what the probe `kubernetes.condition` sees of real objects, and what it refuses."""

from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from remediator.actions.kubernetes.condition import Condition, ConditionParams, judge
from remediator.clients.kubernetes.resources import DEPLOYMENTS
from remediator.model.plans import Result
from remediator.plugin.action import Permanent
from tests.actions.contract import Bench
from tests.servers.kubernetes import ControlPlane
from tests.servers.manifests import BAD
from tests.servers.waiting import eventually_async

from .worlds import daemon_set, deployment, start, trace

PROBE = Condition()


async def look(bench: Bench, **params: Any) -> Result:
    return await PROBE.probe(ConditionParams(**params), bench)


async def test_a_healthy_deployment(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=2))
    where = {"namespace": namespace, "deployment": "api"}
    before = trace(control_plane)
    assert (await look(bench, **where, available="all")).ok
    assert (await look(bench, **where, available=2)).ok
    assert (await look(bench, **where, ready=True)).ok
    seen = await look(bench, **where, condition="available")
    assert seen.ok
    assert not seen.changed
    assert seen.output["reason"] == "MinimumReplicasAvailable"
    assert (seen.output["available"], seen.output["desired"]) == (2, 2)
    unmet = await look(bench, **where, available="> 2", condition="Available")
    assert not unmet.ok
    assert unmet.message == (f"deployment {namespace}/api: 2 of 2 pods are available, > 2 expected")
    assert not (await look(bench, **where, condition="Nonsense")).ok
    assert not (await look(bench, **where, condition="Available", status="False")).ok
    assert trace(control_plane) == before


async def test_a_stuck_deployment(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    control_plane.apply(deployment("api", namespace, replicas=1, image=BAD, progress_deadline_s=1))
    where = {"namespace": namespace, "deployment": "api"}

    async def stuck() -> bool:
        return (await look(bench, **where, condition="Progressing", status="False")).ok

    passed: bool = await eventually_async(stuck, 20, what="the deadline to pass")
    assert passed
    seen = await look(bench, **where, ready=True)
    assert not seen.ok
    assert "did not progress within 1 s" in seen.message
    assert (await look(bench, **where, ready=False, available="< 1")).ok


async def test_pods_nodes_and_daemon_sets(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, daemon_set("agent", namespace))
    pod = control_plane.items("pods", namespace)[0]["metadata"]["name"]
    assert (await look(bench, namespace=namespace, pod=pod, ready=True, phase="Running")).ok
    seen = await look(bench, namespace=namespace, pod=pod, phase="Pending")
    assert not seen.ok
    assert seen.message.endswith("phase is Running")
    assert (await look(bench, node="node-1", ready=True)).ok
    assert (await look(bench, namespace=namespace, daemonset="agent", available="all")).ok
    with pytest.raises(Permanent, match=r"there is no node node-9; did you mean node-1\?|node-2"):
        await look(bench, node="node-9", ready=True)


def test_a_status_older_than_the_spec_does_not_count() -> None:
    raw: dict[str, Any] = {
        "metadata": {"name": "api", "namespace": "shop", "generation": 3},
        "spec": {"replicas": 1, "template": {}},
        "status": {
            "observedGeneration": 2,
            "availableReplicas": 1,
            "conditions": [{"type": "Available", "status": "True"}],
        },
    }
    params = ConditionParams(namespace="shop", deployment="api", condition="Available")
    judged = judge(DEPLOYMENTS, raw, params)
    assert not judged.ok
    assert "has not seen its newest spec" in judged.message
    raw["status"]["observedGeneration"] = 3
    assert judge(DEPLOYMENTS, raw, params).ok


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"namespace": "shop", "ready": True}, "exactly one of"),
        ({"namespace": "shop", "pod": "a", "deployment": "b", "ready": True}, "exactly one of"),
        ({"pod": "a", "ready": True}, "needs a namespace"),
        ({"namespace": "shop", "node": "n", "ready": True}, "has no namespace"),
        ({"namespace": "shop", "pod": "a"}, "write what is expected"),
        ({"namespace": "shop", "pod": "a", "available": "all"}, "no available pods"),
        ({"namespace": "shop", "job": "a", "ready": True}, "use condition"),
        ({"namespace": "shop", "deployment": "a", "available": "lots"}, "no expectation"),
        ({"namespace": "Shop", "pod": "a", "ready": True}, "is no namespace"),
        ({"namespace": "shop", "pod": "../nodes", "ready": True}, "no Kubernetes name"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        ConditionParams(**params)


def test_it_describes_itself() -> None:
    example = YAML(typ="safe", pure=True).load(PROBE.example)
    params = ConditionParams.model_validate(example)
    (needed,) = PROBE.permissions(params)
    assert (needed.resource, needed.verbs, needed.scope) == ("apps/deployments", ("get",), "shop")
    (nodes,) = PROBE.permissions(ConditionParams(node="n", ready=True))
    assert (nodes.resource, nodes.scope) == ("/nodes", "*")
