"""Escalation as a list of calls, and silences: how they are written, and the faults of both."""

from datetime import timedelta

import jsonschema
import pytest
from ruamel.yaml import YAML

from remediator.plugin.registry import Registry
from remediator.runbook.compile import compile_runbook
from remediator.runbook.findings import RunbookErrors
from remediator.runbook.json_schema import json_schema
from remediator.runbook.runbook import Runbook

BOOK = """\
name: api
description: A runbook.
match: ['alertname="X"']
steps: [{id: a, action: http.check, with: {url: "http://x"}}]
"""
SILENCE = "silence: {match: ['alertname=~\"Pod.*\"'], equal: [namespace], for: 15m}\n"


def loaded(registry: Registry, more: str) -> Runbook:
    return compile_runbook(BOOK + more, "a.yaml", registry)


def faults(registry: Registry, more: str) -> list[str]:
    with pytest.raises(RunbookErrors) as caught:
        loaded(registry, more)
    return [str(one) for one in caught.value.findings]


@pytest.mark.parametrize(
    ("written", "calls"),
    [
        ("pagerduty", [(0, ["pagerduty"])]),
        ("[slack, pagerduty]", [(0, ["slack"]), (0, ["pagerduty"])]),
        ("{after: 10m, to: pagerduty}", [(10, ["pagerduty"])]),
        ("webhook:ops", [(0, ["webhook:ops"])]),
        (
            "[slack, {after: 10m, to: pagerduty}, {after: 30m, to: [opsgenie, email]}]",
            [(0, ["slack"]), (10, ["pagerduty"]), (30, ["opsgenie", "email"])],
        ),
    ],
)
def test_an_escalation_is_a_list_of_calls(
    registry: Registry, written: str, calls: list[tuple[int, list[str]]]
) -> None:
    runbook = loaded(registry, f"on_failure: {{escalate: {written}}}\n")
    found = [(one.after, list(one.to)) for one in runbook.on_failure.escalate]
    assert found == [(timedelta(minutes=minutes), to) for minutes, to in calls]
    text = f"{BOOK}on_failure: {{escalate: {written}}}\n"
    value = YAML(typ="safe", pure=True).load(text)
    jsonschema.Draft202012Validator(json_schema(registry)).validate(value)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("[{after: 30m, to: slack}, {after: 10m, to: pagerduty}]", "in the order in which"),
        ("[slack, {after: 10m, to: slack}]", "slack is called twice"),
        ("[{after: 2d, to: slack}]", "on_failure.escalate.0.after"),
        ("[{after: 10m}]", 'the key "to" is missing'),
        ("[{after: 10m, to: slack, unless: x}]", 'unknown key "unless"'),
        ("[{after: 10m, to: pagerdut}]", 'did you mean "pagerduty"?'),
        ("[slack, 7]", "on_failure.escalate"),
    ],
)
def test_calls_that_are_none(registry: Registry, written: str, says: str) -> None:
    found = faults(registry, f"on_failure:\n  escalate: {written}\n")
    assert says in found[0]
    assert found[0].startswith("a.yaml:6:")


def test_a_silence_is_compiled(registry: Registry) -> None:
    silence = loaded(registry, SILENCE).silence
    assert silence is not None
    assert (silence.equal, silence.for_) == (("namespace",), timedelta(minutes=15))
    assert [[str(matcher) for matcher in line] for line in silence.lines] == [
        ['alertname=~"Pod.*"']
    ]
    assert loaded(registry, "").silence is None


@pytest.mark.parametrize(
    ("changed", "by", "says"),
    [
        ("[namespace]", "[alertname, severity]", "name a label of the place"),
        ("[namespace]", "[]", "silence.equal"),
        ('alertname=~"Pod.*"', 'alertname=~".*"', "must not match empty values"),
        ('alertname=~"Pod.*"', 'namespace="shop"', "namespace is in equal"),
        ('alertname=~"Pod.*"', "alertname~x", "matcher: "),
        ("15m", "5h", "silence.for"),
        ("15m", "0s", "longer than 0s"),
    ],
)
def test_silences_that_are_too_wide_or_none(
    registry: Registry, changed: str, by: str, says: str
) -> None:
    found = faults(registry, SILENCE.replace(changed, by))
    assert any(says in one for one in found)
    assert all(one.startswith("a.yaml:5:") for one in found)
