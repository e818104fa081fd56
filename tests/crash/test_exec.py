"""Proves on a real daemon, killed by SIGKILL at every journal commit of a run, that no change is
made twice, none is forgotten, and nothing that was acknowledged is lost.

Each test lets run after run be killed one commit later, starts the daemon again, and looks at the
world (a ledger that shows every change), the locks and the audit chain, until a run gets through
without being killed. Half of the kills are on the way into `fdatasync`, where everything is written
and nobody knows; the others in the middle of a transaction's pages.
"""

import pytest

from tests.crash.everywhere import kill_everywhere, nothing_left
from tests.crash.fixtures import MakeRig
from tests.crash.rig import Act, Carried, Rig, Run
from tests.crash.strace import PAGE

_CHECKED = """
name: checked
description: Writes a line, and can find out whether it is there.
match: ['alertname="Broken"']
mode: approve
steps:
  - id: mend
    action: exec
    with:
      command: [WORLD, do, "${{ labels.case }}"]
      check: [WORLD, check, "${{ labels.case }}"]
      plan_text: write the line ${{ labels.case }}
      target: ${{ labels.case }}
verify: {resolved_within: 60s}
"""
_UNCHECKED = """
name: unchecked
description: Writes a line, and nobody can find out whether it is there.
match: ['alertname="Broken"']
mode: auto
steps:
  - id: mend
    action: exec
    with:
      command: [WORLD, do, "${{ labels.case }}"]
      undo: [WORLD, undo, "${{ labels.case }}"]
      plan_text: write the line ${{ labels.case }}
      target: ${{ labels.case }}
"""
_TWO_STEPS = """
name: two-steps
description: Writes two lines, which does not help, and takes both back.
match: ['alertname="Broken"']
mode: auto
steps:
  - id: first
    action: exec
    with:
      command: [WORLD, do, "${{ labels.case }}-1"]
      undo: [WORLD, undo, "${{ labels.case }}-1"]
      check: [WORLD, check, "${{ labels.case }}-1"]
      plan_text: write the first line
      target: ${{ labels.case }}-1
  - id: second
    action: exec
    with:
      command: [WORLD, do, "${{ labels.case }}-2"]
      undo: [WORLD, undo, "${{ labels.case }}-2"]
      check: [WORLD, check, "${{ labels.case }}-2"]
      plan_text: write the second line
      target: ${{ labels.case }}-2
verify: {resolved_within: 100ms}
on_failure: {undo: true}
"""
_LANES = """
name: lanes
description: Writes three lines, two at once, which does not help, and takes them back.
match: ['alertname="Broken"']
mode: auto
steps:
  - id: lines
    for_each: [one, two, three]
    parallel: 2
    action: exec
    with:
      command: [WORLD, do, "${{ labels.case }}-${{ each.value }}"]
      undo: [WORLD, undo, "${{ labels.case }}-${{ each.value }}"]
      check: [WORLD, check, "${{ labels.case }}-${{ each.value }}"]
      plan_text: write the line ${{ each.value }}
      target: ${{ labels.case }}-${{ each.value }}
verify: {resolved_within: 100ms}
on_failure: {undo: true}
"""
_UNCHECKED_LANES = """
name: unchecked-lanes
description: Writes three lines; of two of them nobody can find out whether they are there.
match: ['alertname="Broken"']
mode: auto
steps:
  - id: lines
    parallel: 3
    steps:
      - id: one
        action: exec
        with:
          command: [WORLD, do, "${{ labels.case }}-one"]
          plan_text: write the line one
          target: ${{ labels.case }}-one
      - id: two
        action: exec
        with:
          command: [WORLD, do, "${{ labels.case }}-two"]
          check: [WORLD, check, "${{ labels.case }}-two"]
          plan_text: write the line two
          target: ${{ labels.case }}-two
      - id: three
        action: exec
        with:
          command: [WORLD, do, "${{ labels.case }}-three"]
          plan_text: write the line three
          target: ${{ labels.case }}-three
"""
# A daemon takes two seconds to start on two free cores, and these start forty of them.
pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]


def test_a_change_that_can_be_checked_is_made_once(make_rig: MakeRig) -> None:
    def acts(rig: Rig, case: str) -> dict[str, Act]:
        return {
            "awaiting_approval": rig.approve,
            "verifying": lambda run: rig.send(case, "resolved"),
        }

    def judge(rig: Rig, case: str, carried: Carried) -> None:
        assert carried.run["state"] == "succeeded", (case, carried.run)
        assert carried.run["reason"] == "verified", (case, carried.run)
        assert rig.ledger(case) == [f"do {case}"]
        nothing_left(rig, carried)

    assert kill_everywhere(make_rig(_CHECKED), acts, judge) >= 12


def test_two_changes_are_made_once_and_taken_back_once(make_rig: MakeRig) -> None:
    def judge(rig: Rig, case: str, carried: Carried) -> None:
        assert carried.run["state"] == "rolled_back", (case, carried.run)
        lines = [line for line in rig.ledger() if line.split()[1] in (f"{case}-1", f"{case}-2")]
        assert lines == [f"do {case}-1", f"do {case}-2", f"undo {case}-2", f"undo {case}-1"]
        nothing_left(rig, carried)

    assert kill_everywhere(make_rig(_TWO_STEPS), lambda rig, case: {}, judge) >= 16


def test_a_change_that_nobody_can_check_waits_for_a_person(make_rig: MakeRig) -> None:
    interrupted: list[str] = []

    def acts(rig: Rig, case: str) -> dict[str, Act]:
        def look_and_say(run: Run) -> None:
            interrupted.append(case)
            # It keeps its lock while a person looks.
            assert list(rig.locks().values()) == [run["id"]]
            rig.resume(run, "done" if rig.ledger(case) else "repeat")

        return {"interrupted": look_and_say}

    def judge(rig: Rig, case: str, carried: Carried) -> None:
        assert carried.run["state"] == "succeeded", (case, carried.run)
        assert rig.ledger(case) == [f"do {case}"]
        nothing_left(rig, carried)

    rig = make_rig(_UNCHECKED)
    assert kill_everywhere(rig, acts, judge, every=1) >= 8
    assert interrupted, "no kill fell between the intent and the outcome"


def test_a_person_may_have_an_unchecked_change_taken_back(make_rig: MakeRig) -> None:
    undone: list[str] = []

    def acts(rig: Rig, case: str) -> dict[str, Act]:
        def look_and_say(run: Run) -> None:
            lines = rig.ledger(case)
            if lines == [f"do {case}"]:
                undone.append(case)
                rig.resume(run, "undo")
            else:
                rig.resume(run, "done" if lines else "repeat")

        return {"interrupted": look_and_say}

    def judge(rig: Rig, case: str, carried: Carried) -> None:
        if case in undone:
            assert carried.run["state"] == "rolled_back", (case, carried.run)
            assert rig.ledger(case) == [f"do {case}", f"undo {case}"]
        else:
            assert carried.run["state"] == "succeeded", (case, carried.run)
            assert rig.ledger(case) == [f"do {case}"]
        nothing_left(rig, carried)

    rig = make_rig(_UNCHECKED)
    assert kill_everywhere(rig, acts, judge, every=1) >= 8
    # The commit after the change has eight pages, and those before it vary by as many.
    for place in range(80, 140, 4):
        if undone:
            break
        case = f"between-{place}"
        judge(rig, case, rig.carry(case, acts(rig, case), kill_at=place, call=PAGE))
    assert undone, "no kill fell between the change and its outcome"


def test_a_daemon_that_dies_again_and_again_gets_there(make_rig: MakeRig) -> None:
    rig = make_rig(_TWO_STEPS)
    # Each of its lives is cut off by its second commit, recovery's among them.
    carried = rig.carry("often", kill_at=2, lives=8)
    assert carried.deaths >= 3, carried
    assert carried.run["state"] == "rolled_back", carried
    assert rig.ledger() == ["do often-1", "do often-2", "undo often-2", "undo often-1"]
    nothing_left(rig, carried)
    rig.check_whole()


def test_lanes_are_changed_once_and_taken_back_once(make_rig: MakeRig) -> None:
    def judge(rig: Rig, case: str, carried: Carried) -> None:
        assert carried.run["state"] == "rolled_back", (case, carried.run)
        for name in ("one", "two", "three"):
            lines = rig.ledger(f"{case}-{name}")
            assert lines == [f"do {case}-{name}", f"undo {case}-{name}"]
        undone = [line for line in rig.ledger() if line.startswith(f"undo {case}-")]
        assert undone == [f"undo {case}-{name}" for name in ("three", "two", "one")]
        nothing_left(rig, carried)

    assert kill_everywhere(make_rig(_LANES), lambda rig, case: {}, judge, every=3) >= 16


def test_lanes_that_nobody_can_check_are_asked_about_one_at_a_time(make_rig: MakeRig) -> None:
    interrupted: list[str] = []

    def acts(rig: Rig, case: str) -> dict[str, Act]:
        def look_and_say(run: Run) -> None:
            name = "one" if "one" in run["message"].partition(" (")[0] else "three"
            interrupted.append(f"{case} {name}")
            rig.resume(run, "done" if rig.ledger(f"{case}-{name}") else "repeat")

        return {"interrupted": look_and_say}

    def judge(rig: Rig, case: str, carried: Carried) -> None:
        assert carried.run["state"] == "succeeded", (case, carried.run)
        for name in ("one", "two", "three"):
            assert rig.ledger(f"{case}-{name}") == [f"do {case}-{name}"]
        nothing_left(rig, carried)

    rig = make_rig(_UNCHECKED_LANES)
    assert kill_everywhere(rig, acts, judge) >= 10
    assert interrupted, "no kill fell between an intent and its outcome"
