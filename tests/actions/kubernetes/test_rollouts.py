"""Proves what the restart and the roll back do beyond kubectl: refusals, memory, honesty."""

import json
from typing import Any

import pytest

from remediator.actions.kubernetes.rollout_restart import RolloutRestart
from remediator.actions.kubernetes.rollout_undo import RolloutUndo
from remediator.model.plans import Plan, Progress
from remediator.plugin.action import Action, Permanent, Stale
from tests.actions.contract import Bench, params_of, settle
from tests.servers.kubernetes import ControlPlane
from tests.servers.manifests import BAD
from tests.servers.waiting import eventually, eventually_async

from .worlds import daemon_set, deployment, labelling_policy, start, stateful_set

RESTART, UNDO = RolloutRestart(), RolloutUndo()
BOTH = pytest.mark.parametrize("action", [RESTART, UNDO], ids=["restart", "undo"])


async def plan_of(action: Action[Any], bench: Bench, namespace: str, **params: Any) -> Plan:
    given = {"namespace": namespace, **(params or {"deployment": "api"})}
    return await action.plan(params_of(action, given), bench)


async def carried_out(action: Action[Any], plan: Plan, bench: Bench) -> None:
    result = await action.apply(plan, bench)
    bench.known += result.facts
    settled = await settle(action, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


def image_of(cp: ControlPlane, namespace: str, kind: str = "deployment") -> str:
    containers = cp.get(kind, "api", namespace)["spec"]["template"]["spec"]["containers"]
    return str(containers[0]["image"])


# --- both --------------------------------------------------------------------------------------


@BOTH
async def test_what_would_move_no_pod_is_refused(
    control_plane: ControlPlane, namespace: str, bench: Bench, action: Action[Any]
) -> None:
    on_delete = {"updateStrategy": {"type": "OnDelete"}}
    partition = {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
    control_plane.apply(
        deployment("api", namespace, spec={"paused": True}),
        stateful_set("waits", namespace, spec=on_delete),
        stateful_set("parted", namespace, replicas=2, spec=partition),
        daemon_set("agent", namespace, spec=on_delete),
    )
    with pytest.raises(Permanent, match=r"is paused, so .* rollout resume deployment api"):
        await plan_of(action, bench, namespace)
    with pytest.raises(Permanent, match=r"OnDelete, so .* would move no pod"):
        await plan_of(action, bench, namespace, statefulset="waits")
    with pytest.raises(Permanent, match="partition of 2 for 2 pods"):
        await plan_of(action, bench, namespace, statefulset="parted")
    with pytest.raises(Permanent, match=r"OnDelete, so .* would move no pod"):
        await plan_of(action, bench, namespace, daemonset="agent")


@BOTH
async def test_a_deployment_paused_after_the_plan_is_left_alone(
    control_plane: ControlPlane, namespace: str, bench: Bench, action: Action[Any]
) -> None:
    for image in ("app:v1", "app:v2"):
        start(control_plane, deployment("api", namespace, image=image))
    plan = await plan_of(action, bench, namespace)
    control_plane.kubectl("rollout", "pause", "deployment", "api", "-n", namespace)
    with pytest.raises(Permanent, match="is paused"):
        await action.apply(plan, bench)
    assert image_of(control_plane, namespace) == "app:v2"


@BOTH
async def test_a_partition_is_counted_and_said(
    control_plane: ControlPlane, namespace: str, bench: Bench, action: Action[Any]
) -> None:
    spec = {"updateStrategy": {"rollingUpdate": {"partition": 2}}}
    start(control_plane, stateful_set("api", namespace, replicas=3, image="app:v1"))
    control_plane.apply(stateful_set("api", namespace, replicas=3, image="app:v2", spec=spec))
    control_plane.wait_rollout("statefulset/api", namespace)
    plan = await plan_of(action, bench, namespace, statefulset="api")
    assert (plan.impact.pods, plan.impact.of_pods) == (1, 3)
    assert "pods below ordinal 2 stay as they are" in plan.impact.note
    await carried_out(action, plan, bench)


@BOTH
async def test_a_release_during_the_wait_is_interference(
    control_plane: ControlPlane, namespace: str, bench: Bench, action: Action[Any]
) -> None:
    for image in ("app:v1", "app:v2"):
        start(control_plane, deployment("api", namespace, image=image))
    plan = await plan_of(action, bench, namespace)
    await action.apply(plan, bench)
    control_plane.kubectl("set", "image", "deployment/api", "app=app:v3", "-n", namespace)
    settled = await action.settled(plan, bench)
    assert settled.progress is Progress.FAILED
    assert "somebody else" in settled.message
    tracking = "argocd.argoproj.io/tracking-id=shop:apps/Deployment:shop/api"
    control_plane.kubectl("annotate", "deployment", "api", tracking, "-n", namespace)
    settled = await action.settled(plan, bench)
    assert "(Argo CD manages it (application shop) and may put" in settled.message
    control_plane.kubectl("delete", "deployment", "api", "-n", namespace)
    assert "is gone" in (await action.settled(plan, bench)).message


# --- restart -----------------------------------------------------------------------------------


async def test_a_second_restart_in_the_same_second_is_a_restart(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace))
    first = await plan_of(RESTART, bench, namespace)
    await carried_out(RESTART, first, bench)
    for number in (3, 4):
        second = await plan_of(RESTART, bench, namespace)
        assert second.details["restarted_at"] > first.details["restarted_at"]  # type: ignore[operator]  # both are text
        await carried_out(RESTART, second, bench)
        assert len(control_plane.items("replicasets", namespace)) == number
        first = second


async def test_what_admission_adds_to_a_restart_is_part_of_it(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    """It is shown before, and is nobody's interference afterwards."""
    start(control_plane, deployment("api", namespace, replicas=1))
    control_plane.apply(*labelling_policy(namespace))
    try:

        async def injected() -> Any:
            plan = await plan_of(RESTART, bench, namespace)
            return plan if len(plan.changes) > 1 else None

        plan: Plan = await eventually_async(injected, 30, what="the policy to be in force")
        assert [str(change) for change in plan.changes[1:]] == [
            "spec.template.metadata.labels.injected: none → yes"
        ]
        await carried_out(RESTART, plan, bench)
        assert not (await RESTART.apply(plan, bench)).changed
    finally:
        control_plane.kubectl(
            "delete", "mutatingadmissionpolicy,mutatingadmissionpolicybinding", namespace
        )


async def test_a_restart_makes_way_for_a_newer_release(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, image="app:v1"))
    plan = await plan_of(RESTART, bench, namespace)
    assert (plan.impact.pods, plan.impact.of_pods, plan.impact.down) == (3, 3, 0)
    assert plan.impact.replicas is None  # no count is altered, so no bound on counts applies
    assert "at most 25% unavailable at a time" in plan.impact.note
    control_plane.kubectl("set", "image", "deployment/api", "app=app:v2", "-n", namespace)
    with pytest.raises(Stale, match=r"pod template .* was changed since the plan"):
        await RESTART.apply(plan, bench)


async def test_nothing_is_restarted_where_nothing_runs(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    control_plane.apply(deployment("api", namespace, replicas=0))
    plan = await plan_of(RESTART, bench, namespace)
    assert plan.empty
    assert not (await RESTART.apply(plan, bench)).changed


# --- roll back ---------------------------------------------------------------------------------


async def test_a_stuck_release_goes_back_to_the_last_good_one(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, image="app:v1"))
    control_plane.apply(deployment("api", namespace, image=BAD, progress_deadline_s=4))
    _until_stuck(control_plane, namespace)
    plan = await plan_of(UNDO, bench, namespace)
    # Only the new pod goes: the old ones were never touched.
    assert (plan.impact.pods, plan.impact.of_pods, plan.impact.replicas) == (1, 3, None)
    # To undo this would be to release again what nobody has ever seen work.
    assert plan.way_back is None
    assert "had passed its deadline, so nothing would be won by its return" in plan.no_way_back
    shown = [str(change) for change in plan.changes]
    assert "spec.template.spec.containers[app].image: app:bad → app:v1" in shown
    # The deadline that the bad release has passed is not held against the way back.
    await carried_out(UNDO, plan, bench)
    assert image_of(control_plane, namespace) == "app:v1"


async def test_after_two_bad_releases_it_goes_to_the_one_that_serves(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, deployment("api", namespace, image="app:v1"))
    for image in ("one:bad", "two:bad"):
        control_plane.apply(deployment("api", namespace, image=image))
        eventually(
            lambda wanted=image: _newest(control_plane, namespace) == wanted,  # type: ignore[misc]  # mypy can't infer a lambda's default
            what=f"the controller to roll out {image}",
        )
    plan = await plan_of(UNDO, bench, namespace)
    await carried_out(UNDO, plan, bench)
    assert image_of(control_plane, namespace) == "app:v1"
    assert "revision 1 is the newest whose pods serve" in plan.impact.note


async def test_it_never_goes_onto_a_template_known_as_bad(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    for image in ("app:v1", "app:v2", "app:v3"):
        start(control_plane, deployment("api", namespace, image=image))
    await carried_out(UNDO, await plan_of(UNDO, bench, namespace), bench)
    assert image_of(control_plane, namespace) == "app:v2"
    second = await plan_of(UNDO, bench, namespace)  # kubectl would deploy v3 again
    assert "revision 3 is known as bad" in second.impact.note
    await carried_out(UNDO, second, bench)
    assert image_of(control_plane, namespace) == "app:v1"
    with pytest.raises(Permanent, match=r"every earlier revision .* is known as bad \(4, 3\)"):
        await plan_of(UNDO, bench, namespace)
    with pytest.raises(Permanent, match=r"revision 3 .* is known as bad"):
        await plan_of(UNDO, bench, namespace, deployment="api", to_revision=3)


async def test_taking_a_roll_back_back_acquits_the_release(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    for image in ("app:v1", "app:v2"):
        start(control_plane, deployment("api", namespace, image=image))
    plan = await plan_of(UNDO, bench, namespace)
    await carried_out(UNDO, plan, bench)
    bench.known += (await UNDO.undo(plan, bench)).facts
    control_plane.wait_rollout("deployment/api", namespace)
    start(control_plane, deployment("api", namespace, image="app:v3"))
    later = await plan_of(UNDO, bench, namespace)
    await carried_out(UNDO, later, bench)
    assert image_of(control_plane, namespace) == "app:v2"


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
async def test_a_restart_is_no_release_to_go_back_to(
    control_plane: ControlPlane, namespace: str, bench: Bench, kind: str
) -> None:
    make = deployment if kind == "deployment" else stateful_set
    for image in ("app:v1", "app:v2"):
        start(control_plane, make("api", namespace, replicas=1, image=image))
    await carried_out(RESTART, await plan_of(RESTART, bench, namespace, **{kind: "api"}), bench)
    same = await plan_of(UNDO, bench, namespace, **{kind: "api"}, to_revision=2)
    assert same.empty
    await carried_out(UNDO, await plan_of(UNDO, bench, namespace, **{kind: "api"}), bench)
    assert image_of(control_plane, namespace, kind) == "app:v1"


async def test_a_bad_release_is_known_again_after_a_restart(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    """The annotation of a restart stays in the template, and gives the release another hash."""
    for image in ("app:v1", "app:v2"):
        start(control_plane, deployment("api", namespace, replicas=1, image=image))
    await carried_out(UNDO, await plan_of(UNDO, bench, namespace), bench)
    await carried_out(RESTART, await plan_of(RESTART, bench, namespace), bench)
    for image in ("app:v2", "app:v3"):
        control_plane.kubectl("set", "image", "deployment/api", f"app={image}", "-n", namespace)
        control_plane.wait_rollout("deployment/api", namespace)
    await carried_out(UNDO, await plan_of(UNDO, bench, namespace), bench)
    assert image_of(control_plane, namespace) == "app:v1"


async def test_it_does_not_roll_forward_onto_what_a_person_has_rolled_back_from(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    for image in ("app:v1", "app:v2"):
        start(control_plane, deployment("api", namespace, replicas=1, image=image))
    control_plane.kubectl("rollout", "undo", "deployment", "api", "-n", namespace)
    control_plane.wait_rollout("deployment/api", namespace)
    with pytest.raises(Permanent, match=r"revision 2 was released after .* write to_revision"):
        await plan_of(UNDO, bench, namespace)
    forward = await plan_of(UNDO, bench, namespace, deployment="api", to_revision=2)
    await carried_out(UNDO, forward, bench)
    assert image_of(control_plane, namespace) == "app:v2"


async def test_revisions_that_are_not_there_are_told_apart(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    limit = {"revisionHistoryLimit": 1}
    start(control_plane, deployment("api", namespace, image="app:v1", spec=limit))
    with pytest.raises(Permanent, match="no earlier revision to go back to"):
        await plan_of(UNDO, bench, namespace)
    for image in ("app:v2", "app:v3"):
        start(control_plane, deployment("api", namespace, image=image, spec=limit))
    eventually(
        lambda: len(control_plane.items("replicasets", namespace)) == 2,
        what="the first revision to be pruned",
    )
    with pytest.raises(
        Permanent, match=r"no revision 1; there are 3, 2 \(revisionHistoryLimit is 1"
    ):
        await plan_of(UNDO, bench, namespace, deployment="api", to_revision=1)
    same = await plan_of(UNDO, bench, namespace, deployment="api", to_revision=3)
    assert same.empty
    assert not (await UNDO.apply(same, bench)).changed

    plan = await plan_of(UNDO, bench, namespace)
    control_plane.kubectl("delete", "rs", str(plan.details["revision"]), "-n", namespace)
    with pytest.raises(Permanent, match="was pruned since the plan"):
        await UNDO.apply(plan, bench)


async def test_a_release_that_gets_stuck_has_failed(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    control_plane.apply(deployment("api", namespace, image=BAD))
    start(control_plane, deployment("api", namespace, image="app:v2"))
    soon = '{"spec":{"progressDeadlineSeconds":1}}'
    control_plane.kubectl("patch", "deployment", "api", "-n", namespace, "-p", soon)
    plan = await plan_of(UNDO, bench, namespace, deployment="api", to_revision=1)
    await UNDO.apply(plan, bench)
    settled = await settle(UNDO, plan, bench, 30)
    assert settled.progress is Progress.FAILED
    assert "did not progress within 1 s" in settled.message
    await UNDO.undo(plan, bench)
    settled = await settle(UNDO, plan.inverse(), bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


async def test_a_plan_shows_no_environment(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    """Passwords in environment values must not reach the journal or a chat."""
    for secret in ("hunter2", "correct-horse"):
        manifest = deployment("api", namespace)
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        container["env"] = [{"name": "PASSWORD", "value": secret}]
        container["args"] = [f"--token={secret}"]
        start(control_plane, manifest)
    plan = await plan_of(UNDO, bench, namespace)
    stored = json.dumps(plan.to_json())
    assert "containers[app].env[PASSWORD].value" in stored
    assert "hunter2" not in stored
    assert "correct-horse" not in stored


async def test_an_ordered_stateful_set_says_why_it_waits(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    start(control_plane, stateful_set("api", namespace, image="app:v1"))
    control_plane.apply(stateful_set("api", namespace, image=BAD))
    eventually(
        lambda: _waits(control_plane, namespace), what="the first pod of the bad release to wait"
    )
    plan = await plan_of(UNDO, bench, namespace, statefulset="api")
    assert (plan.impact.pods, plan.impact.of_pods) == (1, 2)
    await UNDO.apply(plan, bench)
    settled = await settle(UNDO, plan, bench, 3)
    if settled.progress is not Progress.HEALTHY:
        assert "waits for a broken pod until it is deleted" in settled.message
        control_plane.kubectl("delete", "pod", "api-1", "-n", namespace)
        settled = await settle(UNDO, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


def _until_stuck(cp: ControlPlane, namespace: str) -> None:
    def stuck() -> bool:
        conditions = cp.get("deployment", "api", namespace)["status"]["conditions"]
        return any(c.get("reason") == "ProgressDeadlineExceeded" for c in conditions)

    eventually(stuck, 20, what="the release to pass its deadline")


def _newest(cp: ControlPlane, namespace: str) -> str:
    sets = cp.items("replicasets", namespace)
    key = "deployment.kubernetes.io/revision"
    newest = max(sets, key=lambda item: int(item["metadata"]["annotations"][key]))
    return str(newest["spec"]["template"]["spec"]["containers"][0]["image"])


def _waits(cp: ControlPlane, namespace: str) -> bool:
    pod = cp.get("pod", "api-1", namespace)
    return bool(
        pod["spec"]["containers"][0]["image"] == BAD and pod["status"]["phase"] == "Pending"
    )
