"""Proves `record`: the test that is written passes on the simulation, and holds nothing secret.

On a real API server, a real Prometheus and a server on loopback, with secrets planted wherever
people put them.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from remediator.clients.kubernetes.connection import USER_AGENT
from tests.actions.kubernetes.worlds import deployment, start
from tests.cli.commands import Box, notification, refused, remediator, serving
from tests.servers.endpoint import Endpoint, QuietHandler
from tests.servers.exporter import Exporter
from tests.servers.fixtures import AlertmanagerFactory, PrometheusFactory
from tests.servers.kubernetes import ControlPlane
from tests.servers.waiting import eventually

SECRETS = (
    "hunter2-in-env",
    "hunter2-in-annotation",
    "hunter2-in-url",
    "hunter2-in-args",
    "hunter2-in-body",
    "hunter2-in-header",
    "hunter2-in-alert",
    "hunter2-in-apply",
)

BOOKS = """\
name: probes
description: Looks before it restarts.
match: ['alertname="Slow"']
mode: auto
wait_for: 1m
steps:
  - id: health
    action: http.check
    with: {{url: "{health}/healthz?verbose=1"}}
  - id: rate
    action: prometheus.query
    with: {{query: 'rate(requests_total{{job="app"}}[2m])', expect: value > 0.1}}
  - id: many
    action: prometheus.query
    with: {{query: 'sum(requests_total)', expect: value > 1}}
  - id: restart
    action: kubernetes.rollout_restart
    with: {{namespace: "${{{{ labels.namespace }}}}", deployment: api}}
  - id: scale
    action: kubernetes.scale
    with: {{namespace: "${{{{ labels.namespace }}}}", deployment: api, by: "+1", max: 5}}
---
name: back
description: Rolls back, when asked.
match: ['alertname="Bad"']
mode: approve
steps:
  - id: back
    action: kubernetes.rollout_undo
    with: {{namespace: "${{{{ labels.namespace }}}}", deployment: api}}
"""


class Health(Endpoint):
    """Answers a health check with a secret in its body and one in a header."""

    def __init__(self) -> None:
        class Handler(QuietHandler):
            def do_GET(self) -> None:  # noqa: N802 - the base calls it so
                body = json.dumps({"status": "ok", "api_key": "hunter2-in-body"}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Set-Cookie", "session=hunter2-in-header")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        assert issubclass(Handler, BaseHTTPRequestHandler)
        super().__init__(Handler)


@pytest.fixture
def health() -> Iterator[Health]:
    with Health() as listening:
        yield listening


def _deployment(namespace: str, image: str) -> Any:
    made = deployment("api", namespace, replicas=2, image=image)
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [
        {"name": "DB_PASSWORD", "value": "hunter2-in-env"},
        {"name": "DSN_OF_DB", "value": "postgres://app:hunter2-in-url@db:5432/app"},
        {"name": "GREETING", "value": "hello"},
    ]
    container["args"] = ["--port", "80", "--token", "hunter2-in-args"]
    made["metadata"]["annotations"] = {
        "example.org/api-token": "hunter2-in-annotation",
        "kubectl.kubernetes.io/last-applied-configuration": '{"x": "hunter2-in-apply"}',
    }
    return made


class Scene:
    """A folder with settings for the real servers."""

    def __init__(
        self, folder: Path, control_plane: ControlPlane, prometheus: str, health: str
    ) -> None:
        self.folder = folder
        (folder / "books").mkdir()
        text = BOOKS.format(health=health)
        for number, name in enumerate(("probes", "back")):
            book = folder / "books" / f"{name}.yaml"
            book.write_text(text.split("---\n")[number], encoding="utf-8")
        self.config = folder / "config.yaml"
        self.config.write_text(
            f"journal: sqlite:///{folder}/journal.db\nrunbooks: [{folder}/books]\n"
            f"kubernetes: {{kubeconfig: {control_plane.kubeconfig()}}}\n"
            f"prometheus: {{url: '{prometheus}'}}\n",
            encoding="utf-8",
        )

    def run(self, command: str, *arguments: str) -> Any:
        config = () if command == "test" else ("--config", str(self.config))
        return remediator(command, *arguments, *config, cwd=self.folder)

    def alert(self, name: str, namespace: str) -> str:
        body = notification(name, "x")
        body["alerts"][0]["labels"] |= {"namespace": namespace}
        body["alerts"][0]["annotations"] = {
            "summary": "login with password=hunter2-in-alert please"
        }
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(body), encoding="utf-8")
        return str(file)


def _nothing_secret(*files: Path) -> str:
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    assert [secret for secret in SECRETS if secret in text] == []
    return text


@pytest.fixture
def scene(
    control_plane: ControlPlane,
    namespace: str,
    prometheus_factory: PrometheusFactory,
    exporter: Exporter,
    health: Health,
    tmp_path: Path,
) -> Scene:
    for image in ("app:v1", "app:v2"):
        start(control_plane, _deployment(namespace, image))
    exporter.set("requests_total", 100)
    prometheus = prometheus_factory(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        f"  - {{job_name: app, static_configs: [{{targets: ['{exporter.address}']}}]}}\n"
    )
    counts = iter(range(110, 100_000, 10))

    def enough() -> bool:
        exporter.set("requests_total", next(counts))
        found = prometheus.query('rate(requests_total{job="app"}[2m]) > 0.1')
        return bool(found)

    eventually(enough, 60, what="a rate")
    return Scene(tmp_path, control_plane, prometheus.url, f"http://{health.address}")


def test_what_is_recorded_passes_and_holds_nothing_secret(
    scene: Scene, control_plane: ControlPlane, namespace: str
) -> None:
    writes = len(control_plane.writes(USER_AGENT))
    shown = scene.run("record", scene.alert("Slow", namespace), "--raw")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    file = scene.folder / "books" / "probes.test.yaml"
    raw = scene.folder / "books" / "probes.notification.json"
    assert f"wrote {file}" in shown.stdout
    assert "it passes: remediator test" in shown.stdout
    assert len(control_plane.writes(USER_AGENT)) == writes
    text = _nothing_secret(file, raw)
    written = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    kinds = {one["kind"] for one in written["world"]["kubernetes"]}
    assert "Deployment" in kinds
    assert "managedFields" not in text
    assert "GREETING" in text
    assert "hello" in text
    (answer,) = written["world"]["http"]
    assert answer["json"] == {"status": "ok", "api_key": "***"}
    assert "set-cookie" not in json.dumps(answer).lower()
    (expected,) = written["tests"][0]["expect"][0]["runs"]
    assert expected["plans"][0] == f"deployment {namespace}/api: restart 2 pods"
    played = scene.run("test", str(file))
    assert played.returncode == 0, played.stdout
    again = scene.run("simulate", scene.alert("Slow", namespace), "--world", str(file))
    assert again.returncode == 0, again.stdout + again.stderr
    assert f"deployment {namespace}/api: restart 2 pods" in again.stdout


def test_another_place_and_an_alert_without_raw(scene: Scene, namespace: str) -> None:
    alert = scene.alert("Bad", namespace)
    shown = scene.run("record", alert, "--to", str(scene.folder / "tests"))
    assert shown.returncode == 0, shown.stdout + shown.stderr
    file = scene.folder / "tests" / "back.test.yaml"
    _nothing_secret(file)
    written = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    assert written["runbooks"] == ["../books/back.yaml"]
    assert "ReplicaSet" in {one["kind"] for one in written["world"]["kubernetes"]}
    (event,) = written["tests"][0]["timeline"]
    assert event["firing"]["namespace"] == namespace
    (run,) = written["tests"][0]["expect"][0]["runs"]
    assert (run["state"], run["verdicts"]) == ("awaiting_approval", ["hold: mode"])
    assert "is there already" in refused(
        scene.run("record", alert, "--to", str(scene.folder / "tests"))
    )
    assert scene.run("record", alert, "--to", str(file), "--force").returncode == 0


# ------------------------------------------------------------------------------ without servers


def test_commands_are_not_started(fresh: Box) -> None:
    alert = fresh.folder / "alert.json"
    alert.write_text(json.dumps(notification("Asks", "lamp")), encoding="utf-8")
    switch = fresh.folder / "switch"
    switch.write_text(f"#!/bin/sh\n: > {fresh.folder}/started\n", encoding="utf-8")
    shown = remediator("record", str(alert), "--config", fresh.config)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "No command was started" in shown.stderr
    assert not (fresh.folder / "started").exists()
    file = fresh.folder / "runbooks" / "asks-first.test.yaml"
    written = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    assert written["world"]["exec"] == [
        {"command": [str(switch), "is-on", "lamp"], "exit": 1, "stdout": ""}
    ]
    assert remediator("test", str(file)).returncode == 0


def test_a_command_that_a_plan_would_start_can_be_planned_in_the_test(fresh: Box) -> None:
    book = fresh.folder / "runbooks" / "plain.yaml"
    book.write_text(
        "name: plain\ndescription: Turn it.\nmatch: ['alertname=\"Turn\"']\nsteps:\n"
        f"  - id: a\n    action: exec\n    with: {{command: [{fresh.folder}/switch, turn],"
        " plan_text: turn it}\n",
        encoding="utf-8",
    )
    alert = fresh.folder / "alert.json"
    alert.write_text(json.dumps(notification("Turn", "lamp")), encoding="utf-8")
    shown = remediator("record", str(alert), "--config", fresh.config)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    written = YAML(typ="safe").load(book.with_suffix(".test.yaml").read_text(encoding="utf-8"))
    assert written["world"]["exec"] == [{"command": [f"{fresh.folder}/switch", "**"], "exit": 0}]


def test_what_does_not_pass_tells_no_secret(fresh: Box) -> None:
    class Answers(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the base calls it so
            self.answer(204)

    server = Endpoint(Answers)
    url = f"http://{server.address}/x?api_key=qqqqwwwweeee9999"
    (fresh.folder / "runbooks" / "asks.yaml").write_text(
        "name: asks\ndescription: Look.\nmatch: ['alertname=\"Look\"']\nsteps:\n  - id: a\n"
        f"    action: http.check\n    with: {{url: '{url}', expect_status: 204}}\n",
        encoding="utf-8",
    )
    alert = fresh.folder / "alert.json"
    alert.write_text(json.dumps(notification("Look", "lamp")), encoding="utf-8")
    with server:
        shown = remediator("record", str(alert), "--config", fresh.config)
    assert shown.returncode == 1, shown.stdout
    assert "does not pass yet" in shown.stderr
    assert "api_key=***" in shown.stderr
    assert "qqqqwwwweeee9999" not in shown.stdout + shown.stderr


def test_by_run_and_by_incident(fresh: Box) -> None:
    with serving(fresh):
        run = fresh.waiting("lamp")
        incident = fresh.api(f"/api/v1/runs/{run}")["incident_id"]
        for how in (("--run", run), ("--incident", incident)):
            shown = fresh.cli("record", *how, "--config", fresh.config, "--force")
            assert shown.returncode == 0, shown.stdout + shown.stderr
    for how in (("--run", run), ("--incident", incident)):
        shown = fresh.cli("record", *how, "--offline", "--config", fresh.config, "--force")
        assert shown.returncode == 0, shown.stdout + shown.stderr
    text = (fresh.folder / "runbooks" / "asks-first.test.yaml").read_text(encoding="utf-8")
    assert "item: lamp" in text


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ((), "give one of ALERT, --run, --incident and --label", 2),
        (("--label", "a=b", "--offline"), "--offline goes with", 2),
        (("--label", "a=b"), "no Alertmanager is known", 1),
        (("--run", "0123456789", "--offline"), "there is no journal", 1),
        (("other.json",), "no runbook applies to this alert", 1),
        (("alert.json", "--runbook", "acts-alone"), "does not apply to this alert; these do", 1),
        (("alert.json", "--to", "x.yaml"), "a test's name ends in .test.yaml", 1),
    ],
)
def test_mistakes(fresh: Box, arguments: tuple[str, ...], said: str, code: int) -> None:
    for name, alert in (("alert", "Asks"), ("other", "Other")):
        file = fresh.folder / f"{name}.json"
        file.write_text(json.dumps(notification(alert, "lamp")), encoding="utf-8")
    shown = remediator("record", *arguments, "--config", fresh.config, cwd=fresh.folder)
    assert shown.returncode == code, shown.stderr
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr


def test_by_labels_from_alertmanager(fresh: Box, alertmanager_factory: AlertmanagerFactory) -> None:
    alertmanager = alertmanager_factory("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    alertmanager.post_alerts(
        [{"labels": {"alertname": "Asks", "item": item}} for item in ("lamp", "door")]
    )
    config = Path(fresh.config)
    sender = (
        f"senders: {{default: {{alertmanager: ['{alertmanager.url}'], alertmanager_warmup: 0s}}}}\n"
    )
    config.write_text(config.read_text(encoding="utf-8") + sender, encoding="utf-8")
    told = refused(fresh.cli("record", "--label", "alertname=Asks", "--config", fresh.config))
    assert told.startswith("2 firing alerts have these labels")
    label = ("--label", "alertname=Asks", "--label", "item=lamp")
    shown = fresh.cli("record", *label, "--config", fresh.config)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    text = (fresh.folder / "runbooks" / "asks-first.test.yaml").read_text(encoding="utf-8")
    assert "item: lamp" in text
    assert alertmanager.url not in text


def test_a_plan_that_sees_nothing_is_no_test(fresh: Box) -> None:
    book = fresh.folder / "runbooks" / "kube.yaml"
    book.write_text(
        "name: kube\ndescription: Needs a cluster.\nmatch: ['alertname=\"Kube\"']\nsteps:\n"
        "  - {id: go, action: kubernetes.rollout_restart, with: {namespace: a, deployment: b}}\n",
        encoding="utf-8",
    )
    alert = fresh.folder / "alert.json"
    alert.write_text('{"labels": {"alertname": "Kube"}}', encoding="utf-8")
    env = {"KUBECONFIG": str(fresh.folder / "none")}
    told = refused(remediator("record", str(alert), "--config", fresh.config, env=env))
    assert told.startswith("kube can't be planned here: go: KUBECONFIG names")
    assert not book.with_name("kube.test.yaml").exists()
