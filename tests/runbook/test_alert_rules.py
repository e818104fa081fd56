"""Proves of what is known of a rule's labels before it ever fires, and of reading rules with their
positions. That these claims hold for whatever PromQL gives is tried in
`tests/simulated/prometheus/test_known_labels.py`."""

from datetime import timedelta

import pytest

from remediator.runbook import alert_rules
from remediator.runbook.alert_labels import Carried
from remediator.runbook.findings import RunbookErrors


def known(expr: str, **labels: str) -> Carried:
    found, fault = alert_rules.labels_of(expr, labels, "Alert")
    assert fault == ""
    assert found.value("alertname") == "Alert"
    return found.without(["alertname"])


@pytest.mark.parametrize(
    ("expr", "certain"),
    [
        ('up{job="api"} == 0', {"job": "api"}),
        (
            'up{job=~"api|web", a!="", b=~".+", c!="x", d=~"x*"}',
            {"job": None, "a": None, "b": None},
        ),
        ('sum by (namespace, job) (rate(x{job="a"}[5m])) > 1', {"job": "a"}),
        ('sum(x{job="a"})', {}),
        ('sum without (pod) (x{job="a", pod="p"})', {"job": "a"}),
        ('topk(3, x{job="a"})', {"job": "a"}),
        ('count_values("version", x)', {"version": None}),
        ('x{a="1"} / on (a, b) y{b="2"}', {"a": "1", "b": "2"}),
        ('x{a="1"} / ignoring (a) y{b="2"}', {"b": "2"}),
        ('x{a="1"} * on (b) group_left (c) y{b="2", c="3"}', {"a": "1", "b": "2", "c": "3"}),
        ('y{c="3"} * on (b) group_right (c) x{a="1", c="4"}', {"a": "1", "c": "3"}),
        ('x{a="1"} and on (b) y{b="2", c="3"}', {"a": "1", "b": "2"}),
        ('x{a="1", b="2"} or y{a="1", b="3"}', {"a": "1", "b": None}),
        ('x{a="1"} unless y{b="2"}', {"a": "1"}),
        ('1 - x{a="1"}', {"a": "1"}),
        ('absent(up{job="api", a="1", b=~".*"})', {"job": "api", "a": "1"}),
        ("vector(1)", {}),
        ('histogram_quantile(0.9, rate(x_bucket{le="1", a="1"}[5m]))', {"a": "1"}),
        ('label_replace(x{a="1"}, "b", "fixed", "a", ".*")', {"a": "1", "b": "fixed"}),
        ('label_replace(x{a="1"}, "a", "", "a", ".*")', {}),
        ('label_replace(x{a="1"}, "b", "$1", "a", "2(.*)")', {"a": "1"}),
        ('label_join(x{a="1"}, "b", "-", "a", "c")', {"a": "1", "b": None}),
        ('max_over_time(x{a="1"}[10m:1m])', {"a": "1"}),
        ('-x{a="1"}', {"a": "1"}),
    ],
)
def test_what_is_certain(expr: str, certain: dict[str, str | None]) -> None:
    assert known(expr).certain == certain


@pytest.mark.parametrize(
    ("expr", "may", "never"),
    [
        ("x", ["anything"], []),
        ('x{a=""}', ["b"], ["a"]),
        ("sum by (a) (x)", ["a"], ["b"]),
        ('sum by (a, b) (x{a=""})', ["b"], ["a"]),
        ("sum(x)", [], ["a"]),
        ("sum without (a) (x)", ["b"], ["a"]),
        ("x / on (a) y", ["a"], ["b"]),
        ("x / ignoring (a) y", ["b"], ["a"]),
        ("x * on (a) group_left (b) sum by (a) (y)", ["a", "c"], ["b"]),
        ("sum by (a) (x) or sum by (b) (y)", ["a", "b"], ["c"]),
        ('label_replace(sum by (a) (x), "b", "$1", "a", "(.*)")', ["a", "b"], ["c"]),
        ("absent(sum(x))", [], ["a"]),
        ("vector(1)", [], ["a"]),
        ("hour() > 8", [], ["a"]),
        ("histogram_quantile(0.9, sum by (le, a) (x))", ["a"], ["le"]),
        ("x", [], ["__name__"]),
    ],
)
def test_what_may_be(expr: str, may: list[str], never: list[str]) -> None:
    found = known(expr)
    assert [name for name in may if not found.may(name)] == []
    assert [name for name in never if found.may(name)] == []


def test_the_rules_own_labels_win() -> None:
    found = known('x{a="1", b="2"}', severity="page", a="", b="{{ $labels.c }}", c="3")
    assert found.certain == {"severity": "page", "c": "3"}
    assert found.may("b")
    assert not found.may("a")


def test_what_can_not_be_read_says_so_and_excludes_nothing() -> None:
    found, fault = alert_rules.labels_of("sum(", {"severity": "page"}, "Alert")
    assert "unclosed left parenthesis" in fault
    assert found.certain == {"severity": "page", "alertname": "Alert"}
    assert found.may("anything")


RULES = """\
groups:
  - name: apps
    labels: {team: shop}
    rules:
      - record: x:rate
        expr: rate(x[5m])
      - alert: PodCrashLooping
        expr: |
          max_over_time(kube_pod_restarts{job="ksm"}[5m]) >= 1
        for: 15m
        labels: {severity: warning, paging: false}
        annotations:
          summary: Pod {{ $labels.pod }}
      - {alert: Broken, expr: "sum("}
"""
MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: mine}
spec:
  groups:
    - {name: g, rules: [{alert: One, expr: vector(1)}]}
---
apiVersion: v1
kind: List
items:
  - kind: PrometheusRule
    spec: {groups: [{name: h, rules: [{alert: Two, expr: 1 == 1}]}]}
"""


def test_a_rule_file_is_read_with_its_positions() -> None:
    one, broken = alert_rules.read(RULES, "rules.yaml")
    assert (one.name, one.group, one.file, one.line, one.column) == (
        "PodCrashLooping", "apps", "rules.yaml", 7, 16,
    )  # fmt: skip
    assert one.hold == timedelta(minutes=15)
    assert one.labels == {"team": "shop", "severity": "warning", "paging": "false"}
    assert one.annotations == {"summary": "Pod {{ $labels.pod }}"}
    assert one.carries.certain == {
        "job": "ksm", "team": "shop", "severity": "warning", "paging": "false",
        "alertname": "PodCrashLooping",
    }  # fmt: skip
    assert one.fault == ""
    assert broken.fault


def test_manifests_are_read_among_others() -> None:
    found = alert_rules.read(MANIFEST, "manifest.yaml")
    assert [(rule.name, rule.group, rule.line) for rule in found] == [
        ("One", "g", 10),
        ("Two", "h", 16),
    ]


@pytest.mark.parametrize("text", ["", "a: 1", "kind: Pod\n", "[1, 2]"])
def test_a_file_without_rules_is_refused(text: str) -> None:
    with pytest.raises(RunbookErrors, match="give a Prometheus rule file"):
        alert_rules.read(text, "x.yaml")
