"""The test servers do what the other tests take for granted."""

import json
from pathlib import Path

import pytest

from .alertmanager import webhook_config
from .exporter import Exporter
from .fixtures import AlertmanagerClusterFactory, AlertmanagerFactory, PrometheusFactory
from .kubernetes import ControlPlane, KubectlFailed
from .link import Link
from .manifests import BAD, deployment, disruption_budget
from .postgres import Postgres
from .prometheus import alert_rule, prometheus_config
from .waiting import NeverHappened, eventually, eventually_async
from .webhook import WebhookReceiver

ALERT = {"labels": {"alertname": "HighLatency", "app": "api"}}


# --- Kubernetes -------------------------------------------------------------------------------


def test_a_deployment_becomes_available(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(deployment("api", namespace, replicas=3))
    control_plane.wait_rollout("deployment/api", namespace)

    status = control_plane.get("deployment", "api", namespace)["status"]
    assert status["availableReplicas"] == 3
    assert '"gitVersion": "v1.36.3"' in control_plane.kubectl("version", "-o", "json")


def test_a_bad_image_fails_the_rollout_and_undo_brings_it_back(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.apply(deployment("api", namespace, progress_deadline_s=5))
    control_plane.wait_rollout("deployment/api", namespace)
    control_plane.apply(deployment("api", namespace, progress_deadline_s=5, image=BAD))

    with pytest.raises(KubectlFailed, match="exceeded its progress deadline"):
        control_plane.wait_rollout("deployment/api", namespace)
    status = control_plane.get("deployment", "api", namespace)["status"]
    progressing = next(c for c in status["conditions"] if c["type"] == "Progressing")
    assert progressing["reason"] == "ProgressDeadlineExceeded"
    assert status["availableReplicas"] == 3  # the old pods

    control_plane.kubectl("rollout", "undo", "deployment/api", "--namespace", namespace)
    control_plane.wait_rollout("deployment/api", namespace)


def test_an_annotated_pod_misbehaves_until_the_annotation_goes(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.apply(deployment("api", namespace, replicas=1))
    control_plane.wait_rollout("deployment/api", namespace)
    pod = control_plane.items("pods", namespace)[0]["metadata"]["name"]

    def annotate(value: str) -> None:
        arguments = ("annotate", "--overwrite", "pod", pod, "--namespace", namespace)
        control_plane.kubectl(*arguments, f"remediator.test/pod{value}")

    def container() -> dict[str, object]:
        found: dict[str, object] = control_plane.get("pod", pod, namespace)["status"][
            "containerStatuses"
        ][0]
        return found

    annotate("=crash-loop")
    eventually(lambda: "CrashLoopBackOff" in str(container()["state"]), what="the pod to crash")
    annotate("=not-ready")
    eventually(
        lambda: not container()["ready"] and "running" in str(container()["state"]),
        what="the pod to run without being ready",
    )
    annotate("-")
    eventually(lambda: container()["ready"], what="the pod to be ready again")


def test_a_job_completes(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("create", "job", "tidy", "--image=app:good", "--namespace", namespace)
    control_plane.kubectl(
        *("wait", "job/tidy", "--for=condition=Complete", "--namespace", namespace),
        "--timeout=30s",
    )


def test_an_eviction_against_a_disruption_budget_is_429(
    control_plane: ControlPlane, namespace: str
) -> None:
    control_plane.apply(
        deployment("api", namespace, replicas=2),
        disruption_budget("api", namespace, app="api", min_available=2),
    )
    control_plane.wait_rollout("deployment/api", namespace)
    eventually(
        lambda: control_plane.get("pdb", "api", namespace)["status"].get("currentHealthy") == 2,
        what="the disruption budget to count both pods",
    )
    pod = control_plane.items("pods", namespace)[0]["metadata"]["name"]
    answer = control_plane.api(
        "POST",
        f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}},
    )

    assert answer.status == 429
    assert answer.json()["details"]["causes"][0]["reason"] == "DisruptionBudget"


def test_users_and_service_accounts_have_no_rights_until_a_role_gives_them(
    control_plane: ControlPlane, namespace: str
) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    assert control_plane.api("GET", path, user="nobody").status == 403

    account = control_plane.service_account(namespace, "daemon")
    listing = ("get", "pods", "--namespace", namespace, "--output", "json")
    with pytest.raises(KubectlFailed, match="Forbidden"):
        control_plane.kubectl(*listing, kubeconfig=account)
    control_plane.kubectl(
        *("create", "rolebinding", "daemon", "--clusterrole=view", "--namespace", namespace),
        f"--serviceaccount={namespace}:daemon",
    )
    eventually(
        lambda: control_plane.kubectl(*listing, kubeconfig=account), what="the role to count"
    )


@pytest.mark.servers
def test_the_api_server_goes_and_comes_back(tmp_path: Path) -> None:
    with ControlPlane(tmp_path, stages=None) as own:
        own.add_node("node-1")
        own.stop_apiserver()
        with pytest.raises(ConnectionRefusedError):
            own.api("GET", "/api/v1/nodes")
        own.start_apiserver()
        assert own.api("GET", "/api/v1/nodes/node-1").status == 200


# --- Alertmanager and Prometheus --------------------------------------------------------------


def test_alertmanager_notifies_a_receiver(
    alertmanager_factory: AlertmanagerFactory, webhook_receiver: WebhookReceiver
) -> None:
    alertmanager = alertmanager_factory(webhook_config(webhook_receiver.url))
    alertmanager.post_alerts([ALERT])

    notification = webhook_receiver.wait()[0]
    assert notification["version"] == "4"
    assert notification["alerts"][0]["labels"] == ALERT["labels"]
    assert [alert["labels"] for alert in alertmanager.alerts()] == [ALERT["labels"]]

    other = json.loads(webhook_config(webhook_receiver.url))
    other["receivers"][0]["name"] = other["route"]["receiver"] = "another"
    alertmanager.reload(json.dumps(other))
    assert webhook_receiver.wait(2)[-1]["receiver"] == "another"


def test_prometheus_scrapes_and_its_rule_reaches_alertmanager(
    alertmanager_factory: AlertmanagerFactory,
    prometheus_factory: PrometheusFactory,
    webhook_receiver: WebhookReceiver,
    exporter: Exporter,
) -> None:
    alertmanager = alertmanager_factory(webhook_config(webhook_receiver.url))
    exporter.set('latency_seconds{app="api"}', 0.1)
    prometheus = prometheus_factory(
        prometheus_config({"app": [exporter.address]}, alertmanager_urls=[alertmanager.url]),
        alert_rule("HighLatency", "latency_seconds > 0.5", severity="critical"),
    )
    eventually(
        lambda: prometheus.query("latency_seconds")[0]["value"][1] == "0.1",
        what="Prometheus to scrape the latency",
    )
    assert prometheus.alerts() == []

    exporter.set('latency_seconds{app="api"}', 2.0)
    fired = webhook_receiver.wait()[0]["alerts"][0]
    assert fired["status"] == "firing"
    assert fired["labels"]["severity"] == "critical"

    exporter.set('latency_seconds{app="api"}', 0.1)
    eventually(
        lambda: webhook_receiver.notifications[-1]["status"] == "resolved",
        what="the alert to be notified as resolved",
    )


def test_two_alertmanagers_that_hear_each_other_notify_once(
    alertmanager_cluster_factory: AlertmanagerClusterFactory, webhook_receiver: WebhookReceiver
) -> None:
    cluster = alertmanager_cluster_factory(webhook_config(webhook_receiver.url))
    for member in cluster.members:
        member.post_alerts([ALERT])
    eventually(
        lambda: all(m.metric("alertmanager_nflog_queries_total") > 0 for m in cluster.members),
        what="both to have looked whether the other one has notified",
    )
    assert len(webhook_receiver.wait(1)) == 1


def test_two_alertmanagers_cut_off_from_each_other_both_notify(
    alertmanager_cluster_factory: AlertmanagerClusterFactory, webhook_receiver: WebhookReceiver
) -> None:
    cluster = alertmanager_cluster_factory(webhook_config(webhook_receiver.url))
    cluster.cut()
    cluster.wait_members(1)
    for member in cluster.members:
        member.post_alerts([ALERT])
    first, second = webhook_receiver.wait(2)
    assert first["alerts"][0]["fingerprint"] == second["alerts"][0]["fingerprint"]

    cluster.heal()
    cluster.wait_members(2)


# --- PostgreSQL, links, waiting ---------------------------------------------------------------


def test_postgres_answers_and_each_database_is_new(postgres: Postgres, postgres_dsn: str) -> None:
    assert postgres.psql("SELECT 1") == "1"
    assert postgres.psql("SHOW fsync", postgres_dsn) == "on"
    assert postgres.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"


def test_a_cut_link_hangs_and_a_healed_one_goes_on(control_plane: ControlPlane) -> None:
    with Link(int(control_plane.url.rsplit(":", 1)[1])) as link:
        server = ("--server", f"https://{link.address}")
        control_plane.kubectl(*server, "get", "nodes")
        link.cut()
        with pytest.raises(KubectlFailed, match="Unable to connect"):
            control_plane.kubectl(*server, "get", "nodes", "--request-timeout=500ms")
        link.heal()
        control_plane.kubectl(*server, "get", "nodes")


async def test_waiting_in_vain_says_what_for() -> None:
    with pytest.raises(NeverHappened, match="waited 0 s for the moon; the last answer: 0"):
        eventually(lambda: 0, 0, what="the moon")
    with pytest.raises(NeverHappened, match="waited 0 s for the sun; the last answer: ''"):
        await eventually_async(lambda: "", 0, what="the sun")
