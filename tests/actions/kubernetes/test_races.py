"""Proves what happens when somebody else writes between our look and our write, and when the
answer to a write is lost. A proxy in front of the real API server strikes at that moment."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from remediator.actions.kubernetes.delete_pod import DeletePod
from remediator.actions.kubernetes.rollout_restart import RolloutRestart
from remediator.actions.kubernetes.rollout_undo import RolloutUndo
from remediator.actions.kubernetes.scale import Scale
from remediator.clients.kubernetes import Kubernetes
from remediator.model.plans import Plan
from remediator.plugin.action import Action, Stale, Temporary
from remediator.settings import KubernetesSettings
from tests.actions.contract import Bench, params_of
from tests.servers.kubernetes import ControlPlane

from .loopback import Between, faster, lost_answer
from .worlds import autoscaler, deployment, held, restart_long_ago, start, stateful_set


@dataclass(frozen=True)
class Race:
    """One action, and what somebody else does to make it stale."""

    action: Action[Any]
    params: dict[str, Any]
    theirs: tuple[str, ...]
    autoscaled: bool = False


RACES = {
    "scale": Race(Scale(), {"to": 2}, ("scale", "deployment/api", "--replicas=7")),
    "scale-hpa": Race(
        Scale(), {"to": 2}, ("patch", "hpa", "api", "-p", '{"spec":{"minReplicas":5}}'), True
    ),
    "restart": Race(RolloutRestart(), {}, restart_long_ago("deployment")),
    "undo": Race(RolloutUndo(), {}, ("set", "image", "deployment/api", "app=app:v3")),
}
EVERY = pytest.mark.parametrize("race", RACES.values(), ids=RACES.keys())


def populate(cp: ControlPlane, namespace: str, race: Race) -> None:
    for image in ("app:v1", "app:v2"):
        start(cp, deployment("api", namespace, replicas=1, image=image))
    if race.autoscaled:
        cp.apply(autoscaler("api", namespace, least=1, most=9))


@asynccontextmanager
async def through(between: Between, cp: ControlPlane, folder: Path) -> AsyncIterator[Bench]:
    """A bench whose client reaches the API server by way of the proxy."""
    async with between.to(cp, folder) as path:
        client = Kubernetes(KubernetesSettings(kubeconfig=path))
        try:
            yield Bench(client)
        finally:
            await client.close()


async def plan_of(race: Race, namespace: str, bench: Bench) -> Plan:
    params = {"namespace": namespace, "deployment": "api", **race.params}
    return await race.action.plan(params_of(race.action, params), bench)


def specs(cp: ControlPlane, namespace: str) -> list[Any]:
    """What the race is about; under an autoscaler the replicas are its own doing."""
    found = held(cp, "hpa", namespace) or held(cp, "deployment", namespace)
    return [item["spec"] for item in found]


def by_kubectl(cp: ControlPlane, namespace: str, *arguments: str) -> Callable[[], None]:
    def do() -> None:
        cp.kubectl(*arguments, "-n", namespace)

    return do


@EVERY
async def test_who_was_faster_keeps_what_he_wrote(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, race: Race
) -> None:
    populate(control_plane, namespace, race)
    theirs: list[Any] = []

    def be_faster() -> None:
        control_plane.kubectl(*race.theirs, "-n", namespace)
        theirs.append(specs(control_plane, namespace))

    between = Between(faster(be_faster))
    async with through(between, control_plane, tmp_path) as bench:
        plan = await plan_of(race, namespace, bench)
        with pytest.raises(Stale):
            await race.action.apply(plan, bench)
    assert between.writes == 1
    assert specs(control_plane, namespace) == theirs[0]


@EVERY
async def test_a_conflict_over_nothing_of_ours_is_overcome(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, race: Race
) -> None:
    """Somebody labels the object in between: its version moves, what we change does not."""
    populate(control_plane, namespace, race)
    what = "hpa/api" if race.autoscaled else "deployment/api"
    label = by_kubectl(control_plane, namespace, "label", what, "team=shop")
    between = Between(faster(label))
    async with through(between, control_plane, tmp_path) as bench:
        plan = await plan_of(race, namespace, bench)
        assert (await race.action.apply(plan, bench)).changed
        assert between.writes == 2
        assert not (await race.action.apply(plan, bench)).changed


@EVERY
async def test_a_lost_answer_is_found_out(
    control_plane: ControlPlane, namespace: str, tmp_path: Path, race: Race
) -> None:
    populate(control_plane, namespace, race)
    between = Between(lost_answer)
    async with through(between, control_plane, tmp_path) as bench:
        plan = await plan_of(race, namespace, bench)
        with pytest.raises(Temporary, match="cannot be reached"):
            await race.action.apply(plan, bench)
        held = specs(control_plane, namespace)
        again = await race.action.apply(Plan.from_json(plan.to_json()), bench)
        assert not again.changed
        assert between.writes == 1
        assert specs(control_plane, namespace) == held


async def test_a_pod_that_was_replaced_in_between_is_not_deleted(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    start(control_plane, stateful_set("db", namespace, replicas=1))

    def replace() -> None:
        control_plane.kubectl("delete", "pod", "db-0", "-n", namespace)
        control_plane.wait_rollout("statefulset/db", namespace)

    async with through(Between(faster(replace)), control_plane, tmp_path) as bench:
        action = DeletePod()
        params = params_of(action, {"namespace": namespace, "pod": "db-0"})
        plan = await action.plan(params, bench)  # type: ignore[arg-type]  # validated into its own
        result = await action.apply(plan, bench)
    assert not result.changed
    pod = control_plane.get("pod", "db-0", namespace)
    assert pod["metadata"]["uid"] != plan.target.uid
    assert "deletionTimestamp" not in pod["metadata"]
