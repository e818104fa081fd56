"""Proves that the actions leave in the API server what kubectl leaves, on twin objects.

One twin is changed by the action, the other by kubectl; then everything that the API server holds
of them is compared, apart from names, identities and times.
"""

from typing import Any

import pytest

from remediator.actions.kubernetes.delete_pod import DeletePod
from remediator.actions.kubernetes.rollout_restart import RolloutRestart
from remediator.actions.kubernetes.rollout_undo import RolloutUndo
from remediator.actions.kubernetes.scale import Scale
from remediator.model.plans import Progress
from remediator.plugin.action import Action, Permanent
from tests.actions.contract import Bench, params_of, settle
from tests.servers.kubernetes import ControlPlane

from .worlds import daemon_set, deployment, held, held_one, like_twin, stable, start, stateful_set

OURS, THEIRS = "ours", "theirs"
KINDS = ("deployment", "statefulset", "daemonset")
KEEPERS = ("replicaset", "controllerrevision")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_restart_is_kubectl_rollout_restart(
    control_plane: ControlPlane, namespace: str, bench: Bench, kind: str
) -> None:
    for name in (OURS, THEIRS):
        start(control_plane, _make(kind, name, namespace))

    await _do(RolloutRestart(), {"namespace": namespace, kind: OURS}, bench)
    control_plane.kubectl("rollout", "restart", kind, THEIRS, "-n", namespace)

    _assert_twins(control_plane, kind, namespace)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("to_revision", [None, 1])
async def test_a_roll_back_is_kubectl_rollout_undo(
    control_plane: ControlPlane,
    namespace: str,
    bench: Bench,
    kind: str,
    to_revision: int | None,
) -> None:
    for image in ("app:v1", "app:v2", "app:v3"):
        for name in (OURS, THEIRS):
            manifest = _make(kind, name, namespace, image=image)
            # In one write with the image, or the controller may never see the two together.
            cause = {"kubernetes.io/change-cause": f"release {image}"}
            manifest["metadata"].setdefault("annotations", {}).update(cause)
            start(control_plane, manifest)
    _at_rest(control_plane, kind, namespace)

    params: dict[str, Any] = {"namespace": namespace, kind: OURS}
    flags = []
    if to_revision is not None:
        params["to_revision"] = to_revision
        flags.append(f"--to-revision={to_revision}")
    await _do(RolloutUndo(), params, bench)
    control_plane.kubectl("rollout", "undo", kind, THEIRS, *flags, "-n", namespace)

    seen = _assert_twins(control_plane, kind, namespace)
    wanted = "app:v2" if to_revision is None else "app:v1"
    assert seen["spec"]["template"]["spec"]["containers"][0]["image"] == wanted
    if kind == "deployment":  # the others' causes stay, with kubectl and with us
        cause = seen["metadata"]["annotations"]["kubernetes.io/change-cause"]
        assert cause == f"release {wanted}"


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
@pytest.mark.parametrize("to", [5, 1, 0])
async def test_a_scale_is_kubectl_scale(
    control_plane: ControlPlane, namespace: str, bench: Bench, kind: str, to: int
) -> None:
    for name in (OURS, THEIRS):
        start(control_plane, _make(kind, name, namespace, replicas=3))

    await _do(Scale(), {"namespace": namespace, kind: OURS, "to": to}, bench)
    control_plane.kubectl("scale", kind, THEIRS, f"--replicas={to}", "-n", namespace)

    seen = _assert_twins(control_plane, kind, namespace)
    assert seen["spec"]["replicas"] == to


async def test_a_deletion_is_kubectl_delete_pod(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    for name in (OURS, THEIRS):
        start(control_plane, stateful_set(name, namespace, replicas=2))
    before = {name: _uids(control_plane, name, namespace) for name in (OURS, THEIRS)}

    await _do(DeletePod(), {"namespace": namespace, "pod": f"{OURS}-1"}, bench)
    control_plane.kubectl("delete", "pod", f"{THEIRS}-1", "-n", namespace)

    _assert_twins(control_plane, "statefulset", namespace)
    for name in (OURS, THEIRS):
        after = _uids(control_plane, name, namespace)
        assert after[f"{name}-0"] == before[name][f"{name}-0"]
        assert after[f"{name}-1"] != before[name][f"{name}-1"]


async def test_a_roll_back_after_a_restart_goes_to_another_release(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    """Where we differ from kubectl on purpose: it goes back to the same release before its restart.

    Nor does kubectl mind to go forward onto what was rolled back from.
    """
    for image in ("app:v1", "app:v2"):
        for name in (OURS, THEIRS):
            start(control_plane, deployment(name, namespace, replicas=1, image=image))
    for name in (OURS, THEIRS):
        control_plane.kubectl("rollout", "restart", "deployment", name, "-n", namespace)
    _at_rest(control_plane, "deployment", namespace)

    await _do(RolloutUndo(), {"namespace": namespace, "deployment": OURS}, bench)
    control_plane.kubectl("rollout", "undo", "deployment", THEIRS, "-n", namespace)

    assert _images(control_plane, namespace) == {OURS: "app:v1", THEIRS: "app:v2"}

    _at_rest(control_plane, "deployment", namespace)
    for name in (OURS, THEIRS):
        image = "app=app:v1"
        control_plane.kubectl("set", "image", f"deployment/{name}", image, "-n", namespace)
    _at_rest(control_plane, "deployment", namespace)
    bench.known.clear()  # it is not our memory of it
    with pytest.raises(Permanent, match="left behind"):
        await _do(RolloutUndo(), {"namespace": namespace, "deployment": OURS}, bench)
    control_plane.kubectl("rollout", "undo", "deployment", THEIRS, "-n", namespace)
    assert _images(control_plane, namespace) == {OURS: "app:v1", THEIRS: "app:v2"}


async def test_a_roll_back_keeps_annotations_that_came_later(
    control_plane: ControlPlane, namespace: str, bench: Bench
) -> None:
    """Where we differ from kubectl on purpose: it puts back the revision's whole set."""
    for image in ("app:v1", "app:v2"):
        for name in (OURS, THEIRS):
            start(control_plane, deployment(name, namespace, image=image))
    for name in (OURS, THEIRS):
        control_plane.kubectl("annotate", "deployment", name, "team=shop", "-n", namespace)

    await _do(RolloutUndo(), {"namespace": namespace, "deployment": OURS}, bench)
    control_plane.kubectl("rollout", "undo", "deployment", THEIRS, "-n", namespace)

    ours, theirs = (
        control_plane.get("deployment", name, namespace)["metadata"]["annotations"]
        for name in (OURS, THEIRS)
    )
    assert ours["team"] == "shop"
    assert "team" not in theirs


async def _do(action: Action[Any], params: dict[str, Any], bench: Bench) -> None:
    plan = await action.plan(params_of(action, params), bench)
    result = await action.apply(plan, bench)
    assert result.changed
    settled = await settle(action, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message


def _assert_twins(cp: ControlPlane, kind: str, namespace: str) -> Any:
    """Compare the workloads, what keeps their templates, and their pods; returns the workload."""
    looks = _at_rest(cp, kind, namespace)
    assert looks[OURS] == looks[THEIRS]
    return looks[OURS]["workload"]


def _at_rest(cp: ControlPlane, kind: str, namespace: str) -> dict[str, Any]:
    if held_one(cp, kind, THEIRS, namespace)["spec"].get("replicas") != 0:
        cp.wait_rollout(f"{kind}/{THEIRS}", namespace)
    found: dict[str, Any] = stable(
        lambda: {name: _look(cp, kind, name, namespace) for name in (OURS, THEIRS)},
        what="both twins to come to rest",
    )
    return found


def _look(cp: ControlPlane, kind: str, name: str, namespace: str) -> dict[str, Any]:
    workload = held_one(cp, kind, name, namespace)
    kept = [
        item
        for keeper in KEEPERS
        for item in held(cp, keeper, namespace)
        if item["metadata"].get("ownerReferences", [{}])[0].get("name") == name
    ]
    for item in (workload, *kept):
        # What kubectl remembers of `apply` repeats the manifest, and is not ours to compare.
        annotations = item["metadata"].get("annotations", {})
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    pods = held(cp, "pod", namespace, app=name)
    return {
        "workload": like_twin({k: workload[k] for k in ("metadata", "spec", "status")}, name),
        "kept": sorted(
            (like_twin(item, name) for item in kept), key=lambda item: str(_number(item))
        ),
        "pods": sorted(str(like_twin(pod["spec"]["containers"], name)) for pod in pods),
    }


def _images(cp: ControlPlane, namespace: str) -> dict[str, str]:
    return {
        name: held_one(cp, "deployment", name, namespace)["spec"]["template"]["spec"]["containers"][
            0
        ]["image"]
        for name in (OURS, THEIRS)
    }


def _number(item: dict[str, Any]) -> object:
    annotations = item["metadata"].get("annotations", {})
    return item.get("revision", annotations.get("deployment.kubernetes.io/revision"))


def _make(
    kind: str, name: str, namespace: str, *, image: str = "app:v1", replicas: int = 2
) -> dict[str, Any]:
    if kind == "daemonset":
        return daemon_set(name, namespace, image=image)
    make = deployment if kind == "deployment" else stateful_set
    return make(name, namespace, image=image, replicas=replicas)


def _uids(cp: ControlPlane, name: str, namespace: str) -> dict[str, str]:
    pods = cp.items("pods", namespace, f"app={name}")
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods}
