"""Proves the whole of it: kubectl, the real API server, a real daemon with no more rights than
`remediator rbac` prints, and what people then see."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import remediator
from tests.crash import bodies
from tests.resources.making import SPEC, accepted, policy, runbook
from tests.scenarios.daemon import RemediatorProcess
from tests.scenarios.scene import USER, rights, rollout_is_whole
from tests.servers.fixtures import new_namespace
from tests.servers.kubernetes import ControlPlane, KubectlFailed
from tests.servers.manifests import deployment
from tests.servers.rest import request
from tests.servers.waiting import eventually

_FILE = """
name: from-a-file
description: Restart the pods.
match: ['alertname="Stuck", namespace="nowhere"']
steps:
  - {id: look, action: prometheus.query, with: {query: up, expect: value > 0}}
"""
_SOON_S = 15.0

Start = Callable[..., RemediatorProcess]


@pytest.fixture
def start(cluster: ControlPlane, tmp_path: Path) -> Iterator[Start]:
    """`start(namespaces…, runbooks={…}, resources={…})`: a daemon that watches these namespaces."""
    with ExitStack() as stack:

        def begin(
            *watched: str, runbooks: dict[str, str] | None = None, **resources: Any
        ) -> RemediatorProcess:
            daemon = RemediatorProcess(
                tmp_path / "daemon", settings(cluster, watched, **resources), runbooks
            )
            stack.callback(lambda: print(daemon.log_tail()))
            daemon.write_settings()
            grant(cluster, daemon)
            for namespace in watched:
                cluster.apply(*rights(namespace), deployment("api", namespace, replicas=1))
                eventually(lambda n=namespace: _whole(cluster, n), what="the first pods")  # type: ignore[misc]
            return stack.enter_context(daemon)

        yield begin


def settings(cluster: ControlPlane, watched: Any, **resources: Any) -> dict[str, Any]:
    """Settings for a daemon that watches these namespaces, and looks often."""
    return {
        "kubernetes": {"kubeconfig": str(cluster.kubeconfig(USER))},
        "policy": {"mode": "auto", "cooldown": "0s"},
        "worker": {"poll": "200ms", "hold": "500ms"},
        "reload_every": "200ms",
        "resources": {"enabled": True, "watch": list(watched), "status_every": "1s", **resources},
    }


def grant(cluster: ControlPlane, daemon: RemediatorProcess) -> None:
    """Give the daemon's user what `remediator rbac` prints for its settings, and no more."""
    printed = daemon.command("rbac", "-o", "json", "--name", "watching")
    assert printed.returncode == 0, printed.stderr
    for role in json.loads(printed.stdout)["roles"]:
        reference = {"kind": role["kind"], "name": role["metadata"]["name"]}
        cluster.apply(
            role,
            {
                "apiVersion": role["apiVersion"],
                "kind": f"{role['kind']}Binding",
                "metadata": role["metadata"],
                "subjects": [{"kind": "User", "name": USER}],
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", **reference},
            },
        )


def _whole(cluster: ControlPlane, namespace: str) -> bool:
    return rollout_is_whole(cluster.get("deployment", "api", namespace))


def _alert(daemon: RemediatorProcess, status: str, namespace: str, **labels: str) -> None:
    one = bodies.alert("1", status, alertname="Stuck", namespace=namespace, **labels)
    answer = request("POST", daemon.webhook, bodies.notification(one))
    assert answer.status == 200, answer.text


def _said(cluster: ControlPlane, namespace: str, name: str, kind: str = "runbook") -> Any:
    return eventually(
        lambda: accepted(cluster, namespace, name, kind), _SOON_S, what=f"an answer to {name}"
    )


def _names(daemon: RemediatorProcess) -> set[str]:
    return {one["name"] for one in daemon.api("/api/v1/runbooks")["items"]}


def _ended(daemon: RemediatorProcess, runbook_name: str) -> Any:
    def end() -> Any:
        (run,) = daemon.items(f"/api/v1/runs?runbook={runbook_name.replace('/', '%2F')}")
        return run if run["ended_at"] else None

    return eventually(end, 30.0, what=f"the end of {runbook_name}'s run")


def _audit(daemon: RemediatorProcess, kind: str) -> list[Any]:
    return [one for one in daemon.items("/api/v1/audit") if one["kind"] == kind]


def test_applied_accepted_started_and_told(
    cluster: ControlPlane, namespace: str, start: Start
) -> None:
    daemon = start(namespace, runbooks={"file": _FILE})
    cluster.apply(runbook("restart", namespace))
    condition = _said(cluster, namespace, "restart")
    assert (condition["status"], condition["reason"]) == ("True", "InForce")
    full = f"{namespace}/restart"
    assert _names(daemon) == {"from-a-file", full}

    _alert(daemon, "firing", "somewhere-else")
    _alert(daemon, "firing", namespace)
    eventually(
        lambda: any("restartedAt" in key for key in _annotations(cluster, namespace)),
        30.0,
        what="the restart",
    )
    _alert(daemon, "resolved", namespace)
    run = _ended(daemon, full)
    assert (run["runbook"], run["state"]) == (full, "succeeded")

    def told() -> bool:
        status = cluster.get("runbook", "restart", namespace)["status"]
        return bool(status.get("lastRun", {}).get("id") == run["id"])

    eventually(told, _SOON_S, what="the last run in the status")
    status = cluster.get("runbook", "restart", namespace)["status"]
    assert status["name"] == full
    assert status["mode"] == "auto"
    assert (status["runs"], status["successRate"]) == (1, "100%")
    assert status["lastRun"]["state"] == "succeeded"
    assert status["observedGeneration"] == 1
    head, row = cluster.kubectl("get", "runbooks", "-n", namespace).splitlines()
    assert head.split() == ["NAME", "MODE", "ACCEPTED", "LAST", "RUN", "SUCCESS", "AGE"]
    assert row.split()[:5] == ["restart", "auto", "True", "succeeded", "100%"]

    written = _writes(cluster, namespace)
    eventually(
        lambda: daemon.metrics()['remediator_resources{kind="Runbook",result="accepted"}'] == 1,
        what="the metric",
    )
    cluster.kubectl("annotate", "runbook", "restart", "-n", namespace, "touched=yes")
    cluster.apply(runbook("second", namespace))
    _said(cluster, namespace, "second")
    assert _writes(cluster, namespace) - written <= 2, "only what changed is written"
    loaded = [one["details"] for one in _audit(daemon, "runbooks.loaded")]
    assert any(one["origins"].get(full) == f"Runbook {full}" for one in loaded)
    assert any(str(one["origins"].get("from-a-file")).endswith("file.yaml") for one in loaded)


def _annotations(cluster: ControlPlane, namespace: str) -> dict[str, str]:
    template = cluster.get("deployment", "api", namespace)["spec"]["template"]["metadata"]
    return template.get("annotations") or {}


def _writes(cluster: ControlPlane, namespace: str) -> int:
    return sum(
        uri.split("?")[0].endswith("/status") and f"/{namespace}/runbooks/" in uri
        for _, uri in cluster.writes("remediator")
    )


def test_a_broken_one_keeps_no_other_out_and_its_last_good_version_serves(
    cluster: ControlPlane, namespace: str, start: Start
) -> None:
    daemon = start(namespace)
    cluster.apply(
        runbook("good", namespace),
        runbook("never-good", namespace, **{"if": "true &&\n  lables.a == 'b'\n"}),
    )
    assert _said(cluster, namespace, "good")["status"] == "True"
    refused = _said(cluster, namespace, "never-good")
    assert (refused["status"], refused["reason"]) == ("False", "Invalid")
    assert refused["message"] == (
        "spec.if, line 2, character 3: "
        'unknown name "lables.a"; did you mean "labels.a"? [expression]'
    )
    assert _names(daemon) == {f"{namespace}/good"}
    version = cluster.get("runbook", "good", namespace)["status"]["version"]

    cluster.apply(runbook("good", namespace, match=["alertname="]))
    broken = _said(cluster, namespace, "good")
    assert broken["status"] == "False"
    assert broken["message"].startswith("spec.match[0]")
    assert broken["message"].endswith("; generation 1 stays in force")
    assert _names(daemon) == {f"{namespace}/good"}
    assert cluster.get("runbook", "good", namespace)["status"]["version"] == version
    refusals = _audit(daemon, "runbooks.refused")
    assert {one["details"]["resource"] for one in refusals} == {
        f"Runbook {namespace}/never-good generation 1",
        f"Runbook {namespace}/good generation 2",
    }

    cluster.apply(runbook("good", namespace, description="Mended."))
    assert _said(cluster, namespace, "good")["status"] == "True"
    assert cluster.get("runbook", "good", namespace)["status"]["version"] != version
    cluster.kubectl("delete", "runbook", "good", "--namespace", namespace)
    eventually(lambda: _names(daemon) == set(), _SOON_S, what="the runbook to go")
    assert _audit(daemon, "runbooks.loaded")[-1]["details"]["gone"] == [f"{namespace}/good"]


def test_a_name_that_a_file_has_is_taken_and_the_file_wins(
    cluster: ControlPlane, namespace: str, start: Start
) -> None:
    daemon = start(namespace)
    cluster.apply(runbook("from-a-file", namespace))
    assert _said(cluster, namespace, "from-a-file")["status"] == "True"
    file = daemon.folder / "runbooks" / "later.yaml"
    file.write_text(_FILE)
    eventually(
        lambda: accepted(cluster, namespace, "from-a-file")["status"] == "False",
        _SOON_S,
        what="the clash",
    )
    taken = accepted(cluster, namespace, "from-a-file")
    assert taken["reason"] == "NameTaken"
    assert f"{file}:2" in taken["message"]
    assert f"{namespace}/from-a-file" in taken["message"]
    assert _names(daemon) == {"from-a-file"}

    with new_namespace(cluster) as other:  # two namespaces may use one name
        assert other != namespace
        cluster.apply(runbook("twin", namespace))
        assert _said(cluster, namespace, "twin")["status"] == "True"


def test_an_attempt_to_act_elsewhere_is_refused_and_on_record(
    cluster: ControlPlane, namespace: str, start: Start
) -> None:
    """The credentials would allow it: both namespaces are the daemon's to restart."""
    step: Any = SPEC["steps"][0]
    astray = {**step, "with": {"namespace": "${{ labels.target }}", "deployment": "api"}}
    with new_namespace(cluster) as other:
        daemon = start(namespace, other)
        cluster.apply(runbook("astray", namespace, steps=[astray]))
        assert _said(cluster, namespace, "astray")["status"] == "True"
        _alert(daemon, "firing", namespace, target=other)
        run = _ended(daemon, f"{namespace}/astray")
        assert (run["state"], run["reason"]) == ("suppressed", "guardrail_refuses")
        assert f"it is about namespace {other}" in run["message"]
        assert "resources.unconfined" in run["message"]
        assert "restartedAt" not in json.dumps(_annotations(cluster, other))
        states = [one for one in daemon.items("/api/v1/audit") if one["run_id"] == run["id"]]
        assert "own_namespace" in json.dumps(states)
        plain = {**step, "with": {"namespace": other, "deployment": "api"}}
        cluster.apply(runbook("plain", namespace, steps=[plain]))
        assert _said(cluster, namespace, "plain")["message"].startswith(
            f"spec.steps[0]: restart: it is about namespace {other}; a runbook of namespace"
        )


def test_a_fragment_of_the_namespace_is_used_and_a_run_keeps_what_it_began_with(
    cluster: ControlPlane, namespace: str, start: Start
) -> None:
    daemon = start(namespace)
    fragment = runbook("again", namespace, match=None, mode=None, verify=None)
    user = runbook("user", namespace, steps=[{"id": "go", "use": "again"}], wait_for="3s")
    cluster.apply(user)
    missing = _said(cluster, namespace, "user")
    assert missing["message"].startswith(
        'spec.steps[0].use: nothing that is loaded is called "again"'
    )
    cluster.apply(fragment)
    assert "may use it" in _said(cluster, namespace, "again")["message"]
    eventually(
        lambda: accepted(cluster, namespace, "user")["status"] == "True",
        _SOON_S,
        what="what it uses to be found",
    )
    labels = ("--label", f"namespace={namespace}", "--label", "alertname=Stuck")
    started = remediator("run", f"{namespace}/user", *labels, "--url", daemon.url)
    assert started.returncode == 0, started.stderr
    cluster.kubectl("delete", "runbook", "again", "user", "--namespace", namespace)
    eventually(lambda: _names(daemon) == set(), _SOON_S, what="both to go")
    eventually(
        lambda: "restartedAt" in json.dumps(_annotations(cluster, namespace)),
        30.0,
        what="the run that had begun to go on",
    )


def test_the_operator_lifts_it_for_a_namespace(
    cluster: ControlPlane, namespace: str, start: Start
) -> None:
    step: Any = SPEC["steps"][0]
    with new_namespace(cluster) as other:
        daemon = start(namespace, other, unconfined=[namespace])
        plain = {**step, "with": {"namespace": other, "deployment": "api"}}
        cluster.apply(runbook("free", namespace, steps=[plain]))
        assert _said(cluster, namespace, "free")["status"] == "True"
        _alert(daemon, "firing", "anywhere")
        eventually(
            lambda: "restartedAt" in json.dumps(_annotations(cluster, other)),
            30.0,
            what="the restart elsewhere",
        )


def test_a_policy_of_the_namespace_tightens_there(
    cluster: ControlPlane, namespace: str, start: Start
) -> None:
    daemon = start(namespace)
    cluster.apply(policy("careful", namespace, mode="observe"), runbook("restart", namespace))
    assert _said(cluster, namespace, "careful", "remediationpolicy")["status"] == "True"
    assert _said(cluster, namespace, "restart")["status"] == "True"
    _alert(daemon, "firing", namespace)
    run = _ended(daemon, f"{namespace}/restart")
    assert (run["state"], run["reason"]) == ("observed", "observe_only")
    assert cluster.get("remediationpolicy", "careful", namespace)["status"]["rules"] == 1
    rules = daemon.api("/api/v1/policy")["policy"]["rules"]
    assert [one["name"] for one in rules] == [f"{namespace}/careful"]
    cluster.apply(policy("broken", namespace, rules=[{"name": "x", "match": ["y"]}]))
    refused = _said(cluster, namespace, "broken", "remediationpolicy")
    assert refused["status"] == "False"
    assert refused["message"].startswith("spec.rules[0].match")


def test_without_permission_files_are_served_and_changes_wait_for_a_person(
    cluster: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    """Nobody knows which policies there are: what they would hold is held."""
    kubeconfig = str(cluster.kubeconfig("nobody"))
    given = settings(cluster, [namespace]) | {"kubernetes": {"kubeconfig": kubeconfig}}
    with RemediatorProcess(tmp_path / "daemon", given, {"file": _FILE}) as daemon:
        assert _names(daemon) == {"from-a-file"}
        log = daemon.log.read_text()
        assert "may not list runbook" in log
        assert "`remediator rbac`" in log
        (rule,) = daemon.api("/api/v1/policy")["policy"]["rules"]
        assert rule["mode"] == "approve"
        assert rule["match"] == [f'system="kubernetes", scope=~"{namespace}"']
        up = f'remediator_resource_feed_up{{kind="Runbook",namespace="{namespace}"}}'
        assert daemon.metrics()[up] == 0


def test_rbac_is_enough_and_no_more(cluster: ControlPlane, namespace: str, start: Start) -> None:
    daemon = start(namespace)
    cluster.apply(runbook("a", namespace), policy("b", namespace, mode="approve"))
    _said(cluster, namespace, "a")
    _said(cluster, namespace, "b", "remediationpolicy")
    assert daemon.metrics()[
        f'remediator_resource_feed_up{{kind="Runbook",namespace="{namespace}"}}'
    ]
    user = ("--as", USER, "--namespace", namespace)
    for verb in ("create", "update", "patch", "delete"):
        with pytest.raises(KubectlFailed):
            cluster.kubectl("auth", "can-i", verb, "runbooks.remediator.dev", *user)
    for namespaced in (("list", "runbooks.remediator.dev", "--all-namespaces"),):
        with pytest.raises(KubectlFailed):
            cluster.kubectl("auth", "can-i", *namespaced, "--as", USER)
