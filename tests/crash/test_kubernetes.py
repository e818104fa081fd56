"""Proves against a real API server with its real controllers that a daemon, killed at every commit
around its changes, scales once and restarts once.

The Deployment's generation rises with every change of its spec, whoever makes it: two changes are
two, not three. ReplicaSets show the restarts: one more than before.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash import legal
from tests.crash.rig import Rig
from tests.servers.kubernetes import ControlPlane
from tests.servers.manifests import deployment

_RUNBOOK = """
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
_MOST = 40
# A dozen starts of a daemon, and as many rollouts.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def rig(tmp_path: Path, control_plane: ControlPlane, namespace: str) -> Iterator[Rig]:
    """A daemon with the admin's rights in the namespace."""
    made = Rig(
        tmp_path,
        _RUNBOOK.replace("NAMESPACE", namespace),
        settings={"kubernetes": {"kubeconfig": str(control_plane.kubeconfig())}},
    )
    made.daemon.start()
    yield made
    made.daemon.stop()


def test_a_real_deployment_is_scaled_once_and_restarted_once(
    rig: Rig, control_plane: ControlPlane, namespace: str
) -> None:
    for number in range(1, _MOST):
        name = f"case-{number}"
        control_plane.apply(deployment(name, namespace, replicas=1))
        control_plane.wait_rollout(f"deployment/{name}", namespace)
        before = control_plane.get("deployment", name, namespace)["metadata"]["generation"]
        carried = rig.carry(name, kill_at=number)
        assert carried.run["state"] == "succeeded", (number, carried.run, rig.daemon.log_tail())
        after = control_plane.get("deployment", name, namespace)
        assert after["spec"]["replicas"] == 2
        assert after["metadata"]["generation"] == before + 2, (number, after)
        sets = control_plane.items("replicasets", namespace, f"app={name}")
        assert len(sets) == 2, (number, [one["metadata"]["name"] for one in sets])
        assert rig.locks() == {}
        legal.check(rig.audit(carried.run))
        control_plane.kubectl("delete", "deployment", name, "-n", namespace, "--wait=false")
        if not carried.deaths:
            break
    else:
        raise AssertionError(f"no run got through {_MOST} commits")
    assert number - 1 >= 7, "every commit of a run with two changes"
    rig.check_whole()
