"""The real control plane and the simulation side by side: the same requests, and the same looks.

`seen` is what both must agree on: everything that the API holds of a namespace, apart from names
with random suffixes, identities, times, versions, and where pods run.
"""

import json
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from remediator.clients.kubernetes.resources import (
    AUTOSCALERS,
    BUDGETS,
    CONTROLLER_REVISIONS,
    DAEMON_SETS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    STATEFUL_SETS,
    Resource,
)
from tests.servers.kubernetes import ControlPlane
from tests.servers.rest import Response, request
from tests.servers.waiting import eventually
from tests.simulated.kubernetes.stand_in import StandIn

MERGE, JSON = "application/merge-patch+json", "application/json-patch+json"
LOOKED_AT = (
    DEPLOYMENTS,
    REPLICA_SETS,
    STATEFUL_SETS,
    DAEMON_SETS,
    CONTROLLER_REVISIONS,
    PODS,
    JOBS,
    AUTOSCALERS,
    BUDGETS,
)
_REVISION = "deployment.kubernetes.io/revision"
_DRIFTING = frozenset(
    {
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "deletionTimestamp",
        "managedFields",
        "lastUpdateTime",
        "lastTransitionTime",
        "lastScaleTime",
        "lastProbeTime",
        "startTime",
        "completionTime",
        "startedAt",
        "finishedAt",
        "observedGeneration",
        "continue",
    }
)
_RANDOM_LABELS = frozenset(
    {"batch.kubernetes.io/controller-uid", "controller-uid", "pod-template-generation"}
)
_HASHED = re.compile(r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}\b")
_RESTED_S = 1.5
# Conditions that come to an end by themselves: nothing is at rest while one stands.
_ON_THE_WAY = ("ReplicaSetUpdated", "NewReplicaSetCreated", "FoundNewReplicaSet")


class Pair:
    """Two control planes, with one namespace in each."""

    def __init__(self, real: ControlPlane, namespace: str) -> None:
        self.real = real
        self.namespace = namespace
        self.simulated = StandIn()
        made = self.simulated.api("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
        assert made.status == 201

    def send(
        self, method: str, path: str, body: object = None, sort: str = "application/json"
    ) -> tuple[Response, Response]:
        """The same request to both, `{}` in the path being the namespace; the real answer first."""
        path = path.replace("{}", self.namespace)
        return (
            request(
                method,
                self.real.url + path,
                body,
                token=self.real.token(),
                content_type=sort,
                ca=self.real.ca,
            ),
            self.simulated.api(method, path, body, content_type=sort),
        )

    def both(
        self, method: str, path: str, body: object = None, sort: str = "application/json"
    ) -> int:
        """The same request to both; they must agree on the status and on what they say."""
        real, simulated = self.send(method, path, body, sort)
        ours, theirs = answered(simulated), answered(real)
        if method != "GET":  # how far the real controllers are is chance
            ours, theirs = _as_written(ours), _as_written(theirs)
        found = differences(ours, theirs)
        assert not found, f"{method} {path} {body}: {found}"
        return real.status

    def agree(self) -> dict[str, Any]:
        """Both must come to hold the same, and stay so; returns it.

        The real one may take a while: on a busy machine kwok is late with a node's heartbeat, and
        the node's pods are unready until it comes.
        """
        self.simulated.clock.advance(timedelta(minutes=10))

        def same() -> tuple[dict[str, Any]]:
            real = seen(self.real, self.namespace)
            found = differences(seen(self.simulated, self.namespace), real)
            assert not found, found
            assert self._at_rest(), "the real controllers are at work"
            return (real,)  # even nothing is something to agree on

        return eventually(same, 90.0, what="both to hold the same")[0]

    def _at_rest(self) -> bool:
        first = seen(self.real, self.namespace)
        if any(reason in json.dumps(first) for reason in _ON_THE_WAY):
            return False
        return _stays(lambda: seen(self.real, self.namespace), first)


def _stays(look: Any, first: Any) -> bool:
    """Whether a look stays what it is for a while."""
    until = time.monotonic() + _RESTED_S
    while time.monotonic() < until:
        if look() != first:
            return False
        time.sleep(0.1)
    return True


def differences(simulated: Any, real: Any, at: str = "") -> list[str]:
    """Where two looks differ, a line for each place."""
    if isinstance(simulated, dict) and isinstance(real, dict):
        return [
            line
            for key in sorted({*simulated, *real})
            for line in differences(
                simulated.get(key, "absent"), real.get(key, "absent"), f"{at}.{key}"
            )
        ]
    lists = isinstance(simulated, list | tuple) and isinstance(real, list | tuple)
    if lists and len(simulated) == len(real):
        return [
            line
            for number, (ours, theirs) in enumerate(zip(simulated, real, strict=True))
            for line in differences(ours, theirs, f"{at}[{number}]")
        ]
    return [] if simulated == real else [f"{at}: simulated {simulated!r}, real {real!r}"]


def answered(answer: Response) -> tuple[int, Any]:
    """What both must agree on of an answer."""
    try:
        said = answer.json()
    except ValueError:
        return answer.status, answer.text
    if isinstance(said, dict) and said.get("kind") == "Status":
        return answer.status, {k: v for k, v in said.items() if k != "metadata"}
    return answer.status, _unhashed(steady(said))


def _as_written(answer: tuple[int, Any]) -> tuple[int, Any]:
    """What came of a write, without what controllers write beside it."""
    code, said = answer
    if not isinstance(said, dict) or not isinstance(said.get("status"), dict):
        return answer
    metadata = said["metadata"]
    notes = {k: v for k, v in metadata.get("annotations", {}).items() if k != _REVISION}
    rest = {key: part for key, part in said.items() if key != "status"}
    return code, {**rest, "metadata": {**metadata, "annotations": notes}}


def _unhashed(value: Any) -> Any:
    return json.loads(_HASHED.sub("-HASH", json.dumps(value)))


def seen(plane: ControlPlane | StandIn, namespace: str) -> dict[str, Any]:
    """Everything that a control plane holds in a namespace, as both must hold it."""
    held = {
        resource.kind: plane.api("GET", resource.path(namespace)).json()["items"]
        for resource in LOOKED_AT
    }
    hashes = _hashes(held)

    def named(text: str) -> str:
        for digest, name in hashes.items():
            text = text.replace(digest, name)
        return text

    return {
        kind: sorted(
            (json.loads(named(json.dumps(_look(kind, item)))) for item in items),
            key=lambda item: json.dumps(item, sort_keys=True),
        )
        for kind, items in held.items()
        if items
    }


def _hashes(held: Mapping[str, list[Any]]) -> dict[str, str]:
    """Return what stands for the hashes of templates: the numbers of their revisions."""
    found = {}
    for item in held[REPLICA_SETS.kind]:
        digest = (item["metadata"].get("labels") or {}).get("pod-template-hash")
        if digest:
            number = item["metadata"].get("annotations", {}).get(_REVISION)
            found[digest] = f"HASH{number}"
    for item in held[CONTROLLER_REVISIONS.kind]:
        digest = item["metadata"]["name"].rpartition("-")[2]
        found[digest] = f"HASH{item['revision']}"
    return found


def _look(kind: str, item: Any) -> Any:
    metadata = item["metadata"]
    if kind == PODS.kind:
        status = item.get("status") or {}
        return {
            "owner": [(o["kind"], o["name"]) for o in metadata.get("ownerReferences", [])],
            "name": metadata["name"] if "generateName" not in metadata else "",
            "labels": {
                k: v for k, v in metadata.get("labels", {}).items() if k not in _RANDOM_LABELS
            },
            "annotations": metadata.get("annotations", {}),
            "going": "deletionTimestamp" in metadata,
            "containers": item["spec"]["containers"],
            "restartPolicy": item["spec"]["restartPolicy"],
            "phase": status.get("phase"),
            "conditions": {c["type"]: c["status"] for c in status.get("conditions", [])},
            "states": [
                (state["ready"], next(iter(state["state"]), ""), _reason(state["state"]))
                for state in status.get("containerStatuses", [])
            ],
        }
    look = steady(
        {key: item.get(key) for key in ("metadata", "spec", "data", "revision", "status")}
    )
    if kind == REPLICA_SETS.kind:  # how many steps it took to its count is chance
        look["metadata"].pop("generation")
    if kind == AUTOSCALERS.kind:  # here are metrics, there are none
        look["status"] = {
            "AbleToScale": [
                c["status"]
                for c in (look["status"] or {}).get("conditions", [])
                if c["type"] == "AbleToScale"
            ]
        }
    if kind in (DEPLOYMENTS.kind, STATEFUL_SETS.kind, DAEMON_SETS.kind):
        observed = (item.get("status") or {}).get("observedGeneration")
        look["observed"] = observed == metadata["generation"]
    return look


def _reason(state: Mapping[str, Any]) -> str:
    return next((str(how.get("reason", "")) for how in state.values()), "")


def steady(value: Any) -> Any:
    """A value without what drifts; conditions in the order of their types."""
    if isinstance(value, dict):
        return {
            key: _time(key, steady(part))
            for key, part in value.items()
            if key not in _DRIFTING and key not in _RANDOM_LABELS
        }
    if isinstance(value, list):
        parts = [steady(part) for part in value]
        typed = all(isinstance(part, dict) and "type" in part for part in parts)
        return sorted(parts, key=lambda part: str(part["type"])) if typed else parts
    return value


def _time(key: str, value: Any) -> Any:
    if key == "message":  # which ReplicaSet it names is chance while several writes race
        return _HASHED.sub("-HASH", str(value))
    return "T" if key.endswith("restartedAt") else value


def path(resource: Resource, name: str = "", sub: str = "") -> str:
    """A path in the pair's namespace."""
    return resource.path("{}", name, sub).replace("%7B%7D", "{}")
