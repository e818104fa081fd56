"""The whole installation around one Deployment, and what people see of it.

A `Scene` has the Deployment `api` in a namespace of its own, the service that it runs, Prometheus
with real rules, Alertmanager, people in Slack, and the daemon, which has no more rights than its
runbooks need.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.scenarios.daemon import RemediatorProcess
from tests.scenarios.people import People
from tests.scenarios.service import Service
from tests.servers.alertmanager import Alertmanager, AlertmanagerCluster, webhook_config
from tests.servers.kubernetes import ControlPlane
from tests.servers.link import Link
from tests.servers.manifests import deployment
from tests.servers.prometheus import Prometheus, prometheus_config
from tests.servers.waiting import eventually

API = "api"
"""The Deployment that is repaired."""
USER = "remediator"
"""Whom the API server knows the daemon as."""
CALM, BUSY, HOPELESS = 10.0, 18.0, 1000.0
"""Loads at which two pods are quick; at which two are slow and three are quick; at which no
number of pods helps."""

Run = dict[str, Any]

RULES = {
    "HighLatency": "last_over_time(service_request_latency_seconds[10s]) > 0.3",
    "RolloutStuck": "last_over_time(service_rollout_stuck[10s]) == 1",
}
"""Over the last seconds, so that a scrape which a busy machine makes too late ends no alert."""

_RIGHTS = [
    (["apps"], ["deployments"], ["get", "patch"]),
    (["apps"], ["deployments/scale"], ["patch"]),
    (["apps"], ["replicasets"], ["list"]),
    (["autoscaling"], ["horizontalpodautoscalers"], ["list", "patch"]),
]


class Scene:
    """Everything is running; the Deployment has two pods and the service is calm."""

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        cluster: ControlPlane,
        namespace: str,
        runbooks: Mapping[str, str],
        *,
        settings: Mapping[str, Any] | None = None,
        replicas: int = 2,
        ready_s: int = 0,
        keeps_firing: str = "0s",
        pair: bool = False,
    ) -> None:
        """`ready_s` is how long a new pod takes to count as available; the alerts stay up for
        `keeps_firing` after their cause has gone; `pair` means two Alertmanagers.
        """
        self.cluster = cluster
        self.namespace = namespace
        self._books = "\n".join(runbooks.values())
        spec = {"minReadySeconds": ready_s}
        workload = deployment(API, namespace, replicas=replicas, spec=spec)
        cluster.apply(*rights(namespace), workload)
        eventually(self.whole, what="the first pods")
        self.daemon = RemediatorProcess(folder / "remediator", runbooks=runbooks)
        config = webhook_config(self.daemon.webhook, group_by=("alertname", "namespace"))
        self.pair: AlertmanagerCluster | None = None
        if pair:
            self.pair = stack.enter_context(AlertmanagerCluster(folder / "pair", config))
            self.alertmanagers = self.pair.members
        else:
            alone = Alertmanager(folder / "alertmanager", config)
            self.alertmanagers = [stack.enter_context(alone)]
        self.recheck = [
            stack.enter_context(Link(int(one.url.rpartition(":")[2]))) for one in self.alertmanagers
        ]
        """The ways by which the daemon asks the Alertmanagers; notifications do not take them."""
        self.service = stack.enter_context(
            Service(folder / "service", cluster, namespace, API, load=CALM)
        )
        self.people = stack.enter_context(People())
        self.people.answer_to(self.daemon.url)
        self.daemon.settings = {
            **daemon_settings(cluster, [f"http://{link.address}" for link in self.recheck]),
            **self.people.settings(),
            **(settings or {}),
        }
        stack.enter_context(self.daemon)
        self.prometheus = stack.enter_context(
            Prometheus(
                folder / "prometheus",
                prometheus_config(
                    {"service": [self.service.address]},
                    alertmanager_urls=[one.url for one in self.alertmanagers],
                ),
                _rules(keeps_firing),
            )
        )

    # --- what happens in the world --------------------------------------------------------

    def release(self, image: str) -> None:
        """A new release: the image changes, whatever becomes of it."""
        self.cluster.kubectl(
            *("set", "image", f"deployment/{API}", f"app={image}", "--namespace", self.namespace)
        )

    def deployment(self) -> dict[str, Any]:
        """The Deployment as the API server holds it."""
        found: dict[str, Any] = self._read(f"deployments/{API}")
        return found

    def replica_sets(self) -> dict[str, int]:
        """Image → pods wanted, of every ReplicaSet (each scenario's releases differ by image)."""
        found = self._read("replicasets")["items"]
        return {_image(one): one["spec"]["replicas"] for one in found}

    def whole(self) -> bool:
        """Whether all pods are there, of the template that is released, and available."""
        return rollout_is_whole(self.deployment())

    def image(self) -> str:
        """The image that is released."""
        return _image(self.deployment())

    def generation(self) -> int:
        """How often the Deployment's spec was changed, by whomever."""
        return int(self.deployment()["metadata"]["generation"])

    def alert(self) -> str | None:
        """The state of the alert at Prometheus: pending, firing, or None."""
        states = [one["state"] for one in self.prometheus.alerts()]
        return str(states[0]) if states else None

    def _read(self, what: str) -> Any:
        answer = self.cluster.api("GET", f"/apis/apps/v1/namespaces/{self.namespace}/{what}")
        assert answer.status == 200, answer.text
        return answer.json()

    # --- what the daemon says -------------------------------------------------------------

    def wait_run(
        self,
        *states: str,
        run_id: str | None = None,
        timeout_s: float = 40.0,
        check: Callable[[Run], object] = lambda run: True,
    ) -> Run:
        """The only run (or the one named), once it is in one of these states."""

        def look() -> Run:
            if run_id is None:
                listed = self.daemon.items("/api/v1/runs")
                assert len(listed) == 1, f"there are {len(listed)} runs: {listed}"
            run: Run = self.daemon.api(f"/api/v1/runs/{run_id or listed[0]['id']}")
            seen.update({f"{run['state']} ({run['message']})": None})
            return run if run["state"] in states and check(run) else {}

        seen: dict[str, None] = {}
        try:
            return eventually(look, timeout_s, what=f"the run to be {' or '.join(states)}")
        except AssertionError as problem:
            tail = self.daemon.log_tail()
            raise AssertionError(f"{problem}\nseen: {list(seen)}\nthe log:\n{tail}") from problem

    def incidents(self) -> list[dict[str, Any]]:
        """All incidents that the runbooks are for, newest first.

        The rules know two alerts. On a busy machine the other one may come up for a moment too,
        and that is not what a scenario is about.
        """
        found = self.daemon.items("/api/v1/incidents")
        return [one for one in found if f'"{one["labels"]["alertname"]}"' in self._books]

    def resolved_incidents(self) -> list[dict[str, Any]]:
        """All incidents, once every one of them is resolved."""

        def look() -> list[dict[str, Any]]:
            found = self.incidents()
            return found if all(one["status"] == "resolved" for one in found) else []

        return eventually(look, what="every incident to be resolved")

    def trail(self, run_id: str) -> list[str]:
        """The audit records of a run, in order: their kinds, with what a state changed to."""
        records = self.daemon.items(f"/api/v1/audit?run_id={run_id}")
        return [_in_words(record) for record in records]

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels, by /metrics; 0 without any."""
        found = 0.0
        for series, value in self.daemon.metrics().items():
            own, _, told = series.partition("{")
            if own == name and labels.items() <= dict(_labels(told)).items():
                found += value
        return found

    def told_on_record(self) -> None:
        """Waits until what was told is on record: killed before that, the daemon tells it twice."""
        eventually(
            lambda: self.metric("remediator_outbox_pending") == 0, what="the notes to be on record"
        )

    def ended(self) -> dict[str, float]:
        """How many runs ended how, by /metrics: `state/reason` → count."""
        counted: Counter[str] = Counter()
        for series, value in self.daemon.metrics().items():
            name, _, labels = series.partition("{")
            if name == "remediator_runs_ended_total":
                told = dict(_labels(labels))
                counted[f"{told['state']}/{told['reason']}"] += int(value)
        return dict(counted)

    def audit_is_whole(self) -> None:
        """`remediator audit verify` agrees, with the daemon's signed heads if there are any."""
        done = self.daemon.command("audit", "verify", "-o", "json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["ok"]


def rollout_is_whole(found: Mapping[str, Any]) -> bool:
    """Whether a Deployment has all of its pods, of the template released, and available."""
    status, wanted = found.get("status", {}), found["spec"]["replicas"]
    return status.get("observedGeneration") == found["metadata"]["generation"] and all(
        status.get(count) == wanted
        for count in ("replicas", "updatedReplicas", "availableReplicas")
    )


def daemon_settings(cluster: ControlPlane, alertmanagers: Sequence[str]) -> dict[str, Any]:
    """Settings for a daemon that looks several times a second."""
    return {
        "senders": {
            "default": {"alertmanager": list(alertmanagers), "alertmanager_warmup": "0s"},
        },
        "kubernetes": {"kubeconfig": str(cluster.kubeconfig(USER))},
        "worker": {"poll": "200ms", "hold": "500ms"},
        "policy": {"mode": "auto", "cooldown": "0s"},
        "log": {"format": "json"},
    }


def rights(namespace: str) -> Sequence[Mapping[str, Any]]:
    """A role for the daemon's user, in this namespace, with what the scenarios' runbooks need."""
    metadata = {"name": USER, "namespace": namespace}
    group = "rbac.authorization.k8s.io"
    return (
        {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [
                {"apiGroups": groups, "resources": resources, "verbs": verbs}
                for groups, resources, verbs in _RIGHTS
            ],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "subjects": [{"kind": "User", "name": USER, "apiGroup": group}],
            "roleRef": {"kind": "Role", "name": USER, "apiGroup": group},
        },
    )


def in_order(wanted: Sequence[str], found: Sequence[str]) -> bool:
    """Whether all of `wanted` are in `found`, in this order, perhaps with others between them."""
    rest = iter(found)
    return all(any(one == other for other in rest) for one in wanted)


def _rules(keeps_firing: str) -> str:
    rules = [
        {
            "alert": name,
            "expr": expression,
            "for": "1s",
            "keep_firing_for": keeps_firing,
            "labels": {"severity": "critical"},
        }
        for name, expression in RULES.items()
    ]
    return json.dumps({"groups": [{"name": "scenarios", "rules": rules}]})


def _image(workload: Mapping[str, Any]) -> str:
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])


def _in_words(record: Mapping[str, Any]) -> str:
    details = record["details"]
    if record["kind"] == "run.state":
        return f"{details['from']} → {details['to']}: {details['reason']}"
    if record["kind"].startswith("step."):
        return f"{record['kind']} {details['step']}"
    if record["kind"] == "approval.decision":
        return f"{record['kind']} {details['answer']} by {record['actor']}: {details['outcome']}"
    return str(record["kind"])


def _labels(text: str) -> Iterator[tuple[str, str]]:
    for pair in filter(None, text.rstrip("}").split(",")):
        name, _, value = pair.partition("=")
        yield name, value.strip('"')
