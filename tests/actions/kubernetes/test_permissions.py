"""Proves that `permissions()` is enough, and that nothing in it is too much.

A user who has exactly these rules carries each action out from plan to undo; without any single
verb of them he cannot, and is told which one he lacks.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from remediator.actions.kubernetes.condition import Condition
from remediator.actions.kubernetes.delete_pod import DeletePod
from remediator.actions.kubernetes.rollout_restart import RolloutRestart
from remediator.actions.kubernetes.rollout_undo import RolloutUndo
from remediator.actions.kubernetes.scale import Scale
from remediator.clients.kubernetes import Kubernetes
from remediator.model.plans import Progress
from remediator.plugin.action import Action, AnyOperation, Permanent, Permission
from remediator.settings import KubernetesSettings
from tests.actions.contract import Bench, params_of, settle
from tests.servers.kubernetes import ControlPlane
from tests.servers.waiting import eventually

from .worlds import autoscaler, daemon_set, deployment, held, start, stateful_set

USER = "remediator"


@pytest.fixture
async def limited(control_plane: ControlPlane) -> AsyncIterator[Bench]:
    """A bench for a user who may do only what roles say."""
    client = Kubernetes(KubernetesSettings(kubeconfig=control_plane.kubeconfig(USER)))
    yield Bench(client)
    await client.close()


@dataclass(frozen=True)
class Use:
    """One action on one object."""

    operation: AnyOperation
    params: dict[str, Any]
    autoscaled_too: bool = False
    """Whether to do it once more with an autoscaler, which needs other rights."""
    each_controller: bool = False
    """Whether to do it once more for a pod of every other controller."""


USES = {
    "scale": Use(Scale(), {"deployment": "api", "by": "+1"}, autoscaled_too=True),
    "scale-stateful": Use(Scale(), {"statefulset": "db", "by": "+1", "hpa": "refuse"}),
    "restart": Use(RolloutRestart(), {"daemonset": "agent"}),
    "undo": Use(RolloutUndo(), {"deployment": "api"}),
    "undo-stateful": Use(RolloutUndo(), {"statefulset": "db"}),
    "delete": Use(DeletePod(), {"pod": "db-0", "allow_daemonset": True}, each_controller=True),
    "condition": Use(Condition(), {"deployment": "api", "available": "all"}),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_the_rules_are_enough_and_none_is_idle(
    control_plane: ControlPlane, namespace: str, limited: Bench, use: Use
) -> None:
    _populate(control_plane, namespace, use)
    params = {"namespace": namespace, **use.params}
    rules = use.operation.permissions(params_of(use.operation, params))
    assert all(rule.scope == namespace for rule in rules)

    for lacking in [(rule.resource, verb) for rule in rules for verb in rule.verbs]:
        _grant(control_plane, namespace, rules, without=lacking)
        resource, verb = lacking
        with pytest.raises(Permanent) as refused:
            await _use_up(control_plane, namespace, use, params, limited)
        message = str(refused.value)
        assert f"lack {verb} on {resource.removeprefix('/')} in namespace {namespace}" in message
        assert "`remediator rbac`" in message

    _grant(control_plane, namespace, rules)
    await _use_up(control_plane, namespace, use, params, limited)


async def _use_up(
    cp: ControlPlane, namespace: str, use: Use, params: dict[str, Any], bench: Bench
) -> None:
    """Every way in which the action may go."""
    await _use(use, params, bench)
    if use.autoscaled_too:
        cp.apply(autoscaler("api", namespace, least=1, most=4))
        try:
            await _use(use, params, bench)
        finally:
            cp.kubectl("delete", "hpa", "api", "-n", namespace)
            cp.kubectl("scale", "deployment", "api", "--replicas=1", "-n", namespace)
    if use.each_controller:
        for name in ("api", "agent"):
            pod = next(
                pod["metadata"]["name"]
                for pod in held(cp, "pod", namespace)
                if pod["metadata"]["name"].startswith(f"{name}-")
                and "deletionTimestamp" not in pod["metadata"]
            )
            await _use(use, {**params, "pod": pod}, bench)


async def _use(use: Use, params: dict[str, Any], bench: Bench) -> None:
    """From plan to undo."""
    given = params_of(use.operation, params)
    if not isinstance(use.operation, Action):
        assert (await use.operation.probe(given, bench)).ok
        return
    plan = await use.operation.plan(given, bench)
    assert (await use.operation.apply(plan, bench)).changed
    settled = await settle(use.operation, plan, bench, 30)
    assert settled.progress is Progress.HEALTHY, settled.message
    if plan.way_back is not None:
        assert (await use.operation.undo(plan, bench)).changed


def _populate(cp: ControlPlane, namespace: str, use: Use) -> None:
    for image in ("app:v1", "app:v2"):
        if use.each_controller:
            start(cp, deployment("api", namespace, replicas=1), daemon_set("agent", namespace))
        if "deployment" in use.params:
            start(cp, deployment("api", namespace, replicas=1, image=image))
        elif "daemonset" in use.params:
            start(cp, daemon_set("agent", namespace, image=image))
        else:
            start(cp, stateful_set("db", namespace, replicas=1, image=image))


def _grant(
    cp: ControlPlane,
    namespace: str,
    rules: Sequence[Permission],
    without: tuple[str, str] | None = None,
) -> None:
    """Give the user a role with these rules, and wait until the API server lives by it."""
    granted = [
        (rule.resource, verb)
        for rule in rules
        for verb in rule.verbs
        if (rule.resource, verb) != without
    ]
    name = {"name": "under-test", "namespace": namespace}
    api = "rbac.authorization.k8s.io"
    cp.apply(
        {
            "apiVersion": f"{api}/v1",
            "kind": "Role",
            "metadata": name,
            "rules": [
                {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
                for (group, _, resource), verb in (
                    (resource.partition("/"), verb) for resource, verb in granted
                )
            ],
        },
        {
            "apiVersion": f"{api}/v1",
            "kind": "RoleBinding",
            "metadata": name,
            "roleRef": {"apiGroup": api, "kind": "Role", "name": "under-test"},
            "subjects": [{"apiGroup": api, "kind": "User", "name": USER}],
        },
    )

    def in_force() -> bool:
        may = all(_may(cp, namespace, *rule) for rule in granted)
        return may and (without is None or not _may(cp, namespace, *without))

    eventually(in_force, 20, what="the role to be in force")


def _may(cp: ControlPlane, namespace: str, resource: str, verb: str) -> bool:
    group, _, rest = resource.partition("/")
    plural, _, sub = rest.partition("/")
    asked = {"group": group, "resource": plural, "subresource": sub, "verb": verb}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"namespace": namespace, **asked}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    allowed: bool = cp.api("POST", path, review, user=USER).json()["status"]["allowed"]
    return allowed
