"""Every fault of a runbook is found at once, with file, line, column and the nearest right name;
whatever text comes, nothing but `RunbookErrors` gets out."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.plugin import registry as plugins
from remediator.plugin.registry import Registry
from remediator.runbook.compile import compile_file
from remediator.runbook.findings import RunbookErrors

HEAD = """\
name: api-latency
description: A runbook.
match: ['alertname="X"']
"""


def errors(source: str, registry: Registry) -> list[str]:
    with pytest.raises(RunbookErrors) as caught:
        compile_file(textwrap.dedent(source), "a.yaml", registry)
    return [str(finding) for finding in caught.value.findings]


def test_unknown_and_missing_keys(registry: Registry) -> None:
    source = 'name: api\ndescripton: x\nmatch: alertname="X"\n'
    assert errors(source, registry) == [
        'a.yaml:1:1: error: the key "description" is missing [missing-key]',
        'a.yaml:1:1: error: the key "steps" is missing [missing-key]',
        'a.yaml:2:1: error: unknown key "descripton"; did you mean "description"? [unknown-key]',
        "a.yaml:3:8: error: match: it should be a list [invalid]",
    ]


def test_limits_are_checked_where_they_stand(registry: Registry) -> None:
    source = HEAD + "guardrails: {cooldwn: 5m, rate: [3/1x]}\nsteps: [{id: a, action: exec}]\n"
    assert errors(source, registry) == [
        'a.yaml:4:14: error: unknown key "cooldwn"; did you mean "cooldown"? [unknown-key]',
        "a.yaml:4:34: error: guardrails.rate.0: '1x' is no duration; "
        "write a number and a unit, like 90s, 15m or 1h30m [invalid]",
    ]


def test_matchers_expressions_and_parameters(registry: Registry) -> None:
    source = """\
        name: api-latency
        description: A runbook.
        match:
          - alertname="X", severity~"y"
          - alertname=~"(a"
        if: labls.namespace == "shop"
        vars:
          d: ${{ labels.deployment }}
        steps:
          - id: one
            action: kubernetes.scal
          - id: two
            action: kubernetes.scale
            with: {namespce: shop, deployment: "${{ vars.dd }}", max: "${{ labels.max }}"}
          - id: three
            if: steps.four.ok
            action: http.check
            with: {url: "http://x/${{ alert.nme }}"}
          - id: three
            if: labels.x + "a"
            action: http.check
            with: {url: 5}
          - id: five
            action: kubernetes.scale
            with: {namespace: Shop!, deployment: a, to: -4}
          - id: six
            action: kubernetes.scale
            with: {namespace: shop, deployment: a, to: "${{ 1 +"}
        """
    assert errors(source, registry) == [
        "a.yaml:4:28: error: matcher: expected =, !=, =~ or !~ after the label name [matcher]",
        "a.yaml:5:16: error: matcher: no regular expression (RE2): missing ): (a [matcher]",
        'a.yaml:6:5: error: unknown name "labls.namespace"; '
        'did you mean "labels.namespace"? [expression]',
        'a.yaml:11:13: error: unknown action "kubernetes.scal"; '
        'did you mean "kubernetes.scale"? [unknown-action]',
        'a.yaml:14:11: error: kubernetes.scale needs the parameter "namespace" [missing-parameter]',
        'a.yaml:14:12: error: kubernetes.scale has no parameter "namespce"; '
        'did you mean "namespace"? [unknown-parameter]',
        'a.yaml:14:45: error: unknown name "vars.dd"; did you mean "vars.d"? [expression]',
        "a.yaml:14:64: error: max needs a whole number; the expression is text; "
        "convert it, as in int(labels.count) [expression-type]",
        'a.yaml:16:9: error: unknown name "steps.four.ok"; '
        'did you mean "steps.two.ok"? [expression]',
        'a.yaml:18:31: error: unknown name "alert.nme"; did you mean "alert.labels"? [expression]',
        'a.yaml:19:9: error: two steps are called "three" [duplicate-step]',
        "a.yaml:20:9: error: a condition must be true or false; this is text [expression-type]",
        "a.yaml:22:17: error: url: it should be text [invalid-parameter]",
        "a.yaml:25:23: error: namespace: 'Shop!' is no namespace: lower case letters, digits and "
        "- only [invalid-parameter]",
        "a.yaml:25:49: error: to: it should be greater than or equal to 0 [invalid-parameter]",
        'a.yaml:28:49: error: "${{" is not closed by "}}" [expression]',
    ]


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("a: [1", "a.yaml:1:6: error: expected ',' or ']', but got '<stream end>' [yaml]"),
        ("a: 1\na: 2\n", 'a.yaml:2:1: error: the key "a" stands here twice [duplicate-key]'),
        ("- a\n", "a.yaml:1:1: error: a runbook is a mapping of keys [structure]"),
        ("? [a]\n: b\n", "a.yaml:1:3: error: a key must be a word [yaml]"),
        ("a: !!python/object:os.system x\n", "is not known [yaml]"),
        ("x: " + "[" * 60 + "]" * 60, "nested too deeply [too-large]"),
        ("# " + "x" * 1024 * 1024, "the file is larger than 1 MiB [too-large]"),
    ],
)
def test_what_is_no_yaml_of_ours(source: str, error: str, registry: Registry) -> None:
    assert error in errors(source, registry)[0]


def test_aliases_can_not_exhaust_memory(registry: Registry) -> None:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "too many values" in errors("\n".join(lines), registry)[0]


def test_verify_needs_a_probe_and_one_form(registry: Registry) -> None:
    step = "steps: [{id: a, action: http.check, with: {url: 'http://x'}}]\n"
    both = HEAD + step + "verify: {resolved_within: 1m, action: http.check}\n"
    assert "one of the two" in errors(both, registry)[0]
    action = HEAD + step + "verify: {action: exec, within: 1m, with: {}}\n"
    assert "verify needs a probe, which only reads [not-a-probe]" in "\n".join(
        errors(action, registry)
    )


@given(st.text(max_size=400))
def test_any_text_loads_or_is_refused_by_name(text: str) -> None:
    try:
        compile_file(text, "a.yaml", _REGISTRY)
    except RunbookErrors as error:
        assert all(finding.line >= 1 and finding.column >= 1 for finding in error.findings)


_LINES = st.sampled_from(
    [
        "name: a",
        "description: ${{ x",
        "match: ['a=\"b\"']",
        "steps: [{id: a, action: exec, with: {command: ['${{ labels.x }}']}}]",
        "verify: {resolved_within: 5m}",
        "vars: {a: ${{ 1/0 }}}",
        "if: '1 +'",
        "mode: ~",
        "approval: []",
        "per: group",
        "- x",
        "wait_for: 1e9d",
    ]
)


@given(st.lists(_LINES, max_size=8))
def test_any_mixture_of_lines_loads_or_is_refused_by_name(lines: list[str]) -> None:
    try:
        compile_file("\n".join(lines), "a.yaml", _REGISTRY)
    except RunbookErrors as error:
        assert error.findings


_REGISTRY = plugins.load(third_party=False)


NS = '"${{ labels.namespace }}"'


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (f"namespace: {NS}, to: 5", "exactly one of deployment, statefulset"),
        (f"namespace: {NS}, deployment: api, statefulset: db, to: 5", "exactly one of"),
        (f"namespace: {NS}, deployment: api, to: 1, by: 1", "to"),
        (f"namespace: {NS}, deployment: api, by: 1, min: 9, max: 3", "min"),
    ],
)
def test_what_parameters_are_together_is_checked_beside_an_expression(
    registry: Registry, given: str, message: str
) -> None:
    source = HEAD + f"steps: [{{id: a, action: kubernetes.scale, with: {{{given}}}}}]\n"
    (found,) = errors(source, registry)
    assert message in found
    assert "[invalid-parameter]" in found


@pytest.mark.parametrize(
    "given",
    [
        f"namespace: {NS}, deployment: {NS}, by: +50%, max: 20",
        f'namespace: {NS}, deployment: api, to: "${{{{ int(labels.n) }}}}", max: 3',
        f'namespace: {NS}, deployment: api, by: 1, min: "${{{{ int(labels.n) }}}}", max: 3',
    ],
)
def test_what_may_be_right_is_not_refused(registry: Registry, given: str) -> None:
    source = HEAD + f"steps: [{{id: a, action: kubernetes.scale, with: {{{given}}}}}]\n"
    assert compile_file(source, "a.yaml", registry)


def test_a_fault_inside_a_step_is_told_once(registry: Registry) -> None:
    (found,) = errors(HEAD + "steps: [{id: a, acton: http.check}]\n", registry)[:1]
    assert "too_short" not in found
    told = errors(HEAD + "steps: [{id: a, acton: http.check}]\n", registry)
    assert not any("at least 1 item" in one for one in told)


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ('query: |\n        up{a="b"}\n        + ${{ labls.x }}\n', "10:15"),
        ('query: >-\n        up{a="b"}\n        + ${{ labls.x }}\n', "10:15"),
        ("query: up\n        + ${{ labls.x }}\n", "9:15"),
        ('query: "up\n        + ${{ labls.x }}"\n', "9:15"),
        ('query: "up + ${{ labls.x }}"\n', "8:24"),
        ("query: 'up{a=\"b\"} + ${{ labls.x }}'\n", "8:31"),
    ],
)
def test_a_fault_is_found_inside_a_text_of_several_lines(
    registry: Registry, query: str, place: str
) -> None:
    source = HEAD + f"steps:\n  - id: a\n    action: prometheus.query\n    with:\n      {query}"
    (found,) = errors(source, registry)
    assert found.startswith(f"a.yaml:{place}: error: unknown name "), found


@pytest.mark.parametrize(
    ("action", "given", "place", "message"),
    [
        ("exec", 'command: "${{ labels.x }}", plan_text: p', "command", "needs a list"),
        ("exec", 'command: [/bin/true, "${{ 5 }}"], plan_text: p', "1", "needs text"),
        ("http.check", 'url: "http://x", headers: {A: "${{ 5 }}"}', "A", "needs text"),
        ("alertmanager.firing", 'labels: {a: b}, expect: "${{ true }}"', "expect", "needs text"),
    ],
)
def test_expressions_inside_lists_maps_and_choices_have_the_type(
    registry: Registry, action: str, given: str, place: str, message: str
) -> None:
    source = HEAD + f"steps: [{{id: a, action: {action}, with: {{{given}}}}}]\n"
    (found,) = errors(source, registry)
    assert f"{place} {message}" in found
    assert "[expression-type]" in found
