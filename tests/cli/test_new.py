"""Proves `new`: what it writes is clean, its test passes, and it holds what the alert carries."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from remediator.model import matchers
from tests.cli.commands import ROOT, Box, done, refused, remediator, serving

RULES = """\
groups:
  - name: shop
    rules:
      - record: job:errors
        expr: sum(errors)
      - alert: ApiErrors
        expr: sum by (namespace, deployment) (rate(http_requests_total{code=~"5.."}[5m])) > 1
        labels: {severity: critical}
        annotations: {summary: The API fails., runbook_url: https://wiki.example.org/api}
      - alert: ApiErrors
        expr: sum by (namespace, deployment) (rate(http_requests_total{code=~"5.."}[5m])) > 0.1
        labels: {severity: warning}
      - alert: PodStuck
        expr: kube_pod_status_ready{condition="false"} == 1
      - alert: QueueLong
        expr: max by (queue) (queue_length{job="broker"}) > 100
        annotations: {summary: "{{ $labels.queue }} is long"}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    file = tmp_path / "rules.yaml"
    file.write_text(RULES)
    return file


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(file.read_text())
    return found


def made(*arguments: object, to: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the command; the runbook and the test that it wrote, both held to be good."""
    done(remediator("new", *map(str, arguments), "--to", str(to)))
    book, test = to / f"{name}.yaml", to / f"{name}.test.yaml"
    assert "clean" in done(remediator("check", str(to)))
    assert "1 passed" in done(remediator("test", str(test)))
    return read(book), read(test)


def test_the_labels_of_a_rule_choose_the_change(rules: Path, tmp_path: Path) -> None:
    book, test = made("ApiErrors", "--rules", rules, to=tmp_path / "books", name="api-errors")
    assert book["match"] == [
        'alertname="ApiErrors", namespace!~"kube-.*", namespace!="", deployment!=""'
    ]
    assert book["mode"] == "observe"
    assert [step["action"] for step in book["steps"]] == ["kubernetes.rollout_restart"]
    assert book["description"] == "The API fails."
    assert book["links"] == {"runbook": "https://wiki.example.org/api"}
    text = (tmp_path / "books" / "api-errors.yaml").read_text()
    assert "carries severity." in text, "two rules of one name differ in its value"
    assert "may carry deployment, namespace" in text
    assert "rate(http_requests_total" in text
    fired = test["tests"][0]["timeline"][0]["firing"]
    assert {"alertname", "namespace", "deployment", "severity"} == fired.keys()


def test_where_no_label_names_a_target_it_only_looks(rules: Path, tmp_path: Path) -> None:
    book, _ = made("QueueLong", "--rules", rules, to=tmp_path / "books", name="queue-long")
    assert [step["action"] for step in book["steps"]] == ["prometheus.query"]
    assert "{{" not in book["description"], "a template is no sentence"


def test_a_manifest_of_rules_will_do(tmp_path: Path) -> None:
    manifest = tmp_path / "rule.yaml"
    manifest.write_text(
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: shop}\n"
        "spec:\n" + "".join(f"  {line}\n" for line in RULES.splitlines())
    )
    book, _ = made("QueueLong", "--rules", manifest, to=tmp_path / "books", name="queue-long")
    assert book["match"] == ['alertname="QueueLong"']


def test_an_alert_that_was_seen_names_its_pod(tmp_path: Path) -> None:
    labels = {
        "alertname": "KubePodCrashLooping",
        "namespace": "shop",
        "pod": "web-5d4f8c7b6-x2x9k",
        "token": "hunter2-hunter2",
    }
    alert = tmp_path / "alert.json"
    alert.write_text(json.dumps({"labels": labels, "annotations": {"summary": "It crashes."}}))
    book, test = made("--from", alert, to=tmp_path / "books", name="kube-pod-crash-looping")
    assert [step["action"] for step in book["steps"]] == [
        "kubernetes.condition",
        "kubernetes.delete_pod",
    ]
    assert test["tests"][0]["expect"][0]["runs"][0]["plans"] == ["pod shop/web-5d4f8c7b6-x2x9k"]
    written = [file.read_text() for file in (tmp_path / "books").iterdir()]
    assert not any("hunter2" in text for text in written)


def test_an_incident_of_a_running_daemon(tmp_path: Path) -> None:
    box = Box.make(tmp_path)
    with serving(box):
        box.fire("DiskLost", "disk-1")
        (incident,) = box.api("/api/v1/incidents")["items"]
        book, test = made(
            "--incident", incident["id"], "--url", box.url, to=tmp_path / "books", name="disk-lost"
        )
    assert book["match"] == ['alertname="DiskLost"']
    assert test["tests"][0]["timeline"][0]["firing"] == {"alertname": "DiskLost", "item": "disk-1"}


def test_the_modeline_leads_to_the_schemas(rules: Path) -> None:
    folder = ROOT / "runbooks" / "made-by-a-test"
    try:
        done(remediator("new", "QueueLong", "--rules", str(rules), "--to", str(folder)))
        for kind, file in (("runbook", "queue-long.yaml"), ("test", "queue-long.test.yaml")):
            first = (folder / file).read_text().splitlines()[0]
            assert first == f"# yaml-language-server: $schema=../../config/{kind}.schema.json"
    finally:
        for written in folder.glob("*"):
            written.unlink()
        folder.rmdir()


def test_nothing_is_written_over(rules: Path, tmp_path: Path) -> None:
    book = tmp_path / "queue-long.yaml"
    book.write_text("mine")
    words = ("new", "QueueLong", "--rules", str(rules), "--to", str(tmp_path))
    said = refused(remediator(*words))
    assert "is there already" in said
    assert book.read_text() == "mine"
    done(remediator(*words, "--force"))
    assert book.read_text() != "mine"


def test_a_name_is_no_path(rules: Path, tmp_path: Path) -> None:
    to = tmp_path / "books"
    told = refused(
        remediator(
            "new", "ApiErrors", "--rules", str(rules), "--to", str(to), "--name", "../elsewhere"
        )
    )
    assert "'../elsewhere' is no name for a runbook" in told
    assert not list(tmp_path.glob("elsewhere*")), "nothing is written outside the folder"
    assert not to.exists()


def test_whatever_an_alert_is_called_it_stays_one_matcher(tmp_path: Path) -> None:
    alert = tmp_path / "alert.json"
    odd = 'Odd", namespace=~".*\n\\'
    alert.write_text(json.dumps({"labels": {"alertname": odd}, "startsAt": "2026-01-05T10:00:00Z"}))
    book, _ = made("--from", alert, to=tmp_path / "books", name="odd-namespace")
    (line,) = book["match"]
    assert [one.name for one in matchers.parse(line)] == ["alertname"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ApiEror",), 'did you mean "ApiErrors"?'),
        ((), "name one: ApiErrors, PodStuck, QueueLong"),
    ],
)
def test_a_rule_that_is_not_there(
    rules: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused(
        remediator("new", *arguments, "--rules", str(rules), "--to", str(tmp_path))
    )


def test_an_alert_without_a_name(tmp_path: Path) -> None:
    alert = tmp_path / "alert.json"
    alert.write_text('{"labels": {"a": "b"}}')
    assert "no alertname" in refused(remediator("new", "--from", str(alert), "--to", str(tmp_path)))


def test_a_file_in_place_of_a_name(rules: Path) -> None:
    ran = remediator("new", str(rules))
    assert ran.returncode == 2
    assert f"--rules {rules}" in ran.stderr
