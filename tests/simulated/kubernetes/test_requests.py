"""Proves that the simulation answers requests as the real API server does, to the word.

The same requests go to both. Workloads here have no pods, so no controller writes in between.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    BUDGETS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from tests.actions.kubernetes.worlds import autoscaler, daemon_set, deployment, stateful_set
from tests.servers.manifests import disruption_budget
from tests.simulated.kubernetes.pair import JSON, MERGE, Pair, answered, differences, path

API = path(DEPLOYMENTS, "api")
NOTHING = {"deployments": 1}

READS = [
    "/apis/apps/v1/namespaces/{}/deployments/nope",
    "/apis/apps/v1/namespaces/{}/foos",
    "/apis/apps/v1/namespaces/{}/foos/x",
    "/apis/example.com/v1/namespaces/{}/foos",
    "/api/v1/namespaces/nowhere/pods",
    "/api/v1/namespaces/{}/pods/a/b/c",
    "/apis/apps/v1/namespaces/{}/deployments/api/scale",
    "/apis/apps/v1/namespaces/{}/deployments/nope/scale",
    "/apis/apps/v1/namespaces/{}/daemonsets/agent/scale",
    "/apis/apps/v1/namespaces/{}/deployments/api/nonsense",
    "/apis/apps/v1/namespaces/{}/deployments/api",
    "/apis/apps/v1/namespaces/{}/deployments?labelSelector=tier%3Dweb",
    "/apis/apps/v1/namespaces/{}/deployments?labelSelector=tier%21%3Dweb",
    "/apis/apps/v1/namespaces/{}/deployments?labelSelector=tier+in+(web,db)",
    "/apis/apps/v1/namespaces/{}/deployments?labelSelector=tier+notin+(web,db)",
    "/apis/apps/v1/namespaces/{}/deployments?labelSelector=%21tier",
    "/apis/apps/v1/namespaces/{}/deployments?labelSelector=tier",
    "/apis/apps/v1/namespaces/{}/deployments?fieldSelector=metadata.name%3Dapi",
    "/apis/apps/v1/namespaces/{}/deployments?fieldSelector=spec.nonsense%3Dapi",
    "/apis/apps/v1/namespaces/{}/deployments?limit=1",
    "/apis/apps/v1/namespaces/{}/deployments?limit=x",
    "/apis/apps/v1/namespaces/{}/statefulsets/db",
    "/apis/apps/v1/namespaces/{}/daemonsets",
    "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/nope",
    "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/nope",
    "/api/v1/nodes/nope",
    "/api/v1/namespaces/{}/persistentvolumeclaims",
]
MERGES: list[tuple[str, Any]] = [
    (API, {"spec": {"replicas": -1}}),
    (API, {"spec": {"minReadySeconds": -1}}),
    (API, {"spec": {"selector": {"matchLabels": {"app": "other"}}}}),
    (API, {"spec": {"template": {"metadata": {"labels": None}}}}),
    (API, {"spec": {"template": {"spec": {"containers": []}}}}),
    (API, {"spec": {"template": {"spec": {"containers": [{"name": "app"}]}}}}),
    (API, {"metadata": {"resourceVersion": "1"}}),
    (API, {"metadata": {"name": "other"}}),
    (API, {"metadata": {"annotations": {"a": "b"}}}),
    (API, {"metadata": {"annotations": {"a": None}}}),
    (API, {"metadata": {"labels": {"tier": None}}}),
    (API, {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}),
    (API, {"spec": {"strategy": None}}),
    (API, {"spec": {"progressDeadlineSeconds": None, "revisionHistoryLimit": None}}),
    (API, {"spec": {"paused": True}}),
    (API, {"spec": {"paused": None}}),
    (API, {"status": {"replicas": 7}}),
    (API, {}),
    (path(DEPLOYMENTS, "nope"), {"spec": {"replicas": 1}}),
    (path(DEPLOYMENTS, "api", "scale"), {"spec": {"replicas": -5}}),
    (path(DEPLOYMENTS, "api", "scale"), {"metadata": {"resourceVersion": "1"}}),
    (path(DEPLOYMENTS, "nope", "scale"), {"spec": {"replicas": 5}}),
    (path(DAEMON_SETS, "agent", "scale"), {"spec": {"replicas": 5}}),
    (f"{API}?dryRun=Some", {"spec": {"replicas": 5}}),
    (f"{API}?dryRun=All", {"spec": {"replicas": 5}}),
    (f"{path(DEPLOYMENTS, 'api', 'scale')}?dryRun=All", {"spec": {"replicas": 5}}),
    (path(STATEFUL_SETS, "db"), {"spec": {"serviceName": "other"}}),
    (path(STATEFUL_SETS, "db"), {"spec": {"podManagementPolicy": "Parallel"}}),
    (path(STATEFUL_SETS, "db"), {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}),
    (path(AUTOSCALERS, "api"), {"spec": {"minReplicas": 9}}),
    (path(AUTOSCALERS, "api"), {"spec": {"minReplicas": 0}}),
    (path(AUTOSCALERS, "api"), {"spec": {"minReplicas": None}}),
    (path(AUTOSCALERS, "api"), {"spec": {"maxReplicas": 0}}),
    (path(AUTOSCALERS, "api"), {"metadata": {"annotations": {"a": "b"}}}),
]
JSON_PATCHES: list[Any] = [
    [{"op": "remove", "path": "/metadata/annotations/nope"}],
    [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}],
    [{"op": "test", "path": "/spec/replicas", "value": 9}],
    [{"op": "test", "path": "/spec/replicas", "value": 0}],
    [{"op": "add", "path": "/spec/nope/x", "value": 1}],
    [{"op": "nonsense", "path": "/spec/replicas", "value": 1}],
    [{"op": "replace", "path": "/spec/template/spec/containers/7/image", "value": "app:v9"}],
    [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "app:v9"}],
    [{"op": "add", "path": "/metadata/annotations/a~1b", "value": "y"}],
    [{"op": "copy", "from": "/metadata/annotations/a~1b", "path": "/metadata/annotations/c"}],
    [{"op": "move", "from": "/metadata/annotations/c", "path": "/metadata/annotations/d"}],
    [{"op": "remove", "path": "/metadata/annotations/d"}],
    [{"op": "remove", "path": "/spec/replicas"}],
    [{"op": "add", "path": "/metadata/annotations", "value": {"x": "y"}}],
]


@pytest.fixture
def idle(pair: Pair) -> Pair:
    """Both, with some workloads that have no pods."""
    namespace = pair.namespace
    asleep = deployment("api", namespace, replicas=0, labels={"tier": "web"})
    objects: list[tuple[Resource, Any]] = [
        (DEPLOYMENTS, asleep),
        (DEPLOYMENTS, deployment("other", namespace, replicas=0)),
        (STATEFUL_SETS, stateful_set("db", namespace, replicas=0)),
        (DAEMON_SETS, daemon_set("agent", namespace, spec=_nowhere(namespace))),
        (AUTOSCALERS, autoscaler("api", namespace, least=1, most=4)),
    ]
    for resource, obj in objects:
        pair.both("POST", path(resource), obj)
    pair.agree()
    return pair


def _nowhere(namespace: str) -> dict[str, Any]:
    """A DaemonSet's spec that fits no node."""
    spec = daemon_set("agent", namespace)["spec"]
    spec["template"]["spec"]["nodeSelector"] = {"no": "node"}
    return {"template": spec["template"]}


def test_reads(idle: Pair) -> None:
    for read in READS:
        idle.both("GET", read)


def test_names_only(idle: Pair) -> None:
    idle.both("GET", f"{path(DEPLOYMENTS)}?limit=500")


def test_merge_patches(idle: Pair) -> None:
    for where, patch in MERGES:
        idle.both("PATCH", where, patch, MERGE)
    idle.agree()


def test_json_patches(idle: Pair) -> None:
    for patch in JSON_PATCHES:
        idle.both("PATCH", API, patch, JSON)
        idle.agree()  # each: a controller that is late would pass over what comes and goes
    idle.both("PATCH", API, {"spec": {}}, "text/plain")


def test_creations(pair: Pair) -> None:
    namespace = pair.namespace
    good = deployment("api", namespace, replicas=0)
    containers = [{"name": "a", "image": "b"}]
    mislabelled = {
        "metadata": {"name": "API"},
        "spec": {
            "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "y"}}, "spec": {"containers": containers}},
        },
    }
    for where, body in (
        (path(DEPLOYMENTS), good),
        (path(DEPLOYMENTS), good),
        (path(DEPLOYMENTS), mislabelled),
        ("/apis/apps/v1/namespaces/nowhere/deployments", {**good, "metadata": {"name": "api"}}),
        (f"{path(DEPLOYMENTS)}?dryRun=All", deployment("dry", namespace, replicas=0)),
        (path(STATEFUL_SETS), stateful_set("db", namespace, replicas=0)),
        (path(AUTOSCALERS), autoscaler("api", namespace, least=5, most=4)),
        (path(BUDGETS), disruption_budget("api", namespace, app="api", min_available=1)),
    ):
        pair.both("POST", where, body)
    for resource, name in ((DEPLOYMENTS, "dry"), (REPLICA_SETS, "x"), (CONTROLLER_REVISIONS, "x")):
        pair.both("GET", path(resource, name))


def test_deletions(idle: Pair) -> None:
    for options in (
        {"preconditions": {"uid": "another"}},
        {"dryRun": ["All"]},
        {"propagationPolicy": "Background"},
    ):
        real, simulated = idle.send("DELETE", API, options)
        assert simulated.status == real.status
        assert _without_uids(simulated.json()) == _without_uids(real.json())
    idle.both("GET", API)
    idle.agree()


def test_pages(idle: Pair) -> None:
    """Each page holds what it should, and the last one says that it is the last."""
    token = {"real": "", "simulated": ""}
    for _ in range(2):
        query = {who: f"?limit=1&continue={token[who]}" for who in token}
        real = idle.real.api("GET", DEPLOYMENTS.path(idle.namespace) + query["real"])
        simulated = idle.simulated.api("GET", DEPLOYMENTS.path(idle.namespace) + query["simulated"])
        assert not differences(answered(simulated), answered(real))
        for who, said in (("real", real), ("simulated", simulated)):
            token[who] = said.json()["metadata"].get("continue", "")
        assert bool(token["real"]) == bool(token["simulated"])
    assert token == {"real": "", "simulated": ""}


def test_a_pods_deletion_takes_the_time_that_it_has(pair: Pair) -> None:
    pair.both("POST", path(STATEFUL_SETS), stateful_set("db", pair.namespace, replicas=1))
    pair.agree()
    pod = path(PODS, "db-0")
    for options in ({"dryRun": ["All"]}, {"preconditions": {"uid": "another"}}):
        real, simulated = pair.send("DELETE", pod, options)
        assert simulated.status == real.status
        assert simulated.json().get("reason") == real.json().get("reason")
        for said in (real, simulated):
            assert said.json().get("metadata", {}).get("deletionGracePeriodSeconds") in (30, None)
    real, simulated = pair.send("DELETE", pod, {})
    assert simulated.status == real.status == 200
    for said in (real, simulated):
        metadata = said.json()["metadata"]
        assert metadata["deletionGracePeriodSeconds"] == 30
        assert metadata["generation"] == 2
    pair.agree()


_PATHS = ["/spec/replicas", "/metadata/annotations", "/metadata/labels/tier", "/spec/paused"]
_VALUES = st.sampled_from([0, 1, True, "web", {}, {"a": "b"}, None])
_OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {
            "op": st.sampled_from(["add", "replace", "remove", "test"]),
            "path": st.sampled_from([*_PATHS, "/metadata/annotations/a", "/spec/strategy"]),
            "value": _VALUES,
        }
    ),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(operations=_OPERATIONS)
def test_any_json_patch_ends_alike(idle: Pair, operations: Any) -> None:
    """Whether it is carried out or refused; what refused values say is left to the real one."""
    real, simulated = idle.send("PATCH", f"{API}?dryRun=All", operations, JSON)
    assert simulated.status == real.status, operations
    if real.status == 200:
        assert not differences(answered(simulated), answered(real)), operations


def _without_uids(said: Any) -> Any:
    details = {k: v for k, v in said.get("details", {}).items() if k != "uid"}
    message = said.get("message", "").split(" does not match the UID in record")[0]
    return {**said, "details": details, "message": message}
