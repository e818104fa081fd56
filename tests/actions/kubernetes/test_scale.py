"""Proves how `kubernetes.scale` treats autoscalers, other writers, admission and zero."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from remediator.actions.kubernetes.scale import Scale
from remediator.model.plans import Plan, Progress
from remediator.plugin.action import Action, Permanent, Stale
from tests.actions.contract import Bench, params_of, settle
from tests.servers.kubernetes import ControlPlane
from tests.servers.manifests import BAD
from tests.servers.waiting import eventually_async

from .worlds import autoscaler, deployment, held_one, start, stateful_set

SCALE: Action[Any] = Scale()


async def plan_of(bench: Bench, namespace: str, **params: Any) -> Plan:
    given = {"namespace": namespace, "deployment": "api", **params}
    return await SCALE.plan(params_of(SCALE, given), bench)


async def test_the_plan_says_how_much_it_touches(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    labels = {"argocd.argoproj.io/instance": "shop", "tier": "web"}
    start(control_plane, deployment("api", namespace, replicas=4, labels=labels))
    plan = await plan_of(bench, namespace, by="+50%", max=20)
    assert str(plan) == f"deployment {namespace}/api: replicas 4 → 6"
    assert [str(change) for change in plan.changes] == ["spec.replicas: 4 → 6"]
    assert (plan.impact.pods, plan.impact.of_pods, plan.impact.replicas) == (2, 4, 6)
    assert "Argo CD manages it (application shop)" in plan.impact.note
    assert plan.target.labels["tier"] == "web"
    assert plan.lasts is None
    assert (await plan_of(bench, namespace, to=4)).empty
    assert (await plan_of(bench, namespace, by=1, max=3)).empty


async def test_our_writes_bear_our_name(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=1))
    await SCALE.apply(await plan_of(bench, namespace, to=2), bench)
    raw = control_plane.api("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/api").json()
    ours = [e for e in raw["metadata"]["managedFields"] if e["manager"] == "remediator"]
    assert [entry["subresource"] for entry in ours] == ["scale"]


async def test_an_autoscaler_keeps_its_say(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(
        control_plane,
        deployment("api", namespace, replicas=2),
        autoscaler("api", namespace, least=2, most=3),
    )
    plan = await plan_of(bench, namespace, by="+100%", hold="30m")
    assert plan.target.kind == "Deployment"
    assert [str(change) for change in plan.changes] == ["HPA api: spec.minReplicas: 2 → 3"]
    assert plan.lasts == timedelta(minutes=30)
    assert (plan.impact.pods, plan.impact.replicas) == (1, 3)
    assert "HPA api allows 3 at most" in plan.impact.note

    with pytest.raises(Permanent, match="hpa is refuse"):
        await plan_of(bench, namespace, by="+1", hpa="refuse")
    with pytest.raises(Permanent, match="would take a scale in from 2 to 1 back"):
        await plan_of(bench, namespace, by="-1")
    with pytest.raises(Permanent, match="would take a scale in"):
        await plan_of(bench, namespace, to=0)

    await SCALE.apply(plan, bench)
    settled = await settle(SCALE, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message
    assert held_one(control_plane, "deployment", "api", namespace)["spec"]["replicas"] == 3
    with pytest.raises(Permanent, match="maxReplicas 3: raise that first"):
        await plan_of(bench, namespace, by="+1")

    control_plane.kubectl(
        "patch", "hpa", "api", "-n", namespace, "-p", '{"spec":{"minReplicas":1}}'
    )
    settled = await SCALE.settled(plan, bench)
    assert settled.progress is Progress.FAILED
    assert "somebody else changed the autoscaling" in settled.message
    with pytest.raises(Stale, match="minReplicas 1, neither 3 as planned nor 2"):
        await SCALE.undo(plan, bench)


@pytest.mark.parametrize("ends_first", ["first", "second"])
async def test_raises_that_overlap_end_where_the_first_began(
    control_plane: ControlPlane, namespace: str, bench: Bench, ends_first: str
) -> None:
    """One's time ends, or it is taken back, while the other still holds; then the other's ends."""
    start(
        control_plane,
        deployment("api", namespace, replicas=1),
        autoscaler("api", namespace, least=1, most=9),
    )

    def least() -> int:
        found: int = held_one(control_plane, "hpa", "api", namespace)["spec"]["minReplicas"]
        return found

    first = await plan_of(bench, namespace, to=2)
    await SCALE.apply(first, bench)
    assert (await settle(SCALE, first, bench, 30)).progress is Progress.HEALTHY
    second = await plan_of(bench, namespace, to=3)
    await SCALE.apply(second, bench)
    assert (await settle(SCALE, second, bench, 30)).progress is Progress.HEALTHY

    assert second.way_back is not None
    assert "minReplicas 3 → 2" in second.way_back.summary
    order = (first, second) if ends_first == "first" else (second, first)
    for plan, stays, left in zip(order, order[1:] + order[:1], (order[1], None), strict=True):
        assert (await SCALE.undo(plan, bench)).changed
        assert not (await SCALE.undo(plan, bench)).changed
        assert (await SCALE.settled(plan.inverse(), bench)).progress is Progress.HEALTHY
        if left is not None:
            assert least() == left.changes[0].after
            assert (await SCALE.settled(stays, bench)).progress is Progress.HEALTHY
    assert least() == 1
    annotations = held_one(control_plane, "hpa", "api", namespace)["metadata"]["annotations"]
    assert not [name for name in annotations if name.startswith("remediator")]


@pytest.mark.parametrize("gone", ["hpa", "deployment"])
async def test_nothing_is_left_to_take_back_where_the_autoscaler_is_gone(
    control_plane: ControlPlane, namespace: str, bench: Bench, gone: str
) -> None:
    start(
        control_plane,
        deployment("api", namespace, replicas=1),
        autoscaler("api", namespace, least=1, most=9),
    )
    plan = await plan_of(bench, namespace, to=2)
    await SCALE.apply(plan, bench)
    assert (await settle(SCALE, plan, bench, 30)).progress is Progress.HEALTHY
    control_plane.kubectl("delete", gone, "api", "-n", namespace)
    assert (await SCALE.undo(plan, bench)).changed is (gone == "deployment")
    settled = await SCALE.settled(plan.inverse(), bench)
    assert settled.progress is Progress.HEALTHY, settled.message


async def test_the_autoscaler_of_a_stateful_set_is_raised_and_let_down(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(
        control_plane,
        stateful_set("db", namespace, replicas=1),
        autoscaler("db", namespace, least=1, most=4, kind="StatefulSet"),
        # Of the same name, and another kind: not its autoscaler.
        {
            **autoscaler("db", namespace, least=1, most=4),
            "metadata": {"name": "other", "namespace": namespace},
        },
    )
    params = {"namespace": namespace, "statefulset": "db", "to": 3}
    plan = await SCALE.plan(params_of(SCALE, params), bench)
    assert [str(change) for change in plan.changes] == ["HPA db: spec.minReplicas: 1 → 3"]
    await SCALE.apply(plan, bench)
    settled = await settle(SCALE, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message
    assert (await SCALE.undo(plan, bench)).changed
    assert held_one(control_plane, "hpa", "db", namespace)["spec"]["minReplicas"] == 1


async def test_a_paused_deployment_is_scaled_whatever_its_template(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=1, image="app:v1"))
    control_plane.kubectl("rollout", "pause", "deployment", "api", "-n", namespace)
    control_plane.kubectl("set", "image", "deployment/api", "app=app:v2", "-n", namespace)
    plan = await plan_of(bench, namespace, to=3)
    await SCALE.apply(plan, bench)
    settled = await settle(SCALE, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message
    assert "3 of 3 pods available, rollout paused" in settled.message


async def test_an_autoscaler_that_somebody_governs_is_left_alone(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=1))
    control_plane.kubectl("create", "configmap", "scaled", "-n", namespace)
    uid = control_plane.get("configmap", "scaled", namespace)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "scaled", "uid": uid}
    owned = autoscaler("api", namespace, least=1, most=5, owner={**owner, "controller": True})
    control_plane.apply(owned)
    with pytest.raises(Permanent, match="is written by ConfigMap scaled"):
        await plan_of(bench, namespace, by="+1")

    second = autoscaler("api", namespace, least=1, most=5)
    second["metadata"]["name"] = "api-too"
    control_plane.apply(second)
    with pytest.raises(Permanent, match=r"several autoscalers scale .* \(api, api-too\)"):
        await plan_of(bench, namespace, by="+1")


async def test_an_autoscaler_that_came_after_the_plan_makes_it_stale(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=2))
    plan = await plan_of(bench, namespace, by="+1")
    control_plane.apply(autoscaler("api", namespace, least=2, most=4))
    with pytest.raises(Stale, match="owns the replicas"):
        await SCALE.apply(plan, bench)


async def test_interference_is_not_success(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=2))
    plan = await plan_of(bench, namespace, to=3)
    await SCALE.apply(plan, bench)
    control_plane.kubectl("scale", "deployment", "api", "--replicas=4", "-n", namespace)
    settled = await SCALE.settled(plan, bench)
    assert settled.progress is Progress.FAILED
    assert settled.message == (
        f"somebody else scaled deployment {namespace}/api to 4 while it went to 3"
    )


async def test_a_workload_that_was_made_again_is_another(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=1))
    plan = await plan_of(bench, namespace, to=2)
    control_plane.kubectl("delete", "deployment", "api", "-n", namespace)
    with pytest.raises(Stale, match="is gone, or was deleted and made again"):
        await SCALE.apply(plan, bench)
    start(control_plane, deployment("api", namespace, replicas=1))
    with pytest.raises(Stale, match="is gone, or was deleted and made again"):
        await SCALE.apply(plan, bench)
    assert (await SCALE.settled(plan, bench)).progress is Progress.FAILED


async def test_what_was_scaled_to_zero_stays_there(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    control_plane.apply(deployment("api", namespace, replicas=0))
    with pytest.raises(Permanent, match="scaled to 0, which somebody meant"):
        await plan_of(bench, namespace, by="+1")
    assert (await plan_of(bench, namespace, to=1)).impact.share == 0.0
    control_plane.apply(autoscaler("api", namespace, least=1, most=4))
    with pytest.raises(Permanent, match="switches HPA api off"):
        await plan_of(bench, namespace, to=2)


async def test_a_policy_of_the_cluster_refuses_at_plan_time(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, replicas=1))
    control_plane.apply(*_policy(namespace, "object.spec.replicas <= 3"))
    try:

        async def refused() -> str:
            try:
                await plan_of(bench, namespace, to=5)
            except Permanent as error:
                return str(error)
            return ""

        message: str = await eventually_async(refused, 30, what="the policy to be in force")
        assert f"refuses to patch deployment {namespace}/api" in message
        assert f"only small things in {namespace}" in message
        assert not (await plan_of(bench, namespace, to=2)).empty
    finally:
        control_plane.kubectl(
            "delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", namespace
        )


async def test_pods_that_never_become_ready_never_settle(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    control_plane.apply(deployment("api", namespace, replicas=1, image=BAD, progress_deadline_s=1))
    plan = await plan_of(bench, namespace, to=2)
    await SCALE.apply(plan, bench)
    settled = await settle(SCALE, plan, bench, 30)
    assert settled.progress is Progress.FAILED
    assert "did not progress within 1 s" in settled.message


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.005, 0.01, 0.02, 0.05])
async def test_cut_off_at_any_moment_it_scales_once(
    control_plane: ControlPlane, namespace: str, bench: Bench, after_s: float
) -> None:
    """The process dies somewhere in apply; the stored plan is applied again."""
    control_plane.apply(deployment("api", namespace, replicas=1))
    plan = await plan_of(bench, namespace, to=2)
    cut = asyncio.create_task(SCALE.apply(plan, bench))
    await asyncio.wait({cut}, timeout=after_s)
    cut.cancel()
    await asyncio.wait({cut})
    await SCALE.apply(Plan.from_json(plan.to_json()), bench)
    held = held_one(control_plane, "deployment", "api", namespace)
    assert held["spec"]["replicas"] == 2
    assert held["metadata"]["generation"] == 2


def _policy(namespace: str, rule: str) -> tuple[dict[str, Any], dict[str, Any]]:
    api = "admissionregistration.k8s.io/v1"
    scales = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "operations": ["UPDATE"],
        "resources": ["deployments/scale"],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return (
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": namespace},
            "spec": {
                "matchConstraints": {"resourceRules": [scales]},
                "validations": [
                    {"expression": rule, "message": f"only small things in {namespace}"}
                ],
            },
        },
        {
            "apiVersion": api,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": namespace},
            "spec": {
                "policyName": namespace,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": here},
            },
        },
    )
