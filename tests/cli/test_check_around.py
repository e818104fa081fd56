"""Proves what `check` knows from around the runbooks: settings that `serve` would refuse, the
policy, Prometheus's rules, the last incidents, and files beside those that were named."""

from pathlib import Path

import pytest

from remediator.cli import checking
from remediator.plugin import registry as plugins
from remediator.runbook.findings import Finding
from tests.cli.commands import Box, done, remediator, serve_refused, serving
from tests.runbook.lint.linting import runbook

REGISTRY = plugins.load(third_party=False)
RESTART = """\
steps:
  - id: restart
    action: kubernetes.rollout_restart
    with: {namespace: "${{ labels.namespace }}", deployment: "${{ labels.deployment }}"}
"""


def found(folder: Path, *, rules: str = "", journal: str = "", **files: str) -> list[Finding]:
    """Write files into a folder and check it; `policy`, `settings` and others by their names."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    outside = folder.parent / "rules.yaml"
    outside.write_text(rules)
    wanted = checking.Wanted([folder], [], [outside] if rules else [], journal)
    return list(checking.check(wanted, REGISTRY).findings)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "all"
    made.mkdir()
    return made


# -------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("listen: x", "1:"),
        ("listen: 127.0.0.1:99999", "1:"),
        ("listen: 0.0.0.0:9095", "1:"),
        ("journal: mysql://db/remediator", ""),
        ("journal: sqlite://relative.db", ""),
        ("escalate_to: pagerduty", ""),
        ("groups: {sre: [nobody-there]}", ""),
        ("tls: {cert_file: none.pem, key_file: none.key}", ""),
        ("policy_file: none.yaml", ""),
    ],
)
def test_what_serve_refuses_check_finds(line: str, place: str, fresh: Box) -> None:
    config = Path(fresh.config)
    key = line.partition(":")[0]
    dropped = {key, "policy"} if key == "policy_file" else {key}
    lines, kept = config.read_text().splitlines(), True
    text = [line]
    for one in lines:
        if not one.startswith(" "):
            kept = one.partition(":")[0] not in dropped
        if kept:
            text.append(one)
    config.write_text("\n".join(text) + "\n")
    assert serve_refused(fresh)
    checked = remediator("check", fresh.config)
    assert checked.returncode == 1, checked.stdout
    file = config if key != "policy_file" else "none.yaml"
    assert any(one.startswith(f"{file}:{place}") for one in checked.stdout.splitlines())


def test_a_program_that_nothing_could_start_is_found(folder: Path) -> None:
    (one,) = found(folder, settings="listen: 127.0.0.1:0\nexec:\n  allow: [/bin/ls, ls]\n")
    assert (one.line, one.column) == (3, 20)
    assert "'ls' is no absolute path" in one.message


def test_good_settings_are_clean(fresh: Box) -> None:
    assert remediator("check", fresh.config).stdout == "1 file, 0 runbooks: clean\n"


# ---------------------------------------------------------------------------------- policy


def of_policy(folder: Path, policy: str, *lines: str) -> list[str]:
    return [
        one.message.removeprefix("example: ")
        for one in found(folder, policy=policy, example=runbook(*lines))
        if one.code.startswith("policy-")
    ]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("mode: observe\ncooldown: 5m", ["the policy lets it only observe"]),
        ("scope: {scopes: [pay]}", ["scope 'shop' is not among those"]),
        ("scope: {kinds: [Pod]}", ["kind 'Deployment' is not among those"]),
        ("protected: {scopes: [shop]}", ["scope 'shop' is protected"]),
        ("protected: {names: [ap*]}", ["name 'api' is protected"]),
        ("rules: [{name: r, match: 'scope=\"shop\"', refuse: no}]", ["rule r refuses every plan"]),
        ("rules: [{name: r, match: 'alertname=\"Example\"', refuse: no}]", ["rule r refuses"]),
        ("rules: [{name: r, match: 'alert_label_alertname=~\".+\"', refuse: no}]", ["rule r"]),
        ("rules: [{name: r, match: 'action=~\"kubernetes.*\"', mode: observe}]", ["rule r of"]),
        ("max_impact: {pods: 0}", ["the policy allows no change that touches a pod"]),
        ("refuse: not this week\ncooldown: 5m", ["the policy refuses every change"]),
        ("scope: {scopes: [sh*]}", []),
        ("protected: {scopes: [pay]}", []),
        ("rules: [{name: r, match: 'scope=\"pay\"', refuse: no}]", []),
        ("rules: [{name: r, match: 'severity=\"critical\"', refuse: no}]", []),
        ("rules: [{name: r, match: 'target_label_app=\"api\"', refuse: no}]", []),
        ("rules: [{name: r, match: 'scope!=\"shop\"', refuse: no}]", []),
    ],
)
def test_what_the_policy_always_refuses(policy: str, said: list[str], folder: Path) -> None:
    told = of_policy(folder, policy)
    assert len(told) == len(said)
    assert all(one.startswith(text) for one, text in zip(told, said, strict=True)), told


@pytest.mark.parametrize(
    ("match", "refused"),
    [
        ('alertname="Example", namespace="shop"', True),
        ('alertname="Example", namespace=~"shop|pay"', True),
        ('alertname="Example", namespace=~"shop|web"', False),
        ('alertname="Example"', False),
    ],
)
def test_a_namespace_from_a_label_is_what_the_matchers_leave(
    match: str, refused: bool, folder: Path
) -> None:
    lines = (f"match: ['{match}']", "vars: {ns: '${{ labels.namespace }}'}", RESTART.replace(
        "labels.namespace", "vars.ns"))  # fmt: skip
    told = of_policy(folder, "protected: {scopes: [shop, pay]}", *lines)
    assert bool(told) is refused


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ("to: 30", True),
        ("by: +2, min: 30, max: 40", True),
        ("by: +2, max: 30", False),
        ("to: 9", False),
    ],
)
def test_replicas_beyond_the_bounds(given: str, refused: bool, folder: Path) -> None:
    step = f"{{id: s, action: kubernetes.scale, with: {{namespace: s, deployment: d, {given}}}}}"
    assert bool(of_policy(folder, "bounds: {max_replicas: 20}", f"steps: [{step}]")) is refused


def test_a_step_with_a_condition_may_be_meant_for_what_is_allowed(folder: Path) -> None:
    step = RESTART.replace("    action", "    if: has(labels.x)\n    action")
    line = step.replace('"${{ labels.namespace }}"', "pay")
    assert of_policy(folder, "protected: {scopes: [pay]}", line) == []


def test_caps_that_the_policy_lowers_are_told(folder: Path) -> None:
    (told,) = of_policy(folder, "max_impact: {pods: 5}", "guardrails: {max_impact: {pods: 9}}")
    assert told == "the policy allows 5, so pods: 9 is not used up"


def test_of_two_policies_none_is_held_against_runbooks(folder: Path) -> None:
    messages = found(
        folder, a="mode: observe\ncooldown: 5m", b="mode: auto\ncooldown: 5m", c=runbook()
    )
    assert messages == []


# ---------------------------------------------------------------------------------- labels

RULE = """\
groups:
  - name: g
    rules:
      - alert: Example
        expr: {expr}
        labels: {{severity: critical}}
"""


@pytest.mark.parametrize(
    ("expr", "unknown"),
    [
        ("sum by (namespace) (x) > 0", ["deployment"]),
        ("sum by (namespace, deployment) (x) > 0", []),
        ("x > 0", []),
        ("sum(x) > 0", ["namespace", "deployment"]),
        ('absent(x{namespace="a"})', ["deployment"]),
        ("sum by (namespace) (x) * on (namespace) group_left (deployment) y > 0", []),
        ('label_replace(sum by (namespace) (x), "deployment", "a", "", "") > 0', []),
    ],
)
def test_labels_that_a_rule_can_not_have(expr: str, unknown: list[str], folder: Path) -> None:
    said = found(folder, rules=RULE.format(expr=expr), example=runbook(RESTART))
    assert [one.message.split()[1] for one in said] == [f"labels.{name}:" for name in unknown]
    assert all(one.code == "unknown-label" for one in said)


def test_a_label_that_is_asked_for_with_care_may_be_missing(folder: Path) -> None:
    given = runbook(
        "if: has(labels.tier) && labels.tier == 'web' && labels[?\"x\"].orValue('') == ''"
    )
    assert found(folder, rules=RULE.format(expr="sum(x) > 0"), example=given) == []


def test_a_rule_that_starts_another_runbook_says_nothing_here(folder: Path) -> None:
    rules = RULE.format(expr="sum(x) > 0")
    given = runbook(RESTART, "match: ['alertname=\"Other\"']")
    (one,) = found(folder, rules=rules, example=given)
    assert one.code == "no-such-alert"
    severe = runbook(RESTART, 'match: [\'alertname="Example", severity="warning"\']')
    (one,) = found(folder, rules=rules, example=severe)
    assert one.code == "no-such-alert"


def test_the_place_of_a_label_and_the_nearest_one(folder: Path) -> None:
    text = runbook(RESTART.replace("labels.deployment", "labels.deploiment"))
    (one,) = found(folder, rules=RULE.format(expr="x by (namespace, deployment)".replace(
        "x by", "sum by") + " (x) > 0"), example=text)  # fmt: skip
    assert one.hint == 'did you mean "deployment"?'
    line = text.splitlines()[one.line - 1]
    assert line[one.column - 1 :].startswith("deploiment")


def test_a_prometheus_rule_among_the_files_counts(folder: Path) -> None:
    manifest = (
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: a}\nspec:\n  "
        + RULE.format(expr="sum(x) > 0").replace("\n", "\n  ")
    )
    said = found(folder, alerts=manifest, example=runbook(RESTART))
    assert [one.code for one in said] == ["unknown-label", "unknown-label"]


def test_other_manifests_are_passed_over(folder: Path) -> None:
    assert found(folder, app="apiVersion: apps/v1\nkind: Deployment\n", example=runbook()) == []


def test_what_the_last_incidents_carried(fresh: Box) -> None:
    with serving(fresh):
        fresh.fire("Example", "one")
        fresh.fire("Example", "two")
        fresh.fire("Other", "three")
    config = fresh.config
    file = fresh.folder / "runbooks/example.yaml"
    file.write_text(runbook("vars: {item: '${{ labels.item }}', nix: '${{ labels.items }}'}",
                            "if: has(labels.tier)"))  # fmt: skip
    checked = remediator("check", str(file), "--config", config, "-o", "json")
    assert "the last 2 incidents carried alertname, item" in checked.stdout
    assert 'did you mean \\"item\\"?' in checked.stdout
    assert "labels.tier" not in checked.stdout
    url = f"sqlite:///{fresh.folder}/journal.db"
    assert "unknown-label" in remediator("check", str(file), "--journal", url).stdout
    gone = remediator("check", str(file), "--journal", f"sqlite:///{fresh.folder}/none.db")
    assert gone.returncode == 1
    assert gone.stderr.startswith("remediator: ")
    assert "unknown-label" not in remediator("check", str(file)).stdout
    assert done(fresh.cli("audit", "verify", "--config", config)), "reading changed nothing"


# --------------------------------------------------------------------------- files and reuse


def test_a_runbook_that_is_named_alone_finds_what_it_uses(folder: Path) -> None:
    (folder / "one.yaml").write_text(runbook("steps: [{id: a, use: looks}]"))
    (folder / "two.yaml").write_text(
        "name: looks\ndescription: d\nsteps: [{id: a, if: '${{ true }}', action: exec, "
        "with: {command: [/bin/sh, -c, 'echo ${{ labels.x }}'], plan_text: x, undo: [/bin/true]}}]"
    )
    checked = checking.check(checking.Wanted([folder / "one.yaml"]), REGISTRY)
    assert checked.runbooks == 1
    said = {one.code: one for one in checked.findings}
    assert "unknown-use" not in said
    assert said["templated-script"].file == str(folder / "two.yaml")


def test_one_bad_file_keeps_no_other_from_being_looked_at(folder: Path) -> None:
    said = found(
        folder, bad="name: [", worse="steps: x", example=runbook("on_failure: {undo: false}")
    )
    assert {one.code for one in said} >= {"yaml", "no-undo"}


def test_a_lane_is_told_of_once(folder: Path) -> None:
    step = (
        "steps: [{id: a, for_each: [x, y, z], action: exec, with: {plan_text: p, "
        "command: [/bin/sh, -c, 'echo ${{ each.value }}']}}]"
    )
    said = [one.code for one in found(folder, example=runbook(step))]
    assert sorted(said) == ["no-way-back", "templated-script"]


def test_a_manifest_gets_no_modeline_of_a_file(folder: Path) -> None:
    schema = folder.parent / "config/runbook.schema.json"
    schema.parent.mkdir()
    schema.write_text("{}")
    body = runbook("description: d").replace("name: example\n", "").replace("\n", "\n  ")
    head = (
        "apiVersion: remediator.dev/v1alpha1\nkind: Runbook\nmetadata: {name: a, namespace: shop}\n"
    )
    assert found(folder, a=f"{head}spec:\n  {body}") == []
    (told,) = found(folder, b=runbook(name="b", steps="steps: [{id: a, action: http.check, "
                                      "with: {url: 'http://x'}}]\n"))  # fmt: skip
    assert told.code == "no-modeline"


def test_a_comment_holds_where_the_fragment_is_only_used(tmp_path: Path) -> None:
    fragment = """\
name: {name}
description: Remove a lock.
steps:
  - id: clear
    action: exec
    # remediator: ignore no-way-back the lock is made anew
    with: {{command: [/bin/rm, -f, /tmp/lock], plan_text: remove the lock}}
"""
    both = fragment.format(name="clears") + "---\n" + fragment.format(name="nobody-uses-it")
    (tmp_path / "fragments.yaml").write_text(both)
    book = tmp_path / "one.yaml"
    book.write_text(runbook("steps: [{id: a, use: clears}]"))
    alone = checking.check(checking.Wanted([book]), REGISTRY)
    assert alone.findings == [], "nor is it said that the other comment silences nothing"
    assert [one.finding.code for one in alone.silenced] == ["no-way-back"]


def test_a_file_that_is_named_twice_is_looked_at_once(folder: Path) -> None:
    book, test = folder / "one.yaml", folder / "one.test.yaml"
    book.write_text(runbook())
    test.write_text("tests: [{name: quiet, timeline: [], expect: [{at: 1m, runs: []}]}]")
    paths = [folder, book, test, folder / ".." / folder.name / "one.yaml"]
    checked = checking.check(checking.Wanted(paths), REGISTRY)
    assert (checked.findings, checked.files, checked.runbooks) == ([], 2, 1)
