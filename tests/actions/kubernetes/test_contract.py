"""Proves that every Kubernetes action keeps the contract of actions, on real objects."""

from typing import Any

import pytest

from remediator.actions.kubernetes.delete_pod import DeletePod
from remediator.actions.kubernetes.rollout_restart import RolloutRestart
from remediator.actions.kubernetes.rollout_undo import RolloutUndo
from remediator.actions.kubernetes.scale import Scale
from remediator.model.canonical import JSON
from tests.actions.contract import ActionContract, Bench, Case
from tests.servers.kubernetes import ControlPlane

from .worlds import (
    autoscaler,
    daemon_set,
    deployment,
    held,
    held_one,
    restart_long_ago,
    stable,
    start,
    stateful_set,
    trace,
)


class TestScale(ActionContract):
    @pytest.fixture(params=["deployment", "statefulset"])
    def case(
        self,
        request: pytest.FixtureRequest,
        control_plane: ControlPlane,
        namespace: str,
        bench: Bench,
    ) -> Case:
        kind: str = request.param
        make = deployment if kind == "deployment" else stateful_set
        start(control_plane, make("api", namespace, replicas=2))

        def state() -> JSON:
            replicas: int = held_one(control_plane, kind, "api", namespace)["spec"]["replicas"]
            return replicas

        return Case(
            action=Scale(),
            params={"namespace": namespace, kind: "api", "by": "+50%", "max": 10},
            bench=bench,
            state=state,
            trace=lambda: trace(control_plane),
            meddle=lambda: _kubectl(
                control_plane, "scale", kind, "api", "--replicas=7", n=namespace
            ),
        )


class TestScaleUnderAnAutoscaler(ActionContract):
    @pytest.fixture
    def case(self, control_plane: ControlPlane, namespace: str, bench: Bench) -> Case:
        start(
            control_plane,
            deployment("api", namespace, replicas=2),
            autoscaler("api", namespace, least=2, most=6),
        )

        def state() -> JSON:
            hpa = held_one(control_plane, "hpa", "api", namespace)
            least: int = hpa["spec"]["minReplicas"]
            return least

        def meddle() -> None:
            patch = '{"spec":{"minReplicas":5}}'
            _kubectl(control_plane, "patch", "hpa", "api", "-p", patch, n=namespace)

        return Case(
            action=Scale(),
            params={"namespace": namespace, "deployment": "api", "by": "+1"},
            bench=bench,
            state=state,
            trace=lambda: trace(control_plane),
            meddle=meddle,
        )


class TestRolloutRestart(ActionContract):
    @pytest.fixture(params=["deployment", "statefulset", "daemonset"])
    def case(
        self,
        request: pytest.FixtureRequest,
        control_plane: ControlPlane,
        namespace: str,
        bench: Bench,
    ) -> Case:
        kind: str = request.param
        start(control_plane, _make(kind, namespace))
        return Case(
            action=RolloutRestart(),
            params={"namespace": namespace, kind: "api"},
            bench=bench,
            state=lambda: _template(control_plane, kind, namespace),
            trace=lambda: trace(control_plane),
            meddle=lambda: _kubectl(control_plane, *restart_long_ago(kind), n=namespace),
        )


class TestRolloutUndo(ActionContract):
    @pytest.fixture(params=["deployment", "statefulset", "daemonset"])
    def case(
        self,
        request: pytest.FixtureRequest,
        control_plane: ControlPlane,
        namespace: str,
        bench: Bench,
    ) -> Case:
        kind: str = request.param
        start(control_plane, _make(kind, namespace, image="app:v1"))
        start(control_plane, _make(kind, namespace, image="app:v2"))

        def meddle() -> None:
            _kubectl(control_plane, "set", "image", f"{kind}/api", "app=app:v3", n=namespace)

        return Case(
            action=RolloutUndo(),
            params={"namespace": namespace, kind: "api"},
            bench=bench,
            state=lambda: _template(control_plane, kind, namespace),
            trace=lambda: trace(control_plane),
            meddle=meddle,
        )


class TestDeletePod(ActionContract):
    @pytest.fixture
    def case(self, control_plane: ControlPlane, namespace: str, bench: Bench) -> Case:
        start(control_plane, deployment("api", namespace, replicas=2))
        first = min(pod["metadata"]["name"] for pod in held(control_plane, "pod", namespace))

        def state() -> JSON:
            names = [pod["metadata"]["name"] for pod in held(control_plane, "pod", namespace)]
            return first in names

        def gone_for_good() -> JSON:
            return bool(stable(state, what=f"{first} to stay or go"))

        return Case(
            action=DeletePod(),
            params={"namespace": namespace, "pod": first},
            bench=bench,
            state=gone_for_good,
            trace=lambda: trace(control_plane),
            # An engineer takes the pod out of its workload, to look into it.
            meddle=lambda: _set_aside(control_plane, first, namespace),
        )


def _make(kind: str, namespace: str, **options: Any) -> dict[str, Any]:
    if kind == "daemonset":
        return daemon_set("api", namespace, **options)
    make = deployment if kind == "deployment" else stateful_set
    return make("api", namespace, replicas=2, **options)


def _template(cp: ControlPlane, kind: str, namespace: str) -> JSON:
    template: JSON = held_one(cp, kind, "api", namespace)["spec"]["template"]
    return template


def _set_aside(cp: ControlPlane, pod: str, namespace: str) -> None:
    _kubectl(cp, "label", "pod", pod, "app=quarantine", "--overwrite", n=namespace)

    def owners() -> Any:
        return held_one(cp, "pod", pod, namespace)["metadata"].get("ownerReferences", [])

    stable(lambda: owners() or None, what="the ReplicaSet to let go of the pod", rest_s=1.0)
    assert owners() == []


def _kubectl(cp: ControlPlane, *arguments: str, n: str) -> None:
    cp.kubectl(*arguments, "--namespace", n)
