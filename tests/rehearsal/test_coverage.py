"""Coverage counts what tests have shown of a runbook, and says what is missing."""

from remediator.rehearsal import suite
from tests.rehearsal.stage import REGISTRY, SHOP, WORLD, Stage

LADDER = """\
name: shop
description: Restart, then page.
match: ['alertname="ShopDown"']
if: has(labels.shop)
mode: auto
steps:
  - id: restart
    action: exec
    with:
      command: [/bin/shopctl, restart]
      plan_text: restart the shop
      check: [/bin/shopctl, restarted]
      undo: [/bin/shopctl, back]
  - id: again
    if: alert.firing
    action: exec
    with: {command: [/bin/shopctl, restart, hard], plan_text: restart it hard}
verify: {resolved_within: 5m}
"""
CHECKED = """\
world:
  exec:
    - {command: [/bin/shopctl, restarted], exit: 1}
    - command: [/bin/shopctl, restart]
      then: {exec: [{command: [/bin/shopctl, restarted], exit: 0}]}
    - command: [/bin/shopctl, back]
      then: {exec: [{command: [/bin/shopctl, restarted], exit: 1}]}
    - {command: [/bin/shopctl, restart, hard]}
"""
HELPS = """
  - name: it helps
    timeline:
      - {firing: {alertname: ShopDown, shop: a}}
      - {at: 2m, resolved: {alertname: ShopDown}}
    expect: [{at: 10m, runs: [{state: succeeded}]}]
"""
DOES_NOT = """
  - name: it does not help
    timeline: [{firing: {alertname: ShopDown, shop: a}}]
    expect: [{at: 1h, runs: [{state: rolled_back}]}]
"""
NOT_FOR_IT = """
  - name: it is not for it
    timeline: [{firing: {alertname: ShopDown}}]
    expect: [{at: 10m, runs: []}]
"""


def test_what_one_test_leaves_out_is_missing(stage: Stage) -> None:
    outcome = stage.play(f"tests:{HELPS}", runbook=LADDER, world=CHECKED)
    (found,) = outcome.coverage
    assert outcome.well
    assert [str(goal) for goal in found.missing] == [
        "if: false",
        "restart: taken back",
        "again: if is true",
        "again: planned",
        "again: applied",
        "verify: it did not help",
    ]
    assert (found.reached, len(found.goals), found.tests) == (5, 11, 1)


def test_tests_add_up(stage: Stage) -> None:
    outcome = stage.play(f"tests:{HELPS}{DOES_NOT}{NOT_FOR_IT}", runbook=LADDER, world=CHECKED)
    assert outcome.well
    (found,) = outcome.coverage
    assert found.missing == ()
    assert found.percent == 100
    assert found.ends == ("rolled_back", "succeeded")


def test_a_probe_is_to_be_met_and_not_met(stage: Stage) -> None:
    outcome = stage.play("tests: [{name: a, expect: [{at: 1m, runs: []}]}]")
    (found,) = outcome.coverage
    assert [str(goal) for goal in found.missing if goal.part == "look"] == [
        "look: its expectation is met",
        "look: its expectation is not met",
    ]
    assert found.percent == 0


def test_a_runbook_without_a_test_has_none(stage: Stage) -> None:
    stage.write("other.yaml", SHOP.replace("name: shop", "name: other"))
    stage.write("shop.yaml", SHOP)
    stage.write("shop.test.yaml", WORLD + "tests: [{name: a, expect: [{at: 1m, runs: []}]}]")
    outcome = suite.run([stage.folder], REGISTRY)
    assert outcome.well
    assert [path.name for path in outcome.untested] == ["other.yaml"]
    assert [(one.runbook, one.tests, one.percent) for one in outcome.coverage] == [
        ("other", 0, 0.0),
        ("shop", 1, 0.0),
    ]


def test_what_is_no_runbook_is_passed_over_in_a_folder(stage: Stage) -> None:
    stage.write("shop.yaml", SHOP)
    stage.write("shop.test.yaml", WORLD + "tests: [{name: a, expect: [{at: 1m, runs: []}]}]")
    stage.write("values.yaml", "replicas: 3\n")
    chart = stage.write("chart.yaml", "{{ if .Values.a }}\n")
    assert suite.run([stage.folder], REGISTRY).well
    assert not suite.run([stage.folder, chart], REGISTRY).well
    stage.write("bad.yaml", "name: bad\nsteps: []\n")
    assert [one.file[-8:] for one in suite.run([stage.folder], REGISTRY).findings][:1] == [
        "bad.yaml"
    ]


def test_of_a_runbook_that_only_observes_no_change_is_asked(stage: Stage) -> None:
    observing = LADDER.replace("mode: auto", "mode: observe")
    (found,) = stage.play(f"tests:{NOT_FOR_IT}", runbook=observing, world=CHECKED).coverage
    assert {goal.what for goal in found.goals} == {
        *("true", "false"),
        *("if is true", "if is false", "planned"),
    }


def test_only_chosen_tests_are_played(stage: Stage) -> None:
    stage.write("shop.yaml", LADDER)
    path = stage.write("shop.test.yaml", f"{CHECKED}tests:{HELPS}{DOES_NOT}{NOT_FOR_IT}")
    outcome = suite.run([path], REGISTRY, chosen=["NOT HELP", "is not for"])
    assert [one.case.spec.name for one in outcome.played] == [
        "it does not help",
        "it is not for it",
    ]
    assert outcome.files[0].left_out == 1
