"""Proves each rule at its edge: what is said, and above all what is not, where it is not sure. That
each code is said at all, the examples of docs/findings.md prove."""

import pytest

from remediator.model import matchers
from remediator.runbook.lint import known
from tests.runbook.lint.linting import codes, runbook, said

LOOK = "  - {id: look, action: http.check, with: {url: 'http://x'}}"
GO = "    action: kubernetes.rollout_restart\n    with: {namespace: shop, deployment: api}"


def steps(*lines: str) -> str:
    return "steps:\n" + "\n".join(lines)


# -------------------------------------------------------------------------- what lines tell


def line(text: str) -> known.Line:
    return matchers.parse(text)


@pytest.mark.parametrize(
    ("text", "few"),
    [
        ('a="x"', {"x"}),
        ('a=~"x|y"', {"x", "y"}),
        ('a=~"x|y", a!="y"', {"x"}),
        ('a=~"x|y", a!~"y.*"', {"x"}),
        ('a=~"x.*"', None),
        ('b="x"', None),
        ('a=""', {""}),
        ('a="x", a="y"', set()),
        ('a="", a!=""', set()),
    ],
)
def test_values_that_a_label_may_have(text: str, few: set[str] | None) -> None:
    assert known.values(line(text), "a") == few


@pytest.mark.parametrize(
    ("narrow", "wide", "covered"),
    [
        ('a="x", b="y"', 'a="x"', True),
        ('a="x"', 'a="x", b="y"', False),
        ('a="x"', 'a=~"x|y"', True),
        ('a=~"x|y"', 'a="x"', False),
        ('a=~"x|y"', 'a=~"[xyz]"', True),
        ('a="x"', 'a!=""', True),
        ('a=~"x.+"', 'a!=""', True),
        ('a=~"x.*"', 'a=~".+"', True),
        ('a=~".*"', 'a=~".+"', False),
        ('a!="x"', 'a!=""', False),
        ('a!="x"', 'a!="x"', True),
        ('a=~"x.*"', 'a=~"x.*"', True),
        ('a=~"x.*"', 'a=~"x.+"', False),
        ('b="x"', 'a=~".*"', True),
        ('b="x"', 'a=""', False),
        ('a!~"x.*"', 'a!="xy"', True),
        ('a!~"x.*"', 'a!="y"', False),
    ],
)
def test_lines_that_cover_others(narrow: str, wide: str, covered: bool) -> None:
    assert known.covers(line(wide), line(narrow)) is covered


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ('a="x"', 'a="y"', True),
        ('a="x"', 'a!="x"', True),
        ('a=~"x.*"', 'a!~"x.*"', True),
        ('a=~"x|y"', 'a=~"y|z"', False),
        ('a=~"x.*"', 'a=~"y.*"', False),
        ('a="xy"', 'a=~"y.*"', True),
        ('a="x"', 'b="y"', False),
    ],
)
def test_lines_that_no_alert_passes_both_of(one: str, other: str, apart: bool) -> None:
    assert known.exclude(line(one), line(other)) is apart
    assert known.exclude(line(other), line(one)) is apart


# ------------------------------------------------------------------------------- conditions


@pytest.mark.parametrize(
    ("match", "condition", "expected"),
    [
        ('alertname="X", tier="web"', 'labels.tier == "db"', ["never-starts"]),
        ('alertname="X", tier=~"web|db"', 'labels.tier == "db"', []),
        ('alertname="X", tier=~"web|db"', 'labels["tier"] in ["web", "db", "x"]', ["always-true"]),
        ('alertname="X"', 'labels.tier == "db"', []),
        ('alertname="X", tier="web"', 'labels.tier == "db" || labels.other == "x"', []),
        ('alertname="X", tier="web"', "alert.annotations.x == labels.tier", []),
        ('alertname="X"', "1 == 2", ["never-starts"]),
        ('alertname="X", tier=""', "has(labels.tier)", ["never-starts"]),
        ('alertname="X", tier="a"', "labels.all(k, k != 'x') || labels.tier == 'b'", []),
        ('alertname="X", tier="a"', "now.getHours() > 8 && labels.tier == 'b'", []),
    ],
)
def test_conditions_that_are_certain(match: str, condition: str, expected: list[str]) -> None:
    quoted = condition.replace("'", "''")
    assert codes(runbook(f"match: ['{match}']", f"if: '{quoted}'")) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("steps.look.ok", ["always-true"]),
        ("!steps.look.ok", ["unreachable-step"]),
        ("steps.look.ok && has(labels.x)", []),
        ("vars.tier == 'x'", ["unreachable-step"]),
    ],
)
def test_conditions_on_probes_and_variables(condition: str, expected: list[str]) -> None:
    source = runbook(
        "vars: {tier: \"${{ 'a' + 'b' }}\"}",
        steps(LOOK, f'  - id: go\n    if: "{condition}"\n{GO}'),
        "docs: uses vars.tier",
    )
    assert codes(source) == expected


def test_a_probe_with_a_condition_is_no_gate() -> None:
    source = runbook(
        steps(
            "  - {id: look, if: has(labels.x), action: http.check, with: {url: 'http://x'}}",
            f'  - id: go\n    if: "!steps.look.ok"\n{GO}',
        )
    )
    assert codes(source) == []


def test_a_probe_behind_a_change_is_no_gate() -> None:
    source = runbook(
        steps(f"  - id: go\n{GO}", LOOK, f'  - id: again\n    if: "!steps.look.ok"\n{GO}')
    )
    assert codes(source) == []


@pytest.mark.parametrize(
    ("query", "expect", "holds"),
    [
        ("up == 0", "value > 0", False),
        ("up == 0", "value == 0", True),
        ("up == 0", "not empty", True),
        ("x > 5", "value > 9", True),
        ("x > 5", "value < 5", False),
        ("x > 5", "value <= 5.5", True),
        ("x >= 5", "value <= 5", True),
        ("x == bool 5", "value > 0", True),
        ("a or b == 0", "value > 0", True),
        ("sum(x == 0)", "value > 0", True),
        ('x{a="${{ labels.a }}"} == 0', "value > 0", False),
        ("x == ${{ labels.a }}", "value > 0", True),
    ],
)
def test_what_a_query_lets_through(query: str, expect: str, holds: bool) -> None:
    probe = f"  - {{id: q, action: prometheus.query, with: {{query: '{query}', expect: {expect}}}}}"
    found = codes(runbook(steps(probe, f"  - id: go\n{GO}")))
    assert found == ([] if holds else ["probe-never-holds"])


# --------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ('[/bin/sh, -c, "echo ${{ labels.x }}"]', ["templated-script"]),
        ('[/bin/sh, -c, "echo $1", sh, "${{ labels.x }}"]', []),
        ('[/bin/sh, -ec, "echo ${{ labels.x }}"]', ["templated-script"]),
        ('[/usr/bin/python3, -c, "print(${{ labels.x }})"]', ["templated-script"]),
        ('[/usr/bin/python3, /opt/x.py, "${{ labels.x }}"]', []),
        ('[/usr/bin/env, A=1, bash, -c, "echo ${{ labels.x }}"]', ["templated-script"]),
        ('[/usr/bin/ssh, host, "restart ${{ labels.x }}"]', ["templated-script"]),
        ('[/usr/bin/awk, "/${{ labels.x }}/ {print}", /etc/x]', ["templated-script"]),
        ('["${{ labels.x }}"]', ["templated-program"]),
        ('[/usr/bin/kubectl, delete, pod, "${{ labels.pod }}"]', ["templated-option"]),
        ('[/usr/bin/kubectl, delete, pod, --, "${{ labels.pod }}"]', []),
        ('[/usr/bin/kubectl, logs, -n, "${{ labels.ns }}", -l, "${{ labels.x }}"]', []),
        ('[/usr/bin/kubectl, logs, "pod/${{ labels.pod }}"]', []),
        ('[/opt/own-tool, "${{ labels.pod }}"]', []),
    ],
)
def test_templates_in_commands(command: str, expected: list[str]) -> None:
    step = (
        "  - id: run\n    action: exec\n    with:\n      plan_text: x\n      undo: [/bin/true]\n"
        f"      command: {command}"
    )
    assert codes(runbook(steps(step))) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("labels.x", ["templated-script"]), ("params.x", []), ("1 + 1", [])],
)
def test_what_the_author_wrote_is_no_word_of_the_alert(value: str, expected: list[str]) -> None:
    step = (
        "  - id: run\n    action: exec\n    with:\n      plan_text: x\n      undo: [/bin/true]\n"
        '      command: [/bin/sh, -c, "echo ${{ vars.v }}${{ params.x }}"]'
    )
    given = ("parameters: {x: {default: y}}", f"vars: {{v: '${{{{ {value} }}}}'}}")
    assert codes(runbook(steps(step), *given)) == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ('alertname="A"', 'alertname="B"', []),
        ('alertname="A"', 'alertname="A"', ["shadowed"]),
        ('alertname="A", x="1"', 'alertname="A", x="2"', []),
        ('alertname="A", x="1"', 'alertname="A", y="2"', ["overlap"]),
        ('alertname=~"A|B"', 'alertname="A"', ["shadowed"]),
        ('alertname=~"A.*"', 'alertname="AB"', ["shadowed"]),
        ('alertname=~"A.*"', 'alertname=~".*B"', []),
        ('severity="critical"', 'alertname="A"', ["overlap"]),
        ('severity="critical"', 'alertname="A", severity="critical"', ["shadowed"]),
        ('severity="critical"', 'severity="warning"', []),
    ],
)
def test_two_runbooks_and_one_alert(first: str, second: str, expected: list[str]) -> None:
    one = runbook(f"match: ['{first}']", name="one")
    other = runbook(f"match: ['{second}']", name="other")
    assert codes(one, other) == expected
    assert len(codes(other, one)) == len(expected)


def test_a_narrower_condition_shadows_nothing() -> None:
    one = runbook("if: has(labels.x)", name="one")
    assert codes(one, runbook(name="other")) == ["shadowed"], "the first is the narrower one"
    assert codes(one, runbook("if: has(labels.x)", name="other")) == ["shadowed"]
    assert codes(one, runbook("if: has(labels.y)", name="other")) == ["overlap"]


def test_probes_alone_may_overlap_and_need_no_verify() -> None:
    look = f"steps:\n{LOOK}"
    assert codes(runbook(look, name="a"), runbook(look, "verify: null", name="b")) == []


@pytest.mark.parametrize(
    ("by", "bound", "expected"),
    [
        ("+2", "max: 9", []),
        ("+2", "min: 1", ["unbounded-scale"]),
        ("-2", "max: 9", ["unbounded-scale"]),
        ("-2", "min: 1", []),
        ("-50%", "min: 1", []),
        ('"${{ labels.by }}"', "max: 9", []),
    ],
)
def test_a_bound_in_the_direction_of_the_step(by: str, bound: str, expected: list[str]) -> None:
    given = f"namespace: s, deployment: d, by: {by}, {bound}"
    step = f"  - {{id: s, action: kubernetes.scale, with: {{{given}}}}}"
    assert codes(runbook(steps(step))) == expected


@pytest.mark.parametrize(
    ("cooldown", "expected"), [("15m", []), ("14m59s", ["short-cooldown"]), ("1h", [])]
)
def test_a_cooldown_is_as_long_as_the_run(cooldown: str, expected: list[str]) -> None:
    # One change of five minutes, and ten to verify.
    assert codes(runbook(f"guardrails: {{cooldown: {cooldown}}}")) == expected


def test_findings_name_the_runbook_and_stand_where_they_belong() -> None:
    (found,) = said(runbook("on_failure:", "  undo: false"))
    assert found.message.startswith("example: ")
    lines = runbook("on_failure:", "  undo: false").splitlines()
    assert lines[found.line - 1][found.column - 1 :] == "undo: false"
    assert found.end == (found.line, found.column + len("undo"))
