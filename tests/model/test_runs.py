"""The transition table: every state can end, ends are ends, and nothing else is allowed."""

import itertools

import pytest

from remediator.model.runs import TRANSITIONS, IllegalTransition, RunState, check


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(RunState)


def test_every_state_is_reachable_and_can_end() -> None:
    reached = {RunState.PENDING}
    while new := {n for state in reached for n in TRANSITIONS[state]} - reached:
        reached |= new
    assert reached == set(RunState)
    for state in RunState:
        seen = {state}
        while more := {n for s in seen for n in TRANSITIONS[s]} - seen:
            seen |= more
        assert any(s.ended for s in seen)


@pytest.mark.parametrize(("old", "new"), list(itertools.product(RunState, RunState)))
def test_only_the_table_is_allowed(old: RunState, new: RunState) -> None:
    if new is old or new in TRANSITIONS[old]:
        check(old, new)
    else:
        with pytest.raises(IllegalTransition, match=f"from {old} to {new}"):
            check(old, new)


def test_nothing_changes_without_passing_the_guardrails_first() -> None:
    before_applying = {s for s in RunState if RunState.APPLYING in TRANSITIONS[s]}
    assert before_applying == {
        RunState.PLANNING,
        RunState.AWAITING_APPROVAL,
        RunState.VERIFYING,
        RunState.INTERRUPTED,
    }


def test_interrupted_waits_for_a_person() -> None:
    assert not RunState.INTERRUPTED.ended
    assert not RunState.INTERRUPTED.claimable
