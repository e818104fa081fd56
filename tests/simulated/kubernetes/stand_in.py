"""A simulated cluster behind the face of the tests' real control plane.

So the tests of the Kubernetes actions, which were written against the real one, run against the
simulation as they stand. Each request takes half a virtual second, or nothing would ever
become ready. Of kubectl it knows what those tests say to it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from remediator.clients.kubernetes import Kubernetes
from remediator.clients.kubernetes.connection import Answer
from remediator.clients.kubernetes.resources import DAEMON_SETS, STATEFUL_SETS, Object, Resource
from remediator.settings import KubernetesSettings
from remediator.simulated.kubernetes import Cluster
from remediator.simulated.kubernetes.kinds import Catalogue
from remediator.testing.clock import ManualClock
from tests.servers.kubernetes import KubectlFailed
from tests.servers.manifests import BAD
from tests.servers.rest import Response

EACH = timedelta(seconds=0.5)
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MERGE, _JSON = "application/merge-patch+json", "application/json-patch+json"
_WRITES = {"PATCH": "patch", "DELETE": "delete", "POST": "create", "PUT": "update"}
# What kwok's stages of the tests call it, and what the simulation does.
_SAID = {
    '"remediator.test/pod"': '"remediator.dev/simulated"',
    '"crash-loop"': '"crashes"',
    '"not-ready"': '"never-ready"',
}
IMAGES = dict.fromkeys((BAD, "one:bad", "two:bad"), "image-missing")


class StandIn:
    """One simulated cluster; it is also the link of the clients that it makes."""

    def __init__(self, objects: Iterable[Mapping[str, Any]] = ()) -> None:
        self.clock = ManualClock()
        self.cluster = Cluster(self.clock, [*_nodes(), *objects], images=IMAGES)
        self._written: list[tuple[str, str]] = []
        self._applied: dict[str, Any] = {}
        self._names = Catalogue()

    def client(self) -> Kubernetes:
        """A client of it."""
        return Kubernetes(KubernetesSettings(), connect=self._connect)

    async def _connect(self, settings: KubernetesSettings) -> "StandIn":
        return self

    async def send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        *,
        accept: str,
        content_type: str | None,
        body: object,
    ) -> Answer:
        """See `Connection.send`."""
        self.clock.advance(EACH)
        if method in _WRITES and ("dryRun", "All") not in query:
            self._written.append((_WRITES[method], path))
        sent = json.loads(json.dumps(body))
        return await self.cluster.send(
            method, path, query, accept=accept, content_type=content_type, body=sent
        )

    async def retire(self) -> None:
        """See `Connection.retire`."""

    # --- the face of tests.servers.kubernetes.ControlPlane ------------------------------------

    def api(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json"
    ) -> Response:
        """One request to the API."""
        self.clock.advance(EACH)
        parts = urlsplit(path)
        said = self.cluster.answer(
            method, parts.path, parse_qsl(parts.query), content_type=content_type, body=body
        )
        return Response(said.status, said.body)

    def writes(self, user_agent: str) -> list[tuple[str, str]]:
        """Every request of its clients that would change something."""
        return list(self._written)

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        """`kubectl apply`, by three-way merge."""
        for manifest in manifests:
            wanted = _translated(manifest)
            resource = self._names.of(wanted)
            metadata = wanted["metadata"]
            notes = {**(metadata.get("annotations") or {}), _APPLIED: json.dumps(wanted)}
            metadata["annotations"] = notes
            path = resource.path(metadata.get("namespace", ""), metadata["name"])
            if self.api("GET", path).status == 404:
                collection = resource.path(metadata.get("namespace", ""))
                self._must(self.api("POST", collection, wanted))
            else:
                patch = _three_way(self._applied.get(path, {}), wanted)
                self._must(self.api("PATCH", path, patch, content_type=_MERGE))
            self._applied[path] = wanted

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """An object as the API holds it."""
        found: dict[str, Any] = self._must(self.api("GET", self._path(kind, name, namespace)))
        return found

    def items(self, kind: str, namespace: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind in a namespace, perhaps by a label selector."""
        path = f"{self._resource(kind).path(namespace)}?labelSelector={selector}"
        found: list[dict[str, Any]] = self._must(self.api("GET", path))["items"]
        return found

    def wait_rollout(self, workload: str, namespace: str, *, timeout_s: float = 60.0) -> None:
        """`kubectl rollout status`, in virtual time."""
        kind, _, name = workload.partition("/")
        until = self.clock.now() + timedelta(seconds=timeout_s)
        while not _rolled_out(self._resource(kind), self.get(kind, name, namespace)):
            if self.clock.now() > until:
                raise KubectlFailed(("rollout", "status", workload), 1, "", "timed out")

    def kubectl(self, *arguments: str) -> str:
        """What the tests of the actions have kubectl do."""
        words = [word for word in arguments if word not in ("-n", "--namespace", "--overwrite")]
        at = next(i for i, word in enumerate(arguments) if word in ("-n", "--namespace"))
        namespace = arguments[at + 1]
        words.remove(namespace)
        options = dict(w[2:].split("=", 1) for w in words if w.startswith("--") and "=" in w)
        words = [w for w in words if not (w.startswith("--") and "=" in w)]
        for flag in ("-p", "--patch"):
            if flag in words:
                options["patch"] = words.pop(words.index(flag) + 1)
                words.remove(flag)
        _run(self, words, options, namespace)
        return ""

    def patch(self, kind: str, name: str, namespace: str, patch: object, sub: str = "") -> None:
        """One merge patch, or a JSON patch."""
        path = self._path(kind, name, namespace) + (f"/{sub}" if sub else "")
        sort = _MERGE if isinstance(patch, Mapping) else _JSON
        self._must(self.api("PATCH", path, patch, content_type=sort))

    def remove(self, kind: str, name: str, namespace: str) -> None:
        """`kubectl delete`, which waits until it is gone."""
        path = self._path(kind, name, namespace)
        uid = self.get(kind, name, namespace)["metadata"]["uid"]
        self._must(self.api("DELETE", path))
        self._applied.pop(path, None)
        for _ in range(1000):
            left = self.api("GET", path)
            if left.status == 404 or left.json()["metadata"]["uid"] != uid:
                return
        raise KubectlFailed(("delete", kind, name), 1, "", "timed out")

    def _resource(self, kind: str) -> Resource:
        return self._names.named(kind)

    def _path(self, kind: str, name: str, namespace: str | None) -> str:
        return self._resource(kind).path(namespace or "", name)

    @staticmethod
    def _must(answer: Response) -> Any:
        if answer.status >= 300:
            raise KubectlFailed(("api",), 1, "", answer.text)
        return answer.json()


def _run(cp: StandIn, words: list[str], options: dict[str, str], namespace: str) -> None:
    match words:
        case ["scale", kind, name]:
            patch = {"spec": {"replicas": int(options["replicas"])}}
            cp.patch(kind, name, namespace, patch, "scale")
        case ["scale", both]:
            _run(cp, ["scale", *both.split("/")], options, namespace)
        case ["patch", kind, name]:
            said = _translated(json.loads(options["patch"]))
            cp.patch(kind, name, namespace, said, options.get("subresource", ""))
        case ["set", "image", both, pair]:
            kind, name = both.split("/")
            container, image = pair.split("=")
            held = cp.get(kind, name, namespace)["spec"]["template"]["spec"]["containers"]
            new = [{**c, "image": image} if c["name"] == container else c for c in held]
            template = {"spec": {"template": {"spec": {"containers": new}}}}
            cp.patch(kind, name, namespace, template)
        case ["rollout", "pause", kind, name]:
            cp.patch(kind, name, namespace, {"spec": {"paused": True}})
        case ["rollout", "undo", "deployment", name]:
            _undo(cp, name, namespace)
        case ["annotate" | "label" as what, kind, name, pair]:
            key, value = pair.split("=", 1)
            field = "annotations" if what == "annotate" else "labels"
            cp.patch(kind, name, namespace, {"metadata": {field: {key: value}}})
        case ["delete", kind, name]:
            cp.remove(kind, name, namespace)
        case ["create", "configmap", name]:
            body = {"metadata": {"name": name}}
            path = f"/api/v1/namespaces/{namespace}/configmaps"
            assert cp.api("POST", path, body).status == 201
        case _:
            raise AssertionError(f"the stand-in knows no kubectl {' '.join(words)}")


def _undo(cp: StandIn, name: str, namespace: str) -> None:
    """`kubectl rollout undo`: the template of the second-highest revision."""
    key = "deployment.kubernetes.io/revision"
    sets = sorted(
        cp.items("replicaset", namespace), key=lambda rs: -int(rs["metadata"]["annotations"][key])
    )
    template = sets[1]["spec"]["template"]
    del template["metadata"]["labels"]["pod-template-hash"]
    patch = [{"op": "replace", "path": "/spec/template", "value": template}]
    cp.patch("deployment", name, namespace, patch)


def _rolled_out(resource: Resource, obj: Object) -> bool:
    """Whether `kubectl rollout status` would end well now."""
    status, spec = obj.get("status") or {}, obj["spec"]
    if status.get("observedGeneration", 0) < obj["metadata"]["generation"]:
        return False
    if resource == DAEMON_SETS:
        wanted = status.get("desiredNumberScheduled", 0)
        done = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
        return bool(done == (wanted, wanted))
    wanted = spec["replicas"]
    if resource == STATEFUL_SETS:
        if status.get("readyReplicas", 0) < wanted:
            return False
        rolling = (spec["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0)
        return bool(status.get("updatedReplicas", 0) >= wanted - rolling)
    counts = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(count, 0) == wanted for count in counts)


def _three_way(last: Any, wanted: Any) -> Any:
    if not isinstance(wanted, Mapping) or not isinstance(last, Mapping):
        return wanted
    gone = {key: None for key in last if key not in wanted}
    return {**gone, **{key: _three_way(last.get(key, {}), part) for key, part in wanted.items()}}


def _translated(manifest: Mapping[str, Any]) -> Any:
    text = json.dumps(manifest)
    for theirs, ours in _SAID.items():
        text = text.replace(theirs, ours)
    return json.loads(text)


def _nodes() -> list[Object]:
    room = {"cpu": "32", "memory": "64Gi", "pods": "200"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
            "status": {"allocatable": room, "capacity": room},
        }
        for name in ("node-1", "node-2")
    ]
