"""Proves that the simulated controllers bring workloads to where the real ones bring them.

The same writes go to both; when neither changes any more, everything that they hold is compared.
"""

import random
from typing import Any

import pytest

from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    STATEFUL_SETS,
    Resource,
)
from tests.actions.kubernetes.worlds import (
    autoscaler,
    daemon_set,
    deployment,
    job,
    lone_pod,
    stateful_set,
)
from tests.servers.manifests import BAD, disruption_budget
from tests.simulated.kubernetes.pair import MERGE, Pair, path

ANY = pytest.mark.parametrize("seed", range(4))
_DEADLINE_S = 4


def image(name: str) -> dict[str, Any]:
    """A merge patch to an image."""
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": name}]}}}}


def restart(at: int) -> dict[str, Any]:
    """A merge patch that restarts."""
    note = {"kubectl.kubernetes.io/restartedAt": f"2026-01-01T00:00:{at:02}Z"}
    return {"spec": {"template": {"metadata": {"annotations": note}}}}


def make(pair: Pair, resource: Resource, obj: Any) -> None:
    """Create an object in both."""
    assert pair.both("POST", path(resource), obj) == 201


def patch(pair: Pair, resource: Resource, name: str, said: Any, sub: str = "") -> None:
    """Patch an object in both."""
    real, simulated = pair.send("PATCH", path(resource, name, sub), said, MERGE)
    assert (real.status, simulated.status) == (200, 200), real.text


def _release(chance: random.Random) -> dict[str, Any]:
    """A release, restart, scaling, pause or change of strategy of a Deployment."""
    kind = chance.choice(["Recreate", "RollingUpdate"])
    recreate = {"rollingUpdate": None} if kind == "Recreate" else {}
    return chance.choice(
        [
            image(chance.choice(["app:v1", "app:v2", "app:v3", BAD])),
            {"spec": {"replicas": chance.randint(0, 6)}},
            restart(chance.randint(0, 59)),
            {"spec": {"paused": chance.choice([True, None])}},
            {"spec": {"strategy": {"type": kind, **recreate}}},
        ]
    )


@ANY
def test_deployments(pair: Pair, seed: int) -> None:
    """Releases, restarts, scaling, pauses and changes of strategy, in any order."""
    chance = random.Random(seed)  # noqa: S311 - the same at every run
    make(pair, DEPLOYMENTS, _impatient(pair, replicas=chance.randint(1, 5)))
    pair.agree()
    for _ in range(4):
        patch(pair, DEPLOYMENTS, "api", _release(chance))
        pair.agree()


@ANY
def test_where_a_bad_release_gets_stuck(pair: Pair, seed: int) -> None:
    """How many old and new pods there are under any strategy, and what scaling makes of them."""
    chance = random.Random(seed)  # noqa: S311 - the same at every run
    amounts = [0, 1, 2, 3, 5, "0%", "10%", "25%", "34%", "50%", "100%"]
    surge, unavailable = chance.choice(amounts), chance.choice(amounts)
    if {str(surge), str(unavailable)} <= {"0", "0%"}:
        surge = 1
    strategy = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    spec = {"strategy": strategy}
    make(pair, DEPLOYMENTS, _impatient(pair, replicas=chance.randint(1, 12), spec=spec))
    pair.agree()
    then = [
        {"spec": {"replicas": chance.randint(0, 15)}},
        image(chance.choice(["one:bad", "app:good"])),
        {"spec": {"replicas": chance.randint(0, 15)}},
    ]
    for step in (image(BAD), *then):
        patch(pair, DEPLOYMENTS, "api", step)
        pair.agree()


@ANY
def test_stateful_sets(pair: Pair, seed: int) -> None:
    """Releases, restarts, scaling and partitions, in any order, ordered or not."""
    chance = random.Random(seed)  # noqa: S311 - the same at every run
    spec = {"podManagementPolicy": ("OrderedReady", "Parallel")[seed % 2]}
    make(pair, STATEFUL_SETS, stateful_set("db", pair.namespace, replicas=3, spec=spec))
    pair.agree()
    for _ in range(4):
        partition = {"rollingUpdate": {"partition": chance.randint(0, 2)}}
        step = chance.choice(
            [
                image(chance.choice(["app:v1", "app:v2"])),
                {"spec": {"replicas": chance.randint(0, 4)}},
                restart(chance.randint(0, 59)),
                {"spec": {"updateStrategy": partition}},
            ]
        )
        patch(pair, STATEFUL_SETS, "db", step)
        pair.agree()


def test_a_bad_release_of_a_stateful_set_waits_for_its_first_pod(pair: Pair) -> None:
    make(pair, STATEFUL_SETS, stateful_set("db", pair.namespace, replicas=3))
    pair.agree()
    patch(pair, STATEFUL_SETS, "db", image(BAD))
    pair.agree()
    patch(pair, STATEFUL_SETS, "db", image("app:good"))
    pair.agree()
    pair.send("DELETE", path(PODS, "db-2"))
    seen = pair.agree()
    assert seen["StatefulSet"][0]["status"]["availableReplicas"] == 3


def test_daemon_sets(pair: Pair) -> None:
    make(pair, DAEMON_SETS, daemon_set("agent", pair.namespace))
    pair.agree()
    for step in (image("app:v2"), restart(7), image(BAD), image("app:good")):
        patch(pair, DAEMON_SETS, "agent", step)
        pair.agree()
    surge = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    patch(pair, DAEMON_SETS, "agent", {"spec": {"updateStrategy": surge}})
    patch(pair, DAEMON_SETS, "agent", image("app:v3"))
    pair.agree()
    on_delete = {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}
    patch(pair, DAEMON_SETS, "agent", {"spec": on_delete})
    patch(pair, DAEMON_SETS, "agent", image("app:v4"))
    pair.agree()


def test_old_revisions_are_pruned(pair: Pair) -> None:
    few = {"revisionHistoryLimit": 1}
    make(pair, DEPLOYMENTS, deployment("api", pair.namespace, replicas=1, spec=few))
    make(pair, STATEFUL_SETS, stateful_set("db", pair.namespace, replicas=1, spec=few))
    make(pair, DAEMON_SETS, daemon_set("agent", pair.namespace, spec=few))
    pair.agree()
    for name in ("app:v2", "app:v3", "app:v4"):
        for resource, which in (
            (DEPLOYMENTS, "api"),
            (STATEFUL_SETS, "db"),
            (DAEMON_SETS, "agent"),
        ):
            patch(pair, resource, which, image(name))
        seen = pair.agree()
    assert len(seen["ReplicaSet"]) == 2
    assert len(seen["ControllerRevision"]) == 4


def test_autoscalers_keep_their_bounds(pair: Pair) -> None:
    make(pair, DEPLOYMENTS, deployment("api", pair.namespace, replicas=1))
    make(pair, AUTOSCALERS, autoscaler("api", pair.namespace, least=2, most=4))
    assert pair.agree()["Deployment"][0]["spec"]["replicas"] == 2
    for bounds in ({"minReplicas": 4}, {"minReplicas": 1, "maxReplicas": 3}):
        patch(pair, AUTOSCALERS, "api", {"spec": bounds})
        pair.agree()
    patch(pair, DEPLOYMENTS, "api", {"spec": {"replicas": 0}}, "scale")
    assert pair.agree()["Deployment"][0]["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    "rule",
    [
        {"minAvailable": 2},
        {"minAvailable": "50%"},
        {"maxUnavailable": 1},
        {"maxUnavailable": "34%"},
        {"minAvailable": 9},
    ],
    ids=str,
)
def test_budgets(pair: Pair, rule: dict[str, Any]) -> None:
    make(pair, DEPLOYMENTS, _impatient(pair, replicas=3))
    budget = disruption_budget("api", pair.namespace, app="api", min_available=1)
    budget["spec"] = {"selector": budget["spec"]["selector"], **rule}
    make(pair, BUDGETS, budget)
    allowed = pair.agree()["PodDisruptionBudget"][0]["status"]["disruptionsAllowed"]
    statuses = {plane: _evict(plane, pair.namespace) for plane in (pair.real, pair.simulated)}
    assert set(statuses.values()) == {201 if allowed else 429}
    pair.agree()
    patch(pair, DEPLOYMENTS, "api", image(BAD))
    pair.agree()


def test_jobs(pair: Pair) -> None:
    make(pair, JOBS, job("once", pair.namespace))
    twice = job("twice", pair.namespace)
    twice["spec"] |= {"completions": 2, "parallelism": 1}
    make(pair, JOBS, twice)
    pair.agree()


def test_what_is_owned_goes_with_its_owner(pair: Pair) -> None:
    make(pair, DEPLOYMENTS, deployment("api", pair.namespace, replicas=2))
    make(pair, STATEFUL_SETS, stateful_set("db", pair.namespace, replicas=2))
    make(pair, PODS, lone_pod("alone", pair.namespace))
    pair.agree()
    pair.send("DELETE", path(DEPLOYMENTS, "api"), {"propagationPolicy": "Background"})
    pair.send("DELETE", path(STATEFUL_SETS, "db"), {"propagationPolicy": "Orphan"})
    seen = pair.agree()
    assert [pod["owner"] for pod in seen["Pod"]] == [[], [], []]


def test_orphans_are_adopted_and_strays_let_go(pair: Pair) -> None:
    make(pair, STATEFUL_SETS, stateful_set("db", pair.namespace, replicas=2))
    pair.agree()
    pair.send("DELETE", path(STATEFUL_SETS, "db"), {"propagationPolicy": "Orphan"})
    pair.agree()
    make(pair, STATEFUL_SETS, stateful_set("db", pair.namespace, replicas=2))
    pair.agree()
    patch(pair, PODS, "db-1", {"metadata": {"labels": {"app": "set-aside"}}})
    pair.agree()


def _evict(plane: Any, namespace: str) -> int:
    pods = plane.api("GET", f"/api/v1/namespaces/{namespace}/pods").json()["items"]
    name = pods[0]["metadata"]["name"]
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    where = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    return int(plane.api("POST", where, body).status)


def _impatient(pair: Pair, **options: Any) -> dict[str, Any]:
    """A Deployment that says soon when it is stuck."""
    return deployment("api", pair.namespace, progress_deadline_s=_DEADLINE_S, **options)
