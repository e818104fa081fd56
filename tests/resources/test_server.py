"""Proves what the API server itself takes and refuses, by the definitions alone."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.resources.making import SPEC, policy, runbook, shipped
from tests.servers.kubernetes import ControlPlane, KubectlFailed

_STEP: Any = SPEC["steps"][0]
_STEPS = [_STEP]
_DO: Any = {"action": _STEP["action"], "with": _STEP["with"]}


def _apply(cluster: ControlPlane, manifest: Any) -> None:
    cluster.kubectl("apply", "--filename", "-", "--dry-run=server", stdin=json.dumps(manifest))


GOOD: dict[str, Callable[[str], Any]] = {
    "plain": lambda ns: runbook("a", ns),
    "named as it is": lambda ns: runbook("a", ns, name="a"),
    "every key": lambda ns: runbook(
        "a",
        ns,
        owner="team",
        docs="much\nmore",
        links={"page": "https://example.org"},
        **{"if": 'labels.tier == "web"'},
        when="firing",
        per="group",
        wait_for="2m",
        approval={"approvers": ["sre"], "quorum": 2, "timeout": "1h", "remind": ["10m", "20m"]},
        guardrails={"cooldown": "15m", "rate": ["3/1h"], "max_impact": {"pods": 3, "share": "50%"}},
        vars={"deployment": "${{ labels.deployment }}", "list": [1, {"a": True}]},
        silence={"match": ['alertname="X"'], "equal": ["namespace"], "for": "1h"},
        on_failure={"undo": False, "escalate": ["slack", {"after": "10m", "to": "pagerduty"}]},
    ),
    "a probe that verifies": lambda ns: runbook(
        "a", ns, verify={"action": "http.check", "with": {"url": "http://a"}, "within": "5m"}
    ),
    "one name to escalate to": lambda ns: runbook("a", ns, on_failure={"escalate": "pagerduty"}),
    "parameters, a list, a group and runs that wait": lambda ns: runbook(
        "a",
        ns,
        parameters={"max": {"type": "integer", "default": 20, "minimum": 1, "enum": [20, 30]}},
        repeat={"mode": "queued", "key": "${{ labels.deployment }}", "most": 5},
        steps=[
            {"id": "each", "for_each": "${{ vars.all }}", "most": 5, "parallel": 2, **_DO},
            {"id": "own", "for_each": ["a", "b"], **_DO},
            {"id": "both", "parallel": 2, "steps": [{"id": "x", **_DO}, {"id": "y", "use": "f"}]},
            {"id": "used", "use": "drain-pod", "with": {"pod": "${{ labels.pod }}"}},
        ],
        vars={"all": ["a"]},
        outputs={"replicas": "${{ steps.used.plan }}", "n": 1},
    ),
    "a fragment": lambda ns: runbook("a", ns, match=None, mode=None, verify=None),
    "no limits": lambda ns: policy("a", ns),
    "limits": lambda ns: policy(
        "a",
        ns,
        mode="approve",
        cooldown="30m",
        rate={"total": ["3/1h"]},
        freeze=[{"start": "0 18 * * FRI", "lasts": "62h", "timezone": "Europe/Berlin"}],
        maintenance=[{"since": "2026-12-24T18:00:00", "until": "2026-12-27T06:00:00"}],
        bounds={"min_replicas": 2, "max_replicas": 8},
        approval={"quorum": 2, "four_eyes": True, "on_expiry": "deny"},
        rules=[{"name": "db", "match": ['name=~"db.*"'], "refuse": "nobody touches it"}],
    ),
}

BAD: dict[str, tuple[Callable[[str], Any], str]] = {
    "another name": (lambda ns: runbook("a", ns, name="b"), "spec.name must be metadata.name"),
    "a dot in the name": (lambda ns: runbook("a.b", ns), "small letters, digits and -"),
    "a long name": (lambda ns: runbook("a" * 64, ns), "at most 63"),
    "a runbook without match": (
        lambda ns: runbook("a", ns, match=None),
        "match is missing; without it, this is a fragment",
    ),
    "a step of two kinds": (
        lambda ns: runbook("a", ns, steps=[{**_STEP, "use": "f"}]),
        "an action, a use or steps; one of the three",
    ),
    "a step of none": (
        lambda ns: runbook("a", ns, steps=[{"id": "a"}]),
        "an action, a use or steps; one of the three",
    ),
    "a group in a group": (
        lambda ns: runbook(
            "a", ns, steps=[{"id": "a", "steps": [{"id": "b", "steps": [{"id": "c", **_DO}]}]}]
        ),
        'unknown field "spec.steps[0].steps[0].steps"',
    ),
    "a member of two kinds": (
        lambda ns: runbook("a", ns, steps=[{"id": "a", "steps": [{"id": "b", "use": "f", **_DO}]}]),
        "a step of a group has an action, or a use",
    ),
    "a group with a timeout": (
        lambda ns: runbook("a", ns, steps=[{"id": "a", "steps": [_STEP], "timeout": "5m"}]),
        "each step of a group has its own",
    ),
    "a use that is tried again": (
        lambda ns: runbook("a", ns, steps=[{"id": "a", "use": "f", "retry": {"attempts": 2}}]),
        "the steps of what is used have their own",
    ),
    "one at a time, five at most": (
        lambda ns: runbook("a", ns, repeat={"mode": "single", "most": 5}),
        "most is for queued and parallel",
    ),
    "a parameter's name": (
        lambda ns: runbook("a", ns, parameters={"Max-Size": {}}),
        "each name: ^[a-z]",
    ),
    "no match": (lambda ns: runbook("a", ns, match=[]), "spec.match"),
    "no steps": (lambda ns: runbook("a", ns, steps=[]), "spec.steps"),
    "no description": (lambda ns: runbook("a", ns, description=None), "spec.description: Required"),
    "an unknown key": (lambda ns: runbook("a", ns, step=[]), 'unknown field "spec.step"'),
    "an unknown mode": (lambda ns: runbook("a", ns, mode="automatic"), '"observe", "approve"'),
    "a duration without a unit": (lambda ns: runbook("a", ns, wait_for="5"), "spec.wait_for"),
    "two ids": (lambda ns: runbook("a", ns, steps=_STEPS * 2), "two steps have one id"),
    "an id with a space": (
        lambda ns: runbook("a", ns, steps=[{**_STEP, "id": "a b"}]),
        "spec.steps[0].id",
    ),
    "too many steps": (
        lambda ns: runbook("a", ns, steps=[{**_STEP, "id": f"s{n}"} for n in range(51)]),
        "must have at most 50 items",
    ),
    "verify in two forms": (
        lambda ns: runbook(
            "a", ns, verify={"resolved_within": "1m", "action": "http.check", "within": "1m"}
        ),
        "one of the two",
    ),
    "verify in none": (lambda ns: runbook("a", ns, verify={"every": "1m"}), "one of the two"),
    "a probe without an end": (
        lambda ns: runbook("a", ns, verify={"action": "http.check"}),
        "an action needs within",
    ),
    "a silence of everything": (
        lambda ns: runbook("a", ns, silence={"match": ["a=b"], "equal": ["severity"], "for": "1h"}),
        "name a label of the place",
    ),
    "too large a quorum": (
        lambda ns: runbook("a", ns, approval={"quorum": 11}),
        "less than or equal to 10",
    ),
    "a share beyond words": (
        lambda ns: runbook("a", ns, guardrails={"max_impact": {"share": "half"}}),
        "spec.guardrails.max_impact.share",
    ),
    "a half window": (
        lambda ns: policy("a", ns, freeze=[{"start": "0 0 * * *"}]),
        "a window by start and lasts needs both",
    ),
    "a window of two kinds": (
        lambda ns: policy(
            "a",
            ns,
            freeze=[
                {"start": "0 0 * * *", "lasts": "1h", "since": "2026-01-01T00:00:00", "until": "x"}
            ],
        ),
        "by start and lasts, or by since and until",
    ),
    "a calendar": (
        lambda ns: policy("a", ns, freeze=[{"calendar": "/etc/passwd"}]),
        "unknown field",
    ),
    "approvers": (
        lambda ns: policy("a", ns, approval={"approvers": ["me"]}),
        "unknown field",
    ),
    "silence for a yes": (
        lambda ns: policy("a", ns, approval={"on_expiry": "approve"}),
        "on_expiry",
    ),
    "where remediator may act": (
        lambda ns: policy("a", ns, scope={"scopes": ["*"]}),
        'unknown field "spec.scope"',
    ),
    "overrides": (
        lambda ns: policy("a", ns, override={"people": ["me"]}),
        'unknown field "spec.override"',
    ),
    "bounds the wrong way round": (
        lambda ns: policy("a", ns, bounds={"min_replicas": 3, "max_replicas": 2}),
        "nothing is allowed",
    ),
    "two rules of one name": (
        lambda ns: policy("a", ns, rules=[{"name": "x", "match": ["a=b"]}] * 2),
        "two rules have one name",
    ),
    "a rule without matchers": (
        lambda ns: policy("a", ns, rules=[{"name": "x"}]),
        "spec.rules[0].match: Required",
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_it_takes(cluster: ControlPlane, namespace: str, name: str) -> None:
    _apply(cluster, GOOD[name](namespace))  # raises what the server says against it


@pytest.mark.parametrize("name", BAD)
def test_it_refuses(cluster: ControlPlane, namespace: str, name: str) -> None:
    make, sentence = BAD[name]
    with pytest.raises(KubectlFailed) as refused:
        _apply(cluster, make(namespace))
    assert sentence in refused.value.stderr


@pytest.mark.parametrize("written", [one for _, one in shipped()], ids=[n for n, _ in shipped()])
def test_every_shipped_runbook_is_taken_as_a_resource(
    cluster: ControlPlane, namespace: str, written: Any
) -> None:
    _apply(cluster, runbook(written["name"], namespace, written))


def test_parameters_of_actions_come_back_as_they_were_written(
    cluster: ControlPlane, namespace: str
) -> None:
    given = {"anything": [1, 2.5, {"deep": [], "er": True}], "text": "${{ labels.x }}"}
    cluster.apply(runbook("free", namespace, steps=[{**_STEP, "with": given}]))
    assert cluster.get("runbook", "free", namespace)["spec"]["steps"][0]["with"] == given


def test_it_answers_to_its_short_names_and_its_category(
    cluster: ControlPlane, namespace: str
) -> None:
    cluster.apply(runbook("a", namespace), policy("b", namespace, mode="observe"))
    assert cluster.kubectl("get", "rb", "-n", namespace, "-o", "name").split() == [
        "runbook.remediator.dev/a"
    ]
    both = cluster.kubectl("get", "remediator", "-n", namespace, "-o", "name").split()
    assert both == ["remediationpolicy.remediator.dev/b", "runbook.remediator.dev/a"]
    head = cluster.kubectl("get", "rb", "-n", namespace).splitlines()[0]
    assert head.split("  ")[0].strip() == "NAME"
    assert [one.strip() for one in head.split("   ") if one.strip()] == [
        *("NAME", "MODE", "ACCEPTED", "LAST RUN", "SUCCESS", "AGE")
    ]
    assert "Lines of matchers" in cluster.kubectl("explain", "runbook.spec.match")
