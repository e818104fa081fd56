"""Proves what `kubernetes.delete_pod` refuses, and that it deletes the planned pod and no other."""

import json
from typing import Any

import pytest

from remediator.actions.kubernetes.delete_pod import DeletePod
from remediator.actions.kubernetes.replacement import exhausted
from remediator.model.plans import Plan, Progress
from remediator.plugin.action import Action, Permanent
from tests.actions.contract import Bench, params_of, settle
from tests.servers.kubernetes import ControlPlane
from tests.servers.waiting import eventually

from .worlds import daemon_set, deployment, held, job, lone_pod, start, stateful_set

DELETE: Action[Any] = DeletePod()


async def plan_of(bench: Bench, namespace: str, pod: str, **params: Any) -> Plan:
    given = {"namespace": namespace, "pod": pod, **params}
    return await DELETE.plan(params_of(DELETE, given), bench)


async def test_a_pod_that_nothing_replaces_is_kept_unless_told_otherwise(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    control_plane.apply(lone_pod("alone", namespace))
    with pytest.raises(Permanent, match=r"no controller would replace it \(allow_unmanaged: true"):
        await plan_of(bench, namespace, "alone")
    plan = await plan_of(bench, namespace, "alone", allow_unmanaged=True)
    assert (plan.impact.pods, plan.impact.of_pods) == (1, 1)
    assert plan.impact.note == "nothing replaces it"
    assert (await DELETE.apply(plan, bench)).changed
    settled = await settle(DELETE, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


async def test_the_pod_of_a_daemon_set_is_kept_unless_told_otherwise(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, daemon_set("agent", namespace))
    pods = control_plane.items("pods", namespace)
    name = pods[0]["metadata"]["name"]
    with pytest.raises(Permanent, match="belongs to DaemonSet agent"):
        await plan_of(bench, namespace, name)
    plan = await plan_of(bench, namespace, name, allow_daemonset=True)
    assert (plan.impact.pods, plan.impact.of_pods) == (1, len(pods))
    await DELETE.apply(plan, bench)
    settled = await settle(DELETE, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


async def test_the_mirror_of_a_static_pod_is_always_kept(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    mirror = lone_pod("static", namespace, annotations={"kubernetes.io/config.mirror": "abc"})
    mirror["spec"]["nodeName"] = "node-1"
    control_plane.apply(mirror)
    with pytest.raises(Permanent, match="mirror of a static pod"):
        await plan_of(bench, namespace, "static", allow_unmanaged=True, allow_daemonset=True)


async def test_a_new_pod_of_the_same_name_is_safe(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, stateful_set("api", namespace))
    plan = await plan_of(bench, namespace, "api-1")
    control_plane.kubectl("delete", "pod", "api-1", "-n", namespace)
    control_plane.wait_rollout("statefulset/api", namespace)
    successor = control_plane.get("pod", "api-1", namespace)["metadata"]["uid"]
    assert successor != plan.target.uid
    result = await DELETE.apply(plan, bench)
    assert not result.changed
    assert control_plane.get("pod", "api-1", namespace)["metadata"]["uid"] == successor
    assert (await settle(DELETE, plan, bench, 30)).progress is Progress.HEALTHY


async def test_a_pod_that_does_not_come_up_again_is_waited_for_with_its_reason(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=1))
    plan = await plan_of(
        bench, namespace, control_plane.items("pods", namespace)[0]["metadata"]["name"]
    )
    # New pods of the same ReplicaSet crash from now on.
    broken = {"metadata": {"annotations": {"remediator.test/pod": "crash-loop"}}}
    patch = json.dumps({"spec": {"template": broken}})
    name = control_plane.items("replicasets", namespace)[0]["metadata"]["name"]
    control_plane.kubectl("rollout", "pause", "deployment", "api", "-n", namespace)
    control_plane.kubectl("patch", "rs", name, "-n", namespace, "-p", patch)
    await DELETE.apply(plan, bench)
    settled = await settle(DELETE, plan, bench, 2)
    assert settled.progress is Progress.PROGRESSING
    assert "0 of 1 pods of its kind are ready (CrashLoopBackOff)" in settled.message


async def test_what_a_pod_loses_is_said(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    volumes = {"volumes": [{"name": "cache", "emptyDir": {}}]}
    manifest = deployment("api", namespace, replicas=1)
    manifest["spec"]["template"]["spec"].update(volumes)
    start(control_plane, manifest)
    name = control_plane.items("pods", namespace)[0]["metadata"]["name"]
    plan = await plan_of(bench, namespace, name)
    assert "its emptyDir cache is lost" in plan.impact.note
    assert plan.impact.share == 1.0


async def test_a_wrong_name_is_met_with_the_nearest_one(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, stateful_set("api", namespace, replicas=1))
    with pytest.raises(Permanent) as refused:
        await plan_of(bench, namespace, "app-0")
    assert str(refused.value) == f"there is no pod {namespace}/app-0; did you mean api-0?"


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
async def test_a_pod_that_has_ended_is_cleared_away(
    control_plane: ControlPlane, namespace: str, bench: Bench, phase: str
) -> None:
    """An evicted pod was replaced long ago; it is no sibling of those that serve either."""
    start(control_plane, deployment("api", namespace, replicas=2))
    ended, *_ = _names(control_plane, namespace)
    _end(control_plane, ended, namespace, phase)
    eventually(lambda: len(_serving(control_plane, namespace)) == 2, what="its replacement")
    plan = await plan_of(bench, namespace, ended)
    assert (plan.impact.pods, plan.impact.down, plan.impact.share) == (1, 0, 0.0)
    assert "it has ended already" in plan.impact.note
    beside = await plan_of(bench, namespace, _serving(control_plane, namespace)[0])
    assert beside.impact.of_pods == 2
    await DELETE.apply(plan, bench)
    settled = await settle(DELETE, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


@pytest.mark.parametrize("hangs", [False, True])
async def test_nobody_waits_for_a_job_to_be_ready(
    control_plane: ControlPlane, namespace: str, bench: Bench, hangs: bool
) -> None:
    manifest = job("once", namespace)
    if hangs:
        note = {"remediator.test/pod": "not-ready"}
        manifest["spec"]["template"]["metadata"]["annotations"] = note
    control_plane.apply(manifest)
    phase = "Running" if hangs else "Succeeded"
    eventually(
        lambda: [p["status"]["phase"] for p in held(control_plane, "pod", namespace)] == [phase],
        what=f"the Job's pod to be {phase}",
    )
    plan = await plan_of(bench, namespace, _names(control_plane, namespace)[0])
    assert plan.impact.down == int(hangs)
    await DELETE.apply(plan, bench)
    settled = await settle(DELETE, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


@pytest.mark.parametrize(
    "theirs",
    [
        ("scale", "deployment/api", "--replicas=1"),
        ("set", "image", "deployment/api", "app=app:v2"),
        ("delete", "deployment", "api"),
    ],
    ids=["scaled-in", "released", "deleted"],
)
async def test_what_somebody_else_no_longer_wants_is_not_waited_for(
    control_plane: ControlPlane, namespace: str, bench: Bench, theirs: tuple[str, ...]
) -> None:
    start(control_plane, deployment("api", namespace, replicas=3, image="app:v1"))
    plan = await plan_of(bench, namespace, _names(control_plane, namespace)[0])
    await DELETE.apply(plan, bench)
    control_plane.kubectl(*theirs, "-n", namespace)
    settled = await settle(DELETE, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


async def test_a_budget_that_allows_no_disruption_keeps_what_is_ready(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=2))
    start(control_plane, deployment("other", namespace, replicas=1))
    control_plane.apply(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "all-of-api", "namespace": namespace},
            "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "api"}}},
        }
    )
    pod = held(control_plane, "pod", namespace, app="api")[0]["metadata"]["name"]
    with pytest.raises(Permanent, match=r"it is ready, and PodDisruptionBudget all-of-api allows"):
        await plan_of(bench, namespace, pod)
    free = held(control_plane, "pod", namespace, app="other")[0]["metadata"]["name"]
    assert "Budget" not in (await plan_of(bench, namespace, free)).impact.note
    _end(control_plane, pod, namespace, "Failed")
    assert "goes past it" in (await plan_of(bench, namespace, pod)).impact.note


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "api"}}, True),
        ({"matchLabels": {"app": "web"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["api"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["api"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_a_budget_is_found_by_its_selector(selector: Any, matches: bool) -> None:
    pod = {"metadata": {"labels": {"app": "api"}}}
    budget = {"metadata": {"name": "b"}, "spec": {"selector": selector}, "status": {}}
    assert exhausted([budget], pod) == (["b"] if matches else [])
    assert exhausted([{**budget, "status": {"disruptionsAllowed": 1}}], pod) == []


def _names(cp: ControlPlane, namespace: str) -> list[str]:
    return sorted(pod["metadata"]["name"] for pod in held(cp, "pod", namespace))


def _serving(cp: ControlPlane, namespace: str) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in held(cp, "pod", namespace)
        if pod["status"].get("phase") == "Running"
    ]


def _end(cp: ControlPlane, pod: str, namespace: str, phase: str) -> None:
    """What a kubelet says when it has evicted a pod, or its containers have ended."""
    conditions = [{"type": kind, "status": "False"} for kind in ("Ready", "ContainersReady")]
    patch = json.dumps({"status": {"phase": phase, "conditions": conditions}})
    cp.kubectl(
        "patch", "pod", pod, "-n", namespace, "--subresource=status", "--type=merge", "-p", patch
    )
