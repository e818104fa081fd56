"""Proves that every Kubernetes action plans, applies, settles and undoes alike on both.

Plans are compared to the letter and by their digests, apart from identities, names with random
suffixes, hashes and times; then what both clusters hold.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from remediator.actions.kubernetes.condition import Condition, ConditionParams
from remediator.actions.kubernetes.delete_pod import DeletePod
from remediator.actions.kubernetes.rollout_restart import RolloutRestart
from remediator.actions.kubernetes.rollout_undo import RolloutUndo
from remediator.actions.kubernetes.scale import Scale
from remediator.clients.kubernetes import Kubernetes
from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    STATEFUL_SETS,
    Resource,
)
from remediator.model.plans import Plan
from remediator.plugin.action import Action, Permanent
from remediator.settings import KubernetesSettings
from tests.actions.contract import Bench, params_of, settle
from tests.actions.kubernetes.worlds import (
    autoscaler,
    daemon_set,
    deployment,
    lone_pod,
    stateful_set,
)
from tests.servers.manifests import BAD, disruption_budget
from tests.simulated.kubernetes.pair import MERGE, Pair, differences, path

Make = Callable[[str], Any]
_PATTERNS = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b"), "-P"),
    (re.compile(r"\b(agent)-[bcdfghjklmnpqrstvwxz2456789]{5}\b"), r"\1-P"),
    (re.compile(r"(-|template |=|\")[bcdfghjklmnpqrstvwxz2456789]{8,10}\b"), r"\1HASH"),
)


def image(name: str) -> dict[str, Any]:
    """A merge patch to an image."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": name}]}}}}


@dataclass(frozen=True)
class Story:
    """What there is, what happened to it, and the action that is tried on it."""

    action: Action[Any]
    params: dict[str, Any]
    objects: Sequence[tuple[Resource, Make]]
    releases: Sequence[tuple[Resource, str, Any]] = field(default_factory=tuple)
    pod_of: str = ""
    """The label `app` of the pod that the action is about."""
    settles: bool = True
    """Whether settling comes to an end."""


def _deployment(**options: Any) -> tuple[Resource, Make]:
    return DEPLOYMENTS, lambda namespace: deployment("api", namespace, **options)


_SET: tuple[Resource, Make] = (STATEFUL_SETS, lambda namespace: stateful_set("db", namespace))
_DAEMONS: tuple[Resource, Make] = (DAEMON_SETS, lambda namespace: daemon_set("agent", namespace))
_HPA: tuple[Resource, Make] = (AUTOSCALERS, lambda ns: autoscaler("api", ns, least=2, most=5))
_V2 = (DEPLOYMENTS, "api", image("app:v2"))
_BROKEN = (DEPLOYMENTS, "api", image(BAD))
_PAUSED = (DEPLOYMENTS, "api", {"spec": {"paused": True}})
_API, _DB, _AGENT = {"deployment": "api"}, {"statefulset": "db"}, {"daemonset": "agent"}
_SOON = {"progress_deadline_s": 4}

STORIES = {
    "scale out": Story(Scale(), {**_API, "by": "+50%"}, [_deployment(replicas=4)]),
    "scale in": Story(Scale(), {**_API, "to": 1}, [_deployment(replicas=4)]),
    "scale to nothing": Story(Scale(), {**_API, "to": 0}, [_deployment(replicas=2)]),
    "scale by nothing": Story(Scale(), {**_API, "to": 2}, [_deployment(replicas=2)]),
    "scale a set": Story(Scale(), {**_DB, "to": 4}, [_SET]),
    "scale under an autoscaler": Story(
        Scale(), {**_API, "by": "+1"}, [_deployment(replicas=2), _HPA]
    ),
    "scale beyond an autoscaler": Story(
        Scale(), {**_API, "to": 9}, [_deployment(replicas=2), _HPA]
    ),
    "scale in under an autoscaler": Story(
        Scale(), {**_API, "to": 1}, [_deployment(replicas=2), _HPA]
    ),
    "scale a paused one": Story(Scale(), {**_API, "to": 3}, [_deployment(replicas=2)], [_PAUSED]),
    "scale a stuck one": Story(
        Scale(), {**_API, "to": 4}, [_deployment(replicas=2, **_SOON)], [_BROKEN], settles=False
    ),
    "scale what is not there": Story(Scale(), {"deployment": "apj", "to": 4}, [_deployment()]),
    "restart": Story(RolloutRestart(), _API, [_deployment(replicas=3)]),
    "restart a set": Story(RolloutRestart(), _DB, [_SET]),
    "restart daemons": Story(RolloutRestart(), _AGENT, [_DAEMONS]),
    "restart a paused one": Story(RolloutRestart(), _API, [_deployment()], [_PAUSED]),
    "undo": Story(RolloutUndo(), _API, [_deployment(replicas=2)], [_V2]),
    "undo a stuck one": Story(
        RolloutUndo(), _API, [_deployment(replicas=3, **_SOON)], [_V2, _BROKEN]
    ),
    "undo to a revision": Story(
        RolloutUndo(),
        {**_API, "to_revision": 1},
        [_deployment(replicas=2)],
        [_V2, (DEPLOYMENTS, "api", image("app:v3"))],
    ),
    "undo the only one": Story(RolloutUndo(), _API, [_deployment(replicas=1)]),
    "undo a set": Story(RolloutUndo(), _DB, [_SET], [(STATEFUL_SETS, "db", image("app:v2"))]),
    "undo daemons": Story(
        RolloutUndo(), _AGENT, [_DAEMONS], [(DAEMON_SETS, "agent", image("app:v2"))]
    ),
    "delete a pod": Story(DeletePod(), {}, [_deployment(replicas=2)], pod_of="api"),
    "delete a set's pod": Story(DeletePod(), {}, [_SET], pod_of="db"),
    "delete a daemon": Story(DeletePod(), {"allow_daemonset": True}, [_DAEMONS], pod_of="agent"),
    "delete a daemon by mistake": Story(DeletePod(), {}, [_DAEMONS], pod_of="agent"),
    "delete a lone pod": Story(
        DeletePod(),
        {"allow_unmanaged": True},
        [(PODS, lambda namespace: lone_pod("alone", namespace, labels={"app": "alone"}))],
        pod_of="alone",
    ),
    "delete past a budget": Story(
        DeletePod(),
        {},
        [
            _deployment(replicas=2),
            (BUDGETS, lambda ns: disruption_budget("all", ns, app="api", min_available=2)),
        ],
        pod_of="api",
    ),
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_an_action_does_the_same_on_both(pair: Pair, story: Story) -> None:
    for resource, build in story.objects:
        assert pair.both("POST", path(resource), build(pair.namespace)) == 201
    pair.agree()
    for resource, name, patch in story.releases:
        pair.send("PATCH", path(resource, name), patch, MERGE)
        pair.agree()
    real = Kubernetes(KubernetesSettings(kubeconfig=pair.real.kubeconfig()))
    simulated = pair.simulated.client()
    try:
        benches = Bench(real), Bench(simulated)
        benches[1].advance(benches[0].now() - benches[1].now())
        told = [
            await _tell(story, plane, bench, pair.namespace)
            for plane, bench in zip((pair.real, pair.simulated), benches, strict=True)
        ]
        (theirs, _), (ours, _) = told
        found = differences(ours, theirs)
        assert not found, found
        pair.agree()
        at_rest = [
            [_steady((await story.action.settled(plan, bench)).message) for plan in plans]
            for (_, plans), bench in zip(told, benches, strict=True)
        ]
        assert at_rest[1] == at_rest[0]
    finally:
        await real.close()


async def _tell(
    story: Story, plane: Any, bench: Bench, namespace: str
) -> tuple[list[str], list[Plan]]:
    """Carry an action out and take it back; returns all that it said, and its plans."""
    action, params = story.action, {"namespace": namespace, **story.params}
    if story.pod_of:
        where = f"{PODS.path(namespace)}?labelSelector=app%3D{story.pod_of}"
        params["pod"] = plane.api("GET", where).json()["items"][0]["metadata"]["name"]
    try:
        plan = await action.plan(params_of(action, params), bench)
    except Permanent as error:
        return [_steady(str(error))], []
    held = {key: part for key, part in plan.to_json().items() if key != "digest"}
    said = [str(plan), *map(str, plan.changes), json.dumps(held, sort_keys=True)]
    said.append(Plan.from_json(json.loads(_steady(json.dumps(held)))).digest)
    result = await action.apply(plan, bench)
    said += [result.message, str(result.changed), str(result.facts)]
    if story.settles:
        # What it says on the way is chance; at rest it is not.
        said.append((await settle(action, plan, bench, 60)).progress.value)
    if plan.way_back is not None and not plan.empty:
        undone = await action.undo(plan, bench)
        said += [undone.message, str(undone.changed)]
        if story.settles:
            said.append((await settle(action, plan.inverse(), bench, 60)).progress.value)
    return [_steady(sentence) for sentence in said], [plan]


_LOOKS: list[dict[str, Any]] = [
    {"deployment": "api", "ready": True},
    {"deployment": "api", "available": ">= 2"},
    {"deployment": "api", "condition": "Available"},
    {"deployment": "api", "condition": "Progressing"},
    {"statefulset": "db", "available": "all"},
    {"daemonset": "agent", "ready": True},
    {"hpa": "api", "condition": "AbleToScale"},
    {"pod": "alone", "phase": "Running"},
    {"pod": "alone", "ready": True},
    {"pod": "aline", "ready": True},
    {"node": "node-1", "condition": "MemoryPressure", "status": "False"},
    {"node": "node-1", "ready": True},
]


@pytest.mark.parametrize("broken", [False, True], ids=["well", "broken"])
async def test_a_probe_sees_the_same_on_both(pair: Pair, broken: bool) -> None:
    namespace = pair.namespace
    made = (
        (DEPLOYMENTS, deployment("api", namespace, replicas=2, progress_deadline_s=4)),
        (STATEFUL_SETS, stateful_set("db", namespace)),
        (DAEMON_SETS, daemon_set("agent", namespace)),
        (AUTOSCALERS, autoscaler("api", namespace, least=1, most=4)),
        (PODS, lone_pod("alone", namespace)),
    )
    for resource, obj in made:
        assert pair.both("POST", path(resource), obj) == 201
    pair.agree()
    if broken:
        for resource, name in ((DEPLOYMENTS, "api"), (STATEFUL_SETS, "db"), (DAEMON_SETS, "agent")):
            pair.send("PATCH", path(resource, name), image(BAD), MERGE)
        pair.agree()
    real = Kubernetes(KubernetesSettings(kubeconfig=pair.real.kubeconfig()))
    try:
        for look in _LOOKS:
            where = {} if "node" in look else {"namespace": namespace}
            params = ConditionParams(**where, **look)
            told = []
            for client in (real, pair.simulated.client()):
                try:
                    result = await Condition().probe(params, Bench(client))
                    more = {} if "node" in look else result.output
                    told.append(_steady(f"{result.ok} {result.message} {more}"))
                except Permanent as error:
                    told.append(str(error))
            assert told[1] == told[0], told
    finally:
        await real.close()


def _steady(text: str) -> str:
    for pattern, stands in _PATTERNS:
        text = pattern.sub(stands, text)
    return text
