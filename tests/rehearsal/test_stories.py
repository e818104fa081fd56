"""What a timeline may hold happens as it does in a daemon."""

from remediator.rehearsal.story import Part
from tests.rehearsal.stage import SHOP, Stage, failed

FIRES = "- {at: 0s, firing: {alertname: ShopDown}}"


def test_a_run_is_asked_for_approved_applied_and_verified(stage: Stage) -> None:
    played = stage.passes(f"""
tests:
  - name: people agree
    timeline:
      {FIRES}
      - {{at: 6m, approve: {{by: alice}}}}
      - {{at: 8m, resolved: {{alertname: ShopDown}}}}
    expect:
      - at: 30s
        runs: [{{state: pending, reason: new}}]
        messages: []
      - at: 5m
        runs:
          - runbook: shop
            state: awaiting_approval
            reason: mode_approve
            target: command localhost
            plans: [restart the shop]
            verdicts: ["hold: mode"]
            steps: {{look: {{state: done, output: {{status: 503}}}}, restart: planned}}
        messages: ["shop: asks for approval: command localhost/localhost: restart the shop"]
        exec: []
        http: [GET http://shop.example.org/healthz]
      - at: 6m10s
        runs: [{{state: applying, steps: {{restart: started}}}}]
        exec: [[/bin/shopctl, restart]]
      - at: 10m
        runs: [{{state: succeeded, reason: verified, message: the alert cleared}}]
        messages: [asks for, "shop: succeeded"]
""")
    assert [chapter.text for chapter in played.story if chapter.part is Part.WORLD] == [
        'fires: alertname="ShopDown"',
        "alice says approve to shop: Approved. The change is being made.",
        'stops: alertname="ShopDown"',
    ]


def test_a_run_that_does_not_help_calls_the_pager(stage: Stage) -> None:
    stage.passes(f"""
tests:
  - name: it goes on
    timeline: [{FIRES[2:]}, {{at: 2m, approve: {{by: alice}}}}]
    expect:
      - at: 20m
        runs: [{{state: failed, reason: not_verified}}]
        messages: [asks for, "/^pagerduty: shop: a person must look/", "shop: failed"]
""")


def test_only_who_may_decides(stage: Stage) -> None:
    stage.passes(f"""
groups: {{sre: [alice]}}
tests:
  - name: mallory may not
    timeline:
      {FIRES}
      - {{at: 2m, approve: {{by: mallory, refused: may not}}}}
      - {{at: 3m, deny: {{by: alice, reason: not now}}}}
    expect:
      - at: 4m
        runs: [{{state: denied, message: "Denied by alice: not now"}}]
""")


def test_who_is_turned_away_without_being_expected_to_fails_the_test(stage: Stage) -> None:
    played = stage.one(f"""
groups: {{sre: [alice]}}
tests:
  - name: mallory
    timeline:
      {FIRES}
      - {{at: 2m, approve: {{by: mallory}}}}
    expect: [{{at: 3m, runs: []}}]
""")
    (line,) = failed(played)
    assert line.startswith("10:27 approve mallory was turned away: ")


def test_who_was_to_be_turned_away_and_was_not_fails_the_test(stage: Stage) -> None:
    played = stage.one(f"""
tests:
  - name: alice
    timeline:
      {FIRES}
      - {{at: 2m, approve: {{by: alice, refused: may not}}}}
    expect: [{{at: 3m, runs: []}}]
""")
    assert "was to be turned away, and was not" in failed(played)[0]


def test_an_answer_to_nothing_says_how_the_runs_stand(stage: Stage) -> None:
    played = stage.one(f"""
tests:
  - name: too early
    timeline:
      {FIRES}
      - {{at: 10s, approve: {{by: alice}}}}
    expect: [{{at: 3m, runs: []}}]
""")
    assert failed(played) == [
        '9:28 approve no run asks at this time [+shop alertname="ShopDown": pending (new): ]'
    ]


def test_one_of_several_runs_is_meant_by_its_labels(stage: Stage) -> None:
    stage.passes("""
policy: {mode: auto, cooldown: 0s}
tests:
  - name: two shops
    timeline:
      - {at: 0s, firing: [{alertname: ShopDown, shop: a}, {alertname: ShopDown, shop: b}]}
      - {at: 2m, deny: {by: alice, labels: {shop: b}}}
    expect:
      - at: 3m
        runs: [{state: awaiting_approval}, {state: denied}]
""")


def test_a_word_that_could_mean_two_runs_is_refused(stage: Stage) -> None:
    played = stage.one("""
tests:
  - name: two shops
    timeline:
      - {at: 0s, firing: [{alertname: ShopDown, shop: a}, {alertname: ShopDown, shop: b}]}
      - {at: 2m, deny: {by: alice}}
    expect: [{at: 3m, runs: []}]
""")
    assert "more than one run asks; say which with run: or labels:" in failed(played)[0]


def test_a_question_is_snoozed_and_asked_anew(stage: Stage) -> None:
    stage.passes(f"""
tests:
  - name: later
    timeline:
      {FIRES}
      - {{at: 2m, snooze: {{by: alice, for: 1h}}}}
    expect:
      - {{at: 3m, runs: [{{state: pending, reason: snoozed}}]}}
      - at: 63m
        runs: [{{state: awaiting_approval}}]
        messages: [asks for, asks for]
""")


def test_a_run_is_cancelled_by_a_person(stage: Stage) -> None:
    stage.passes(f"""
tests:
  - name: no
    timeline:
      {FIRES}
      - {{at: 2m, cancel: {{by: alice}}}}
    expect: [{{at: 3m, runs: [{{state: cancelled, reason: cancelled_by_person}}]}}]
""")


def test_a_crash_inside_a_change_that_cannot_be_checked_interrupts_the_run(stage: Stage) -> None:
    stage.passes(
        f"""
tests:
  - name: the daemon dies while the command runs
    timeline:
      {FIRES}
      - {{at: 2m, approve: {{by: alice}}}}
      - {{at: 2m10s, restart: true}}
      - {{at: 20m, resume: {{by: alice, how: done}}}}
      - {{at: 21m, resolved: {{alertname: ShopDown}}}}
    expect:
      - at: 3m
        runs: [{{state: interrupted, reason: crashed_uncheckable, steps: {{restart: started}}}}]
        messages: [asks for, "pagerduty: ", "shop: was interrupted"]
        exec: [[/bin/shopctl, restart]]
      - {{at: 22m, runs: [{{state: succeeded}}]}}
""".replace("shop was interrupted", '"shop: was interrupted"')
    )


def test_a_crash_while_people_are_asked_changes_nothing(stage: Stage) -> None:
    stage.passes(f"""
tests:
  - name: the question stays
    timeline:
      {FIRES}
      - {{at: 2m, restart: true}}
      - {{at: 3m, approve: {{by: alice}}}}
    expect: [{{at: 4m, runs: [{{state: verifying}}], messages: [asks for]}}]
""")


def test_a_notification_that_is_lost_is_found_out(stage: Stage) -> None:
    stage.passes(f"""
tests:
  - name: the resolved never came
    timeline:
      {FIRES}
      - {{at: 2m, resolved: {{alertname: ShopDown}}, told: false}}
    expect:
      - {{at: 3m, runs: [{{state: cancelled, reason: resolved_by_itself}}]}}
""")


def test_an_alert_of_which_nobody_told_starts_nothing(stage: Stage) -> None:
    stage.passes("""
tests:
  - name: untold
    timeline: [{firing: {alertname: ShopDown}, told: false}]
    expect: [{at: 1h, runs: [], messages: [], exec: [], http: []}]
""")


def test_while_alertmanager_is_down_nothing_is_changed(stage: Stage) -> None:
    stage.passes(f"""
tests:
  - name: nobody can say whether it fires
    timeline:
      {FIRES}
      - {{at: 30s, alertmanager: down}}
      - {{at: 5m, alertmanager: up}}
    expect:
      - {{at: 4m, runs: [{{state: pending, reason: signal_unknown}}], messages: []}}
      - {{at: 6m, runs: [{{state: awaiting_approval}}]}}
""")


def test_a_recorded_notification_arrives_with_its_times_moved(stage: Stage) -> None:
    stage.write(
        "recorded.json",
        '{"version": "4", "alerts": [{"status": "firing", "labels": {"alertname": "ShopDown"},'
        ' "startsAt": "2024-02-03T04:05:06Z", "endsAt": "0001-01-01T00:00:00Z"}]}',
    )
    stage.passes("""
tests:
  - name: recorded
    timeline: [{at: 1m, notification: recorded.json}]
    expect: [{at: 3m, runs: [{state: awaiting_approval}]}]
""")


def test_a_runbook_is_started_by_hand(stage: Stage) -> None:
    stage.passes("""
groups: {sre: [alice]}
tests:
  - name: by hand
    timeline:
      - {at: 0s, run: {runbook: shop, by: mallory, refused: may not}}
      - {at: 0s, run: {runbook: shop, labels: {shop: a}, by: alice}}
    expect: [{at: 3m, runs: [{state: awaiting_approval}]}]
""")


def test_a_pause_refuses_what_would_change_something(stage: Stage) -> None:
    stage.passes(
        f"""
tests:
  - name: paused
    timeline:
      - {{pause: {{scope: "*", for: 1h, reason: a release}}}}
      {FIRES.replace("0s", "1m")}
      - {{at: 10m, unpause: {{}}}}
    expect:
      - at: 5m
        runs: [{{state: suppressed, verdicts: ["/refuse: kill_switch.*a release/"]}}]
        exec: []
""",
        runbook=SHOP.replace("mode: approve", "mode: auto"),
    )


def test_a_guardrail_is_lifted_by_whom_the_policy_names(stage: Stage) -> None:
    stage.passes(
        """
policy:
  mode: auto
  max_impact: {pods: 0}
  override: {people: [alice], guardrails: [freeze]}
  freeze: [{name: night, since: 2026-01-05T00:00:00, until: 2026-01-06T00:00:00}]
tests:
  - name: by night
    timeline:
      - {firing: {alertname: ShopDown}}
      - {at: 2m, override: {guardrail: freeze, by: bob, reason: now, refused: may not override}}
      - {at: 2m, override: {guardrail: freeze, by: alice, reason: it can not wait}}
    expect:
      - {at: 90s, runs: [{state: suppressed, verdicts: ["refuse: freeze"]}]}
      - {at: 5m, runs: [{state: suppressed}, {state: succeeded}], exec: [[shopctl, restart]]}
""",
        runbook=SHOP.replace("mode: approve", "mode: auto").replace(
            "verify: {resolved_within: 10m}\n", ""
        ),
    )


def test_a_command_changes_the_world(stage: Stage) -> None:
    verify = (
        'verify: {action: http.check, with: {url: "http://shop.example.org/healthz"}, within: 5m}'
    )
    runbook = SHOP.replace("verify: {resolved_within: 10m}", verify)
    stage.passes(
        f"""
tests:
  - name: the command mends it
    world:
      exec:
        - command: [/bin/shopctl, restart]
          then: {{http: [{{request: GET http://shop.example.org/healthz, body: ok}}]}}
    timeline: [{FIRES[2:]}]
    expect: [{{at: 5m, runs: [{{state: succeeded}}]}}]
""",
        runbook=runbook.replace("mode: approve", "mode: auto"),
    )


def test_the_world_changes_by_itself(stage: Stage) -> None:
    stage.passes(
        f"""
tests:
  - name: it mends itself
    timeline:
      {FIRES}
      - {{at: 30s, world: {{http: [{{request: GET http://shop.example.org/healthz}}]}}}}
    expect: [{{at: 5m, runs: [{{state: suppressed, reason: expectation_unmet}}], exec: []}}]
"""
    )


def test_silences_are_set_at_alertmanager_and_removed(stage: Stage) -> None:
    silence = "silence: {match: ['alertname=\"ShopSlow\"'], equal: [shop], for: 30m}\n"
    stage.passes(
        """
tests:
  - name: the noise is muted while the change lasts
    timeline:
      - {firing: {alertname: ShopDown, shop: a}}
      - {at: 2m, approve: {by: alice}}
      - {at: 4m, resolved: {alertname: ShopDown}}
    expect:
      - {at: 2m10s, silences: ['alertname="ShopSlow", shop="a"']}
      - {at: 10m, silences: [], runs: [{state: succeeded}]}
""",
        runbook=SHOP + silence,
    )


def test_a_policy_binds_as_it_does_in_a_daemon(stage: Stage) -> None:
    stage.write("strict.yaml", "mode: observe\n")
    stage.passes(f"""
policy_file: strict.yaml
tests:
  - name: only observed
    timeline: [{FIRES[2:]}]
    expect: [{{at: 5m, runs: [{{state: observed}}], exec: []}}]
""")


def test_nothing_began_says_why(stage: Stage) -> None:
    played = stage.one("""
tests:
  - name: another alert
    timeline: [{firing: {alertname: ShopSlow}}]
    expect: [{at: 5m, runs: [{state: observed}]}]
""")
    assert failed(played) == [
        "8:29 runs 1 run expected, and there are none; shop is not for it: "
        'alertname="ShopDown" does not fit, alertname is "ShopSlow" [-a run observed]'
    ]


def test_a_request_that_the_world_does_not_know_is_named(stage: Stage) -> None:
    played = stage.one(
        f"""
tests:
  - name: forgotten
    timeline: [{FIRES[2:]}]
    expect: [{{at: 5m, runs: [{{state: observed}}]}}]
""",
        world="",
    )
    assert played.unanswered == ("GET http://shop.example.org/healthz",)


def test_a_command_that_the_world_does_not_know_says_what_to_add(stage: Stage) -> None:
    played = stage.one(
        f"""
tests:
  - name: a command that is not there
    timeline: [{FIRES[2:]}]
    expect: [{{at: 5m, runs: [{{state: awaiting_approval}}]}}]
""",
        world="world: {http: [{request: GET http://shop.example.org/healthz, status: 503}]}",
    )
    assert "add {command: ['/bin/shopctl', '**'], exit: 0} to its exec" in failed(played)[0]
