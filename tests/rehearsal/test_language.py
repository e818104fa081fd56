"""Parameters, fragments, lists, outputs and repeats, as tests of runbooks see them."""

from pathlib import Path

from remediator.rehearsal import suite
from tests.rehearsal.stage import REGISTRY, Stage, failed

FRAGMENT = """\
name: bounce
description: Restart one service.
parameters:
  service: {type: string, description: Which.}
steps:
  - id: go
    action: exec
    with:
      command: [/bin/ctl, restart, "${{ params.service }}"]
      plan_text: restart ${{ params.service }}
outputs: {done: "${{ params.service }}"}
"""
RUNBOOK = """\
name: shop
description: Restart services.
match: ['alertname="Down"']
mode: auto
parameters:
  extra: {type: string, default: none, description: One more.}
vars:
  services: ${{ ["a", "b"] }}
steps:
  - id: each
    for_each: ${{ vars.services }}
    use: bounce
    with: {service: "${{ each.value }}"}
  - id: more
    if: params.extra != "none"
    action: exec
    with:
      command: [/bin/ctl, restart, "${{ params.extra }}"]
      plan_text: restart ${{ params.extra }}
outputs: {count: "${{ size(steps.each.result) }}"}
"""
WORLD = "world: {exec: [{command: [ctl, restart, '*'], takes: 10s}]}\n"


def test_a_fragment_is_found_beside_and_a_list_has_its_items(stage: Stage) -> None:
    stage.write("bounce.yaml", FRAGMENT)
    outcome = stage.play(
        """
tests:
  - name: by an alert
    timeline: [{firing: {alertname: Down}}]
    expect:
      - at: 5m
        runs:
          - state: succeeded
            plans: [restart a, restart b]
            steps: {"each[0].go": done, "each[1].go": done, more: skipped}
            outputs: {count: 2}
        exec: [[ctl, restart, a], [ctl, restart, b]]
  - name: by hand
    timeline: [{run: {runbook: shop, params: {extra: c}}}]
    expect: [{at: 5m, runs: [{state: succeeded, plans: [restart a, restart b, restart c]}]}]
  - name: by hand, with what it does not know
    timeline: [{run: {runbook: shop, params: {extro: c}, refused: 'did you mean "extra"'}}]
    expect: [{at: 5m, runs: []}]
""",
        runbook=RUNBOOK,
        world=WORLD,
    )
    assert outcome.well, [failed(played) for played in outcome.played]
    (found,) = outcome.coverage
    assert [goal.part for goal in found.goals] == ["each[].go"] * 2 + ["more"] * 4
    assert found.missing == ()


def test_a_fragment_is_found_below_the_folder_that_was_named(stage: Stage) -> None:
    for folder in ("fragments", "shops"):
        (stage.folder / folder).mkdir()
    stage.write("fragments/bounce.yaml", FRAGMENT)
    stage.write("shops/shop.yaml", RUNBOOK)
    text = WORLD + "tests: [{name: a, expect: [{at: 1m, runs: []}]}]"
    path = stage.write("shops/shop.test.yaml", text)
    assert suite.run([stage.folder], REGISTRY).well
    alone = suite.run([path], REGISTRY)
    assert "nothing that is loaded is called" in str(alone.files[0].findings[0])
    named = "runbooks: [shop.yaml, ../fragments/bounce.yaml]\n" + text
    Path(path).write_text(named)
    assert suite.run([path], REGISTRY).well


def test_a_further_run_does_as_the_runbook_says(stage: Stage) -> None:
    stage.write("bounce.yaml", FRAGMENT)
    stage.passes(
        """
policy: {mode: auto, cooldown: 0s}
tests:
  - name: one at a time
    timeline:
      - {firing: {alertname: Down, shop: a}}
      - {at: 5s, firing: {alertname: Down, shop: b}}
    expect:
      - at: 5m
        runs: [{state: succeeded}, {state: suppressed, reason: already_running}]
        exec: [[ctl, restart, a], [ctl, restart, b]]
""",
        runbook=RUNBOOK + "repeat: {mode: single}\n",
        world=WORLD,
    )
