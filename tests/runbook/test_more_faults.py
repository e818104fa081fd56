"""What a review of the runbook language found: a rung is a rung however it is written, only a
missing label is a quiet «false», what is stored compiles again, no text crashes the loader."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from remediator.model import matchers
from remediator.plugin import registry as plugins
from remediator.runbook import document
from remediator.runbook.compile import compile_file, compile_runbook
from remediator.runbook.expressions import Environment, ExpressionFailed
from remediator.runbook.findings import RunbookErrors
from remediator.runbook.index import Index
from remediator.runbook.runbook import Runbook, alert_values

REGISTRY = plugins.load(third_party=False)
HEAD = "name: a\ndescription: d\nmatch: ['alertname=\"X\"']\n"
PROBE = "steps: [{id: a, action: http.check, with: {url: 'http://x'}}]\n"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


def told(labels: dict[str, str]) -> dict[str, Any]:
    return {
        "alert": {
            "status": "firing",
            "labels": labels,
            "annotations": {},
            "starts_at": "2026-03-01T12:00:00Z",
            "generator_url": "",
            "fingerprint": "aa",
        },
        "group": {"labels": {}, "common_labels": {}, "common_annotations": {}, "receiver": "r"},
    }


def load(source: str) -> Runbook:
    return compile_runbook(source, "a.yaml", REGISTRY)


def faults(source: str) -> list[str]:
    with pytest.raises(RunbookErrors) as caught:
        compile_file(source, "a.yaml", REGISTRY)
    return [str(finding) for finding in caught.value.findings]


def two_steps(condition: str, first: str = "prometheus.query") -> str:
    with_ = {
        "prometheus.query": "{query: up, expect: value > 1}",
        "exec": "{command: [/bin/true], plan_text: x}",
    }
    return (
        HEAD
        + "vars: {still: '${{ alert.firing }}', again: '${{ vars.still }}'}\n"
        + f"steps:\n  - {{id: one-a, action: {first}, with: {with_[first]}}}\n"
        + f"  - id: two\n    if: {condition}\n    action: exec\n    with: {with_['exec']}\n"
    )


@pytest.mark.parametrize(
    "condition",
    [
        "alert.firing",
        ".alert.firing",
        "alert . firing",
        "alert.`firing`",
        "vars.again",
        "!vars.still",
    ],
)
def test_a_rung_is_a_rung_however_it_asks(condition: str) -> None:
    assert load(two_steps(f"'{condition}'", "exec")).steps[1].is_rung


def test_a_step_whose_id_holds_a_dash_is_needed_too() -> None:
    assert load(two_steps("steps.`one-a`.ok")).steps[1].needs == {"one-a"}


def test_a_misspelt_result_is_told_at_load() -> None:
    (fault,) = faults(two_steps("steps.`one-a`.result.valu > 1.0"))
    assert fault == (
        'a.yaml:8:30: error: the result of "one-a" has no "valu"; '
        'did you mean "value"? [expression]'
    )


def test_only_a_missing_label_makes_a_condition_false() -> None:
    values = {**alert_values(told({"x": "1"})), "steps.q.result": {}}
    env = Environment({"steps.q.result": Environment().variables["alert.labels"]})
    assert env.compile('labels.tier == "web"').holds(values) is False
    with pytest.raises(ExpressionFailed, match='there is no "value"'):
        env.compile('steps.q.result.value == "web"').holds(values)


def test_a_variable_that_can_not_be_worked_out_says_why() -> None:
    runbook = load(
        HEAD
        + "vars: {d: '${{ labels.deployment }}'}\n"
        + "steps: [{id: a, if: vars.d == 'x', action: http.check, "
        + "with: {url: 'http://${{ vars.d }}'}}]\n"
    )
    scope = runbook.scope(told({}), run={"id": "r", "name": "n"}, now=NOW, steps={})
    with pytest.raises(ExpressionFailed, match='"deployment" is missing on this alert'):
        runbook.steps[0].resolve(scope)
    assert runbook.steps[0].wanted(scope) is False


def test_the_time_is_known_when_a_runbook_is_matched() -> None:
    runbook = load(HEAD + 'if: now.getDayOfWeek("UTC") == 1\n' + PROBE)
    assert runbook.applies({"alertname": "X"}, {}, told({"alertname": "X"}), NOW)


def test_a_run_is_not_known_when_a_runbook_is_matched() -> None:
    assert "run.name is not known" in faults(HEAD + 'if: run.name == "a"\n' + PROBE)[0]


@pytest.mark.parametrize("value", ["labels.?x", "b'x'", "type(1)"])
def test_what_is_no_value_is_refused_at_load(value: str) -> None:
    assert "is no value" in faults(HEAD + f'vars: {{a: "${{{{ {value} }}}}"}}\n' + PROBE)[0]


def test_a_validator_that_reads_numbers_takes_numbers() -> None:
    step = "{id: a, action: kubernetes.scale, with: {namespace: s, deployment: d, by: '${{ 2 }}'}}"
    assert load(HEAD + f"steps: [{step}]\n").steps


def test_each_document_of_a_file_compiles_alone() -> None:
    both = "---\n" + HEAD + PROBE + "---\n" + (HEAD + PROBE).replace("name: a", "name: b") + "---\n"
    found = compile_file(both, "a.yaml", REGISTRY)
    assert [runbook.name for runbook in found] == ["a", "b"]
    assert [load(runbook.source).version for runbook in found] == [r.version for r in found]


@pytest.mark.parametrize(
    "line", ["vars: {a: .nan}", "vars: {a: -.inf}", "vars: {a: 1e999}", 'vars: {a: "\\ud800"}']
)
def test_what_the_journal_can_not_hold_is_refused(line: str) -> None:
    assert faults(HEAD + PROBE + line + "\n")[0].startswith("a.yaml:5:")


def test_text_that_json_escaped_is_the_same_text() -> None:
    assert document.parse('a: "\\ud83d\\ude00"', "a.yaml")[0].value == {"a": "\N{GRINNING FACE}"}


@pytest.mark.parametrize("text", ["1_000", "0b11", "<<", "="])
def test_what_is_text_in_yaml_1_2_stays_text(text: str) -> None:
    assert document.parse(f"a: {text}", "a.yaml")[0].value == {"a": text}


@pytest.mark.parametrize("source", ["%YAML 1.1\n---\na: on\n", "!foo {a: 1}", "a: !!set {b}"])
def test_other_dialects_of_yaml_are_refused(source: str) -> None:
    with pytest.raises(RunbookErrors):
        document.parse(source, "a.yaml")


def test_what_is_too_wide_or_too_deep_stops_early() -> None:
    for source in ("[" * 100_000, "- a\n" * 200_000):
        began = time.process_time()
        with pytest.raises(RunbookErrors, match="too-large"):
            document.parse(source, "a.yaml")
        assert time.process_time() - began < 10


def test_one_alert_with_many_runbooks_asks_few() -> None:
    one = load(HEAD + PROBE)
    line = 'alertname="X", service="s{}"'
    fields = {name: getattr(one, name) for name in one.__slots__}
    many = [
        Runbook(**{**fields, "name": f"r{n}", "matchers": (matchers.parse(line.format(n)),)})
        for n in range(2000)
    ]
    found = Index(many).candidates({"alertname": "X", "service": "s7"})
    assert [runbook.name for runbook in found] == ["r7"]
